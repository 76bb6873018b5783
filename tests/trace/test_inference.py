"""`trace.inference`: one model call by a client that no plugin knows, as any plugin's would be."""

from __future__ import annotations

import json

import pytest

from spanloom import trace
from spanloom.genai import Inference, Peer, inference_is_recorded
from spanloom.genai.hooks import add_finisher, add_gate
from tests.genai._make import telemetry

PREFIX = "gen_ai.client.inference."
ALL = {
    "temperature": 0.2,
    "top_p": 1,
    "top_k": 40,
    "max_tokens": 100,
    "frequency_penalty": 0.5,
    "presence_penalty": -0.5,
    "seed": 7,
    "stop_sequences": "END",
    "choice_count": 2,
    "reasoning_level": "low",
    "output_type": "json",
    "stream": True,
    "conversation_id": "c",
    "previous_response_id": "r",
    "prompt_name": "p",
    "prompt_version": "1",
}


def test_everything_that_may_be_told(by_hand):
    """Each by the conventions' name; nothing of what was said."""
    with trace.inference(model="m", provider="vllm", address="llm.example", port=8000) as call:
        assert isinstance(call, trace.InferenceCall)
        call.request(**ALL)
        call.input("secret", system="secret", tools=[{"type": "function", "function": {"name": "secret"}}])
        call.output("secret", finish_reasons=["stop"])
        call.response(id="r-1", model="m-1")
        call.usage(
            input_tokens=9,
            output_tokens=5,
            cache_read_input_tokens=3,
            cache_write_input_tokens=1,
            reasoning_output_tokens=2,
        )
    span = by_hand.span
    assert (span.name, span.kind.name, span.status.status_code.name) == ("chat m", "CLIENT", "UNSET")
    assert dict(span.attributes) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "vllm",
        "gen_ai.request.model": "m",
        "server.address": "llm.example",
        "server.port": 8000,
        "gen_ai.request.temperature": 0.2,
        "gen_ai.request.top_p": 1.0,
        "gen_ai.request.top_k": 40,
        "gen_ai.request.max_tokens": 100,
        "gen_ai.request.frequency_penalty": 0.5,
        "gen_ai.request.presence_penalty": -0.5,
        "gen_ai.request.seed": 7,
        "gen_ai.request.stop_sequences": ("END",),
        "gen_ai.request.choice.count": 2,
        "gen_ai.request.reasoning.level": "low",
        "gen_ai.output.type": "json",
        "gen_ai.request.stream": True,
        "gen_ai.conversation.id": "c",
        "gen_ai.request.previous_response.id": "r",
        "gen_ai.prompt.name": "p",
        "gen_ai.prompt.version": "1",
        "gen_ai.response.id": "r-1",
        "gen_ai.response.model": "m-1",
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.usage.input_tokens": 9,
        "gen_ai.usage.output_tokens": 5,
        "gen_ai.usage.cache_read.input_tokens": 3,
        "gen_ai.usage.cache_write.input_tokens": 1,
        "gen_ai.usage.reasoning.output_tokens": 2,
    }
    assert by_hand.total(PREFIX + "usage.input_tokens") == 9
    assert by_hand.total(PREFIX + "duration") == by_hand.total(PREFIX + "operation.output_tokens") == 1


def test_nothing_told_is_nothing_invented(by_hand):
    """No defaults, no zeros; without a model the operation alone is the name."""
    with trace.inference(model=None, provider="vllm", operation="text_completion") as call:
        call.request(temperature=None)
        call.usage()
        call.response()
        call.output()
    attributes = dict(by_hand.span.attributes)
    assert attributes == {"gen_ai.operation.name": "text_completion", "gen_ai.provider.name": "vllm"}
    assert by_hand.span.name == "text_completion"
    assert set(by_hand.metrics()) == {PREFIX + "duration"}


def test_content(with_content):
    """Messages, instructions and tools."""
    with trace.inference(model="m", provider="vllm") as call:
        call.input("Hi", system=["Be kind."], tools=[{"type": "function", "function": {"name": "f"}}])
        call.output("Hello.")
    told = {name: json.loads(value) for name, value in with_content.span.attributes.items() if value[0] == "["}
    assert told == {
        "gen_ai.input.messages": [{"role": "user", "parts": [{"type": "text", "content": "Hi"}]}],
        "gen_ai.output.messages": [{"role": "assistant", "parts": [{"type": "text", "content": "Hello."}]}],
        "gen_ai.system_instructions": [{"type": "text", "content": "Be kind."}],
        "gen_ai.tool.definitions": [{"type": "function", "name": "f"}],
    }


def test_content_in_events(monkeypatch, recorder, request):
    """The details of the inference, structured, where that is the mode."""
    monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "EVENT_ONLY")
    request.getfixturevalue("by_hand")
    with trace.inference(model="m", provider="vllm") as call:
        call.input("Hi")
    assert "gen_ai.input.messages" not in recorder.span.attributes
    details = recorder.event("gen_ai.client.inference.operation.details").log_record.attributes
    assert details["gen_ai.input.messages"][0]["role"] == "user"


def test_content_of_a_block(by_hand):
    """`trace.content` holds for what is recorded by hand as well."""
    with trace.content("SPAN_ONLY"), trace.inference(model="m", provider="vllm") as call:
        call.input("Hi")
    with trace.inference(model="m", provider="vllm") as call:
        call.input("Hi")
    assert ["gen_ai.input.messages" in span.attributes for span in by_hand.spans] == [True, False]


def test_what_is_told_twice(with_content):
    """The last one counts; tokens and heads that are not told again stay."""
    with trace.inference(model="m", provider="vllm") as call:
        call.usage(input_tokens=5)
        call.usage(output_tokens=2)
        call.usage(output_tokens=3)
        call.response(id="r")
        call.response(model="m-1")
        call.output("one", finish_reasons="stop")
        call.output("two")
    attributes = with_content.span.attributes
    assert attributes["gen_ai.usage.input_tokens"] == 5
    assert attributes["gen_ai.usage.output_tokens"] == 3
    assert (attributes["gen_ai.response.id"], attributes["gen_ai.response.model"]) == ("r", "m-1")
    assert attributes["gen_ai.response.finish_reasons"] == ("stop",)
    assert '"two"' in attributes["gen_ai.output.messages"]


def test_a_list_that_is_used_again(with_content):
    """What is appended to the messages later was not sent."""
    messages = [{"role": "user", "content": "Hi"}]
    with trace.inference(model="m", provider="vllm") as call:
        call.input(messages)
        messages.append({"role": "assistant", "content": "later"})
    assert "later" not in with_content.span.attributes["gen_ai.input.messages"]


@pytest.mark.parametrize(
    ("reasons", "told"),
    [
        (["stop", "tool_calls"], ("stop", "tool_call")),
        ("length", ("length",)),
        ([None, "stop"], ("error", "stop")),
        ("end_turn", ("stop",)),
        ([], None),
        (5, None),
    ],
)
def test_finish_reasons(reasons, told, by_hand):
    """In the conventions' words where they are known; an end that is not told is the conventions' `error`."""
    with trace.inference(model="m", provider="vllm") as call:
        call.output(finish_reasons=reasons)
    assert by_hand.span.attributes.get("gen_ai.response.finish_reasons") == told


def test_chunks(by_hand):
    """Their number, and the seconds to the first one."""
    with trace.inference(model="m", provider="vllm") as call:
        for _ in range(3):
            call.chunk()
    attributes = by_hand.span.attributes
    assert attributes["gen_ai.request.stream"] is True
    assert attributes["spanloom.stream.chunks"] == 3
    assert 0 < attributes["gen_ai.response.time_to_first_chunk"] < 1
    assert by_hand.total(PREFIX + "time_to_first_chunk") == 1


def test_an_exception(by_hand):
    """ERROR, an event, and a count of no tokens, as of every failed call; the object is the caller's."""
    error = TimeoutError("secret")
    with pytest.raises(TimeoutError) as caught, trace.inference(model="m", provider="vllm"):
        raise error
    assert caught.value is error
    assert by_hand.span.attributes["error.type"] == "TimeoutError"
    assert by_hand.event("gen_ai.client.operation.exception")
    assert "secret" not in str(by_hand.span.to_json()) + str(by_hand.events[0].log_record.attributes)
    (point,) = by_hand.points(PREFIX + "usage.input_tokens")
    assert point.value == 0


def test_a_status_that_is_an_error(by_hand):
    """A client that raises nothing: the block goes on, the call has failed."""
    with trace.inference(model="m", provider="vllm") as call:
        call.fail("503", "secret")
        call.usage(input_tokens=1)
    span = by_hand.span
    assert (span.attributes["error.type"], span.status.description) == ("503", None)
    assert "gen_ai.usage.input_tokens" not in span.attributes


# Around and inside other recorders.


def test_one_span_of_two_recorders(by_hand):
    """The outer one records, whichever is by hand."""
    with trace.inference(model="outer", provider="vllm"):
        assert inference_is_recorded()
        with trace.inference(model="inner", provider="vllm") as call:
            call.usage(input_tokens=5)
    of = telemetry(by_hand)
    plugin = Inference(of, "chat", "plugin", Peer("openai", "api.openai.com", 443))
    with plugin, trace.inference(model="inner", provider="vllm") as call:
        call.output("x")
        assert list(call.stream("ab")) == ["a", "b"]
    plugin.stop()
    assert [span.name for span in by_hand.spans] == ["chat outer", "chat plugin"]


def test_a_gate_may_refuse_it(by_hand, monkeypatch):
    """Its exception comes out of `with`, the call is not made, its span says why."""
    refusal = PermissionError("over budget")
    seen = []

    def gate(call):
        seen.append((call.operation, call.provider, call.server_address))
        return refusal

    remove = add_gate(gate)
    recipe = trace.inference(model="m", provider="vllm", address="llm.example", port=1)
    try:
        with pytest.raises(PermissionError) as caught, recipe:
            pytest.fail("called")
    finally:
        remove()
    assert caught.value is refusal
    assert seen == [("chat", "vllm", "llm.example")]
    assert by_hand.span.attributes["error.type"] == "PermissionError"
    with recipe:
        pass
    assert [span.status.status_code.name for span in by_hand.spans] == ["ERROR", "UNSET"]


def test_finishers_price_it(by_hand):
    """As any other call, by provider and the model that answered; the agent around has the sum."""
    seen = []

    def finish(call):
        seen.append((call.provider, call.request_model, call.response_model, call.usage.input_tokens))
        call.add_cost(0.25)

    remove = add_finisher(finish)
    with trace.agent("planner"), trace.inference(model="m", provider="openai") as call:
        call.response(model="gpt-4o-mini")
        call.usage(input_tokens=1000, output_tokens=10)
    remove()
    assert seen == [("openai", "m", "gpt-4o-mini", 1000)]
    assert by_hand.spans[0].attributes["spanloom.subtree.cost"] == 0.25
