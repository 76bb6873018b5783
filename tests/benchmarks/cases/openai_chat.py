"""OpenAI chat completions: a small one, and one of 32 KB with tools."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tests.benchmarks._openai import async_client, client
from tests.benchmarks.cases import FLOOR, OFFICIAL, ON, OURS, PRICED, UNSAMPLED, Case

if TYPE_CHECKING:
    from tests.benchmarks._telemetry import Bench

ALL = (OFFICIAL, OURS, PRICED, FLOOR)
ASYNC_BATCH = 10
USAGE = {
    "prompt_tokens": 42,
    "completion_tokens": 17,
    "total_tokens": 59,
    "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
}
REQUEST: dict[str, Any] = {
    "model": "gpt-4o-mini",
    "messages": [
        {"role": "system", "content": "You answer in one short sentence."},
        {"role": "user", "content": "Which river flows through Cologne, and where does it reach the sea?"},
    ],
    "temperature": 0.2,
    "max_tokens": 100,
}
HEAD = {"id": "chatcmpl-bench", "created": 1700000000, "model": "gpt-4o-mini-2024-07-18", "service_tier": "default"}
ANSWER = "The Rhine; it reaches the North Sea near Rotterdam."

BIG_BYTES = 32 * 1024
BIG_MESSAGES = 20
SENTENCE = 'The keeper wrote: "Wind south-west, 7 Bft;\n\tvisibility poor," and lit the lamp. '


def answer() -> bytes:
    message = {"role": "assistant", "content": ANSWER, "refusal": None}
    choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}
    return json.dumps({**HEAD, "object": "chat.completion", "choices": [choice], "usage": USAGE}).encode()


def big_messages() -> list[dict[str, Any]]:
    """Twenty messages of an agent's conversation: instructions, questions, tool calls, their results, answers."""
    long = (SENTENCE * (BIG_BYTES // len(SENTENCE)))[: BIG_BYTES // (BIG_MESSAGES - 4)]

    def turn(number: int) -> list[dict[str, Any]]:
        arguments = json.dumps({"station": f"light {number}", "hours": 24})
        call = {"id": f"call_{number}", "type": "function", "function": {"name": "tool_1", "arguments": arguments}}
        return [
            {"role": "user", "content": long},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": f"call_{number}", "content": long},
            {"role": "assistant", "content": long},
        ]

    turns = [message for number in range(4) for message in turn(number)]
    ends: list[dict[str, Any]] = [{"role": "user", "content": long}, {"role": "assistant", "content": long}]
    return [{"role": "system", "content": long}, *turns, *ends, {"role": "user", "content": long}]


def tools() -> list[dict[str, Any]]:
    fields = {f"field_{number}": {"type": "string", "description": f"Field {number}."} for number in range(6)}
    parameters = {"type": "object", "properties": fields, "required": ["field_0"], "additionalProperties": False}

    def tool(number: int) -> dict[str, Any]:
        function = {"name": f"tool_{number}", "description": f"Looks up {number}.", "parameters": parameters}
        return {"type": "function", "function": function}

    return [tool(number) for number in range(5)]


def chat(bench: Bench) -> Callable[[], Any]:
    completions = client(answer()).chat.completions

    def call() -> None:
        assert completions.create(**REQUEST).choices[0].message.content == ANSWER

    return call


def chat_async(bench: Bench) -> Callable[[], Any]:
    completions = async_client(answer()).chat.completions

    async def calls() -> None:
        for _ in range(ASYNC_BATCH):
            made = await completions.create(**REQUEST)
            assert made.choices[0].message.content == ANSWER

    return lambda: bench.run(calls())


def chat_big(bench: Bench) -> Callable[[], Any]:
    completions = client(answer()).chat.completions
    request = {**REQUEST, "messages": big_messages(), "tools": tools()}

    def call() -> None:
        assert completions.create(**request).choices[0].message.content == ANSWER

    return call


CASES = (
    Case("openai chat", "chat.completions.create", "openai", chat, ALL),
    Case("openai chat async", "the same with AsyncOpenAI", "openai", chat_async, ALL, batch=ASYNC_BATCH),
    Case("openai chat 32 KB", "20 messages, 5 tools", "openai", chat_big, ALL, (ON, UNSAMPLED)),
)
