"""Start in code, for services that cannot run under ``opentelemetry-instrument``."""

from __future__ import annotations

import os

from opentelemetry.instrumentation.auto_instrumentation import initialize


def start() -> None:
    """Do what ``opentelemetry-instrument`` does: set up the SDK and load every installed instrumentor.

    Call it once, before the instrumented libraries are used. Settings come from the same environment variables. Never
    raises: a fault is logged and the service runs on without telemetry.
    """
    os.environ.setdefault("OTEL_PYTHON_DISTRO", "spanloom")
    os.environ.setdefault("OTEL_PYTHON_CONFIGURATOR", "spanloom")
    initialize()
