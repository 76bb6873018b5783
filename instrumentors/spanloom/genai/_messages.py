"""Chat messages -> the conventions' message JSON (roles and parts). Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any, cast

from spanloom.genai._fields import Fields, fields, get, text_of
from spanloom.genai._parts import MAX_NAME, Part, blob, content_parts, reasoning_part

Message = dict[str, Any]

_ANSWERS = ("tool", "function")


def input_messages(messages: Iterable[Any]) -> list[Message]:
    """All messages in order, those of the system included: they are part of the history that is sent."""
    return [found for one in messages if (found := _message(fields(one))) is not None]


def output_message(message: Any) -> Message:
    """One choice of an answer."""
    return {"role": text_of(message, "role") or "assistant", "parts": _parts(fields(message))}


def _message(told: Fields) -> Message | None:
    role, content = told.get("role"), told.get("content")
    if not isinstance(role, str):
        return None
    # The usual one, by far.
    if type(content) is str and content and type(told) is dict and len(told) == 2 and role not in _ANSWERS:
        return {"role": role, "parts": [{"type": "text", "content": content}]}
    parts = [_answer(told, content)] if role in _ANSWERS else _parts(told)
    name = told.get("name")
    return {"role": role, "parts": parts, "name": name} if isinstance(name, str) else {"role": role, "parts": parts}


def _answer(told: Fields, content: Any) -> Part:
    """What a tool gave back."""
    call_id = told.get("tool_call_id")
    return {
        "type": "tool_call_response",
        "id": call_id if isinstance(call_id, str) else None,
        "response": answered(content),
    }


def answered(content: Any) -> Any:
    """A tool's result: a text as it is, a list of parts as parts."""
    return content_parts(content) if isinstance(content, (list, tuple)) else content


def _parts(told: Fields) -> list[Part]:
    """In the order in which a model makes them."""
    # DeepSeek's name and its followers'; OpenRouter's.
    reasoning = told.get("reasoning_content") or told.get("reasoning")
    thought = reasoning_part(reasoning) if reasoning else None
    parts = [] if thought is None else [thought]
    content = told.get("content")
    if content:
        parts += content_parts(content)
    refusal = told.get("refusal")
    if refusal and isinstance(refusal, str):
        parts.append({"type": "refusal", "content": refusal})
    audio = told.get("audio")
    if audio is not None:
        parts += _audio(audio)
    calls, legacy = told.get("tool_calls"), told.get("function_call")
    if isinstance(calls, (list, tuple)):
        parts += [_tool_call(call) for call in cast("Sequence[Any]", calls) if call is not None]
    if legacy is not None:
        parts.append(tool_call(None, get(legacy, "name"), get(legacy, "arguments")))
    return parts


def _audio(audio: Any) -> list[Part]:
    """What the model said, with the words; in a later request only the id of it."""
    data, transcript = text_of(audio, "data"), text_of(audio, "transcript")
    if data is None and transcript is None:
        said = text_of(audio, "id")
        return [{"type": "audio", "id": said}] if said is not None else []
    part = blob("audio", None, data)
    if transcript is not None:
        part["transcript"] = transcript
    return [part]


def _tool_call(call: Any) -> Part:
    told = fields(call)
    function = told.get("function")
    if function is not None:
        asked = fields(function)
        return tool_call(told.get("id"), asked.get("name"), asked.get("arguments"))
    custom = fields(told.get("custom"))
    return tool_call(told.get("id"), custom.get("name"), custom.get("input"))


def tool_call(call_id: Any, name: Any, arguments: Any) -> Part:
    """A call that the model asks for. The schema wants a name."""
    return {
        "type": "tool_call",
        "id": call_id if isinstance(call_id, str) else None,
        "name": name if isinstance(name, str) else "",
        "arguments": parsed(arguments),
    }


def parsed(arguments: Any) -> Any:
    """Arguments as a value where the model wrote JSON, as it wrote them where it did not."""
    if not isinstance(arguments, str) or not arguments.startswith(("{", "[")):
        return arguments
    try:
        return json.loads(arguments)
    except (ValueError, RecursionError):
        return arguments


def tool_definitions(tools: Iterable[Any]) -> list[dict[str, Any]]:
    """The offered tools by type and name (descriptions and parameters are not recommended by default)."""
    return [found for tool in tools if (found := _tool(fields(tool))) is not None]


def _tool(told: Fields) -> dict[str, Any] | None:
    """The name is nested in chat completions, flat in responses; built-in tools are named by their type."""
    name, kind = told.get("name"), told.get("type")
    if not isinstance(kind, str) or not kind:
        # The older ``functions=``.
        kind = "function" if isinstance(name, str) and name else None
    if kind is None:
        return None
    for found in (name, get(told.get(kind), "name"), told.get("server_label")):
        if isinstance(found, str) and found:
            return {"type": kind[:MAX_NAME], "name": found[:MAX_NAME]}
    return {"type": kind[:MAX_NAME], "name": kind[:MAX_NAME]}
