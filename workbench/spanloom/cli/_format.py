"""Figures as people read them. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta, timezone
from decimal import Decimal

from spanloom.cli._style import Glyphs

_LEAST = Decimal("0.0000001")
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def duration(ns: int | None, glyphs: Glyphs) -> str:
    """Three digits and a unit; empty where it is unknown."""
    if ns is None:
        return ""
    if ns < 1_000_000:
        return f"{ns / 1000:.0f} {glyphs.micro}s"
    if ns < 999_500_000:
        return f"{ns / 1e6:.0f} ms" if ns >= 9_950_000 else f"{ns / 1e6:.1f} ms"
    seconds = ns / 1e9
    if seconds < 59.95:
        return f"{seconds:.2f} s" if seconds < 9.995 else f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}m {rest:02d}s" if minutes < 60 else f"{minutes // 60}h {minutes % 60:02d}m"


def count(number: int | None) -> str:
    """Exact below a hundred thousand, then thousands or millions; ``?`` where it is unknown."""
    if number is None:
        return "?"
    if number < 100_000:
        return str(number)
    return f"{number / 1000:.0f}k" if number < 9_999_500 else f"{number / 1e6:.1f}M"


def tokens(number_in: int | None, number_out: int | None, glyphs: Glyphs) -> str:
    """``in→out``; empty where neither is known."""
    if number_in is None and number_out is None:
        return ""
    return f"{count(number_in)}{glyphs.to}{count(number_out)}"


def money(amount: Decimal, currency: str = "USD") -> str:
    """Cents and above with four digits at most, less with two that say something."""
    less = "<" if 0 < amount < _LEAST else ""
    text = _amount(max(amount, _LEAST) if amount else amount)
    return f"{less}${text}" if currency == "USD" else f"{less}{text} {currency}"


def _amount(amount: Decimal) -> str:
    if not amount:
        return "0"
    if amount >= 1:
        return f"{amount:.2f}"
    if amount >= Decimal("0.01"):
        return f"{amount:.4f}"
    return f"{amount:.{1 - amount.adjusted()}f}"


def monies(costs: dict[str, Decimal]) -> str:
    """Sums of one or several currencies."""
    return " + ".join(money(amount, currency) for currency, amount in sorted(costs.items()))


def cost(costs: dict[str, Decimal], unpriced: int) -> str:
    """``$0.0012 + 1 unpriced``: a sum that misses something says so. Empty where nothing was used."""
    parts = [monies(costs)] if costs else []
    return " + ".join([*parts, f"{unpriced} unpriced"] if unpriced else parts)


def moment(ns: int) -> str:
    """UTC, to the second."""
    try:
        return f"{_EPOCH + timedelta(microseconds=ns // 1000):%Y-%m-%d %H:%M:%S} UTC"
    except OverflowError:
        return "at no time"


def size(size_bytes: int) -> str:
    """Bytes, kB or MB."""
    if size_bytes < 1000:
        return f"{size_bytes} B"
    return f"{size_bytes / 1000:.0f} kB" if size_bytes < 1_000_000 else f"{size_bytes / 1e6:.1f} MB"


def several(number: int, noun: str) -> str:
    """``1 error``, ``2 errors``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def counted(names: Iterable[str]) -> Iterator[str]:
    """Each name once, in the order of its first, with how often it stands there."""
    for name, count in Counter(names).items():
        yield name if count == 1 else f"{count} {name}"
