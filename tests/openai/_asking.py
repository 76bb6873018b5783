"""What the scenarios ask, and how what an application saw becomes plain data."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from pydantic import BaseModel

MODEL = "gpt-4o-mini"
QUESTION = [
    {"role": "system", "content": "Answer briefly."},
    {"role": "user", "content": "Which river flows through Paris?"},
]
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "weather",
            "description": "The weather of a city",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
        },
    }
]
TALK = [
    {"role": "developer", "content": [{"type": "text", "text": "Use tools."}]},
    {
        "role": "user",
        "content": [
            {"type": "text", "text": "What is the weather in Oslo?"},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGVsbG8="}},
            {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}},
        ],
    },
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Oslo"}'}}
        ],
    },
    {"role": "tool", "tool_call_id": "call_1", "content": "rain"},
]
SCHEMA = {
    "type": "json_schema",
    "json_schema": {
        "name": "river",
        "schema": {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]},
    },
}


class River(BaseModel):
    """A structured answer."""

    name: str


def asking(text: str, **more: Any) -> dict[str, Any]:
    """The arguments of a call with one user message."""
    return {"model": MODEL, "messages": [{"role": "user", "content": text}], **more}


def dumped(value: Any) -> Any:
    """An SDK object, or several, as plain data."""
    if isinstance(value, list):
        return [dumped(one) for one in value]
    return {"type": type(value).__name__, "data": value.model_dump(mode="json", warnings=False)}


def failure(error: BaseException) -> dict[str, Any]:
    """An exception as the application sees it."""
    return {
        "type": f"{type(error).__module__}.{type(error).__qualname__}",
        "text": str(error),
        "status": getattr(error, "status_code", None),
        "body": repr(getattr(error, "body", None)),
        "cause": type(error.__cause__).__name__,
    }


def failing(call: Callable[[], Any]) -> dict[str, Any]:
    """What a call raises."""
    try:
        call()
    except Exception as error:
        return failure(error)
    raise AssertionError("it did not fail")


async def afailing(call: Callable[[], Awaitable[Any]]) -> dict[str, Any]:
    """What a call raises."""
    try:
        await call()
    except (Exception, asyncio.CancelledError) as error:
        return failure(error)
    raise AssertionError("it did not fail")


async def listed(stream: Any) -> list[Any]:
    """All chunks."""
    return [chunk async for chunk in stream]
