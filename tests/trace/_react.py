"""An agent written by hand, as people write them: a loop, a model client that no plugin knows, tools."""

from __future__ import annotations

import json
from typing import Any

from spanloom import trace
from spanloom.tools import tool

QUESTION = "How many wind vanes are left?"
_TURNS = [
    {"id": "c-1", "thought": "The stock service knows.", "arguments": {"item": "wind"}, "tokens": (40, 12)},
    {"id": "c-2", "thought": "Its name was wrong.", "arguments": {"item": "vane"}, "tokens": (70, 14)},
    {"answer": "Three.", "tokens": (95, 3)},
]


class Client:
    """Answers in turns."""

    def __init__(self) -> None:
        self._turns = iter(_TURNS)

    def generate(self, messages: list[dict[str, Any]]) -> dict[str, Any]:
        """The next turn."""
        assert messages[0]["role"] == "user"
        return next(self._turns)


@tool
def stock_level(item: str) -> int:
    """How many of an item are left."""
    if item != "vane":
        raise LookupError(f"no item {item}")
    return 3


def ask(client: Client, messages: list[dict[str, Any]]) -> dict[str, Any]:
    """One call of the model, recorded."""
    with trace.inference(model="llama-3", provider="vllm", address="llm.example", port=443) as call:
        call.request(temperature=0.2, max_tokens=100)
        call.input(messages, system="Use the tools.", tools=[{"type": "function", "function": {"name": "stock_level"}}])
        turn = client.generate(messages)
        call.response(id="r-1", model="llama-3-8b")
        call.usage(input_tokens=turn["tokens"][0], output_tokens=turn["tokens"][1])
        call.output(said(turn), finish_reasons=["stop" if "answer" in turn else "tool_calls"])
    return turn


def said(turn: dict[str, Any]) -> list[dict[str, Any]]:
    """A turn as the message that goes into the history."""
    if "answer" in turn:
        return [{"role": "assistant", "content": turn["answer"]}]
    function = {"name": "stock_level", "arguments": json.dumps(turn["arguments"])}
    calls = [{"id": turn["id"], "type": "function", "function": function}]
    return [{"role": "assistant", "content": turn["thought"], "tool_calls": calls}]


def observed(arguments: dict[str, Any]) -> Any:
    """What a tool says; its failure is told to the model."""
    try:
        return stock_level(**arguments)
    except LookupError as error:
        return f"error: {error}"


def run(question: str = QUESTION) -> str:
    """The whole loop."""
    client, messages = Client(), [{"role": "user", "content": question}]
    with trace.agent("storekeeper", description="Knows the stock.", agent_id="a-1", version="7") as agent:
        agent.input(question)
        while "answer" not in (turn := ask(client, messages)):
            agent.thought(turn["thought"])
            agent.action("stock_level", turn["arguments"], call_id=turn["id"])
            seen = observed(turn["arguments"])
            agent.observation(seen, call_id=turn["id"])
            messages += said(turn)
            messages.append({"role": "tool", "tool_call_id": turn["id"], "content": str(seen)})
        agent.output(turn["answer"])
    return turn["answer"]
