"""The table of settings and its readers: a bad value costs one line and gives the default."""

from __future__ import annotations

import pytest

from spanloom import semconv
from spanloom.semconv import _options

CONTENT = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
READERS = {
    "choice": semconv.choice_of,
    "flag": semconv.flag,
    "integer": semconv.integer,
    "ratio": semconv.ratio,
    "text": semconv.text,
    "names": semconv.names_of,
}
BAD = {"choice": "SOMETIMES", "flag": "maybe", "integer": "-3", "ratio": "1.5"}


@pytest.fixture(autouse=True)
def forget(monkeypatch):
    """Each test may be warned anew."""
    monkeypatch.setattr(_options, "_warned", set())


@pytest.mark.parametrize("row", semconv.OPTIONS.values(), ids=lambda row: row.name)
def test_each_row_is_complete(row):
    """A name of ours or OpenTelemetry's, a known type, a sentence, a version; choices where there is a choice."""
    assert row.name.startswith(("SPANLOOM_", "OTEL_"))
    assert row.type in READERS
    assert row.about.endswith(".")
    assert row.since
    assert bool(row.choices) == (row.type == "choice")
    assert semconv.OPTIONS[row.name] is row


@pytest.mark.parametrize("row", semconv.OPTIONS.values(), ids=lambda row: row.name)
def test_the_default_is_a_value_that_its_reader_takes(row, monkeypatch, caplog):
    """Unset, empty and blank all mean the default, without a word."""
    reader = READERS[row.type]
    monkeypatch.delenv(row.name, raising=False)
    unset = reader(row.name)
    for value in ("", "  "):
        monkeypatch.setenv(row.name, value)
        assert reader(row.name) == unset
    monkeypatch.setenv(row.name, row.default)
    assert reader(row.name) == unset
    assert not caplog.records


@pytest.mark.parametrize("row", [row for row in semconv.OPTIONS.values() if row.type in BAD], ids=lambda row: row.name)
def test_a_bad_value_gives_the_default_and_one_line(row, monkeypatch, caplog):
    """The line names the setting, the value and the cure, and comes once however often it is read."""
    reader = READERS[row.type]
    expected = reader(row.name)
    monkeypatch.setenv(row.name, BAD[row.type])
    assert [reader(row.name) for _ in range(3)] == [expected] * 3
    (record,) = caplog.records
    text = record.getMessage()
    assert record.levelname == "WARNING"
    assert row.name in text
    assert BAD[row.type].lower() in text.lower()
    assert row.default in text
    assert any(cure in text for cure in ("one of", "true or false", "above 0", "from 0 to 1"))


def test_another_bad_value_is_another_line(monkeypatch, caplog):
    """Whoever corrects a typo with another one is told again."""
    for value in ("x", "y"):
        monkeypatch.setenv(CONTENT, value)
        assert semconv.choice_of(CONTENT) == "NO_CONTENT"
    assert len(caplog.records) == 2


@pytest.mark.parametrize("value", ["span_only", " Span_Only ", "SPAN_ONLY"])
def test_choices_are_read_in_any_case(value, monkeypatch):
    """The older `true` and `false` are written in lower case everywhere."""
    monkeypatch.setenv(CONTENT, value)
    assert semconv.choice_of(CONTENT) == "SPAN_ONLY"


@pytest.mark.parametrize(
    ("value", "expected"),
    [(word, True) for word in ("true", "1", "YES", "on")] + [(word, False) for word in ("false", "0", "no", "Off")],
)  # fmt: skip
def test_flags(value, expected, monkeypatch):
    """The eight words."""
    monkeypatch.setenv("SPANLOOM_FLUSH_ON_SIGTERM", value)
    assert semconv.flag("SPANLOOM_FLUSH_ON_SIGTERM") is expected


@pytest.mark.parametrize("value", ["0", "-1", "1.5", "1e3", "ten", "٣", "9" * 5000, "1_000", "+5"])
def test_what_is_no_whole_number_above_zero_is_refused(value, monkeypatch, caplog):
    """Digits of other scripts and numbers longer than Python reads are refused, not raised."""
    monkeypatch.setenv("SPANLOOM_RECORD_MAX_BYTES", value)
    assert semconv.integer("SPANLOOM_RECORD_MAX_BYTES") == 64 * 1024 * 1024
    assert "a whole number of bytes above 0" in caplog.text


def test_whole_numbers(monkeypatch):
    """Blanks around it are no fault."""
    monkeypatch.setenv("SPANLOOM_RECORD_MAX_BYTES", " 1000 ")
    assert semconv.integer("SPANLOOM_RECORD_MAX_BYTES") == 1000


@pytest.mark.parametrize("value", ["-0.1", "1.01", "nan", "inf", "half", "50%", "0,5"])
def test_what_is_no_number_from_0_to_1_is_refused(value, monkeypatch, caplog):
    """A share above all, below none, or none that Python reads."""
    monkeypatch.setenv("SPANLOOM_CONTENT_RATIO", value)
    assert semconv.ratio("SPANLOOM_CONTENT_RATIO") == 1
    assert "a number from 0 to 1" in caplog.text


@pytest.mark.parametrize(("value", "expected"), [("0", 0), ("1", 1), ("0.25", 0.25), (" .5 ", 0.5), ("1e-3", 0.001)])
def test_ratios(value, expected, monkeypatch, caplog):
    """Both ends are in."""
    monkeypatch.setenv("SPANLOOM_CONTENT_RATIO", value)
    assert semconv.ratio("SPANLOOM_CONTENT_RATIO") == expected
    assert not caplog.records


def test_names(monkeypatch):
    """Comma separated, empty items dropped."""
    monkeypatch.setenv("SPANLOOM_TOOLS", " a:b ,, c:d.e, ")
    assert semconv.names_of("SPANLOOM_TOOLS") == ["a:b", "c:d.e"]


def test_an_option_that_is_not_in_the_table_is_a_mistake_of_ours():
    """Reading past the table fails at once."""
    with pytest.raises(KeyError):
        semconv.text("SPANLOOM_NO_SUCH_THING")
