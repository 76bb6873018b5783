"""The loop behind ``POST /advise``: the model asks for tools, they run, and it is told what came of them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

from openai import AsyncOpenAI
from openai.types.chat import ChatCompletionMessageParam, ChatCompletionMessageToolCallUnion, ChatCompletionToolParam

from rag import settings
from rag.tools import delivery_days, stock_level

_MAX_TURNS = 4
_FUNCTIONS: dict[str, Callable[..., Any]] = {"stock_level": stock_level, "delivery_days": delivery_days}
_ITEM = {"type": "object", "properties": {"item": {"type": "string"}}, "required": ["item"]}
_TOOLS: list[ChatCompletionToolParam] = [
    {
        "type": "function",
        "function": {"name": name, "description": function.__doc__ or name, "parameters": _ITEM},
    }
    for name, function in _FUNCTIONS.items()
]


async def advise(client: AsyncOpenAI, question: str) -> str:
    """Answer a question with the tools, in a few turns at most."""
    messages: list[ChatCompletionMessageParam] = [{"role": "user", "content": question}]
    for turn in range(_MAX_TURNS):
        answer = await client.chat.completions.create(
            model=settings.MODEL,
            messages=messages,
            tools=_TOOLS,
            tool_choice="none" if turn == _MAX_TURNS - 1 else "auto",
        )
        message = answer.choices[0].message
        if not message.tool_calls:
            return message.content or ""
        messages.append({"role": "assistant", "content": message.content, "tool_calls": _asked(message.tool_calls)})
        for call in message.tool_calls:
            result = await asyncio.to_thread(_run, call)
            messages.append({"role": "tool", "tool_call_id": call.id, "content": result})
    return ""


def _asked(calls: list[ChatCompletionMessageToolCallUnion]) -> list[Any]:
    return [call.model_dump(exclude_none=True) for call in calls]


def _run(call: ChatCompletionMessageToolCallUnion) -> str:
    """What the tool says; a failure is for the model to deal with."""
    if call.type != "function" or call.function.name not in _FUNCTIONS:
        return f"there is no tool {call.id}"
    try:
        return str(_FUNCTIONS[call.function.name](**json.loads(call.function.arguments)))
    except (ValueError, TypeError, OSError) as error:
        return f"it failed: {error}"
