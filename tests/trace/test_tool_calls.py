"""Tool calls of a model that no plugin knows: asked, executed and answered, in either form of messages."""

from __future__ import annotations

import pytest

from spanloom import trace
from spanloom.tools import tool
from tests.tool_calls._script import events, ids, links


@tool
def search(q: str) -> str:
    """Finds."""
    return q


OPENAI = (
    {
        "role": "assistant",
        "tool_calls": [{"id": "c_12345678", "function": {"name": "search", "arguments": '{"q": "x"}'}}],
    },
    {"role": "tool", "tool_call_id": "c_12345678", "content": "x"},
)
PARTS = (
    {
        "role": "assistant",
        "parts": [{"type": "tool_call", "id": "c_12345678", "name": "search", "arguments": {"q": "x"}}],
    },
    {"role": "tool", "parts": [{"type": "tool_call_response", "id": "c_12345678", "response": "x"}]},
)


@pytest.mark.parametrize("asked", [OPENAI[0], PARTS[0]])
@pytest.mark.parametrize("answered", [OPENAI[1], PARTS[1]])
@pytest.mark.parametrize("inside", [True, False])
def test_one_story(asked, answered, inside, by_hand):
    """Whether the tool runs below the call or after it."""
    with trace.inference(model="m", provider="openai") as call:
        call.output([asked], finish_reasons="tool_calls")
        if inside:
            search("x")
    if not inside:
        search("x")
    with trace.inference(model="m", provider="openai") as call:
        call.input(["Which one?", asked, answered])
    assert ids(by_hand) == ["c_12345678"]
    assert links(by_hand.spans[1]) == [(1, "asked_by", "c_12345678")]
    assert links(by_hand.spans[2]) == [(1, "asked_by", None), (2, "executed_by", "c_12345678")]


def test_what_does_not_fit(by_hand):
    """A call without an answer, and an answer without a call."""
    with trace.inference(model="m", provider="openai") as call:
        call.input([OPENAI[0], {**OPENAI[1], "tool_call_id": "c_23456789"}])
    assert events(by_hand.span) == [
        ("spanloom.tool.unanswered", "c_12345678", "search"),
        ("spanloom.tool.unasked", "c_23456789", None),
    ]
