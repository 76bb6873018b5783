"""A model's prices as integers that only need to be multiplied by the counts. Pure.

Counts overlap as the conventions say: input tokens contain the cached ones, output tokens contain reasoning. The price
of a part replaces the price of the whole it lies in, so each count gets *its price less the price of what contains it*
(inclusion and exclusion where it lies in two wholes), and an amount is one sum of products. All of it in integers of
10⁻²⁴ USD: exact for every price in the table (of a second's price, the 24th digit is rounded).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from math import gcd
from operator import mul
from typing import Any, Literal, NamedTuple

from spanloom.cost._table import Model, PriceSet, Table, items
from spanloom.cost._usage import (
    COUNTED,
    MEASURES,
    MODES,
    REQUESTS,
    TICKS,
    TOOLS,
    USUAL,
    Counts,
    uncovered_tokens,
    with_least_seconds,
)
from spanloom.cost._when import ALWAYS, When, when_of

Status = Literal["priced", "free", "unknown_model", "unknown_usage", "unknown_price", "unknown_deployment"]

# Amounts are integers of this fraction of a dollar.
SCALE = 10**24

Band = tuple[int, ...]
# Parts of a dollar that the others are in; the fee of a call; coefficients of the usual counts.
Plain = tuple[int, int, int, int, int, int, int]
# Groq bills at least so many seconds of a transcription (its price list; genai-prices has it in code as well).
_LEAST_SECONDS = {"groq/whisper-large-v3": 10, "groq/whisper-large-v3-turbo": 10}
# What a call's price depends on besides its counts: for each circumstance the (key, value) pairs that the source may
# have for it, of which any one is enough.
Circumstances = tuple[frozenset[tuple[str, str]], ...]


class Rate(NamedTuple):
    """What a call costs at one moment. ``bands`` are (above this many input tokens, coefficients), the lowest first.

    ``source``: what it was taken from.
    """

    rule: str
    bands: tuple[tuple[int, Band], ...]
    per_call: int = 0
    free: bool = False
    units: frozenset[str] = frozenset()
    source: str = ""
    prices_input: bool = True
    prices_output: bool = True
    # The output may be sound or pictures at another price than text, or time is billed as well: plain token counts do
    # not tell what such a call costs.
    beyond_text: bool = False
    least_seconds: int = 0
    # Of a rate with prices for input and output and without steps: what the usual counts cost, in small numbers.
    plain: Plain | None = None
    # The same where neither sound nor pictures have a price of their own: the usual counts tell the whole cost.
    usual: Plain | None = None

    def usd(self, counts: Counts) -> float:
        """USD for these counts: the float next to the exact amount."""
        if self.plain is None or len(counts) > USUAL:
            return self.amount(counts) / SCALE
        return usd_of(self.plain, counts)

    def amount(self, counts: Counts) -> int:
        """10⁻²⁴ USD for these counts."""
        if self.least_seconds and len(counts) > USUAL:
            counts = with_least_seconds(counts, self.least_seconds)
        return self.per_call + sum(map(mul, self.band(counts[0]), counts))

    def band(self, input_tokens: int) -> Band:
        """The coefficients that hold: a step's are for all tokens of a call with more input tokens than its edge."""
        found = self.bands[0][1]
        for edge, band in self.bands:
            if input_tokens > edge:
                found = band
        return found

    def lacks(self, counts: Counts) -> Status | None:
        """Why these counts have no amount: the rate has no price for what they say, or they do not say enough."""
        tools = zip(COUNTED[TOOLS:], counts[TOOLS:], strict=False)
        if any(count and unit not in self.units for unit, count in tools):
            return "unknown_price"
        if self._prices_tokens():
            text_in, text_out = uncovered_tokens(counts)
            without = (text_in and not self.prices_input) or (text_out and not self.prices_output)
            return "unknown_price" if without else None
        # Billed by the second, page or character; of a call without any of them nobody knows what it was.
        measures = zip(COUNTED[MEASURES:TOOLS], counts[MEASURES:TOOLS], strict=False)
        given = any(count for unit, count in measures if unit in self.units)
        return None if given or self.units.isdisjoint(COUNTED[MEASURES:TOOLS]) else "unknown_usage"

    def _prices_tokens(self) -> bool:
        return not self.units.isdisjoint(COUNTED[:MEASURES])

    def times(self, factor: Decimal, rule: str, source: str) -> Rate:
        """The same at this fraction of its prices."""
        bands = tuple((edge, tuple(int(one * factor) for one in band)) for edge, band in self.bands)
        fee = int(self.per_call * factor)
        return self._replace(rule=rule, bands=bands, source=source)._with_fee(fee)

    def with_fee(self, fee: int) -> Rate:
        """The same with so much more for each call."""
        return self._replace(free=False)._with_fee(self.per_call + fee)

    def _with_fee(self, fee: int) -> Rate:
        plain = plain_of(self.bands, fee) if self.plain else None
        return self._replace(per_call=fee, plain=plain, usual=plain if self.usual else None)


class Phase(NamedTuple):
    """A rate and when it holds: all of ``when``. A rate of None means that nobody can know it then."""

    when: tuple[When, ...]
    rate: Rate | None

    def holds(self, moment_s: int) -> bool:
        return all(one.holds(moment_s) for one in self.when)


class Schedule(NamedTuple):
    """The rates of a model; the first phase that holds wins.

    ``always``: the one rate of a model whose price never changes. ``otherwise``: the status where no rate is known.
    ``latest``: the minute that was asked for last, its end, and its rate; all phases begin and end with a minute.
    """

    rule: str
    phases: tuple[Phase, ...]
    otherwise: Status
    always: Rate | None
    latest: list[tuple[float, float, Rate | None]]

    def at(self, moment_s: float) -> Rate | None:
        """The rate at a moment (Unix seconds)."""
        begin_s, end_s, found = self.latest[0]
        if begin_s <= moment_s < end_s:
            return found
        minute = int(moment_s // 60)
        found = next((phase.rate for phase in self.phases if phase.holds(minute * 60)), None)
        self.latest[0] = (minute * 60.0, minute * 60.0 + 60.0, found)
        return found


def schedule(rule: str, phases: Sequence[Phase], otherwise: Status = "unknown_price") -> Schedule:
    """A schedule of these phases; what comes after a phase that always holds is left out."""
    found: list[Phase] = []
    for phase in phases:
        found.append(phase)
        if not phase.when:
            break
    always = found[0].rate if found and not found[0].when else None
    return Schedule(rule, tuple(found), otherwise, always, [(0.0, 0.0, None)])


class Context:
    """What the prices of one table need to be read: how its units lie in each other, and what one price is for."""

    def __init__(self, table: Table) -> None:
        self.dimensions = {unit: frozenset(rows.items()) for unit, rows in table.dimensions.items()}
        self._per = table.per
        self._source = table.source

    def schedule(self, rule: str, model: Model, circumstances: Circumstances, *, own: bool) -> Schedule:
        """All rates of a model in these circumstances. A borrowed model has standard prices only, and none that follow
        the hours of who it is borrowed from."""
        if not own and any("utc" in row for row in items(model.prices)):
            return schedule(rule, ())
        if not circumstances:
            return schedule(rule, [self._phase(rule, when, prices) for when, prices in standard(model)])
        rule = " ".join((rule, *sorted("=".join(min(pairs)) for pairs in circumstances)))
        if not own:
            return schedule(rule, ())
        wanted = frozenset[tuple[str, str]]().union(*circumstances)
        rows = [row for row in model.variants if row["when"].items() <= wanted]
        starts = sorted({ALWAYS.start_s, *(when_of(row).start_s for row in rows)}, reverse=True)
        phases: list[Phase] = []
        for start in starts:
            for when, prices in standard(model):
                # Both begin at some day; the later one counts for both.
                both = when._replace(start_s=max(when.start_s, start))
                phases.append(self._phase(rule, both, with_variants(prices, rows, circumstances, start)))
        return schedule(rule, phases)

    def _phase(self, rule: str, when: When, prices: PriceSet | str | None) -> Phase:
        rate = None if prices is None else self.rate(f"{rule} {when.words()}".rstrip(), prices)
        return Phase(() if when == ALWAYS else (when,), rate)

    def rate(self, rule: str, prices: PriceSet | str) -> Rate | None:
        """One set of prices as a rate; None where it has none for what a call is counted by."""
        if isinstance(prices, str):
            return Rate(rule, ((0, (0,) * len(COUNTED)),), free=True, source=self._source)
        if prices.keys().isdisjoint(COUNTED[:TOOLS]) and REQUESTS not in prices:
            return None
        beyond_text = any(self._is_beyond_text(unit) for unit in prices)
        edges = sorted({0, *(edge for price in prices.values() for edge, _ in steps(price))})
        bands = tuple((edge, self._band(prices, edge)) for edge in edges)
        fee = self.coefficient(REQUESTS, prices[REQUESTS], 0) if REQUESTS in prices else 0
        plain = plain_of(bands, fee) if len(bands) == 1 and "input" in prices and "output" in prices else None
        return Rate(
            rule,
            bands,
            per_call=fee,
            units=frozenset(prices),
            source=self._source,
            prices_input="input" in prices,
            prices_output="output" in prices,
            beyond_text=beyond_text,
            least_seconds=_LEAST_SECONDS.get(rule, 0),
            plain=plain,
            usual=plain if not beyond_text and MODES.isdisjoint(prices) else None,
        )

    def _is_beyond_text(self, unit: str) -> bool:
        dimensions = dict(self.dimensions[unit])
        return dimensions["family"] == "durations" or (
            dimensions.get("direction") == "output" and "modality" in dimensions
        )

    def coefficient(self, unit: str, price: Any, edge: int) -> int:
        """10⁻²⁴ USD for one of this unit (of seconds: for one millionth) above ``edge`` input tokens."""
        ticks = TICKS if unit.endswith("_hours") else 1
        return int(Decimal(at_edge(price, edge)) * SCALE / self._per[unit] / ticks)

    def _band(self, prices: PriceSet, edge: int) -> Band:
        """Coefficients of ``COUNTED``: 0 where a part has no price of its own, since the whole's price covers it."""
        units = [unit for unit in prices if unit != REQUESTS]
        coefficients: dict[str, int] = dict.fromkeys(COUNTED, 0)
        for unit in units:
            price = self.coefficient(unit, prices[unit], edge)
            for part, sign in self._share(unit, units).items():
                coefficients[part] += sign * price
        return tuple(coefficients.values())

    def _share(self, unit: str, units: Sequence[str]) -> dict[str, int]:
        """What is billed at this unit's own price, as a sum of counts: the unit less all that lies in it."""
        share = {unit: 1}
        for inner in units:
            if self.dimensions[inner] > self.dimensions[unit]:
                for part, sign in self._share(inner, units).items():
                    share[part] = share.get(part, 0) - sign
        return share


def plain_of(bands: tuple[tuple[int, Band], ...], fee: int) -> Plain:
    """The fee and the coefficients of the usual counts in the largest unit that all of them are whole numbers of.

    Python is three times as fast with numbers that fit into a machine's word.
    """
    usd_in, usd_out, usd_cached, usd_written, usd_thought = bands[0][1][:USUAL]
    unit = gcd(SCALE, fee, usd_in, usd_out, usd_cached, usd_written, usd_thought)
    of_in, of_out = usd_in // unit, usd_out // unit
    return SCALE // unit, fee // unit, of_in, of_out, usd_cached // unit, usd_written // unit, usd_thought // unit


def usd_of(plain: Plain, counts: Counts) -> float:
    """What the usual counts cost."""
    per_usd, fee, of_in, of_out, of_cached, of_written, of_thought = plain
    tokens_in, tokens_out, cached, written, thought = counts
    total = fee + of_in * tokens_in + of_out * tokens_out
    return (total + of_cached * cached + of_written * written + of_thought * thought) / per_usd


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


def standard(model: Model) -> Iterator[tuple[When, PriceSet | str]]:
    """Standard prices and when they hold, so that the first that holds wins: the table's rows from the last one up."""
    rows: list[dict[str, Any]] = items(model.prices)
    if not rows:
        yield ALWAYS, model.prices
        return
    for row in reversed(rows):
        yield when_of(row), row["prices"]
    if when_of(rows[0]) != ALWAYS:
        yield ALWAYS, rows[0]["prices"]


def with_variants(
    prices: PriceSet | str, rows: Sequence[Mapping[str, Any]], circumstances: Circumstances, start_s: int
) -> PriceSet | None:
    """Prices in these circumstances: for each unit the first variant that holds. None where one has no variant."""
    found = [row for row in rows if when_of(row).start_s <= start_s]
    listed = frozenset(pair for row in found for pair in row["when"].items())
    if isinstance(prices, str) or not all(pairs & listed for pairs in circumstances):
        return None
    merged = dict(prices)
    for row in reversed(found):
        merged.update(row["prices"])
    return merged
