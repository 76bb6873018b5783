"""The local root span gets the roll-up, whoever made it and whatever lies between."""

from __future__ import annotations

import random
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from opentelemetry import context as otel
from opentelemetry import trace
from opentelemetry.sdk.trace import SpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

from spanloom.genai import Embeddings, Peer, _guard
from spanloom.genai.hooks import add_finisher, span_started
from tests._support.spans import Recorder
from tests.genai._make import KINDS, inference, telemetry, usage

CALLS, TOKENS = "spanloom.subtree.llm_calls", "spanloom.subtree.input_tokens"


class Starts(SpanProcessor):
    """What the distribution adds."""

    def on_start(self, span, parent_context=None):
        span_started(span, parent_context)


@pytest.fixture
def recorder():
    """A plain one: most spans here are not ours, and the conventions' checks are not for them."""
    one = Recorder()
    yield one
    one.close()


@pytest.fixture
def server(recorder):
    """A tracer of somebody else's instrumentation."""
    return recorder.tracer_provider.get_tracer("web")


def ask(of, tokens=3):
    """One call that is told its tokens."""
    one = inference(of)
    one.usage = usage(tokens, 1)
    one.stop()


def remote():
    """A context as it comes from another process."""
    parent = SpanContext(7, 8, is_remote=True, trace_flags=TraceFlags(1))
    return trace.set_span_in_context(NonRecordingSpan(parent))


@pytest.mark.parametrize("parent", [None, "remote"])
def test_a_root_span_of_somebody_else(parent, recorder, server):
    """With its own parent elsewhere or none at all: two calls below it are summed on it."""
    of = telemetry(recorder)
    with server.start_as_current_span("GET /", context=remote() if parent else None):
        ask(of)
        ask(of)
    attributes = recorder.named("GET /").attributes
    assert (attributes[CALLS], attributes[TOKENS]) == (2, 6)


def test_what_lies_between(recorder, server):
    """With the span processor the root is known below any other span; those get nothing."""
    recorder.tracer_provider.add_span_processor(Starts())
    of = telemetry(recorder)
    with server.start_as_current_span("GET /"), server.start_as_current_span("step"):
        with server.start_as_current_span("inner"):
            ask(of)
        workflow = KINDS["workflow"](of)
        with workflow:
            ask(of)
        workflow.stop()
    assert recorder.named("GET /").attributes[CALLS] == 2
    assert recorder.named("invoke_workflow Program").attributes[CALLS] == 1
    assert CALLS not in recorder.named("step").attributes
    assert CALLS not in recorder.named("inner").attributes


def test_without_the_processor_only_a_root_is_recognised(recorder, server):
    """Nothing is written to a span that might not be one."""
    of = telemetry(recorder)
    with server.start_as_current_span("GET /"), server.start_as_current_span("step"):
        ask(of)
    assert CALLS not in recorder.named("GET /").attributes
    assert CALLS not in recorder.named("step").attributes


def test_below_a_remote_parent_alone(recorder):
    """A context without a span of this process: the workflow is the local root itself."""
    of = telemetry(recorder)
    token = otel.attach(remote())
    workflow = KINDS["workflow"](of)
    with workflow:
        ask(of)
    workflow.stop()
    ask(of)
    otel.detach(token)
    assert recorder.named("invoke_workflow Program").attributes[CALLS] == 1


def test_late_children(recorder, server, caplog):
    """A call that ends after the root writes nothing anywhere, and nobody is warned."""
    of = telemetry(recorder)
    with server.start_as_current_span("GET /"):
        late = inference(of)
        ask(of)
    late.stop()
    assert recorder.named("GET /").attributes[CALLS] == 1
    assert caplog.records == []


def test_a_root_that_is_not_sampled():
    """Nothing is kept for it."""
    recorder = Recorder(ALWAYS_OFF)
    of = telemetry(recorder)
    with recorder.tracer_provider.get_tracer("web").start_as_current_span("GET /"):
        one = inference(of)
        assert one.totals is None
        one.stop()


def test_money_and_cache_hits_reach_it(recorder, server):
    """As they reach our own spans."""
    add_finisher(lambda call: call.add_cost(0.25))
    of = telemetry(recorder)
    with server.start_as_current_span("GET /"):
        ask(of)
        hit = inference(of)
        hit.cache_hit = True
        hit.stop()
    attributes = recorder.named("GET /").attributes
    assert attributes["spanloom.subtree.cost"] == 0.5
    assert attributes["spanloom.subtree.cache_hits"] == 1


def test_embeddings_are_no_llm_calls(recorder, server):
    """Their tokens count, they do not."""
    one = None
    with server.start_as_current_span("GET /"):
        one = Embeddings(telemetry(recorder), "e", Peer("openai"))
        one.usage = usage(8)
        one.stop()
    assert CALLS not in recorder.named("GET /").attributes
    assert recorder.named("GET /").attributes[TOKENS] == 8


def test_exact_under_threads(recorder, server):
    """Eight threads below one request; the last sum written is the sum of all."""
    of = telemetry(recorder)
    chance = random.Random(1)
    tokens = [chance.randrange(100) for _ in range(400)]
    with server.start_as_current_span("GET /") as span:
        context = trace.set_span_in_context(span)
        start = threading.Barrier(8)

        def work(part):
            start.wait()
            token = otel.attach(context)
            for count in part:
                ask(of, count)
            otel.detach(token)

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(work, [tokens[number::8] for number in range(8)]))
    attributes = recorder.named("GET /").attributes
    assert (attributes[CALLS], attributes[TOKENS]) == (400, sum(tokens))


def test_a_span_that_refuses_the_mark_is_left_alone(recorder, monkeypatch):
    """A span of another implementation may have no place for it."""

    class Closed:
        __slots__ = ()

        def get_span_context(self):
            return SpanContext(7, 8, is_remote=False)

    parent = trace.set_span_in_context(recorder.tracer_provider.get_tracer("web").start_span("GET /"))
    monkeypatch.setattr(_guard, "RERAISE", False)
    span_started(Closed(), parent)


def test_each_thread_writes_its_own_root(recorder, server, caplog):
    """With many at once none ends without its sums, and none is written to after its end."""
    of, each = telemetry(recorder), 300

    def serve():
        for _ in range(each):
            with server.start_as_current_span("POST /ask"):
                ask(of)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with ThreadPoolExecutor(8) as pool:
            for one in [pool.submit(serve) for _ in range(8)]:
                one.result()
    finally:
        sys.setswitchinterval(interval)
    roots = [span for span in recorder.spans if span.name == "POST /ask"]
    assert [span.attributes.get(CALLS) for span in roots] == [1] * (8 * each)
    assert caplog.messages == []
