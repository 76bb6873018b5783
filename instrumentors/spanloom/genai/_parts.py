"""Message content -> the conventions' parts. Pure; bytes, and what signs an address, are never copied."""

from __future__ import annotations

import binascii
import hashlib
from collections.abc import Callable, Iterable
from typing import Any, cast

from spanloom.genai._fields import get, text_of

Part = dict[str, Any]

# Of a name that somebody else chose.
MAX_NAME = 128


def text_part(text: str) -> Part:
    """Plain text."""
    return {"type": "text", "content": text}


def content_parts(content: Any) -> list[Part]:
    """The content of a message: a text, or a list of parts. What is neither, or empty, has none."""
    if isinstance(content, str):
        return [{"type": "text", "content": content}] if content else []
    if isinstance(content, (list, tuple)):
        return [found for one in cast("Iterable[Any]", content) if (found := part_of(one)) is not None]
    return []


def part_of(part: Any) -> Part | None:
    """One part. A kind that is not known here is named and not copied; ``None`` for what is no part at all."""
    if isinstance(part, str):
        return text_part(part) if part else None
    kind = text_of(part, "type")
    if kind is None:
        return None
    reader = _READERS.get(kind)
    return {"type": kind[:MAX_NAME]} if reader is None else reader(part)


def blob(modality: str, mime_type: str | None, data: Any, *, encoded: bool = True) -> Part:
    """What was sent inline: digest and size of its bytes (of the text itself, where that is no base64) stand for it."""
    raw = b"" if not isinstance(data, str) else decoded(data) if encoded else data.encode(errors="replace")
    return described(modality, mime_type, hashlib.sha256(raw).hexdigest(), len(raw))


def described(modality: str, mime_type: str | None, sha256: str, size: int) -> Part:
    """A blob whose bytes are gone already. The schema wants ``content``."""
    part: Part = {"type": "blob", "modality": modality, "content": "", "sha256": sha256, "bytes": size}
    if mime_type:
        part["mime_type"] = mime_type[:MAX_NAME]
    return part


def decoded(data: str) -> bytes:
    """The bytes that a base64 text stands for."""
    try:
        return binascii.a2b_base64(data)
    except ValueError:
        return data.encode(errors="replace")


def media(modality: str, url: Any) -> Part | None:
    """What an address points to: a ``data:`` URL is the thing itself."""
    if not isinstance(url, str) or not url:
        return None
    if url[:5].lower() != "data:":
        return {"type": "uri", "modality": modality, "uri": _unsigned(url)}
    head, _, data = url[5:].partition(",")
    mime_type = head.partition(";")[0]
    kind = modality if modality != "document" else _modality(mime_type)
    return blob(kind, mime_type, data, encoded=head.endswith(";base64"))


def _unsigned(url: str) -> str:
    """Without user, query and fragment, which is where addresses have their secrets."""
    scheme, slashes, rest = url.partition("://")
    if not slashes:
        scheme, rest = "", url
    rest = rest.partition("?")[0].partition("#")[0]
    host, slash, path = rest.partition("/")
    return f"{scheme}{slashes}{host.rpartition('@')[2]}{slash}{path}"


def _modality(mime_type: str) -> str:
    kind = mime_type.partition("/")[0]
    return kind if kind in ("image", "audio", "video") else "document"


def stored(modality: str, file_id: str) -> Part:
    """A file that the provider has."""
    return {"type": "file", "modality": modality, "file_id": file_id}


def reasoning_part(content: Any) -> Part | None:
    """What the model thought; ``None`` where that is hidden."""
    told = content if isinstance(content, str) else "\n".join(one.get("content", "") for one in content_parts(content))
    return {"type": "reasoning", "content": told} if told else None


def _text(part: Any) -> Part | None:
    text = get(part, "text")
    return text_part(text) if isinstance(text, str) else None


def _refusal(part: Any) -> Part | None:
    text = text_of(part, "refusal")
    return {"type": "refusal", "content": text} if text else None


def _image(part: Any) -> Part | None:
    """``image_url`` is a text in responses, and an object in chat completions."""
    file_id = text_of(part, "file_id")
    return stored("image", file_id) if file_id else _addressed("image", get(part, "image_url"))


def _video(part: Any) -> Part | None:
    return _addressed("video", get(part, "video_url"))


def _audio_url(part: Any) -> Part | None:
    return _addressed("audio", get(part, "audio_url"))


def _addressed(modality: str, address: Any) -> Part | None:
    return media(modality, address if isinstance(address, str) else get(address, "url"))


def _audio(part: Any) -> Part | None:
    audio = get(part, "input_audio")
    kind = text_of(audio, "format")
    return blob("audio", f"audio/{kind}" if kind else None, get(audio, "data")) if audio is not None else None


def _file(part: Any) -> Part | None:
    """Nested in chat completions, flat in responses."""
    file = get(part, "file") or part
    file_id, data = text_of(file, "file_id"), text_of(file, "file_data")
    if file_id:
        return stored("document", file_id)
    if data:
        return media("document", data if data[:5].lower() == "data:" else f"data:;base64,{data}")
    return media("document", get(file, "file_url"))


def _thinking(part: Any) -> Part | None:
    return reasoning_part(get(part, "thinking"))


_READERS: dict[str, Callable[[Any], Part | None]] = {
    "text": _text,
    "input_text": _text,
    "output_text": _text,
    "summary_text": _text,
    "reasoning_text": _text,
    "refusal": _refusal,
    "image_url": _image,
    "input_image": _image,
    "computer_screenshot": _image,
    "video_url": _video,
    "audio_url": _audio_url,
    "input_audio": _audio,
    "file": _file,
    "input_file": _file,
    # Mistral's.
    "thinking": _thinking,
}
