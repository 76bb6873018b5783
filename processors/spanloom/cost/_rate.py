"""A model's prices as integers that only need to be multiplied by the counts. Pure.

Counts overlap as the conventions say: input tokens contain the cached ones, output tokens contain reasoning. The price
of a part replaces the price of the whole it lies in, so each count gets *its price less the price of what contains it*
(inclusion and exclusion where it lies in two wholes), and an amount is one sum of products. All of it in integers of
10⁻²⁴ USD: exact for every price in the table.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from operator import mul
from typing import Any

from spanloom.cost._table import Model, PriceSet, items

# Amounts are integers of this fraction of a dollar.
SCALE = 10**24
_PER_MILLION = Decimal(SCALE // 10**6)
_PER_THOUSAND = Decimal(SCALE // 10**3)

# What a call can report, in the order of ``Counts`` and of a band's coefficients. Nearly all calls have the first five
# only, and give only those.
COUNTED = (
    "input",
    "output",
    "cache_read",
    "cache_write",
    "output_reasoning",
    "cache_write_1h",
    "input_audio",
    "cache_audio_read",
    "output_audio",
)
USUAL = 5
Counts = tuple[int, ...]
Band = tuple[int, ...]

# How a dated schedule says "since ever".
ALWAYS = 0


@dataclass(frozen=True)
class Rate:
    """What a call costs at one moment. ``bands`` are (above this many input tokens, coefficients), the lowest first."""

    rule: str
    bands: tuple[tuple[int, Band], ...]
    per_call: int = 0
    free: bool = False
    prices_input: bool = True
    prices_output: bool = True
    # The output may be sound or pictures at another price than text, or time is billed as well: plain token counts do
    # not tell what such a call costs.
    beyond_text: bool = False

    def amount(self, counts: Counts) -> int:
        """10⁻²⁴ USD for these counts."""
        bands = self.bands
        band = bands[0][1] if len(bands) == 1 else self._band(counts[0])
        total = self.per_call + band[0] * counts[0] + band[1] * counts[1]
        total += band[2] * counts[2] + band[3] * counts[3] + band[4] * counts[4]
        if len(counts) > USUAL:
            total += sum(map(mul, band[USUAL:], counts[USUAL:]))
        return total

    def _band(self, input_tokens: int) -> Band:
        """A step's prices hold for all tokens of a call with more input tokens than its edge."""
        found = self.bands[0][1]
        for edge, band in self.bands:
            if input_tokens > edge:
                found = band
        return found


@dataclass(frozen=True)
class Schedule:
    """Rates by the day on which they start (proleptic ordinals, UTC); a rate of None means that nobody can know."""

    rule: str
    starts: tuple[int, ...]
    rates: tuple[Rate | None, ...]

    def on(self, day: int) -> Rate | None:
        """The rate of a day (proleptic ordinal, UTC)."""
        found = self.rates[0]
        for start, rate in zip(self.starts, self.rates, strict=True):
            if day >= start:
                found = rate
        return found


class Context:
    """What the prices of one table need to be read: how its units lie in each other."""

    def __init__(self, dimensions: Mapping[str, Mapping[str, str]]) -> None:
        self._dimensions = {unit: frozenset(rows.items()) for unit, rows in dimensions.items()}

    def schedule(self, rule: str, model: Model, when: Mapping[str, str], *, own: bool) -> Schedule:
        """All rates of a model, for a call in these circumstances (service tier). Borrowed models have none of them."""
        rule = " ".join((rule, *(f"{key}={value}" for key, value in sorted(when.items()))))
        if when and not own:
            return Schedule(rule, (ALWAYS,), (None,))
        dated = (*items(model.prices), *model.variants) if when else items(model.prices)
        starts = tuple(sorted({ALWAYS, *change_days(dated)}))
        return Schedule(rule, starts, tuple(self._rate_on(day, rule, model, when) for day in starts))

    def _rate_on(self, day: int, rule: str, model: Model, when: Mapping[str, str]) -> Rate | None:
        standard = standard_prices(model, day)
        if standard is None:
            return None
        since, prices = standard
        if when and (prices := with_variants(prices, model, when, day)) is None:
            return None
        return self.rate(f"{rule} {since}".rstrip(), prices)

    def rate(self, rule: str, prices: PriceSet | str) -> Rate | None:
        """One set of prices as a rate; None where it has no price for tokens."""
        if isinstance(prices, str):
            return Rate(rule, ((ALWAYS, (0,) * len(COUNTED)),), free=True)
        if not prices.keys() & {"input", "output"}:
            return None
        edges = sorted({0, *(edge for price in prices.values() for edge, _ in steps(price))})
        return Rate(
            rule,
            tuple((edge, self._band(prices, edge)) for edge in edges),
            per_call=int(Decimal(at_edge(prices.get("requests_kcount", "0"), 0)) * _PER_THOUSAND),
            prices_input="input" in prices,
            prices_output="output" in prices,
            beyond_text=any(self._is_beyond_text(unit) for unit in prices),
        )

    def _is_beyond_text(self, unit: str) -> bool:
        dimensions = dict(self._dimensions[unit])
        return dimensions["family"] == "durations" or (
            dimensions.get("direction") == "output" and "modality" in dimensions
        )

    def _band(self, prices: PriceSet, edge: int) -> Band:
        """Coefficients of ``COUNTED``: 0 where a part has no price of its own, since the whole's price covers it."""
        units = [unit for unit in prices if ("family", "tokens") in self._dimensions[unit]]
        coefficients = dict.fromkeys(COUNTED, 0)
        for unit in units:
            price = int(Decimal(at_edge(prices[unit], edge)) * _PER_MILLION)
            for part, sign in self._share(unit, units).items():
                if part in coefficients:
                    coefficients[part] += sign * price
        return tuple(coefficients.values())

    def _share(self, unit: str, units: Sequence[str]) -> dict[str, int]:
        """What is billed at this unit's own price, as a sum of counts: the unit less all that lies in it."""
        share = {unit: 1}
        for inner in units:
            if self._dimensions[inner] > self._dimensions[unit]:
                for part, sign in self._share(inner, units).items():
                    share[part] = share.get(part, 0) - sign
        return share


def steps(price: Any) -> Iterator[tuple[int, str]]:
    """The (edge, rate) pairs of a price by context length."""
    yield from items(price)[1:]


def at_edge(price: Any, edge: int) -> str:
    """The rate of a call just above ``edge`` input tokens."""
    found: str = items(price)[0] if items(price) else price
    for start, higher in steps(price):
        if edge >= start:
            found = higher
    return found


def change_days(rows: Iterable[Mapping[str, Any]]) -> Iterator[int]:
    """The days on which dated prices begin."""
    for row in rows:
        if "from" in row:
            yield date.fromisoformat(row["from"]).toordinal()


def has_begun(row: Mapping[str, Any], day: int) -> bool:
    return "from" not in row or date.fromisoformat(row["from"]).toordinal() <= day


def standard_prices(model: Model, day: int) -> tuple[str, PriceSet | str] | None:
    """(since, prices) of a day: the last row that holds, else the first.

    None where prices depend on the time of day: the data has no weekdays, and those who charge so have cheap
    weekends (docs: genai-prices#582), so that any amount would be wrong on some days.
    """
    rows: list[dict[str, Any]] = items(model.prices)
    if not rows:
        return "", model.prices
    if any("utc" in row for row in rows):
        return None
    row = next((row for row in reversed(rows) if has_begun(row, day)), rows[0])
    return (f"from {row['from']}" if "from" in row else ""), row["prices"]


def with_variants(prices: PriceSet | str, model: Model, when: Mapping[str, str], day: int) -> PriceSet | None:
    """Prices in these circumstances: for each unit the first variant that holds. None where the table has none."""
    found = [row for row in model.variants if row["when"].items() <= when.items() and has_begun(row, day)]
    if not found or isinstance(prices, str):
        return None
    merged = dict(prices)
    for row in reversed(found):
        merged.update(row["prices"])
    return merged
