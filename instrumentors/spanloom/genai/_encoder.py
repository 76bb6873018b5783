"""JSON text as ``json.dumps(value, ensure_ascii=False, allow_nan=False)`` has it, in less time for long texts.

The library looks at each character of a text; here a long one is searched for what must be escaped, which the
interpreter does many bytes at a time. Messages and inputs are a few containers around such texts.
"""

from __future__ import annotations

import json
from json.encoder import encode_basestring
from typing import Any, Final, cast

_encode_any = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode
# What has more items is the library's: an item costs more here. Long lists are mostly of short things.
_MAX_FIELDS: Final = 16
_MAX_ITEMS: Final = 2
# How many values are looked at, and how deep: what holds itself has no end, and the library says so.
_MAX_LOOKS: Final = 48
_MAX_DEPTH: Final = 5
# Below it, searching is no gain.
_LONG: Final = 1024
_TEXT: Final = frozenset((str,))
_SAMPLE: Final = 200
# Of a sample: each escape is a replacement.
_MANY: Final = 8
_REPLACED: Final = "\n\r\t"
_CONTROLS: Final = [chr(code) for code in range(32) if chr(code) not in _REPLACED]


def encoded(value: Any) -> str:
    """The JSON text; raises what the library raises."""
    if type(value) is dict and _is_flat(value):  # pyright: ignore[reportUnknownArgumentType]
        return _of_texts(value)  # pyright: ignore[reportUnknownArgumentType]
    return _of(value, _MAX_DEPTH) if _has_long_text(value) else _encode_any(value)


def _is_flat(value: dict[Any, Any]) -> bool:
    """Whether these are a few texts by name, as most inputs and outputs are."""
    return len(value) <= _MAX_FIELDS and {*map(type, value), *map(type, value.values())} <= _TEXT


def _of_texts(texts: dict[str, str]) -> str:
    return f"{{{', '.join([f'{encode_basestring(name)}: {_quoted(text)}' for name, text in texts.items()])}}}"


def _has_long_text(value: Any) -> bool:
    waiting = [value]
    # It grows while it is read.
    for one in waiting:
        if len(waiting) > _MAX_LOOKS:
            return False
        if isinstance(one, str):
            if len(one) >= _LONG:
                return True
        elif isinstance(one, dict):
            if len(one) <= _MAX_FIELDS:  # pyright: ignore[reportUnknownArgumentType]
                waiting += one.values()  # pyright: ignore[reportUnknownMemberType]
        elif isinstance(one, list) and len(one) <= _MAX_ITEMS:  # pyright: ignore[reportUnknownArgumentType]
            waiting += one
    return False


def _of(value: Any, depth: int) -> str:
    kind = cast("type[object]", type(value))
    if kind is str:
        return _quoted(value)
    if depth and kind is dict and len(value) <= _MAX_FIELDS:
        items = cast("dict[Any, Any]", value).items()
        return f"{{{', '.join([f'{_name(name)}: {_of(item, depth - 1)}' for name, item in items])}}}"
    if depth and kind is list and len(value) <= _MAX_ITEMS:
        return f"[{', '.join([_of(item, depth - 1) for item in cast('list[Any]', value)])}]"
    return "null" if value is None else _encode_any(value)


def _name(name: Any) -> str:
    """The name of an item; one that is no text is the library's."""
    return encode_basestring(name) if type(name) is str else _encode_any({name: 0})[1:-4]


def _quoted(text: str) -> str:
    if len(text) < _LONG or text.count('"', 0, _SAMPLE) > _MANY:
        return encode_basestring(text)
    for control in _CONTROLS:
        if control in text:
            return encode_basestring(text)
    for plain, escaped in (("\\", "\\\\"), ('"', '\\"'), ("\n", "\\n"), ("\t", "\\t"), ("\r", "\\r")):
        if plain in text:
            text = text.replace(plain, escaped)
    return f'"{text}"'
