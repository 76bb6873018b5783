"""``/v1/chat/completions``: request to answer, whole or streamed. Pure functions."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from . import _tokens
from ._answer import CREATED, Answer, Event, Identity, event, to_json
from ._answers import reply
from ._faults import Refusal, find_faults
from ._fields import images_in, limit, optional, required, text_of
from ._talk import Message, Reply, Talk, ToolSpec
from ._text import pieces
from ._tokens import Usage, count_tokens


@dataclass(frozen=True)
class Choice:
    """One choice of an answer, cut to the limit of tokens."""

    text: str | None
    calls: tuple[dict[str, Any], ...]
    finish: str


@dataclass(frozen=True)
class Completion:
    """Everything a chat answer says."""

    id: str
    model: str
    choices: tuple[Choice, ...]
    usage: Usage

    def head(self, kind: str) -> dict[str, Any]:
        """The fields that a body and a chunk share."""
        shared = {"id": self.id, "object": kind, "created": CREATED, "model": self.model}
        return {**shared, "service_tier": "default", "system_fingerprint": "fp_local"}


def read_talk(body: dict[str, Any]) -> Talk:
    """The conversation in a request body. Raises `Refusal` (400) for a body that is no chat request."""
    messages: list[Message] = []
    called: dict[str, str] = {}
    for raw in required(body, "messages", list):
        if not isinstance(raw, dict) or not isinstance(raw.get("role"), str):
            raise Refusal(400, "Each of 'messages' must be an object with a 'role'.", param="messages")
        for call in raw.get("tool_calls") or ():
            called[str(call.get("id"))] = str(call.get("function", {}).get("name", ""))
        content, tool = raw.get("content"), called.get(str(raw.get("tool_call_id")), "")
        messages.append(Message(raw["role"], text_of(content), tool, images_in(content)))
    if not messages:
        raise Refusal(400, "Invalid 'messages': empty array.", code="empty_array", param="messages")
    kind, schema = _format(optional(body, "response_format", dict, {}))
    return Talk(
        messages=tuple(messages),
        tools=tuple(tool_spec(tool.get("function", {})) for tool in optional(body, "tools", list, [])),
        tool_choice=tool_choice(body.get("tool_choice")),
        parallel=optional(body, "parallel_tool_calls", bool, True),
        format=kind,
        schema=schema,
        words=find_faults(next((m.text for m in reversed(messages) if m.role == "user"), "")).words,
    )


def tool_spec(raw: dict[str, Any]) -> ToolSpec:
    """One offered function."""
    return ToolSpec(str(raw.get("name", "")), str(raw.get("description") or ""), raw.get("parameters") or {})


def tool_choice(raw: Any) -> str:
    """``auto``, ``none``, ``required`` or a function's name."""
    if isinstance(raw, dict):
        return str(raw.get("name") or raw.get("function", {}).get("name", "auto"))
    return str(raw or "auto")


def input_tokens(talk: Talk, tools: Any) -> Usage:
    """The input side of the usage: messages, images, offered tools."""
    sizes = [_message_tokens(message) for message in talk.messages]
    offered = count_tokens(json.dumps(tools)) if tools else 0
    first_user = next((n for n, message in enumerate(talk.messages) if message.role == "user"), len(sizes))
    return Usage(input=sum(sizes) + offered, cached=_tokens.cached_tokens(sum(sizes[:first_user]) + offered))


def complete(body: dict[str, Any], identity: Identity) -> Completion:
    """Compute the answer to a request body."""
    talk, model = read_talk(body), required(body, "model", str)
    most = limit(body, "max_completion_tokens", "max_tokens")
    count = limit(body, "n") or 1
    choices = tuple(_choice(reply(talk, variant), identity, variant, most) for variant in range(count))
    before = input_tokens(talk, body.get("tools"))
    hidden = _tokens.reasoning_tokens(model, talk.last_user_text)
    usage = Usage(before.input, sum(_choice_tokens(choice) for choice in choices) + hidden, before.cached, hidden)
    return Completion(identity.make("chatcmpl-"), _tokens.dated_name(model), choices, usage)


def answer(body: dict[str, Any], identity: Identity) -> Answer:
    """The answer of ``POST /v1/chat/completions``."""
    made = complete(body, identity)
    shared = {"model_asked": body["model"], "model_answered": made.model, "response_id": made.id}
    if not optional(body, "stream", bool, False):
        return Answer(body=to_json(_whole(made)), usage=made.usage, **shared)
    with_usage = bool(optional(body, "stream_options", dict, {}).get("include_usage"))
    return Answer(events=(*_chunks(made, with_usage), Event(b"data: [DONE]\n\n")), **shared)


def _format(raw: dict[str, Any]) -> tuple[str, dict[str, Any] | None]:
    return str(raw.get("type", "text")), (raw.get("json_schema") or {}).get("schema")


def _message_tokens(message: Message) -> int:
    return _tokens.MESSAGE_TOKENS + count_tokens(message.text) + message.images * _tokens.IMAGE_TOKENS


def _choice(made: Reply, identity: Identity, variant: int, most: int | None) -> Choice:
    text, finish = made.text, "tool_calls" if made.calls else "stop"
    if text is not None and most is not None and count_tokens(text) > most:
        text, finish = _tokens.cut_to_tokens(text, most), "length"
    calls = [
        {
            "id": identity.make("call_", f"{variant}.{place}"),
            "type": "function",
            "function": {"name": call.name, "arguments": json.dumps(call.arguments, ensure_ascii=False)},
        }
        for place, call in enumerate(made.calls)
    ]
    return Choice(text, tuple(calls), finish)


def _choice_tokens(choice: Choice) -> int:
    called = sum(count_tokens(call["function"]["name"] + call["function"]["arguments"]) for call in choice.calls)
    return count_tokens(choice.text or "") + called


def _whole(made: Completion) -> dict[str, Any]:
    choices = []
    for index, choice in enumerate(made.choices):
        message: dict[str, Any] = {"role": "assistant", "content": choice.text, "refusal": None, "annotations": []}
        if choice.calls:
            message["tool_calls"] = list(choice.calls)
        choices.append({"index": index, "message": message, "logprobs": None, "finish_reason": choice.finish})
    return {**made.head("chat.completion"), "choices": choices, "usage": made.usage.as_chat()}


def _chunks(made: Completion, with_usage: bool) -> Iterator[Event]:
    head = made.head("chat.completion.chunk") | ({"usage": None} if with_usage else {})
    for index, choice in enumerate(made.choices):
        for delta in _deltas(choice):
            yield event({**head, "choices": [_piece(index, delta, None)]})
        yield event({**head, "choices": [_piece(index, {}, choice.finish)]})
    if with_usage:
        yield event({**head, "choices": [], "usage": made.usage.as_chat()}, usage=made.usage)


def _piece(index: int, delta: dict[str, Any], finish: str | None) -> dict[str, Any]:
    return {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish}


def _deltas(choice: Choice) -> Iterator[dict[str, Any]]:
    yield {"role": "assistant", "content": None if choice.text is None else "", "refusal": None}
    for piece in pieces(choice.text or ""):
        yield {"content": piece}
    for place, call in enumerate(choice.calls):
        function = call["function"]
        yield {"tool_calls": [{"index": place, **call, "function": {**function, "arguments": ""}}]}
        for piece in pieces(function["arguments"]):
            yield {"tool_calls": [{"index": place, "function": {"arguments": piece}}]}
