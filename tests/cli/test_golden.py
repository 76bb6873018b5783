"""Whole pictures of ``spanloom show``, from a real process whose output is a pipe."""

from __future__ import annotations

import re
import unicodedata

import pytest

from ._golden import CASES, FOLDER, draw

ESCAPE = re.compile(r"\x1b\[\d+m")


def columns(line: str) -> int:
    """Columns of a terminal, counted independently of the code under test."""
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in ESCAPE.sub("", line))


@pytest.mark.parametrize("case", CASES)
def test_the_picture_is_the_same(case: str) -> None:
    """Every character, spaces and colours included."""
    assert draw(case) == (FOLDER / f"{case}.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("case", "width"), [("default", 80), ("content", 80), ("ascii", 80), ("narrow", 48), ("wide", 132)]
)
def test_no_line_is_wider_than_the_terminal(case: str, width: int) -> None:
    """Nothing wraps; only the line with the record's path may be as long as the path is."""
    text = (FOLDER / f"{case}.txt").read_text(encoding="utf-8")
    long = [line for line in text.splitlines() if columns(line) > width and not line.startswith(("Record:", "Prompts"))]
    assert long == []


def test_columns_stand_below_each_other() -> None:
    """The figures of a trace end in the same column, wide characters or not."""
    text = (FOLDER / "default.txt").read_text(encoding="utf-8")
    tree = [line for line in text.split("\n\n")[0].splitlines()[2:] if line.endswith(("ms", "s"))]
    assert len(tree) >= 5 and len({columns(line) for line in tree}) == 1
    assert any("天気" in line for line in tree)


def test_pipes_get_no_control_characters() -> None:
    """No colour and no cursor movement, unless asked for."""
    for case in set(CASES) - {"colour"}:
        text = (FOLDER / f"{case}.txt").read_text(encoding="utf-8")
        assert not any(unicodedata.category(character) == "Cc" and character != "\n" for character in text), case
    assert "\x1b[31m" in (FOLDER / "colour.txt").read_text(encoding="utf-8")


def test_the_ascii_picture_is_ascii() -> None:
    """For CI logs and old consoles."""
    text = (FOLDER / "ascii.txt").read_text(encoding="utf-8")
    assert text.isascii() and "`- " in text and "->" in text
