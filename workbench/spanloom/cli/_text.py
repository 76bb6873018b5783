"""Text in columns of a terminal: what it may hold, how wide it is, and how it is cut. Pure."""

from __future__ import annotations

from functools import lru_cache
from unicodedata import category, east_asian_width

_ZERO_WIDTH = frozenset(("Mn", "Me", "Cf"))
_ZERO_WIDTH_JOINER = "\u200d"


@lru_cache(4096)
def _width_of(character: str) -> int:
    """Columns of one character: wide ones take two, combining ones none."""
    if character.isascii():
        return 1
    if category(character) in _ZERO_WIDTH:
        return 0
    return 2 if east_asian_width(character) in "WF" else 1


def width(text: str) -> int:
    """Columns that ``text`` takes."""
    return len(text) if text.isascii() else sum(map(_width_of, text))


def clean(text: str, encoding: str = "utf-8") -> str:
    """Safe to print in one line, and possible in ``encoding``.

    Names come from requests and models: escape sequences, line ends and marks that turn the direction of writing
    must not reach the terminal.
    """
    safe = text if text.isascii() and text.isprintable() else "".join(map(_safe, text))
    return safe.encode(encoding, "replace").decode(encoding)


@lru_cache(4096)
def _safe(character: str) -> str:
    if character.isprintable() or character == _ZERO_WIDTH_JOINER:
        return character
    return " " if character in "\t\r\n\u2028\u2029\u00a0\u3000" else "\ufffd"


def cut(text: str, columns: int, mark: str) -> str:
    """At most ``columns`` wide, cut in the middle: the ends of names tell most."""
    if width(text) <= columns:
        return text
    room = columns - width(mark)
    if room <= 0:
        return _head(text, columns)
    tail = _tail(text, room // 2)
    return _head(text, room - width(tail)) + mark + tail


def _head(text: str, columns: int) -> str:
    used = 0
    for at, character in enumerate(text):
        used += _width_of(character)
        if used > columns:
            return text[:at]
    return text


def _tail(text: str, columns: int) -> str:
    used = 0
    for at in range(len(text) - 1, -1, -1):
        used += _width_of(text[at])
        if used > columns:
            return text[at + 1 :].lstrip("\u200d")
    return text


def left(text: str, columns: int) -> str:
    """Filled up on the right."""
    return text + " " * (columns - width(text))


def right(text: str, columns: int) -> str:
    """Filled up on the left."""
    return " " * (columns - width(text)) + text


def wrap(text: str, columns: int) -> list[str]:
    """Lines of at most ``columns``, broken at spaces where there are some."""
    lines: list[str] = []
    rest = text
    while width(rest) > columns:
        line = _head(rest, columns) or rest[0]
        at_space = line.rfind(" ")
        line = line[: at_space + 1] if at_space > len(line) // 2 else line
        lines.append(line.rstrip())
        rest = rest[len(line) :]
    return [*lines, rest]
