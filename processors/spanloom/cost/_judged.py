"""The verdict on one call: what it costs and why, and the rows that say so on its span."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from spanloom import semconv
from spanloom.cost._price import Status, counts_of, judge, schedule_of
from spanloom.cost._rate import SCALE, USUAL, Counts, Rate
from spanloom.cost._table import table
from spanloom.semconv import CostCopy, OtherProvider, Spanloom

if TYPE_CHECKING:
    from spanloom.cost._rate import Schedule
    from spanloom.genai.hooks import UsageView

CURRENCY: Final = "USD"
LOCAL, PROVIDER = "local", "provider"
_COPIES: Final = {"logfire": CostCopy.LOGFIRE, "openinference": CostCopy.OPENINFERENCE}


class Verdict(NamedTuple):
    """``usd``: the cost, where anybody knows it. ``own_usd``: by the table, with what it is made of."""

    status: str
    usd: float | None
    own_usd: float | None
    source: str = LOCAL
    rate: Rate | None = None
    counts: Counts | None = None


def judged(
    provider: str | None,
    model: str | None,
    other_model: str | None,
    tier: str | None,
    usage: UsageView | None,
    reported_usd: float | None = None,
) -> Verdict:
    """The verdict on a call. ``other_model`` is asked where ``model`` is not known to the table.

    What the provider reports wins. A reported 0 is believed of OpenRouter only: others write it for a model that they
    have no price for.
    """
    own = _by_table(provider, model, other_model, tier, usage)
    if reported_usd is None or (reported_usd == 0 and provider != OtherProvider.OPENROUTER):
        return own
    return Verdict("provider", reported_usd, own.usd, PROVIDER)


def _by_table(
    provider: str | None, model: str | None, other_model: str | None, tier: str | None, usage: UsageView | None
) -> Verdict:
    schedule: Schedule | None = schedule_of(provider, model, other_model, tier)
    if usage is None:
        return Verdict("unknown_model" if schedule is None else "unknown_usage", None, None)
    tokens_in, tokens_out = usage.input_tokens, usage.output_tokens
    counts = counts_of(
        tokens_in,
        tokens_out,
        usage.cache_read_input_tokens,
        usage.cache_write_input_tokens,
        usage.reasoning_output_tokens,
    )
    status: Status
    status, amount, rate = judge(schedule, counts, tokens_in, tokens_out, None)
    if amount is None:
        return Verdict(status, None, None)
    if rate is not None and rate.beyond_text:
        return Verdict("unknown_usage", None, None)
    usd = amount / SCALE
    return Verdict(status, usd, usd, LOCAL, rate, counts)


@lru_cache(maxsize=1)
def price_version() -> str:
    """The data that amounts are from, and the day of its release."""
    prices = table()
    return f"{prices.source} ({prices.released})" if prices.released else prices.source


class Writer:
    """Makes a span's attributes of a verdict, as the settings ask for it."""

    def __init__(self) -> None:
        self._details = semconv.flag("SPANLOOM_COST_DETAILS")
        self._copies = tuple(_copies())

    def rows(self, verdict: Verdict) -> dict[str, Any]:
        """What ``write`` writes."""
        rows: dict[str, Any] = {}
        self.write(verdict, rows)
        return rows

    def write(self, verdict: Verdict, rows: dict[str, Any]) -> None:
        """``spanloom.cost.status``, and the amount with all that belongs to it where it is known."""
        usd = verdict.usd
        rows[Spanloom.COST_STATUS] = verdict.status
        if usd is None:
            return
        rows[Spanloom.COST_AMOUNT] = usd
        rows[Spanloom.COST_CURRENCY] = CURRENCY
        rows[Spanloom.COST_SOURCE] = verdict.source
        if verdict.source == LOCAL:
            rows[Spanloom.COST_PRICE_VERSION] = price_version()
            if self._details and verdict.rate is not None and verdict.counts is not None:
                rows.update(parts_of(verdict.rate, verdict.counts))
        for name in self._copies:
            rows[name] = usd


def _copies() -> Iterator[str]:
    for name in semconv.names_of("SPANLOOM_COST_COMPAT"):
        known = _COPIES.get(name.lower())
        if known is None:
            semconv.warn_once("SPANLOOM_COST_COMPAT", name, f"one of {', '.join(_COPIES)}", "nothing for it")
        else:
            yield known


def parts_of(rate: Rate, counts: Counts) -> dict[str, float]:
    """The amount in parts of which none contains another, in USD; parts without tokens are left out.

    A rate's coefficients are each part's price less the price of what contains it, so all parts are differences of
    amounts, and their sum (before they become floats) is the amount exactly.
    """
    given, made, cached, written, reasoned = counts[:USUAL]
    zeros = (0,) * USUAL
    other = rate.amount(zeros)
    plain = rate.amount((given, 0, 0, 0, 0)) - other
    each = plain // given if given else 0
    read = rate.amount((given, 0, cached, 0, 0)) - other - plain + each * cached
    wrote = rate.amount((given, 0, 0, written, 0)) - other - plain + each * written
    spoken = rate.amount((given, made - reasoned, 0, 0, 0)) - other - plain
    thought = rate.amount((given, made, 0, 0, reasoned)) - other - plain - spoken
    rows = (
        (Spanloom.COST_INPUT, given - cached - written, plain - each * (cached + written)),
        (Spanloom.COST_CACHE_READ, cached, read),
        (Spanloom.COST_CACHE_WRITE, written, wrote),
        (Spanloom.COST_OUTPUT, made - reasoned, spoken),
        (Spanloom.COST_REASONING, reasoned, thought),
        (Spanloom.COST_OTHER, other, other),
    )
    return {name: part / SCALE for name, count, part in rows if count}
