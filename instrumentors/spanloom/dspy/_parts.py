"""The parts of DSPy's messages, chat or typed -> the conventions' parts. Pure; bytes are not copied."""

from __future__ import annotations

import binascii
import hashlib
from collections.abc import Callable, Iterable
from typing import Any, Final, cast

from spanloom.genai import json_text

Part = dict[str, Any]

# Of a name that somebody else chose.
MAX_NAME: Final = 128


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
    return {"type": kind[:MAX_NAME]} if reader is None else reader(part)


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


def _chat_image(part: Any) -> Part | None:
    return _addressed("image", field(part, "image_url"))


def _chat_video(part: Any) -> Part | None:
    return _addressed("video", field(part, "video_url"))


def _chat_audio(part: Any) -> Part | None:
    audio = field(part, "input_audio")
    kind, data = text_of(audio, "format"), text_of(audio, "data")
    return _blob("audio", f"audio/{kind}" if kind else None, data) if data else {"type": "input_audio"}


def _chat_file(part: Any) -> Part | None:
    """Nested in chat completions, flat in responses."""
    file = field(part, "file") or part
    file_id, data = text_of(file, "file_id"), text_of(file, "file_data")
    if file_id:
        return _stored("document", file_id)
    if data:
        return _media("document", data if data[:5].lower() == "data:" else f"data:;base64,{data}")
    return _addressed("document", field(file, "file_url"))


def _addressed(modality: str, address: Any) -> Part | None:
    url = address if isinstance(address, str) else text_of(address, "url")
    return _media(modality, url) if url else {"type": modality}


def _typed(modality: str) -> Callable[[Any], Part | None]:
    """A part of DSPy's own types, that has one of data, URL, file id and path. A path is not told."""

    def read(part: Any) -> Part | None:
        mime_type, file_id, url = text_of(part, "media_type"), text_of(part, "file_id"), text_of(part, "url")
        # Anthropic's documents have it one level below, where it may be a plain text.
        source = field(part, "source")
        data = text_of(part, "data") or text_of(source, "data")
        if data:
            plain = text_of(source, "type") == "text"
            return _blob(modality, mime_type or text_of(source, "media_type"), data, encoded=not plain)
        if file_id:
            return _stored(modality, file_id)
        return _media(modality, url) if url else {"type": modality}

    return read


def _media(modality: str, url: str) -> Part:
    """What an address points to: a ``data:`` URL is the thing itself."""
    if url[:5].lower() != "data:":
        return {"type": "uri", "modality": modality, "uri": _unsigned(url)}
    head, _, data = url[5:].partition(",")
    return _blob(modality, head.partition(";")[0], data, encoded=head.endswith(";base64"))


def _blob(modality: str, mime_type: str | None, data: str, *, encoded: bool = True) -> Part:
    """Digest and size of the bytes (of the text itself, where that is no base64). The schema wants ``content``."""
    raw = _decoded(data) if encoded else data.encode(errors="replace")
    digest = hashlib.sha256(raw).hexdigest()
    part: Part = {"type": "blob", "modality": modality, "content": "", "sha256": digest, "bytes": len(raw)}
    if mime_type:
        part["mime_type"] = mime_type[:MAX_NAME]
    return part


def _decoded(data: str) -> bytes:
    try:
        return binascii.a2b_base64(data)
    except ValueError:
        return data.encode(errors="replace")


def _stored(modality: str, file_id: str) -> Part:
    """A file that the provider has."""
    return {"type": "file", "modality": modality, "file_id": file_id}


def _unsigned(url: str) -> str:
    """Without user, query and fragment, which is where addresses have their secrets."""
    scheme, slashes, rest = url.partition("://")
    if not slashes:
        scheme, rest = "", url
    rest = rest.partition("?")[0].partition("#")[0]
    host, slash, path = rest.partition("/")
    return f"{scheme}{slashes}{host.rpartition('@')[2]}{slash}{path}"


_READERS: Final[dict[str, Callable[[Any], Part | None]]] = {
    "text": _text,
    "input_text": _text,
    "output_text": _text,
    "thinking": _thinking,
    "refusal": _refusal,
    "data": _data,
    "tool_call": _tool_call,
    "tool_result": _tool_result,
    "image_url": _chat_image,
    "input_image": _chat_image,
    "video_url": _chat_video,
    "input_audio": _chat_audio,
    "file": _chat_file,
    "input_file": _chat_file,
    "image": _typed("image"),
    "audio": _typed("audio"),
    "video": _typed("video"),
    "document": _typed("document"),
    "binary": _typed("document"),
}
