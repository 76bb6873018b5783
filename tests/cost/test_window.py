"""The windows of budgets, in UTC."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from spanloom.cost._window import PERIODS, Window, window_at


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=timezone.utc).timestamp()


@pytest.mark.parametrize(
    ("period", "now", "start", "end"),
    [
        ("minute", "2026-02-28T23:59:59.999", "2026-02-28T23:59:00", "2026-03-01T00:00:00"),
        ("minute", "2026-03-01T00:00:00", "2026-03-01T00:00:00", "2026-03-01T00:01:00"),
        ("hour", "2026-03-29T01:30:00", "2026-03-29T01:00:00", "2026-03-29T02:00:00"),
        ("day", "2026-03-29T02:30:00", "2026-03-29T00:00:00", "2026-03-30T00:00:00"),
        ("month", "2024-02-29T12:00:00", "2024-02-01T00:00:00", "2024-03-01T00:00:00"),
        ("month", "2026-12-31T23:59:59", "2026-12-01T00:00:00", "2027-01-01T00:00:00"),
        ("month", "2026-11-01T00:00:00", "2026-11-01T00:00:00", "2026-12-01T00:00:00"),
    ],
)
def test_a_moment_lies_in_one_window(period, now, start, end):
    """The start belongs to it, the end to the next one; summer time and leap years are nothing special in UTC."""
    assert window_at(period, at(now)) == Window(int(at(start)), int(at(end)))


@pytest.mark.parametrize("period", PERIODS)
def test_windows_follow_each_other_without_a_gap(period):
    """The moment a window ends is the start of the next, over two years."""
    now = at("2023-12-01T00:00:00")
    for _ in range(25):
        window = window_at(period, now)
        assert window.start_s == now
        assert window_at(period, window.end_s - 1e-3) == window
        now = window.end_s
