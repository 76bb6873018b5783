"""JSON text as ``json.dumps(value, ensure_ascii=False, allow_nan=False)`` has it, in less time for long texts.

The library looks at each character of a text; here a long one is searched for what must be escaped, which the
interpreter does many bytes at a time. Containers are walked by the library's code in C, which asks us for each text.
"""

from __future__ import annotations

import json
from json import encoder
from typing import Any, Final

from spanloom.genai._guard import tolerant

_library: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False)
# What has more items is the library's: it is mostly of short things, and to be asked for each of them costs more.
_MAX_ITEMS: Final = 16
_CONTAINERS: Final = (dict, list)
# Below it, searching is no gain.
_LONG: Final = 1024
_SAMPLE: Final = 200
# Of a sample: each escape is a replacement.
_MANY: Final = 8
_REPLACED: Final = "\n\r\t"
_CONTROLS: Final = [chr(code) for code in range(32) if chr(code) not in _REPLACED]


def encoded(value: Any) -> str:
    """The JSON text; raises what the library raises."""
    if _make_walk is None or (type(value) in _CONTAINERS and len(value) > _MAX_ITEMS):
        return _library.encode(value)
    return _walked(_make_walk, value)


def _walked(make: Any, value: Any) -> str:
    return "".join(make({}, _library.default, _quoted, None, ": ", ", ", False, False, False)(value, 0))


def _quoted(text: str) -> str:
    # What is of a class of its own may be anything.
    if type(text) is not str or len(text) < _LONG or text.count('"', 0, _SAMPLE) > _MANY:
        return encoder.encode_basestring(text)
    for control in _CONTROLS:
        if control in text:
            return encoder.encode_basestring(text)
    for plain, escaped in (("\\", "\\\\"), ('"', '\\"'), ("\n", "\\n"), ("\t", "\\t"), ("\r", "\\r")):
        if plain in text:
            text = text.replace(plain, escaped)
    return f'"{text}"'


def _maker() -> Any:
    """What `JSONEncoder.encode` makes for each value, too. It is the library's own: another Python may have another."""
    make = getattr(encoder, "c_make_encoder", None)
    return make if tolerant(_walked, None, make, {"a": ["b"]}) == '{"a": ["b"]}' else None


_make_walk: Final[Any] = _maker()
