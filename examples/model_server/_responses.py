"""``/v1/responses``: request to answer, whole or streamed with the real event names. Pure functions."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from . import _tokens
from ._answer import CREATED, Answer, Event, Identity, event, to_json
from ._answers import reply
from ._chat import input_tokens, tool_choice, tool_spec
from ._faults import Refusal, find_faults
from ._fields import images_in, limit, optional, required, text_of
from ._talk import Message, Reply, Talk
from ._text import pieces
from ._tokens import Usage, count_tokens

_ECHOED = ("instructions", "max_output_tokens", "previous_response_id", "temperature", "top_p", "user", "truncation")


def read_talk(body: dict[str, Any]) -> Talk:
    """The conversation in a request body. Raises `Refusal` (400) for a body that is no Responses request."""
    if body.get("previous_response_id"):
        message = "Previous response not found: this server keeps no conversations."
        raise Refusal(400, message, code="previous_response_not_found", param="previous_response_id")
    instructions = optional(body, "instructions", str, "")
    messages = [Message("system", instructions)] if instructions else []
    messages += _messages(body)
    style: dict[str, Any] = optional(body, "text", dict, {}).get("format") or {}
    return Talk(
        messages=tuple(messages),
        tools=tuple(tool_spec(tool) for tool in _functions(body)),
        tool_choice=tool_choice(body.get("tool_choice")),
        parallel=optional(body, "parallel_tool_calls", bool, True),
        format=str(style.get("type", "text")),
        schema=style.get("schema"),
        words=find_faults(next((m.text for m in reversed(messages) if m.role == "user"), "")).words,
    )


def answer(body: dict[str, Any], identity: Identity) -> Answer:
    """The answer of ``POST /v1/responses``."""
    talk, model = read_talk(body), required(body, "model", str)
    made = reply(talk)
    text, incomplete = _cut(made.text, limit(body, "max_output_tokens"))
    output = _output(Reply(text, made.calls), model, identity, incomplete)
    usage = _usage(body, talk, model, output)
    response = _response(body, identity, output, usage, incomplete)
    shared = {"model_asked": model, "model_answered": response["model"], "response_id": response["id"]}
    if not optional(body, "stream", bool, False):
        return Answer(body=to_json(response), usage=usage, **shared)
    return Answer(events=tuple(_events(response, usage)), **shared)


def _messages(body: dict[str, Any]) -> Iterator[Message]:
    given = body.get("input")
    if isinstance(given, str):
        yield Message("user", given)
        return
    called: dict[str, str] = {}
    for item in required(body, "input", list):
        if not isinstance(item, dict):
            raise Refusal(400, "Each item of 'input' must be an object.", code="invalid_type", param="input")
        if item.get("type") == "function_call":
            called[str(item.get("call_id"))] = str(item.get("name", ""))
        elif item.get("type") == "function_call_output":
            yield Message("tool", text_of(item.get("output")), called.get(str(item.get("call_id")), ""))
        elif isinstance(item.get("role"), str):
            yield Message(item["role"], text_of(item.get("content")), images=images_in(item.get("content")))


def _functions(body: dict[str, Any]) -> list[dict[str, Any]]:
    return [tool for tool in optional(body, "tools", list, []) if tool.get("type") == "function"]


def _cut(text: str | None, most: int | None) -> tuple[str | None, bool]:
    if text is None or most is None or count_tokens(text) <= most:
        return text, False
    return _tokens.cut_to_tokens(text, most), True


def _output(made: Reply, model: str, identity: Identity, incomplete: bool) -> list[dict[str, Any]]:
    status = "incomplete" if incomplete else "completed"
    items: list[dict[str, Any]] = []
    if _tokens.is_reasoning(model):
        items.append({"type": "reasoning", "id": identity.make("rs_"), "summary": []})
    if made.text is not None:
        content = [{"type": "output_text", "text": made.text, "annotations": [], "logprobs": []}]
        head = {"type": "message", "id": identity.make("msg_"), "status": status}
        items.append({**head, "role": "assistant", "content": content})
    for place, call in enumerate(made.calls):
        arguments = json.dumps(call.arguments, ensure_ascii=False)
        ids = {"id": identity.make("fc_", str(place)), "call_id": identity.make("call_", str(place))}
        items.append({"type": "function_call", **ids, "name": call.name, "arguments": arguments, "status": "completed"})
    return items


def _usage(body: dict[str, Any], talk: Talk, model: str, output: list[dict[str, Any]]) -> Usage:
    before = input_tokens(talk, body.get("tools"))
    hidden = _tokens.reasoning_tokens(model, talk.last_user_text)
    said = "\n".join(part["text"] for item in output for part in item.get("content", ()))
    called = "\n".join(item["name"] + item["arguments"] for item in output if item["type"] == "function_call")
    return Usage(before.input, count_tokens(said) + count_tokens(called) + hidden, before.cached, hidden)


def _response(
    body: dict[str, Any], identity: Identity, output: list[dict[str, Any]], usage: Usage, incomplete: bool
) -> dict[str, Any]:
    return {
        "id": identity.make("resp_"),
        "object": "response",
        "created_at": CREATED,
        "status": "incomplete" if incomplete else "completed",
        "error": None,
        "incomplete_details": {"reason": "max_output_tokens"} if incomplete else None,
        "metadata": body.get("metadata") or {},
        "model": _tokens.dated_name(body["model"]),
        "output": output,
        "parallel_tool_calls": body.get("parallel_tool_calls", True),
        "reasoning": {"effort": (body.get("reasoning") or {}).get("effort"), "summary": None},
        "service_tier": "default",
        "text": body.get("text") or {"format": {"type": "text"}},
        "tool_choice": body.get("tool_choice") or "auto",
        "tools": body.get("tools") or [],
        "usage": usage.as_responses(),
        **{name: body.get(name) for name in _ECHOED},
    }


def _events(response: dict[str, Any], usage: Usage) -> Iterator[Event]:
    begun = {**response, "status": "in_progress", "incomplete_details": None, "output": [], "usage": None}
    plain: list[dict[str, Any]] = [{"type": "response.created", "response": begun}]
    plain.append({"type": "response.in_progress", "response": begun})
    for place, item in enumerate(response["output"]):
        plain += _item_events(place, item)
    plain.append({"type": f"response.{response['status']}", "response": response})
    for number, data in enumerate(plain):
        last = number == len(plain) - 1
        yield event({**data, "sequence_number": number}, name=data["type"], usage=usage if last else None)


def _item_events(place: int, item: dict[str, Any]) -> Iterator[dict[str, Any]]:
    begun = {
        "message": {**item, "status": "in_progress", "content": []},
        "function_call": {**item, "status": "in_progress", "arguments": ""},
    }.get(item["type"], item)
    where = {"output_index": place}
    yield {"type": "response.output_item.added", **where, "item": begun}
    if item["type"] == "message":
        yield from _text_events({"item_id": item["id"], **where, "content_index": 0}, item["content"][0])
    if item["type"] == "function_call":
        kind, where_call = "response.function_call_arguments", {"item_id": item["id"], **where}
        for piece in pieces(item["arguments"]):
            yield {"type": f"{kind}.delta", **where_call, "delta": piece}
        yield {"type": f"{kind}.done", **where_call, "name": item["name"], "arguments": item["arguments"]}
    yield {"type": "response.output_item.done", **where, "item": item}


def _text_events(where: dict[str, Any], part: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield {"type": "response.content_part.added", **where, "part": {**part, "text": ""}}
    for piece in pieces(part["text"]):
        yield {"type": "response.output_text.delta", **where, "delta": piece, "logprobs": []}
    yield {"type": "response.output_text.done", **where, "text": part["text"], "logprobs": []}
    yield {"type": "response.content_part.done", **where, "part": part}
