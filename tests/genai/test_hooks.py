"""The door of the core for other rooms: gates before a call, and what HTTP clients below a call may send."""

from __future__ import annotations

import pytest
from opentelemetry import context as otel

from spanloom.genai import Embeddings, Endpoint, FetchResponse, Peer, Retrieval, _guard, _registry
from spanloom.genai.hooks import add_gate, blocks_propagation
from tests.genai._make import KINDS, inference, telemetry

CLIENTS = {
    "inference": inference,
    "embeddings": lambda of: Embeddings(of, "e", Peer("openai")),
    "fetch": lambda of: FetchResponse(of, "resp_1", Peer("openai")),
    "retrieval": lambda of: Retrieval(of, "docs", Peer("openai")),
    "endpoint": lambda of: Endpoint(of, "openai images.generate", Peer("openai")),
}


class Refused(Exception):
    """Over budget."""


@pytest.mark.parametrize("kind", CLIENTS)
def test_a_gate_may_refuse(kind, recorder):
    """The application gets its exception, the call is not made, and its span says so; nothing stays attached."""
    refusal, seen = Refused("no"), []

    def gate(call):
        seen.append((call.provider, call.operation))
        call.attributes["spanloom.place"] = "budget"
        return refusal

    remove = add_gate(gate)
    call = CLIENTS[kind](telemetry(recorder))
    with pytest.raises(Refused) as caught, call:
        pytest.fail("the call was made")
    assert caught.value is refusal
    assert recorder.span.status.status_code.name == "ERROR"
    assert recorder.span.attributes["error.type"].endswith("test_hooks.Refused")
    assert recorder.span.attributes["spanloom.place"] == "budget"
    assert seen == [("openai", call.operation)]
    remove()
    remove()
    assert _registry.gates == ()
    recorder.clear()


def test_the_first_refusal_counts(recorder):
    """Gates are asked in their order, and none after a refusal."""
    asked = []
    removes = [
        add_gate(lambda call: asked.append(1)),
        add_gate(lambda call: Refused("second")),
        add_gate(lambda call: asked.append(3)),
    ]
    with pytest.raises(Refused, match="second"), inference(telemetry(recorder)):
        pass
    assert asked == [1]
    for remove in removes:
        remove()


def test_a_gate_that_fails_refuses_nothing(recorder, monkeypatch):
    """A fault of ours never stops a call."""
    monkeypatch.setattr(_guard, "RERAISE", False)

    def gate(call):
        raise RuntimeError("broken gate")

    remove = add_gate(gate)
    one = inference(telemetry(recorder))
    with one:
        pass
    one.stop()
    remove()
    assert recorder.span.status.status_code.name == "UNSET"


def test_no_trace_context_for_a_provider(recorder):
    """Inside a call to a provider nothing is to be injected, unless the call allows it; in a tool inside it, it is."""
    of = telemetry(recorder)
    assert not blocks_propagation()
    one = inference(of)
    with one:
        assert blocks_propagation()
        assert blocks_propagation(otel.get_current())
        tool = KINDS["tool"](of)
        with tool:
            assert not blocks_propagation()
        tool.stop()
        one.propagates = True
        assert not blocks_propagation()
    one.stop()
    assert not blocks_propagation()


def test_the_other_calls_of_a_client(recorder):
    """What each kind writes at its start and its end."""
    of = telemetry(recorder)
    fetch = CLIENTS["fetch"](of)
    fetch.status, fetch.response_model, fetch.finish_reasons = "completed", "m-1", ["stop"]
    retrieval = CLIENTS["retrieval"](of)
    retrieval.top_k = 4
    for one in (fetch, retrieval, CLIENTS["embeddings"](of), CLIENTS["endpoint"](of)):
        one.stop()
    assert {span.name: dict(span.attributes) for span in recorder.spans} == {
        "fetch_response": {
            "gen_ai.operation.name": "fetch_response",
            "gen_ai.provider.name": "openai",
            "gen_ai.response.id": "resp_1",
            "gen_ai.response.model": "m-1",
            "gen_ai.response.status": "completed",
            "gen_ai.response.finish_reasons": ("stop",),
        },
        "retrieval docs": {
            "gen_ai.operation.name": "retrieval",
            "gen_ai.provider.name": "openai",
            "gen_ai.data_source.id": "docs",
            "gen_ai.retrieval.top_k": 4,
        },
        "embeddings e": {
            "gen_ai.operation.name": "embeddings",
            "gen_ai.provider.name": "openai",
            "gen_ai.request.model": "e",
        },
        "openai images.generate": {"gen_ai.provider.name": "openai"},
    }
    points = recorder.points("gen_ai.client.operation.duration")
    operations = {point.attributes["gen_ai.operation.name"] for point in points}
    assert operations == {"fetch_response", "retrieval", "embeddings"}
    assert not any("gen_ai.response.id" in point.attributes for point in points)
    assert "gen_ai.client.inference.duration" not in recorder.metrics()


def test_content_of_the_other_calls(recorder, content):
    """What was searched and found, and what was fetched."""
    of = telemetry(recorder)
    retrieval = CLIENTS["retrieval"](of)
    retrieval.query = lambda: "why"
    retrieval.output_content = {"gen_ai.retrieval.documents": lambda: [{"id": "d1", "score": 0.5}]}
    retrieval.stop()
    fetch = CLIENTS["fetch"](of)
    fetch.output_content = {"gen_ai.output.messages": list}
    fetch.stop()
    assert recorder.named("retrieval docs").attributes["gen_ai.retrieval.query.text"] == "why"
    assert recorder.named("retrieval docs").attributes["gen_ai.retrieval.documents"] == '[{"id": "d1", "score": 0.5}]'
    assert recorder.named("fetch_response").attributes["gen_ai.output.messages"] == "[]"
