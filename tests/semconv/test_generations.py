"""Everything that the core writes, in each generation of names: nothing that the conventions do not allow."""

from __future__ import annotations

import pytest

from spanloom.genai import (
    Agent,
    Embeddings,
    Endpoint,
    FetchResponse,
    Inference,
    Peer,
    Retrieval,
    Step,
    Telemetry,
    ToolExecution,
    Usage,
    Workflow,
)
from spanloom.semconv import OLD_ATTRIBUTES, Event, GenAI, OpenAI, Spanloom, metrics, modes
from tests._support import conformance
from tests._support.spans import Recorder

PEER = Peer("openai", "api.openai.com", 443)
SAID = [{"role": "user", "parts": [{"type": "text", "content": "hi"}]}]
OLD_METRICS = {metrics.TOKEN_USAGE.name, metrics.OLD_TIME_TO_FIRST_CHUNK.name, metrics.OLD_TIME_PER_OUTPUT_CHUNK.name}
CURRENT_METRICS = {one.name for one in metrics.REGISTRY if one.name.startswith("gen_ai.client.inference.")}


def chat(of, error=None):
    """A streamed chat that everything is known of."""
    call = Inference(of, "chat", "m", PEER)
    call.attributes |= {GenAI.REQUEST_STREAM: True, OpenAI.API_TYPE: "chat_completions"}
    call.input_content = {GenAI.INPUT_MESSAGES: lambda: SAID}
    call.output_content = {GenAI.OUTPUT_MESSAGES: lambda: SAID}
    call.usage = Usage(100, 20, 60, 10, 5, audio_input_tokens=7, audio_output_tokens=3)
    call.response_model, call.response_id, call.finish_reasons = "m-1", "r", ["stop"]
    call.first_chunk_s, call.chunks = 0.5, 3
    call.fail(error) if error else call.stop()


def embeddings(of):
    """Vectors of a text."""
    call = Embeddings(of, "e", PEER)
    call.attributes[GenAI.EMBEDDINGS_DIMENSION_COUNT] = 3
    call.usage, call.response_model = Usage(5), "e-1"
    call.stop()


def fetched(of):
    """A stored response, failed at the provider's."""
    call = FetchResponse(of, "r", PEER)
    call.response_model, call.status, call.finish_reasons = "m-1", "failed", ["error"]
    call.output_content = {GenAI.OUTPUT_MESSAGES: lambda: SAID}
    call.stop()


def searched(of):
    """Documents found in a data source."""
    call = Retrieval(of, "d", PEER)
    call.top_k, call.query = 3, lambda: "where?"
    call.output_content = {GenAI.RETRIEVAL_DOCUMENTS: lambda: [{"id": "1", "score": 0.5}]}
    call.stop()


def program(of):
    """A workflow with an agent, its tool and a step."""
    flow = Workflow(of, "Program", object(), {})
    with flow:
        agent = Agent(of, "ReAct", object(), {})
        with agent:
            tool = ToolExecution(of, "search", description="looks things up")
            tool.arguments, tool.result = (lambda: {"q": "x"}), (lambda: "found")
            tool.fail(ValueError("no"))
            chat(of)
        agent.stop()
        Step(of, "Predict", object(), {}).stop()
    flow.stop()


def other(of):
    """A request without an operation."""
    call = Endpoint(of, "openai images.generate", PEER)
    call.attributes[Spanloom.OPENAI_ENDPOINT] = "/images/generations"
    call.fail_as("429")


SCENES = (chat, lambda of: chat(of, TimeoutError("late")), embeddings, fetched, searched, program, other)


@pytest.fixture(params=["", "gen_ai/dup", "gen_ai/old"])
def everything(request, monkeypatch):
    """What one program of all kinds recorded in one mode."""
    monkeypatch.setenv("OTEL_SEMCONV_STABILITY_OPT_IN", request.param)
    monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "SPAN_AND_EVENT")
    monkeypatch.setenv("SPANLOOM_CHUNK_HISTOGRAM", "1")
    recorder = Recorder()
    of = Telemetry("spanloom.test", **recorder.providers)
    for scene in SCENES:
        scene(of)
    yield recorder
    recorder.close()


def test_no_violation(everything):
    """Spans, metrics, their scopes, events with structured content."""
    assert conformance.problems(everything.spans, everything._reader.get_metrics_data(), everything.events) == []
    assert len(everything.spans) == 11
    assert {one.log_record.event_name for one in everything.events} == {Event.INFERENCE_DETAILS, Event.EXCEPTION}


def test_each_generation_is_there(everything):
    """The superseded metrics and names where they were asked for, the current ones unless they were declined."""
    found = set(everything.metrics())
    names = {name for span in everything.spans for name in span.attributes}
    assert (found & OLD_METRICS == OLD_METRICS - {metrics.OLD_TIME_PER_OUTPUT_CHUNK.name}) == ("old" in modes())
    assert bool(found & CURRENT_METRICS) == ("current" in modes())
    for name, old in OLD_ATTRIBUTES.items():
        assert (name in names) == ("current" in modes()), name
        assert (old in names) == ("old" in modes()), old


def test_no_call_is_counted_twice(everything):
    """One record of each instrument for a call: the embeddings' duration has the same name in both generations."""
    counts = {
        point.attributes[GenAI.OPERATION_NAME]: point.count
        for point in everything.points(metrics.OPERATION_DURATION.name)
        if "error.type" not in point.attributes
    }
    assert counts["embeddings"] == 1
