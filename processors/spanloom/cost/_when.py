"""When a price holds: dates, hours and weekdays, all in UTC. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime, timezone
from typing import Any, Final, NamedTuple

_DAY_S: Final = 86_400
_MINUTE_S: Final = 60
_EPOCH: Final = date(1970, 1, 1).toordinal()
# 1970-01-01 was a Thursday, and Monday is 0.
_EPOCH_WEEKDAY: Final = 3
_EVER: Final = 1 << 62
ALL_DAYS: Final = 0b1111111
DAY_NAMES: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


class When(NamedTuple):
    """A span of time (Unix seconds, the end not included), and in it hours (seconds of the day) and weekdays.

    ``days`` has bit 0 for Monday. Hours whose end is before their begin pass midnight; the weekday is that of the
    moment itself, so that after midnight the next day counts.
    """

    start_s: int = -_EVER
    end_s: int = _EVER
    first_s: int = 0
    last_s: int = _DAY_S
    days: int = ALL_DAYS

    def holds(self, moment_s: int) -> bool:
        """Whether it holds at a moment (Unix seconds)."""
        if not self.start_s <= moment_s < self.end_s:
            return False
        day, second = divmod(moment_s, _DAY_S)
        if not self.days >> (day + _EPOCH_WEEKDAY) % 7 & 1:
            return False
        if self.last_s < self.first_s:
            return second >= self.first_s or second < self.last_s
        return self.first_s <= second < self.last_s

    def words(self) -> str:
        """For people: ``from 2026-10-12``, ``01:00-04:00 UTC mon-fri``; empty where it always holds."""
        parts: list[str] = []
        if self.start_s != -_EVER:
            parts.append(f"from {day_text(self.start_s)}")
        if self.end_s != _EVER:
            parts.append(f"until {day_text(self.end_s)}")
        if (self.first_s, self.last_s) != (0, _DAY_S):
            parts.append(f"{_clock(self.first_s)}-{_clock(self.last_s)} UTC")
        if self.days != ALL_DAYS:
            parts.append(_days_text(self.days))
        return " ".join(parts)


ALWAYS: Final = When()


def when_of(row: Mapping[str, Any]) -> When:
    """The WHEN of a row of the table (``_build``)."""
    first, last = row.get("utc", ("00:00", "24:00"))
    return When(
        day_start_s(row["from"]) if "from" in row else -_EVER,
        day_start_s(row["until"]) if "until" in row else _EVER,
        second_of_day(first),
        second_of_day(last),
        days_mask(row.get("days", range(1, 8))),
    )


def days_mask(numbers: Iterable[int]) -> int:
    """ISO weekdays (1 is Monday) as bits."""
    return sum(1 << number - 1 for number in set(numbers))


def day_start_s(day: str) -> int:
    """Midnight UTC of a day (``YYYY-MM-DD``) as Unix seconds. ``ValueError`` for what is no day."""
    return (date.fromisoformat(day).toordinal() - _EPOCH) * _DAY_S


def second_of_day(clock: str) -> int:
    """``HH:MM`` as seconds."""
    hours, _, minutes = clock.partition(":")
    return (int(hours) * 60 + int(minutes)) * _MINUTE_S


def unix_s(moment: datetime) -> int:
    """A moment as Unix seconds; a naive one is UTC."""
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone.utc)
    return int(moment.timestamp() // 1)


def day_text(moment_s: int) -> str:
    """The day of a moment (Unix seconds), ``YYYY-MM-DD`` in UTC."""
    return date.fromordinal(moment_s // _DAY_S + _EPOCH).isoformat()


def _clock(second: int) -> str:
    return f"{second // 3600:02}:{second % 3600 // 60:02}"


def _days_text(days: int) -> str:
    """Days that follow each other as a range."""
    numbers = [number for number in range(7) if days >> number & 1]
    if len(numbers) > 1 and numbers[-1] - numbers[0] == len(numbers) - 1:
        return f"{DAY_NAMES[numbers[0]]}-{DAY_NAMES[numbers[-1]]}"
    return ",".join(DAY_NAMES[number] for number in numbers)
