"""The pure pieces: widths, cuts, figures, labels, content."""

from __future__ import annotations

import io
from decimal import Decimal
from typing import Any

import pytest

from spanloom.cli import _content, _format
from spanloom.cli._label import label, notes
from spanloom.cli._style import ASCII, UNICODE, Style, style_for
from spanloom.cli._text import clean, cut, left, right, width, wrap
from spanloom.record import Event, Span


@pytest.mark.parametrize(
    ("text", "columns"),
    [("abc", 3), ("äö", 2), ("東京", 4), ("ﾊﾝ", 2), ("e\u0301", 1), ("👩\u200d💻", 4), ("❤\ufe0f", 1), ("", 0)],
)
def test_width(text: str, columns: int) -> None:
    """Columns of a terminal, not characters."""
    assert width(text) == columns


@pytest.mark.parametrize(
    "text", ["abcdefghij", "東京大阪名古屋", "a東b京c大d", "👩\u200d💻👩\u200d💻👩\u200d💻", "éé\u0301éé\u0301éé"]
)
def test_cut_never_exceeds_its_columns(text: str) -> None:
    """For every width, and both ends stay."""
    for columns in range(13):
        short = cut(text, columns, "…")
        assert width(short) <= columns
        if 3 <= columns < width(text):
            assert "…" in short and text.startswith(short.partition("…")[0])
    assert cut(text, 40, "…") == text


def test_cut_in_the_middle() -> None:
    """The beginning and the end of a name tell most."""
    assert cut("invoke_workflow module", 11, "…") == "invok…odule"
    assert cut("abcdef", 3, "..") == "a.."
    assert cut("abcdef", 1, "..") == "a"


def test_clean() -> None:
    """One line, printable, possible in the encoding."""
    assert clean("a\tb\nc\u2028d\u3000e\u00a0f") == "a b c d e f"
    assert clean("\x1b[0m\x00\x9b\u202e\ud800\ufeff") == "\ufffd[0m\ufffd\ufffd\ufffd\ufffd\ufffd"
    assert clean("東京 👩\u200d💻") == "東京 👩\u200d💻"
    assert clean("東京 ü", "ascii") == "?? ?" and clean("ü東", "latin-1") == "ü?"


def test_columns_are_filled_up() -> None:
    """To the left and to the right, by columns."""
    assert left("東", 4) == "東  " and right("東", 4) == "  東" and right("abc", 2) == "abc"


@pytest.mark.parametrize("columns", [2, 5, 12, 30])
def test_wrap_keeps_every_word(columns: int) -> None:
    """Lines fit and nothing but spaces is lost."""
    text = "The quick brown fox 東京大阪名古屋 jumps over averyveryverylongwordindeed  twice"
    lines = wrap(text, columns)
    assert all(width(line) <= columns for line in lines)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    assert wrap("", columns) == [""]


@pytest.mark.parametrize(
    ("ns", "text"),
    [
        (None, ""), (0, "0 µs"), (850_000, "850 µs"), (1_200_000, "1.2 ms"), (9_940_000, "9.9 ms"),
        (9_960_000, "10 ms"), (123_400_000, "123 ms"), (999_400_000, "999 ms"), (999_600_000, "1.00 s"),
        (9_990_000_000, "9.99 s"),
        (9_996_000_000, "10.0 s"), (59_940_000_000, "59.9 s"), (59_960_000_000, "1m 00s"), (125_000_000_000, "2m 05s"),
        (3_600_000_000_000, "1h 00m"), (90_000_000_000_000, "25h 00m"),
    ],
)  # fmt: skip
def test_durations(ns: int | None, text: str) -> None:
    """About three digits and a unit."""
    assert _format.duration(ns, UNICODE) == text


def test_tokens() -> None:
    """Exact while it fits; half known is said; not known at all is empty."""
    assert _format.tokens(1234, 99_999, UNICODE) == "1234→99999"
    assert _format.tokens(100_000, 12_345_678, ASCII) == "100k->12.3M"
    assert _format.tokens(7, None, UNICODE) == "7→?" and _format.tokens(None, None, UNICODE) == ""
    assert _format.tokens(0, 0, UNICODE) == "0→0"


@pytest.mark.parametrize(
    ("amount", "text"),
    [("0", "$0"), ("12.346", "$12.35"), ("1", "$1.00"), ("0.5", "$0.5000"), ("0.01234", "$0.0123"),
     ("0.00158", "$0.0016"), ("0.00052", "$0.00052"), ("0.0000003", "$0.00000030"), ("1e-15", "<$0.00000010"),
     ("1234567.8", "$1234567.80")],
)  # fmt: skip
def test_money(amount: str, text: str) -> None:
    """Small amounts keep two digits that say something."""
    assert _format.money(Decimal(amount)) == text


def test_sums_that_miss_something_say_so() -> None:
    """An unpriced call is no free call."""
    assert _format.cost({"USD": Decimal("0.0012")}, 1) == "$0.0012 + 1 unpriced"
    assert _format.cost({}, 2) == "2 unpriced" and _format.cost({}, 0) == ""
    assert _format.cost({"USD": Decimal(1), "EUR": Decimal(2)}, 0) == "2.00 EUR + $1.00"


def test_moments_and_sizes() -> None:
    """UTC, and no crash for a time that is none."""
    assert _format.moment(1_795_248_000 * 10**9) == "2026-11-21 08:00:00 UTC"
    assert _format.moment(10**30) == "at no time"
    assert [_format.size(size) for size in (12, 1500, 2_500_000)] == ["12 B", "2 kB", "2.5 MB"]


def made(name: str = "n", kind: str = "internal", *, failed: bool = False, service: str = "s", **rows: Any) -> Span:
    attributes = {key.replace("__", "."): value for key, value in rows.items()}
    return Span("t", "s", "", name, kind, 1, 2, 2 if failed else 0, "", service, "", attributes)


LABELS = [
    (made("chat m"), "chat m"),
    (made(""), "(no name)"),
    (
        made("GET /x", "server", http__request__method="GET", http__route="/x", http__response__status_code=200),
        "GET /x 200",
    ),
    (made("GET /x", "server", http__method="GET", http__target="/x?q=1", http__status_code=404), "GET /x 404"),
    (made("GET", "server", http__request__method="GET", url__path="/y"), "GET /y"),
    (made("GET /from/name", "server", http__request__method="GET"), "GET /from/name"),
    (made("POST", "client", http__request__method="POST", url__full="https://u:p@h:1/a/b?k=v#f"), "→ POST h:1/a/b"),
    (made("POST", "client", http__method="POST", http__url="http://h/a", http__status_code=500), "→ POST h/a 500"),
    (made("POST", "client", http__request__method="POST", url__full="http://[broken"), "→ POST"),
    (made("POST", "client", http__request__method="POST"), "→ POST"),
]


@pytest.mark.parametrize(("span", "expected"), LABELS)
def test_labels(span: Span, expected: str) -> None:
    """HTTP spans show method, route or address, and status; newer and older names are understood."""
    assert label(span, UNICODE) == expected


def test_notes() -> None:
    """What failed, where, from the cache, and when the first chunk came, in this order."""
    span = made(
        failed=True, service="b", error__type="E", dspy__cache__hit=True, gen_ai__response__time_to_first_chunk=0.5
    )
    assert [text for text, _ in notes(span, "a", UNICODE)] == ["E", "in b", "cached", "first 500 ms"]
    (told, _), *_ = notes(made(failed=True, error__type="dspy.utils.exceptions.LMServerError"), "", UNICODE)
    assert told == "LMServerError"
    assert notes(made(failed=True), "", UNICODE) == [("failed", "red")]
    assert notes(made(), "s", UNICODE) == []
    assert notes(made(gen_ai__response__time_to_first_chunk=-1.0), "s", UNICODE) == []


CALL = 'calls f {"x": 1}'


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("plain text", [("input", "plain text")]),
        ('{"a": 1}', [("input", '{"a": 1}')]),
        ('[{"role": "user", "content": "hi"}]', [("user", "hi")]),
        ('[{"role": "user", "parts": [{"type": "text", "content": "a"}, "b", 7]}]', [("user", "a\nb\n7")]),
        ('[{"role": "a", "parts": [{"type": "tool_call", "name": "f", "arguments": {"x": 1}}]}]', [("a", CALL)]),
        ('[{"role": "tool", "parts": [{"type": "tool_call_response", "response": "r"}]}]', [("tool", "r")]),
        ('[{"role": "a", "parts": [{"type": "new", "x": 1}]}]', [("a", '{"type": "new", "x": 1}')]),
        ('[{"role": "a"}, {"no": "role"}]', [("input", '{"role": "a"}\n{"no": "role"}')]),
        ("[1, 2]", [("input", "1\n2")]),
        ("", []),
        ({"k": True}, [("input", '{"k": true}')]),
        ("[" * 100_000, [("input", "[" * 100_000)]),
    ],
    ids=range(12),
)  # fmt: skip
def test_content(value: Any, expected: list[tuple[str, str]]) -> None:
    """Messages one by one with their role; anything else as it is."""
    assert list(_content.texts(made(gen_ai__input__messages=value))) == expected


def test_content_is_in_the_order_of_things() -> None:
    """System, input, output; at the end what went wrong."""
    span = made(failed=True, gen_ai__output__messages="o", gen_ai__system_instructions="s", gen_ai__input__messages="i")
    span.status_message = "why"
    assert [title for title, _ in _content.texts(span)] == ["system", "input", "output", "error"]


class Terminal(io.StringIO):
    encoding = "utf-8"  # type: ignore[assignment]

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("choice", "environ", "terminal", "colour"),
    [
        ("auto", {}, True, True), ("auto", {}, False, False), ("auto", {"NO_COLOR": "1"}, True, False),
        ("auto", {"NO_COLOR": ""}, True, True), ("auto", {"TERM": "dumb"}, True, False), ("never", {}, True, False),
        ("always", {"NO_COLOR": "1", "TERM": "dumb"}, False, True),
    ],
)  # fmt: skip
def test_when_there_is_colour(choice: str, environ: dict[str, str], terminal: bool, colour: bool) -> None:
    """On terminals that can, unless somebody said otherwise."""
    style = style_for(Terminal() if terminal else io.StringIO(), choice, 80, environ)
    assert style.colour is colour
    assert style.paint("x", "red") == ("\x1b[31mx\x1b[0m" if colour else "x")
    assert style.paint("x", "") == "x" and style.paint("", "red") == ""


@pytest.mark.parametrize(
    ("encoding", "glyphs"), [("utf-8", UNICODE), ("UTF_16", UNICODE), ("latin-1", ASCII), ("ascii", ASCII)]
)
def test_glyphs_follow_the_encoding(encoding: str, glyphs: object) -> None:
    """No question marks where branches should be."""
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    assert style_for(stream, "never", 80, {}) == Style(glyphs, False, 80, encoding)  # type: ignore[arg-type]


def test_what_optimizers_and_attempts_are_noted_as() -> None:
    """A candidate by its place, score and hash; a rejected one; an evaluation's score; a call made twice."""

    def noted(**attributes: Any) -> list[str]:
        return [text for text, _ in notes(made(**attributes), "", UNICODE)]

    taken = noted(dspy__candidate__index=1, dspy__candidate__score=0.5, dspy__candidate__hash="abc")
    assert taken == ["#1", "score 0.5", "abc"]
    assert noted(dspy__candidate__outcome="rejected", dspy__candidate__score=0.25) == ["rejected", "score 0.25"]
    assert noted(dspy__evaluate__score=66.67) == ["score 66.67"]
    assert noted(spanloom__request__attempts=2) == ["2 attempts"]


def test_tools_of_the_provider_are_noted() -> None:
    """By name, once each; whatever else the events are."""

    def called(name: Any, event: str = "spanloom.server_tool_call") -> Event:
        return Event(event, 1, {"gen_ai.tool.name": name})

    span = made()
    span.events += [called("web_search"), called("find"), called("web_search"), called(7), called(""), called("x", "y")]
    assert [text for text, _ in notes(span, "", UNICODE)] == ["2 web_search", "find"]
