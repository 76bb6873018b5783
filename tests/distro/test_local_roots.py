"""Roll-ups reach the local root span, whoever made it and whatever lies between."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, Tracer

from spanloom.distro import _pipeline
from spanloom.distro._local_roots import LocalRoots
from spanloom.semconv import Spanloom
from tests._support.spans import Recorder
from tests.genai._make import inference, telemetry, usage


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    """Spans of one test, with the processor in place."""
    one = Recorder()
    one.tracer_provider.add_span_processor(LocalRoots())
    yield one
    one.close()


@pytest.fixture
def tracer(recorder: Recorder) -> Tracer:
    """Somebody else's tracer."""
    return recorder.tracer_provider.get_tracer("web")


def call_model(recorder: Recorder, given: int = 3) -> None:
    """One inference of so many input tokens."""
    one = inference(telemetry(recorder))
    one.usage = usage(given, 1)
    one.stop()


def tokens(recorder: Recorder, name: str) -> object:
    """The input tokens rolled up to a span; ``None`` where none were."""
    return recorder.named(name).attributes.get(Spanloom.SUBTREE_INPUT_TOKENS)


def remote() -> Context:
    """The context of a request that carries a trace."""
    parent = SpanContext(0xA, 0xB, is_remote=True, trace_flags=TraceFlags(1))
    return trace.set_span_in_context(NonRecordingSpan(parent), Context())


@pytest.mark.parametrize("context", [Context(), remote()], ids=["root", "remote parent"])
def test_the_server_span_gets_the_sums_over_spans_between(recorder: Recorder, tracer: Tracer, context: Context) -> None:
    """Two manual spans lie between; they are no roots and get nothing."""
    with (
        tracer.start_as_current_span("POST /ask", context),
        tracer.start_as_current_span("load"),
        tracer.start_as_current_span("answer"),
    ):
        call_model(recorder)
        call_model(recorder, 4)
    assert tokens(recorder, "POST /ask") == 7
    assert tokens(recorder, "load") is None
    assert tokens(recorder, "answer") is None


def test_each_request_has_its_own_sums(recorder: Recorder, tracer: Tracer) -> None:
    """Eight threads serve at once, each under its own root."""

    def serve(number: int) -> None:
        with tracer.start_as_current_span(f"request {number}", Context()), tracer.start_as_current_span("inner"):
            call_model(recorder, number)

    threads = [threading.Thread(target=serve, args=(number,)) for number in range(1, 9)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert [tokens(recorder, f"request {number}") for number in range(1, 9)] == list(range(1, 9))


def test_a_parent_that_is_given_counts_and_not_the_current_span(recorder: Recorder, tracer: Tracer) -> None:
    """Spans are also started with an explicit context."""
    root = tracer.start_span("job", Context())
    with tracer.start_as_current_span("elsewhere", Context()):
        inner = tracer.start_span("inner", trace.set_span_in_context(root))
        with trace.use_span(inner, end_on_exit=True):
            call_model(recorder)
    root.end()
    assert tokens(recorder, "job") == 3
    assert tokens(recorder, "elsewhere") is None


def test_the_configurator_puts_it_into_the_global_provider(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the SDK ignores the configurator's arguments, as it does with a configuration file."""
    provider = TracerProvider(shutdown_on_exit=False)
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: provider)
    _pipeline.note_local_roots()
    (found,) = provider._active_span_processor._span_processors
    assert isinstance(found, LocalRoots)


def test_a_provider_that_is_no_sdk_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is asked of a stand-in (the SDK may be switched off)."""
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: trace.NoOpTracerProvider())
    _pipeline.note_local_roots()
