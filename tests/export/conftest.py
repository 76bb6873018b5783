"""A clean environment, and spans to send."""

from __future__ import annotations

import os

import pytest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider

from spanloom.export import _leaving


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of the machine decides a test, and no test decides the next one."""
    for name in list(os.environ):
        if name.startswith(("OTEL_", "SPANLOOM_")) or name.lower() in ("http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setattr("spanloom.export._client.leaving", _leaving.Leaving())


@pytest.fixture
def span() -> ReadableSpan:
    provider = TracerProvider(resource=Resource({"service.name": "tested"}), shutdown_on_exit=False)
    made = provider.get_tracer("tests").start_span("one")
    made.end()
    assert isinstance(made, ReadableSpan)
    return made
