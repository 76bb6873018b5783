"""Which generation of names is written: ``OTEL_SEMCONV_STABILITY_OPT_IN``."""

from __future__ import annotations

import pytest

from spanloom.semconv import _options, modes

VARIABLE = "OTEL_SEMCONV_STABILITY_OPT_IN"


@pytest.fixture(autouse=True)
def forget(monkeypatch):
    """Each test may be warned anew."""
    monkeypatch.setattr(_options, "_warned", set())


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("", {"current"}),
        ("gen_ai", {"current"}),
        ("gen_ai_latest_experimental", {"current"}),
        ("gen_ai/dup", {"current", "old"}),
        ("gen_ai/old", {"old"}),
        ("gen_ai/old,gen_ai_latest_experimental", {"current", "old"}),
        ("http/dup", {"current"}),
        ("http/dup, gen_ai/dup ,database", {"current", "old"}),
    ],
)
def test_values(value, expected, monkeypatch, caplog):
    """Several may be given; those of other domains are theirs; nobody is warned of any of these."""
    monkeypatch.setenv(VARIABLE, value)
    assert modes() == expected
    assert not caplog.records


@pytest.mark.parametrize("value", ["gen_ai/new", "gen_ai/", "gen_ai_dup"])
def test_an_unknown_value_of_ours(value, monkeypatch, caplog):
    """One line, however often it is read, and the current names."""
    monkeypatch.setenv(VARIABLE, f"http,{value}")
    assert [modes() for _ in range(3)] == [{"current"}] * 3
    (record,) = caplog.records
    assert all(part in record.getMessage() for part in (VARIABLE, repr(value), "gen_ai/dup", "the current names"))


def test_an_unknown_value_beside_a_known_one(monkeypatch, caplog):
    """The known one holds."""
    monkeypatch.setenv(VARIABLE, "gen_ai/dup,gen_ai/dupp")
    assert modes() == {"current", "old"}
    assert len(caplog.records) == 1
