"""Colour and glyphs for a stream. Plain ANSI: eight colours are enough, and no library is needed for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TextIO

_CODES = {"bold": "1", "dim": "2", "red": "31", "yellow": "33", "cyan": "36"}


@dataclass(frozen=True)
class Glyphs:
    """What a tree is drawn with."""

    fork: str
    end: str
    line: str
    gap: str
    more: str
    to: str
    micro: str
    failed: str
    calls: str
    dot: str
    cut: str


UNICODE = Glyphs("├ ", "└ ", "│ ", "  ", "⋯ ", "→", "µ", "✗ ", "→ ", " · ", "…")
ASCII = Glyphs("|- ", "`- ", "|  ", "   ", ":  ", "->", "u", "x ", "> ", " - ", "..")


@dataclass(frozen=True)
class Style:
    """How to write to one stream, ``width`` columns wide."""

    glyphs: Glyphs
    colour: bool
    width: int
    encoding: str

    def paint(self, text: str, colour: str) -> str:
        """The text in a colour, or as it is."""
        return f"\x1b[{_CODES[colour]}m{text}\x1b[0m" if self.colour and text and colour else text


def style_for(stream: TextIO, choice: str, width: int, environ: Mapping[str, str]) -> Style:
    """``choice``: ``auto``, ``always`` or ``never``. ``auto``: on a terminal, unless ``NO_COLOR`` is set."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    glyphs = UNICODE if encoding.lower().replace("_", "-").startswith("utf") else ASCII
    plain = bool(environ.get("NO_COLOR")) or environ.get("TERM") == "dumb" or not stream.isatty()
    return Style(glyphs, choice == "always" or (choice == "auto" and not plain), width, encoding)
