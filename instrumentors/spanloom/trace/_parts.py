"""The conventions' own parts, as a person gives them. Pure; bytes, and what signs an address, are never copied."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any, Final, cast

from spanloom.genai import tolerant
from spanloom.genai._fields import get, text_of
from spanloom.genai._messages import tool_call
from spanloom.genai._parts import MAX_NAME, Part, blob, described, media, part_of, stored, text_part

_Read = Callable[[Any], Part | None]


def told_parts(parts: Sequence[Any]) -> list[Part]:
    """Each part, in the conventions' form or in OpenAI's. A kind that is not known is named and not copied."""
    return [found for one in parts if (found := tolerant(_part, None, one)) is not None]


def _part(part: Any) -> Part | None:
    kind = text_of(part, "type")
    reader = None if kind is None else _READERS.get(kind)
    return part_of(part) if reader is None else reader(part)


def _text(part: Any) -> Part | None:
    content = get(part, "content")
    return text_part(content) if isinstance(content, str) else part_of(part)


def _reasoning(part: Any) -> Part | None:
    content = text_of(part, "content")
    return {"type": "reasoning", "content": content} if content else None


def _tool_call(part: Any) -> Part:
    return tool_call(get(part, "id"), get(part, "name"), get(part, "arguments"))


def _tool_answer(part: Any) -> Part:
    response = get(part, "response")
    if isinstance(response, (list, tuple)):
        response = [_answered(one) for one in cast("Sequence[Any]", response)]
    return {"type": "tool_call_response", "id": text_of(part, "id"), "response": response}


def _answered(one: Any) -> Any:
    """Parts as parts; whatever else a tool gives back as it is."""
    return (_part(one) or one) if text_of(one, "type") in _READERS else one


def _server(key: str) -> _Read:
    """A call of a tool that the provider runs, or what it gave back: below ``key`` are its kind and what it says."""

    def read(part: Any) -> Part | None:
        told = get(part, key)
        kind = text_of(told, "type")
        if kind is None:
            return None
        found: Part = {"type": key, "id": text_of(part, "id"), key: told}
        if key == "server_tool_call":
            found["name"] = (text_of(part, "name") or kind)[:MAX_NAME]
        return found

    return read


def _blob(part: Any) -> Part:
    modality, mime_type, content = _modality(part), text_of(part, "mime_type"), get(part, "content")
    if isinstance(content, (bytes, bytearray)):
        return described(modality, mime_type, hashlib.sha256(content).hexdigest(), len(content))
    return blob(modality, mime_type, content)


def _file(part: Any) -> Part | None:
    file_id = text_of(part, "file_id")
    return part_of(part) if file_id is None or get(part, "modality") is None else stored(_modality(part), file_id)


def _uri(part: Any) -> Part | None:
    return media(_modality(part), get(part, "uri"))


def _modality(part: Any) -> str:
    return (text_of(part, "modality") or "document")[:MAX_NAME]


_READERS: Final[dict[str, _Read]] = {
    "text": _text,
    "reasoning": _reasoning,
    "tool_call": _tool_call,
    "tool_call_response": _tool_answer,
    "server_tool_call": _server("server_tool_call"),
    "server_tool_call_response": _server("server_tool_call_response"),
    "blob": _blob,
    "file": _file,
    "uri": _uri,
}
