"""A whole span of each operation, as the core writes it with everything that it knows, against files."""

from __future__ import annotations

from pathlib import Path

import pytest

from spanloom.genai import Agent, Embeddings, FetchResponse, Inference, Peer, Retrieval, ToolExecution, Usage, Workflow
from spanloom.semconv import GenAI
from tests._support.snapshot import check_snapshot
from tests._support.spans import normal
from tests.genai._make import module, telemetry

SNAPSHOTS = Path(__file__).parent / "snapshots"
PEER = Peer("openai", "api.openai.com", 443)
USAGE = Usage(9, 5, cache_read_input_tokens=3, cache_write_input_tokens=1, reasoning_output_tokens=2)
ASKED = [{"role": "user", "parts": [{"type": "text", "content": "Hi"}]}]
ANSWERED = [{"role": "assistant", "parts": [{"type": "text", "content": "Hello."}]}]


def inference(of, operation):
    """A call of a model, with all that one may tell."""
    call = Inference(of, operation, "m", PEER)
    call.response_model, call.response_id, call.finish_reasons, call.usage = "m-1", "r_1", ["stop"], USAGE
    call.first_chunk_s = 0.5
    call.input_content = {GenAI.INPUT_MESSAGES: lambda: ASKED}
    call.output_content = {GenAI.OUTPUT_MESSAGES: lambda: ANSWERED}
    return call


def embeddings(of):
    """Vectors."""
    call = Embeddings(of, "e", PEER)
    call.response_model, call.usage = "e-1", Usage(4)
    return call


def fetch_response(of):
    """A stored response."""
    call = FetchResponse(of, "resp_1", PEER)
    call.response_model, call.status, call.finish_reasons = "m-1", "completed", ["stop"]
    call.output_content = {GenAI.OUTPUT_MESSAGES: lambda: ANSWERED}
    return call


def retrieval(of):
    """A search."""
    call = Retrieval(of, "wiki", Peer(None, "search.example", 80), "e")
    call.query, call.top_k = (lambda: "Which river?"), 3
    call.output_content = {GenAI.RETRIEVAL_DOCUMENTS: lambda: [{"id": "1", "score": 0.5}]}
    return call


def execute_tool(of):
    """A tool."""
    call = ToolExecution(of, "search", "function", "Finds things.")
    call.arguments, call.result = (lambda: {"q": "x"}), (lambda: ["y"])
    return call


OPERATIONS = {
    "chat": lambda of: inference(of, "chat"),
    "text_completion": lambda of: inference(of, "text_completion"),
    "generate_content": lambda of: inference(of, "generate_content"),
    "embeddings": embeddings,
    "fetch_response": fetch_response,
    "retrieval": retrieval,
    "execute_tool": execute_tool,
    "invoke_agent": lambda of: Agent(of, "ReAct", module(), {}),
    "invoke_workflow": lambda of: Workflow(of, "Program", module(), {}),
}


@pytest.mark.parametrize("end", ["stop", "fail"])
@pytest.mark.parametrize("name", list(OPERATIONS))
def test_whole_spans(name, end, content, recorder):
    """Name, kind, status, attributes and content, of a call that went well and of one that failed."""
    call = OPERATIONS[name](telemetry(recorder))
    if end == "stop":
        call.stop()
    else:
        call.fail(TimeoutError("too slow"))
    (span,) = normal(recorder.spans)
    assert span["attributes"]["gen_ai.operation.name"] == name
    check_snapshot(SNAPSHOTS / f"{name}_{end}.json", span)
