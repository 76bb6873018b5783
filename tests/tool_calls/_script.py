"""Clients whose model says what it is told to say, and what the spans of a test say of tool calls."""

from __future__ import annotations

import json
from typing import Any

import openai
from opentelemetry.trace import Tracer

from spanloom.semconv import SCHEMA_URL, GenAI, Spanloom
from tests._support.spans import Recorder
from tests.openai._canned import Wire, chat, chunk, client, response, sse

MODEL = "gpt-4o-mini"


def asked(call_id: str, name: str = "search", **arguments: Any) -> dict[str, Any]:
    """One tool call of an assistant's message."""
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}


def asking(*calls: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A whole chat completion that asks for these."""
    message = {"role": "assistant", "content": None, "refusal": None, "tool_calls": list(calls)}
    return chat(choices=[{"index": 0, "finish_reason": "tool_calls", "message": message, "logprobs": None}], **more)


def streamed(*calls: dict[str, Any]) -> bytes:
    """The same in chunks: arguments in two pieces."""
    chunks = [chunk()]
    for place, call in enumerate(calls):
        text = call["function"]["arguments"]
        head = {**call, "index": place, "function": {"name": call["function"]["name"], "arguments": text[:4]}}
        pieces = (head, {"index": place, "function": {"arguments": text[4:]}})
        chunks += [
            chunk(choices=[{"index": 0, "delta": {"tool_calls": [one]}, "finish_reason": None}]) for one in pieces
        ]
    return sse(*chunks, chunk(choices=[{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]))


def call_item(call_id: str, name: str = "search", **arguments: Any) -> dict[str, Any]:
    """The same as an item of a response."""
    text = json.dumps(arguments)
    return {"type": "function_call", "id": f"fc_{call_id}", "call_id": call_id, "name": name, "arguments": text}


def items(response_id: str, *output: dict[str, Any]) -> dict[str, Any]:
    """A whole response."""
    return response(id=response_id, output=list(output))


def output_item(call_id: str, text: str = "ok") -> dict[str, Any]:
    """What a tool gave back."""
    return {"type": "function_call_output", "call_id": call_id, "output": text}


def answer(call_id: str, text: str = "ok") -> dict[str, Any]:
    """The same as a message."""
    return {"role": "tool", "tool_call_id": call_id, "content": text}


def scripted(*answers: Any, kind: type = openai.OpenAI) -> Any:
    """A client that is given these answers, one after the other."""
    waiting = list(answers)
    return client(Wire(lambda request: waiting.pop(0)), kind)


def said(calls: list[dict[str, Any]]) -> dict[str, Any]:
    """The assistant's message of a history."""
    return {"role": "assistant", "content": None, "tool_calls": calls}


def app(recorder: Recorder) -> Tracer:
    """The application's own tracer."""
    return recorder.tracer_provider.get_tracer("spanloom.app", "1", SCHEMA_URL)


USER = {"role": "user", "content": "Which one?"}


def ids(recorder: Recorder) -> list[str | None]:
    """The call ids of the executions, in the order of their start."""
    found = [one for one in recorder.spans if one.name.startswith("execute_tool")]
    return [one.attributes.get(GenAI.TOOL_CALL_ID) for one in found]


def links(span: Any) -> list[tuple[int, str, str | None]]:
    """Span, kind and call id of each link."""
    return [
        (one.context.span_id, one.attributes[Spanloom.LINK], one.attributes.get(GenAI.TOOL_CALL_ID))
        for one in span.links
    ]


def events(span: Any) -> list[tuple[str, str, str | None]]:
    """What is told of calls without answers, and the reverse."""
    return [(one.name, one.attributes[GenAI.TOOL_CALL_ID], one.attributes.get(GenAI.TOOL_NAME)) for one in span.events]
