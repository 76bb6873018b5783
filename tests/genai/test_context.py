"""Who is current, who steps aside."""

from __future__ import annotations

import threading

import pytest
from opentelemetry import context as otel
from opentelemetry import trace
from opentelemetry.instrumentation.utils import suppress_instrumentation

from spanloom.genai import Telemetry, current, inference_is_recorded, is_suppressed
from spanloom.genai._context import INFERENCE_SPAN_KEY
from tests._support.spans import outline
from tests.genai._make import KINDS, inference, telemetry


def test_the_official_key():
    """Others look for it under this name."""
    assert INFERENCE_SPAN_KEY == "opentelemetry.genai.inference_span"


def test_a_model_call_says_that_it_is_recorded(recorder):
    """Inside its block only, and a tool or step does not."""
    of = telemetry(recorder)
    for kind, make in KINDS.items():
        one = make(of)
        with one:
            assert inference_is_recorded() is (kind == "inference")
        one.stop()
        assert not inference_is_recorded()


def test_somebody_elses_model_call_is_honoured():
    """The key is all that counts."""
    token = otel.attach(otel.set_value(INFERENCE_SPAN_KEY, True))
    assert inference_is_recorded()
    otel.detach(token)
    assert not inference_is_recorded()


def test_suppression():
    """Inside OpenTelemetry's own switch nothing is to be recorded."""
    assert not is_suppressed()
    with suppress_instrumentation():
        assert is_suppressed()
    assert not is_suppressed()


def test_a_thread_does_not_inherit(recorder):
    """As everywhere in OpenTelemetry: contexts are carried, not leaked."""
    of = telemetry(recorder)
    seen = []
    step = KINDS["step"](of)
    with step:
        thread = threading.Thread(target=lambda: seen.append(current()))
        thread.start()
        thread.join()
    step.stop()
    assert seen == [None]


def test_spans_of_others_and_ours_nest(recorder):
    """Ours below theirs, theirs below ours, by the one OpenTelemetry context."""
    of = telemetry(recorder)
    theirs = recorder.tracer_provider.get_tracer("theirs")
    with theirs.start_as_current_span("GET /"):
        workflow = KINDS["workflow"](of)
        with workflow, theirs.start_as_current_span("POST"):
            inference(of).stop()
        workflow.stop()
    assert outline(recorder.spans) == ["GET /", "  invoke_workflow Program", "    POST", "      chat m"]
    recorder.clear()


def test_baggage_and_other_values_stay(recorder):
    """Our values are added to the context, nothing is taken from it."""
    token = otel.attach(otel.set_value("theirs", 1))
    step = KINDS["step"](telemetry(recorder))
    with step:
        assert otel.get_value("theirs") == 1
    step.stop()
    otel.detach(token)


def test_a_remote_parent_is_the_parent(recorder):
    """A span context from a header, without a local span."""
    remote = trace.SpanContext(0xABC, 0xDEF, is_remote=True, trace_flags=trace.TraceFlags(1))
    token = otel.attach(trace.set_span_in_context(trace.NonRecordingSpan(remote)))
    inference(telemetry(recorder)).stop()
    otel.detach(token)
    assert (recorder.span.context.trace_id, recorder.span.parent.span_id) == (0xABC, 0xDEF)


def test_the_parents_span_may_have_been_ended_by_somebody(recorder):
    """Children of an ended invocation are children all the same, and late contributions harm nobody."""
    of = telemetry(recorder)
    step = KINDS["step"](of)
    with step:
        step.stop()
        inference(of).stop()
    assert outline(recorder.spans) == ["Predict x", "  chat m"]


@pytest.mark.parametrize("kind", KINDS)
def test_without_an_sdk_everything_runs(kind):
    """The API's own no-op spans: nothing recorded, nothing raised."""
    of = Telemetry("spanloom.test", trace.NoOpTracerProvider())
    one = KINDS[kind](of)
    with one:
        assert current() is one
    one.fail(ValueError())
    assert one.ended
