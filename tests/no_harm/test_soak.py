"""A slice of the soak for every change; ``make soak`` makes ten times as many calls."""

from __future__ import annotations

import pytest

from tests.no_harm import soak

SLICE = 10_000


def test_memory_is_flat():
    """Ten thousand calls over every kind of end: no object, no thread and no memory is left, no span is lost."""
    assert soak.soak(SLICE).problems() == []


def test_a_leak_is_seen(monkeypatch):
    """An instrumentor that keeps something of each call, or loses a span, is found out: the soak can fail."""
    kept = []

    def on_end(self, span):
        self.ended += len(kept) % 50 > 0
        kept.append([span.attributes, "x" * 400])

    monkeypatch.setattr(soak.Tally, "on_end", on_end)
    monkeypatch.setattr(soak, "TRACED_CALLS", 200)
    found = " ".join(soak.soak(600).problems())
    assert "spans" in found
    assert "left" in found


@pytest.mark.parametrize(
    ("last", "word"),
    [
        (soak.Memory(9, 0, soak.MOST_OBJECTS + 1, 1), "objects"),
        (soak.Memory(9, soak.MOST_RSS_KIB + 1, 0, 1), "resident"),
        (soak.Memory(9, 0, 0, 2), "threads"),
    ],
)
def test_growth_is_told(last, word):
    """Each measure has its bound."""
    result = soak.Result(9, 9, [soak.Memory(0, 0, 0, 1), last], 0.0, 0.0)
    (told,) = result.problems()
    assert word in told
