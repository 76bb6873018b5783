"""OpenAI responses: a whole one, and streams of text deltas."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from tests.benchmarks._openai import SSE, client, sse
from tests.benchmarks.cases import Case
from tests.benchmarks.cases.openai_chat import ALL, ANSWER
from tests.benchmarks.cases.openai_stream import LONG, SHORT, pair

if TYPE_CHECKING:
    from tests.benchmarks._telemetry import Bench

REQUEST: dict[str, Any] = {
    "model": "gpt-4o-mini",
    "instructions": "You answer in one short sentence.",
    "input": "Which river flows through Cologne, and where does it reach the sea?",
    "temperature": 0.2,
    "max_output_tokens": 100,
}
USAGE = {
    "input_tokens": 42,
    "input_tokens_details": {"cached_tokens": 0},
    "output_tokens": 17,
    "output_tokens_details": {"reasoning_tokens": 0},
    "total_tokens": 59,
}


def message(text: str, status: str = "completed") -> dict[str, Any]:
    parts = [{"type": "output_text", "text": text, "annotations": [], "logprobs": []}] if text else []
    return {"id": "msg_bench", "type": "message", "role": "assistant", "status": status, "content": parts}


def response(status: str, output: list[dict[str, Any]], usage: dict[str, Any] | None) -> dict[str, Any]:
    return {
        "id": "resp_bench",
        "object": "response",
        "created_at": 1700000000,
        "status": status,
        "error": None,
        "incomplete_details": None,
        "instructions": REQUEST["instructions"],
        "max_output_tokens": 100,
        "model": "gpt-4o-mini-2024-07-18",
        "output": output,
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "reasoning": {"effort": None, "summary": None},
        "service_tier": "default",
        "store": True,
        "temperature": 0.2,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": usage,
        "metadata": {},
    }


def streamed(count: int) -> bytes:
    """``count`` text deltas among the eight events that every answer has."""
    place = {"item_id": "msg_bench", "output_index": 0, "content_index": 0}
    text = "word " * count
    part = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
    events = [
        {"type": "response.created", "response": response("in_progress", [], None)},
        {"type": "response.in_progress", "response": response("in_progress", [], None)},
        {"type": "response.output_item.added", "output_index": 0, "item": message("", "in_progress")},
        {"type": "response.content_part.added", **place, "part": part},
        *({"type": "response.output_text.delta", **place, "delta": "word ", "logprobs": []} for _ in range(count)),
        {"type": "response.output_text.done", **place, "text": text, "logprobs": []},
        {"type": "response.content_part.done", **place, "part": {**part, "text": text}},
        {"type": "response.output_item.done", "output_index": 0, "item": message(text)},
        {"type": "response.completed", "response": response("completed", [message(text)], USAGE)},
    ]
    return sse({**event, "sequence_number": number} for number, event in enumerate(events))


def whole(bench: Bench) -> Callable[[], Any]:
    resource = client(json.dumps(response("completed", [message(ANSWER)], USAGE)).encode()).responses

    def call() -> None:
        assert resource.create(**REQUEST).output_text == ANSWER

    return call


def stream(count: int, bench: Bench) -> Callable[[], Any]:
    resource = client(streamed(count), SSE).responses

    def call() -> None:
        assert sum(1 for _ in resource.create(**REQUEST, stream=True)) == count + 8

    return call


CASES = (
    Case("openai responses", "responses.create", "openai", whole, ALL),
    *pair("openai responses stream", partial(stream, LONG), partial(stream, SHORT)),
)
