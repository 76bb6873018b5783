"""Fixtures of every test of the instrumentors: a clean environment, faults that fail, spans that conform."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from contextvars import ContextVar

import pytest
from opentelemetry import context as otel

from spanloom.genai import _carried, _guard, _registry, _tool_calls
from tests._support.conformance import problems
from tests._support.spans import Recorder

CONTENT_VARIABLE = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"

__all__ = ["clean", "content", "frozen", "recorder"]


@pytest.fixture(scope="session", autouse=True)
def frozen() -> Iterator[None]:
    """What was imported is left out of garbage collections: some tests collect, and there are many modules."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No setting of the surroundings, no finisher of another room, faults of ours raise, nothing stays attached."""
    for name in list(os.environ):
        if name.startswith(("OTEL_", "SPANLOOM_", "OPENAI_")) and name != "SPANLOOM_UPDATE_SNAPSHOTS":
            monkeypatch.delenv(name)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    monkeypatch.setattr(_guard, "RERAISE", True)
    monkeypatch.setattr(_guard, "_last_logged", {})
    monkeypatch.setattr(_registry, "finishers", ())
    monkeypatch.setattr(_registry, "redactor", None)
    # Each test's own setting of baggage.
    monkeypatch.setattr(_carried, "_from_baggage", _carried._at_first_use)
    # Trace ids begin at 1 in each test: the calls of another one's traces are not its own.
    _tool_calls.asked_calls.cache_clear()
    monkeypatch.setattr(_tool_calls, "_flow", ContextVar("spanloom-tool-calls", default=None))
    before = otel.get_current()
    yield
    assert otel.get_current() == before, "a context stayed attached"


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    """Providers whose spans, metrics and events are checked against the conventions when the test is over."""
    one = Recorder()
    yield one
    gc.collect()
    found = problems(one.spans, one.metrics_data(), one.events)
    one.close()
    assert not found, "\n".join(found)


@pytest.fixture
def content(monkeypatch: pytest.MonkeyPatch) -> None:
    """Message content on; to be asked for before an instrumentor starts."""
    monkeypatch.setenv(CONTENT_VARIABLE, "SPAN_ONLY")
