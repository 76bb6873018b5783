"""How message content becomes plain values, and JSON text for attributes."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, cast

from spanloom.genai._encoder import encoded
from spanloom.genai._guard import each, tolerant
from spanloom.genai._limit import beginning, within
from spanloom.semconv import GenAI

MAX_DEPTH: Final = 24
# Python writes no number of more digits.
_MAX_BITS: Final = 12_000
_BASE64: Final = ";base64,"
# A short one is no picture; what is encoded has no character that JSON escapes.
_DATA_URL: Final = re.compile(r"data:([\w.+/-]{0,128});base64,([A-Za-z0-9+/]{64,}={0,2})")
_VARIABLES: Final = f"{GenAI.PROMPT_VARIABLE}."
# Made once: `json.dumps` with options makes an encoder a call.
_encode_ascii = json.JSONEncoder(allow_nan=False).encode

# Makes the content when it is wanted; plain values by preference, anything else is made plain.
Content = Callable[[], Any]


def built(content: Mapping[str, Content]) -> dict[str, Any]:
    """What each builder gives; each on its own, so that one that fails costs only itself. ``None`` is left out."""
    return each("genai.content", _build, content.items())


def _build(name: str, build: Content) -> Any:
    del name
    return build()


def as_json(values: Mapping[str, Any], max_bytes: int) -> dict[str, str]:
    """The JSON text of each value, within the limit. The variables of a prompt are texts themselves."""
    return each("genai.content.json", lambda name, value: _attribute(name, value, max_bytes), values.items())


def built_as_json(content: Mapping[str, Content], max_bytes: int) -> dict[str, str]:
    """The JSON text of what each builder gives: ``as_json(built(...))`` in one go."""

    def text(name: str, build: Content) -> str | None:
        value = build()
        return None if value is None else _attribute(name, value, max_bytes)

    return each("genai.content", text, content.items())


def _attribute(name: str, value: Any, max_bytes: int) -> str:
    is_text = isinstance(value, str) and name.startswith(_VARIABLES)
    return _text_within(value, max_bytes) if is_text else json_text(value, max_bytes)


def _text_within(text: str, max_bytes: int) -> str:
    return str(within(_exportable(text), max_bytes))


def as_plain(values: Mapping[str, Any], max_bytes: int) -> dict[str, Any]:
    """Each value as events carry it: dicts, lists, texts and numbers, within the limit."""
    return each("genai.content.plain", lambda _, value: within(_exportable(plain(value)), max_bytes), values.items())


def json_text(value: Any, max_bytes: int | None = None) -> str:
    """JSON for an attribute, always valid and always encodable. What JSON has no form for becomes text; never an error.

    Bytes are not copied: their digest and size stand for them.
    """
    # Most values are JSON's own already; walking them first would cost as much again.
    text = tolerant(_dumped, None, value)
    if text is None:
        value = plain(value)
        text = _dumped(value)
    if _BASE64 in text:
        text = _without_blobs(text)
    # A character has at most four bytes.
    if max_bytes is None or len(text) * 4 <= max_bytes or _size(text) <= max_bytes:
        return text
    # Without lone surrogates: text that is escaped for one of them would be six times as long.
    return _dumped(within(_exportable(plain(value)), max_bytes))


def _without_blobs(text: str) -> str:
    """The text with digest and size in the place of what is in ``data:`` URLs, wherever they stand in it."""
    return _DATA_URL.sub(_digested, text) if _BASE64 in text else text


def _digested(url: re.Match[str]) -> str:
    import binascii
    import hashlib

    raw = tolerant(lambda: binascii.a2b_base64(url[2]), url[2].encode())
    return f"data:{url[1]};sha256={hashlib.sha256(raw).hexdigest()};bytes={len(raw)}"


def _size(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())


def _dumped(value: Any) -> str:
    text = encoded(value)
    # A lone surrogate cannot be exported: one such character would cost a whole batch.
    return text if text.isascii() or _encodable(text) else _encode_ascii(value)


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def encodable(text: str) -> str:
    """A text that every exporter can encode; lone surrogates become question marks."""
    return text if text.isascii() or _encodable(text) else text.encode(errors="replace").decode()


def make_encodable(attributes: dict[str, Any]) -> None:
    """The same for the values of attributes, in place: models and reasons are what a server or a caller wrote."""
    for name, value in attributes.items():
        if isinstance(value, str):
            if not value.isascii():
                attributes[name] = encodable(value)
        elif isinstance(value, list):
            attributes[name] = [encodable(one) if isinstance(one, str) else one for one in cast("list[Any]", value)]


def _exportable(value: Any) -> Any:
    """A plain value without lone surrogates, which no exporter can encode."""
    return value if _encodable(json.dumps(value, ensure_ascii=False)) else json.loads(_replaced(value))


def _replaced(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False).encode(errors="replace").decode()


def plain(value: Any) -> Any:
    """The value in JSON's terms, whatever it was."""
    return _plain(value, ())


def _plain(value: Any, around: tuple[int, ...]) -> Any:
    """``around`` are the ids of the containers it stands in."""
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, int) and value.bit_length() > _MAX_BITS:
        return as_text(value)
    if isinstance(value, str):
        return _without_blobs(value)
    if value is None or isinstance(value, int):
        return value
    if isinstance(value, (bytes, bytearray, memoryview)):
        return _digest(bytes(cast("bytes", value)))
    if len(around) >= MAX_DEPTH or id(value) in around:
        return as_text(value)
    return _opened(value, (*around, id(value)))


def _digest(value: bytes) -> dict[str, Any]:
    import hashlib  # loads OpenSSL: only where there are bytes

    return {"sha256": hashlib.sha256(value).hexdigest(), "bytes": len(value)}


def _opened(value: Any, around: tuple[int, ...]) -> Any:
    """A container or a model with its items in JSON's terms; anything else, or one that cannot be read, as text."""
    if isinstance(value, Mapping):
        mapping = cast("Mapping[Any, Any]", value)
        pairs = tolerant(lambda: list(mapping.items()), None)
        return as_text(mapping) if pairs is None else {as_text(key): _plain(item, around) for key, item in pairs}
    if isinstance(value, (list, tuple, set, frozenset)):
        items = tolerant(lambda: list(cast("Iterable[Any]", value)), None)
        return as_text(value) if items is None else [_plain(item, around) for item in items]  # pyright: ignore[reportUnknownArgumentType]
    fields = None if isinstance(value, type) else _fields(value)
    return as_text(value) if fields is None else _plain(fields, around)


def _fields(value: Any) -> Any:
    """What a model of pydantic's is made of; ``None`` for anything else, or where it will not say.

    A dataclass is its text: its author may have left out of it what nobody is to see.
    """
    dump = tolerant(lambda: getattr(value, "model_dump", None), None)
    if not callable(dump):
        return None
    found = tolerant(dump, None, mode="json", warnings=False)
    # In JSON's terms it refuses bytes, which are to be told by their digest.
    return tolerant(dump, None, warnings=False) if found is None else found


def parsed_json(text: str) -> Any:
    """What a JSON text stands for; ``None`` where it is none."""
    return tolerant(json.loads, None, text)


def cut_text(text: str, max_bytes: int) -> str:
    """An attribute's text within the limit: JSON stays JSON, anything else keeps its beginning."""
    if len(text) * 4 <= max_bytes or len(text.encode(errors="replace")) <= max_bytes:
        return text
    # A number or a word is cut as it stands.
    value = parsed_json(text) if text.lstrip()[:1] in {"[", "{", '"'} else None
    if value is not None:
        return json_text(value, max_bytes)
    # The mark is as long as the number in it.
    return beginning(text, max_bytes, 16 + len(f"{len(text) * 4:,}"))


def as_text(value: object) -> str:
    """``str(value)``, or the type's name where that raises: users' ``__str__`` may do anything."""
    return tolerant(lambda: str(value), f"<{type(value).__qualname__}>")
