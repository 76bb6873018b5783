"""OpenAI's client inside what is told by hand, and the other way round."""

from __future__ import annotations

import json

import pytest

from spanloom import trace
from spanloom.genai import Telemetry
from spanloom.trace import _shared
from tests._support.spans import Recorder, outline

ASKED = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hi"}]}


@pytest.fixture
def by_hand(recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is told by hand goes to the same recorder."""
    monkeypatch.setattr(_shared.telemetry, "_given", Telemetry("spanloom.trace", **recorder.providers))


def test_a_client_inside_an_agent(client, plugin, by_hand, recorder):
    """The plugin's span is below it, its tokens are in the agent's sums."""
    with trace.agent("planner"):
        answer = client.chat.completions.create(**ASKED)
    assert outline(recorder.spans) == ["invoke_agent planner", "  chat gpt-4o-mini"]
    assert recorder.spans[0].attributes["spanloom.subtree.input_tokens"] == answer.usage.prompt_tokens


def test_a_client_inside_a_call_by_hand(client, plugin, by_hand, recorder):
    """One span a call, the outer one's: plain and streamed; after the block the plugin records again."""
    with trace.inference(model="m", provider="vllm") as call:
        client.chat.completions.create(**ASKED)
        stream = call.stream(client.chat.completions.create(**ASKED, stream=True))
    assert len(list(stream)) > 1
    client.chat.completions.create(**ASKED)
    assert outline(recorder.spans) == ["chat m", "chat gpt-4o-mini"]


def test_the_same_content_by_hand(client, plugin_with_content, by_hand, recorder):
    """What is told of an answer by hand is what the plugin tells of it."""
    answer = client.chat.completions.create(**ASKED)
    with trace.inference(model="gpt-4o-mini", provider="openai") as call:
        call.input(ASKED["messages"])
        call.output([choice.message for choice in answer.choices], finish_reasons=answer.choices[0].finish_reason)
    plugins, ours = recorder.spans
    for name in ("gen_ai.input.messages", "gen_ai.output.messages", "gen_ai.response.finish_reasons"):
        told, expected = ours.attributes[name], plugins.attributes[name]
        assert told == expected if isinstance(told, tuple) else json.loads(told) == json.loads(expected)
