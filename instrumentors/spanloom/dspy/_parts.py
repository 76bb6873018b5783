"""The parts of DSPy's messages, chat or typed -> the conventions' parts. Pure; bytes are not copied."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final, cast

from spanloom.genai import _parts, json_text
from spanloom.genai._parts import Part, blob, media, stored


def field(value: Any, key: str) -> Any:
    """An item or an attribute; ``None`` where there is neither."""
    # Not the abstract class: asking for it costs more than the rest.
    if isinstance(value, dict):
        return value.get(key)  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    return getattr(value, key, None)


def text_of(value: Any, *keys: str) -> str | None:
    """The first of these fields that is a text, and not an empty one."""
    for key in keys:
        found = field(value, key)
        if isinstance(found, str) and found:
            return found
    return None


def parts_of(content: Any) -> list[Part]:
    """The content of a message: a text, or a list of parts. What is neither, or empty, has none."""
    if isinstance(content, str):
        return [{"type": "text", "content": content}] if content else []
    if not isinstance(content, (list, tuple)):
        return []
    return [found for one in cast("Iterable[Any]", content) if (found := part_of(one)) is not None]


def part_of(part: Any) -> Part | None:
    """One part. A kind that is not known here is named and not copied; ``None`` for what is no part at all."""
    if isinstance(part, str):
        return {"type": "text", "content": part} if part else None
    kind = text_of(part, "type")
    if kind is None:
        return None
    reader = _READERS.get(kind)
    return _parts.part_of(part) if reader is None else reader(part)


def reasoning_part(text: Any) -> Part | None:
    """What the model thought."""
    return {"type": "reasoning", "content": text} if isinstance(text, str) and text else None


def _text(part: Any) -> Part | None:
    text = field(part, "text")
    return {"type": "text", "content": text} if isinstance(text, str) else None


def _thinking(part: Any) -> Part | None:
    return reasoning_part(text_of(part, "text", "thinking"))


def _refusal(part: Any) -> Part | None:
    text = text_of(part, "text", "refusal")
    return {"type": "refusal", "content": text} if text else None


def _data(part: Any) -> Part:
    """A judgement: DSPy gives it to programs as JSON, too."""
    return {"type": "text", "content": json_text(field(part, "value"))}


def _tool_call(part: Any) -> Part:
    arguments = field(part, "input")
    # DSPy 3.3 has another name for it.
    return tool_call(field(part, "id"), field(part, "name"), field(part, "args") if arguments is None else arguments)


def tool_call(call_id: Any, name: Any, arguments: Any) -> Part:
    """A call that the model asks for. The schema wants a name."""
    return {
        "type": "tool_call",
        "id": call_id if isinstance(call_id, str) else None,
        "name": name if isinstance(name, str) else "",
        "arguments": arguments,
    }


def _tool_result(part: Any) -> Part:
    return tool_result(text_of(part, "id", "call_id"), field(part, "content"))


def tool_result(call_id: str | None, content: Any) -> Part:
    """What a tool gave back: a text as it is, a list of parts as parts."""
    response = parts_of(content) if isinstance(content, (list, tuple)) else content
    return {"type": "tool_call_response", "id": call_id, "response": response}


def _typed(modality: str) -> Callable[[Any], Part | None]:
    """A part of DSPy's own types, that has one of data, URL, file id and path. A path is not told."""

    def read(part: Any) -> Part | None:
        mime_type, file_id, url = text_of(part, "media_type"), text_of(part, "file_id"), text_of(part, "url")
        # Anthropic's documents have it one level below, where it may be a plain text.
        source = field(part, "source")
        data = text_of(part, "data") or text_of(source, "data")
        if data:
            plain = text_of(source, "type") == "text"
            return blob(modality, mime_type or text_of(source, "media_type"), data, encoded=not plain)
        if file_id:
            return stored(modality, file_id)
        return media(modality, url) if url else {"type": modality}

    return read


_READERS: Final[dict[str, Callable[[Any], Part | None]]] = {
    "text": _text,
    "thinking": _thinking,
    "refusal": _refusal,
    "data": _data,
    "tool_call": _tool_call,
    "tool_result": _tool_result,
    "image": _typed("image"),
    "audio": _typed("audio"),
    "video": _typed("video"),
    "document": _typed("document"),
    "binary": _typed("document"),
}
