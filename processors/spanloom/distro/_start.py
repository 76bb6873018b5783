"""Start in code, for services that cannot run under ``opentelemetry-instrument``."""

from __future__ import annotations

import os

from opentelemetry.instrumentation.auto_instrumentation import initialize

from spanloom.distro._configurator import SpanloomConfigurator


def start() -> None:
    """Do what ``opentelemetry-instrument`` does: set up the SDK and load every installed instrumentor.

    Call it once, before the instrumented libraries are used; a second call, or one under ``opentelemetry-instrument``,
    is one log line and changes nothing. Settings come from the same environment variables. Never
    raises: a fault is logged and the service runs on without telemetry.
    """
    if SpanloomConfigurator.configured:
        SpanloomConfigurator().configure()  # pyright: ignore[reportUnknownMemberType] - which says so
        return
    os.environ.setdefault("OTEL_PYTHON_DISTRO", "spanloom")
    os.environ.setdefault("OTEL_PYTHON_CONFIGURATOR", "spanloom")
    initialize()
