"""No trace context goes to a model provider, whoever makes the HTTP request below the call."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests
from opentelemetry import baggage, propagate, trace
from opentelemetry import context as otel
from opentelemetry.instrumentation.requests import RequestsInstrumentor
from opentelemetry.propagators.textmap import TextMapPropagator
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from spanloom.distro import _propagation
from spanloom.distro._propagation import KeepingBack
from spanloom.genai import Inference, Telemetry, ToolExecution
from tests._support.spans import Recorder
from tests.export._server import Reply, Server
from tests.genai._make import inference, telemetry

# What came in with the request that is being served.
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture(autouse=True)
def kept_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the configurator sets it up; the propagator of other tests afterwards."""
    monkeypatch.setattr(propagate, "_HTTP_TEXT_FORMAT", propagate.get_global_textmap())
    monkeypatch.setattr(propagate, "set_global_textmap", propagate.set_global_textmap)
    _propagation.keep_back()


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    """Spans of one test."""
    one = Recorder()
    yield one
    one.close()


@pytest.fixture
def of(recorder: Recorder) -> Telemetry:
    """One instrumentor's telemetry."""
    return telemetry(recorder)


@pytest.fixture
def call(of: Telemetry) -> Iterator[Inference]:
    """A model call that runs."""
    one = inference(of)
    yield one
    one.stop()


def sent(context: Any = None) -> dict[str, str]:
    """The headers that an HTTP client's instrumentation would add here."""
    headers: dict[str, str] = {}
    propagate.inject(headers, context)
    return headers


def test_the_trace_context_travels_as_ever_outside_of_model_calls(recorder: Recorder) -> None:
    """Ordinary requests are ordinary: trace context and baggage go along."""
    token = otel.attach(baggage.set_baggage("user", "7"))
    with recorder.tracer_provider.get_tracer("app").start_as_current_span("work"):
        assert set(sent()) == {"traceparent", "baggage"}
    otel.detach(token)


def test_nothing_is_injected_inside_a_model_call(call: Inference, recorder: Recorder) -> None:
    """Neither directly below it nor below the span of an HTTP client inside; baggage neither."""
    token = otel.attach(baggage.set_baggage("user", "7"))
    with call:
        assert sent() == {}
        with recorder.tracer_provider.get_tracer("http").start_as_current_span("POST"):
            assert sent() == {}
    otel.detach(token)
    assert set(sent()) == set()


def test_a_context_that_is_given_counts_and_not_the_current_one(call: Inference) -> None:
    """Some instrumentations pass the context on instead of attaching it."""
    assert sent(call.context) == {}
    with call:
        assert set(sent(propagate.extract({"traceparent": TRACEPARENT}, otel.Context()))) == {"traceparent"}


def test_a_host_that_may_have_it_gets_it(call: Inference) -> None:
    """What the plugin allows for the call's host goes through."""
    call.propagates = True
    with call:
        assert set(sent()) == {"traceparent"}


def test_a_tool_that_runs_inside_may_call_services(call: Inference, of: Telemetry) -> None:
    """Only what runs on behalf of the model call is kept back; a tool's own requests belong to the trace."""
    with call:
        tool = ToolExecution(of, "search")
        with tool:
            assert set(sent()) == {"traceparent"}
        tool.stop()


def test_what_comes_in_passes_through(call: Inference) -> None:
    """Extraction is never blocked, and the fields are those of the propagator behind."""
    with call:
        context = propagate.extract({"traceparent": TRACEPARENT})
    came = trace.get_current_span(context).get_span_context()
    assert f"{came.trace_id:032x}" in TRACEPARENT
    assert "traceparent" in propagate.get_global_textmap().fields


def test_a_propagator_that_the_application_sets_later_is_kept_back_too(call: Inference) -> None:
    """``set_global_textmap`` in the program is a documented habit; it must not undo ours."""
    mine: TextMapPropagator = TraceContextTextMapPropagator()
    propagate.set_global_textmap(http_text_format=mine)
    wrapped = propagate.get_global_textmap()
    assert isinstance(wrapped, KeepingBack)
    assert wrapped.inner is mine
    with call:
        assert sent() == {}
    propagate.set_global_textmap(wrapped)
    assert propagate.get_global_textmap() is wrapped


def test_keeping_back_twice_is_once() -> None:
    """Neither the propagator nor the function is wrapped again."""
    before = propagate.get_global_textmap(), propagate.set_global_textmap
    _propagation.keep_back()
    assert (propagate.get_global_textmap(), propagate.set_global_textmap) == before


def test_an_instrumented_http_client_sends_no_traceparent_below_a_model_call(
    call: Inference, recorder: Recorder
) -> None:
    """The real instrumentation of ``requests``: its span is there, its header is not; outside it is."""
    RequestsInstrumentor().instrument(tracer_provider=recorder.tracer_provider)
    try:
        with Server([Reply()]) as server:
            with call:
                requests.get(server.url, timeout=5)
            requests.get(server.url, timeout=5)
    finally:
        RequestsInstrumentor().uninstrument()
    assert ["traceparent" in one.headers for one in server.received] == [False, True]
    assert [span.name for span in recorder.spans].count("GET") == 2
