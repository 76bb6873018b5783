"""The windows that budgets are counted in: whole minutes, hours, days and months of UTC. Pure."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Final, Literal, NamedTuple, get_args

Period = Literal["minute", "hour", "day", "month"]
PERIODS: Final[tuple[Period, ...]] = get_args(Period)

_LENGTH_S: Final = {"minute": 60, "hour": 3600, "day": 86_400}


class Window(NamedTuple):
    """From its start on, and up to its end without that: seconds since 1970 (UTC)."""

    start_s: int
    end_s: int


def window_at(period: Period, now_s: float) -> Window:
    """The window that a moment lies in."""
    if period == "month":
        return _month(now_s)
    length = _LENGTH_S[period]
    start = int(now_s // length) * length
    return Window(start, start + length)


def _month(now_s: float) -> Window:
    now = datetime.fromtimestamp(now_s, timezone.utc)
    start = datetime(now.year, now.month, 1, tzinfo=timezone.utc)
    months = now.year * 12 + now.month
    end = datetime(months // 12, months % 12 + 1, 1, tzinfo=timezone.utc)
    return Window(int(start.timestamp()), int(end.timestamp()))
