"""Chat messages -> the conventions' message JSON (roles and parts). Pure; unknown shapes become generic parts."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any, cast

_SYSTEM = ("system", "developer")


def _get(value: Any, key: str) -> Any:
    """Messages may be dicts or the SDK's own objects."""
    if isinstance(value, Mapping):
        return cast("Mapping[str, Any]", value).get(key)
    return getattr(value, key, None)


def input_messages(messages: Iterable[Any]) -> list[dict[str, Any]]:
    """Everything but the system instructions, in order."""
    return [_message(one) for one in messages if _get(one, "role") not in _SYSTEM]


def system_instructions(messages: Iterable[Any]) -> list[dict[str, Any]] | None:
    """The text parts of system and developer messages; ``None`` where there are none."""
    parts = [part for one in messages if _get(one, "role") in _SYSTEM for part in _content_parts(_get(one, "content"))]
    return parts or None


def output_message(message: Any) -> dict[str, Any]:
    """One choice of a response."""
    return _message(message) | {"role": _get(message, "role") or "assistant"}


def tool_definitions(tools: Iterable[Any]) -> list[dict[str, Any]]:
    """The offered tools by type and name (descriptions and parameters are not recommended by default)."""
    rows: list[dict[str, Any]] = []
    for tool in tools:
        kind = _get(tool, "type") or "function"
        name = _get(_get(tool, "function"), "name") or _get(_get(tool, "custom"), "name") or _get(tool, "name")
        rows.append({"type": kind, "name": name})
    return rows


def _message(message: Any) -> dict[str, Any]:
    role = _get(message, "role")
    if role in ("tool", "function"):
        answer = {
            "type": "tool_call_response",
            "id": _get(message, "tool_call_id"),
            "response": _get(message, "content"),
        }
        return {"role": role, "parts": [answer]}
    parts: list[dict[str, Any]] = []
    reasoning = _get(message, "reasoning_content")
    if isinstance(reasoning, str) and reasoning:
        parts.append({"type": "reasoning", "content": reasoning})
    parts.extend(_content_parts(_get(message, "content")))
    refusal = _get(message, "refusal")
    if isinstance(refusal, str) and refusal:
        parts.append({"type": "refusal", "content": refusal})
    calls = _get(message, "tool_calls")
    if isinstance(calls, (list, tuple)):
        parts.extend(_tool_call(call) for call in cast("Iterable[Any]", calls))
    return {"role": str(role), "parts": parts}


def _tool_call(call: Any) -> dict[str, Any]:
    function = _get(call, "function") or _get(call, "custom")
    arguments = _get(function, "arguments")
    if arguments is None:
        arguments = _get(function, "input")
    return {
        "type": "tool_call",
        "id": _get(call, "id"),
        "name": str(_get(function, "name") or ""),
        "arguments": _parsed(arguments),
    }


def _parsed(arguments: Any) -> Any:
    """Arguments as a value where the model wrote JSON, as it wrote them where it did not."""
    if not isinstance(arguments, str):
        return arguments
    try:
        return json.loads(arguments)
    except ValueError:
        return arguments


def _content_parts(content: Any) -> list[dict[str, Any]]:
    if isinstance(content, str):
        return [{"type": "text", "content": content}] if content else []
    if isinstance(content, (list, tuple)):
        return [_part(one) for one in cast("Iterable[Any]", content)]
    return []


def _part(part: Any) -> dict[str, Any]:
    kind = _get(part, "type")
    if kind in ("text", "input_text", "output_text"):
        return {"type": "text", "content": _get(part, "text")}
    if kind == "refusal":
        return {"type": "refusal", "content": _get(part, "refusal")}
    if kind == "image_url":
        return _image(_get(_get(part, "image_url"), "url"))
    if kind == "input_audio":
        audio = _get(part, "input_audio")
        return _blob("audio", f"audio/{_get(audio, 'format')}", _get(audio, "data"))
    if kind == "file":
        return _file(_get(part, "file"))
    return {"type": str(kind)}


def _file(file: Any) -> dict[str, Any]:
    file_id = _get(file, "file_id")
    if isinstance(file_id, str):
        return {"type": "file", "modality": "document", "file_id": file_id}
    head, _, data = str(_get(file, "file_data") or "").rpartition(",")
    return _blob("document", head.removeprefix("data:").partition(";")[0], data)


def _image(url: Any) -> dict[str, Any]:
    if isinstance(url, str) and url.startswith("data:"):
        head, _, data = url.partition(",")
        return _blob("image", head[len("data:") :].partition(";")[0], data)
    return {"type": "uri", "modality": "image", "uri": url}


def _blob(modality: str, mime_type: str, data: Any) -> dict[str, Any]:
    """A blob is never copied: its digest (of the base64 text) and size say which one it was."""
    raw = data.encode() if isinstance(data, str) else b""
    return {
        "type": "blob",
        "modality": modality,
        "mime_type": mime_type,
        "content": "",
        "sha256": hashlib.sha256(raw).hexdigest(),
        "base64_bytes": len(raw),
    }
