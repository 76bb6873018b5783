"""Values and attributes as OTLP/JSON text. Pure.

The text is put together from pieces: building dictionaries first and serialising them costs three times as much.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping, Sequence
from json.encoder import encode_basestring as quote
from math import isfinite
from reprlib import Repr
from typing import Any, cast

__all__ = ["array", "attributes", "name", "number", "quote", "utf8", "value"]

_INT64 = 1 << 63
# Collectors refuse messages nested deeper than 100 levels, and one value takes three of them.
_MAX_DEPTH = 24
_MAX_TEXT = 4096

_Path = tuple[int, ...]


def utf8(text: str) -> bytes:
    """Encoded text. Halves of surrogate pairs become one character, single ones U+FFFD: no parser takes them."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace").encode()


def name(text: object) -> str:
    """A quoted string field; whatever is no string becomes its text."""
    return quote(text if isinstance(text, str) else _said(text))


def number(figure: float) -> str:
    """A double: JSON has no NaN and no infinities, the protobuf mapping writes them as strings."""
    if isfinite(figure):
        return float.__repr__(float(figure))
    return '"NaN"' if figure != figure else '"Infinity"' if figure > 0 else '"-Infinity"'


def array(key: str, items: str) -> str:
    """``"key":[items],`` or nothing: an empty list is the default and is left out."""
    return f'"{key}":[{items}],' if items else ""


def attributes(rows: Mapping[str, Any] | None) -> str:
    """KeyValue objects, comma separated, without the brackets."""
    if not rows:
        return ""
    # The SDK's mapping takes a lock and a method call per item; its copy() is a plain dict.
    plain = rows if type(cast(Any, rows)) is dict else cast(Any, rows).copy()
    parts: list[str] = []
    for key, item in cast("dict[str, object]", plain).items():
        head = _heads.get(key) or _head(key)
        if type(item) is str:
            parts.append(f'{head}{{"stringValue":{quote(item)}}}}}')
        elif type(item) is int and -_INT64 <= item < _INT64:
            parts.append(f'{head}{{"intValue":"{item}"}}}}')
        else:
            parts.append(f"{head}{value(item)}}}")
    return ",".join(parts)


_HEADS_MAX = 2048
# The start of a KeyValue by its key: the same few keys come with every span.
_heads: dict[Any, str] = {}


def _head(key: object) -> str:
    if len(_heads) >= _HEADS_MAX:
        _heads.clear()
    head = _heads[key] = f'{{"key":{name(key)},"value":'
    return head


def value(any_value: object, path: _Path = ()) -> str:
    """An AnyValue object. ``None`` is the empty one; what has no form in OTLP becomes text."""
    kind = type(any_value)
    if kind is str:
        return f'{{"stringValue":{quote(cast(str, any_value))}}}'
    exact = _SCALARS.get(kind)
    return exact(any_value) if exact else _other(any_value, path)


def _pairs(rows: Iterable[tuple[Any, Any]], path: _Path) -> str:
    return ",".join([f'{{"key":{name(key)},"value":{value(item, path)}}}' for key, item in rows])


def _other(any_value: object, path: _Path) -> str:
    """Subclasses, containers and strangers."""
    for base, encode in _SCALARS.items():
        if isinstance(any_value, base):
            return encode(any_value)
    own = id(any_value)
    below = (*path, own)
    is_container = isinstance(any_value, (Mapping, Sequence))
    if not is_container or len(below) > _MAX_DEPTH or own in path:
        return _string(_said(cast(object, any_value)))
    if isinstance(any_value, Mapping):
        pairs = _pairs(cast("Mapping[Any, Any]", any_value).items(), below)
        return f'{{"kvlistValue":{{"values":[{pairs}]}}}}' if pairs else '{"kvlistValue":{}}'
    items = ",".join([value(item, below) for item in cast("Sequence[object]", any_value)])
    return f'{{"arrayValue":{{"values":[{items}]}}}}' if items else '{"arrayValue":{}}'


def _string(text: str) -> str:
    return f'{{"stringValue":{quote(text)}}}'


def _boolean(flag: bool) -> str:
    return '{"boolValue":true}' if flag else '{"boolValue":false}'


def _integer(figure: int) -> str:
    """Beyond 64 bits as text: one such number makes the Collector answer 400 for the whole request."""
    if -_INT64 <= figure < _INT64:
        return f'{{"intValue":"{int.__repr__(figure)}"}}'
    try:
        return _string(int.__repr__(figure))
    except ValueError:  # Python refuses to write more than 4,300 digits
        return _string(hex(figure))


def _double(figure: float) -> str:
    return f'{{"doubleValue":{number(figure)}}}'


def _bytes(data: bytes | bytearray | memoryview) -> str:
    return f'{{"bytesValue":"{b64encode(data).decode()}"}}'


def _nothing(_: None) -> str:
    return "{}"


# In this order for subclasses: bool is an int.
_SCALARS: dict[type, Callable[[Any], str]] = {
    str: _string,
    bool: _boolean,
    int: _integer,
    float: _double,
    bytes: _bytes,
    bytearray: _bytes,
    memoryview: _bytes,
    type(None): _nothing,
}


class _Said:
    """Makes ``repr`` of this the ``str`` of that, for ``reprlib``, which survives whatever ``__str__`` raises."""

    def __init__(self, subject: object) -> None:
        self._subject = subject

    def __repr__(self) -> str:
        return str(self._subject)


_bounded = Repr()
_bounded.maxother = _MAX_TEXT


def _said(subject: object) -> str:
    """The object's text, bounded; its type's name where it has none."""
    text = _bounded.repr(_Said(subject))
    return f"<{type(subject).__name__}>" if text.startswith("<_Said instance at") else text
