"""What a call costs: ``price(model, …)``."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timezone
from functools import lru_cache
from typing import Literal

from spanloom.cost._match import Matcher
from spanloom.cost._rate import SCALE, Context, Counts, Rate, Schedule
from spanloom.cost._table import table

Status = Literal["priced", "free", "unknown_model", "unknown_usage", "unknown_price"]

# One resolved schedule for each distinct (provider, models, tier); names are unbounded, the cache is not.
CACHED_SCHEDULES = 4096
# More tokens than this in one call are a mistake in the count.
MAX_TOKENS = 10**12

_EPOCH = date(1970, 1, 1).toordinal()
_DAY_S = 86_400
# What providers write for the tier that everybody has.
_STANDARD_TIERS = frozenset({"", "auto", "default", "standard"})


@dataclass(frozen=True)
class Price:
    """The answer to "what does this call cost?".

    ``amount_usd``: US dollars, None where nobody can know (never 0 for that).
    ``status``: ``priced`` · ``free`` (the data says that it costs nothing; the amount is 0) · ``unknown_model`` (not in
    the table) · ``unknown_price`` (in the table, but without a price that holds for this call: billed by time of day,
    by the hour or page, by subscription, or in a service tier whose price is not listed) · ``unknown_usage`` (counts
    missing or impossible).
    ``rule``: the row and conditions that gave the price, ``openai/gpt-4.1-mini``; None where no row was found.
    ``source``: the data and its version.
    """

    amount_usd: float | None
    status: Status
    rule: str | None
    source: str


def price(
    model: str,
    *,
    provider: str | None = None,
    input_tokens: int | None,
    output_tokens: int | None,
    cache_read_tokens: int | None = 0,
    cache_write_tokens: int | None = 0,
    cache_write_1h_tokens: int | None = 0,
    reasoning_tokens: int | None = 0,
    input_audio_tokens: int | None = 0,
    cache_read_audio_tokens: int | None = 0,
    output_audio_tokens: int | None = 0,
    service_tier: str | None = None,
    at: datetime | None = None,
) -> Price:
    """The price of one call in US dollars, from the table that came with the package. No network, never an exception.

    Counts are those of OpenTelemetry: ``input_tokens`` includes cached and audio ones, ``output_tokens`` includes
    reasoning and audio, ``cache_write_tokens`` includes those kept for an hour (``cache_write_1h_tokens``).
    ``input_tokens`` or ``output_tokens`` of None (not reported) give ``unknown_usage``, unless the model has no price
    for them (embeddings have no output); None elsewhere means that the provider reports no such part. What no count
    stands for (web searches, pictures) is not in the amount; where the data charges each request, that is.

    ``provider``: OpenTelemetry's provider name or the table's id; without one, ``model`` may be ``provider/model``.
    ``service_tier``: as the provider reports it (``flex``, ``priority``, ``batch`` …). ``at``: when the call was made
    (naive: UTC; default: now), because prices change.
    """
    schedule = schedule_of(provider, model, None, service_tier)
    counts = counts_of(
        input_tokens,
        output_tokens,
        cache_read_tokens,
        cache_write_tokens,
        reasoning_tokens,
        (cache_write_1h_tokens, input_audio_tokens, cache_read_audio_tokens, output_audio_tokens),
    )
    status, amount, rate = judge(schedule, counts, input_tokens, output_tokens, at)
    rule = rate.rule if rate else schedule.rule if schedule else None
    return Price(None if amount is None else amount / SCALE, status, rule, table().source)


def judge(
    schedule: Schedule | None, counts: Counts | None, input_tokens: object, output_tokens: object, at: datetime | None
) -> tuple[Status, int | None, Rate | None]:
    """(status, amount in 10⁻²⁴ USD, rate). ``counts`` is None for impossible ones, ``at`` for now."""
    if schedule is None:
        return "unknown_model", None, None
    # Most models have one price for all time; only the others need to know the day.
    rate = schedule.rates[0] if len(schedule.rates) == 1 else schedule.on(today() if at is None else day_of(at))
    if counts is None:
        return "unknown_usage", None, rate
    if rate is None:
        return "unknown_price", None, None
    if rate.free:
        return "free", 0, rate
    if (input_tokens is None and rate.prices_input) or (output_tokens is None and rate.prices_output):
        return "unknown_usage", None, rate
    if (counts[0] and not rate.prices_input) or (counts[1] and not rate.prices_output):
        return "unknown_price", None, rate
    return "priced", rate.amount(counts), rate


def counts_of(
    input_tokens: int | None,
    output_tokens: int | None,
    cache_read: int | None,
    cache_write: int | None,
    reasoning: int | None,
    rest: tuple[int | None, int | None, int | None, int | None] | None = None,
) -> Counts | None:
    """Counts in the order of ``COUNTED``; None where one is no count, or a part is larger than its whole."""
    counts = (input_tokens or 0, output_tokens or 0, cache_read or 0, cache_write or 0, reasoning or 0)
    for count in counts:
        if type(count) is not int or not 0 <= count <= MAX_TOKENS:
            return None
    if counts[2] + counts[3] > counts[0] or counts[4] > counts[1]:
        return None
    if rest is None or not any(rest):
        return counts
    return _with_rest(counts, tuple(count or 0 for count in rest))


def _with_rest(counts: Counts, rest: Counts) -> Counts | None:
    for count in rest:
        if type(count) is not int or not 0 <= count <= MAX_TOKENS:
            return None
    hour_write, audio, cached_audio, output_audio = rest
    inside = (
        hour_write <= counts[3]
        and cached_audio <= min(audio, counts[2])
        and counts[2] + counts[3] + audio - cached_audio <= counts[0]
        and output_audio <= counts[1]
    )
    return counts + rest if inside else None


@lru_cache(maxsize=CACHED_SCHEDULES)
def schedule_of(
    provider: str | None, model: str | None, other_model: str | None, service_tier: str | None
) -> Schedule | None:
    """The prices of the first of both models that the table knows; None where it knows neither."""
    matcher, context = _finding()
    found = matcher.find(provider, model) or matcher.find(provider, other_model)
    if found is None:
        return None
    name = f"{found.provider}/{found.model.id}"
    return context.schedule(name, found.model, circumstances(service_tier), own=found.own)


def circumstances(service_tier: str | None) -> Mapping[str, str]:
    """The source's name for a service tier; nothing for the standard one."""
    tier = (service_tier or "").strip().lower()
    if tier in _STANDARD_TIERS:
        return {}
    return {"processing": "batch"} if tier == "batch" else {"service_tier": tier}


@lru_cache(maxsize=1)
def _finding() -> tuple[Matcher, Context]:
    prices = table()
    return Matcher(prices), Context(prices.dimensions)


def today() -> int:
    """The current UTC day as a proleptic ordinal."""
    return _EPOCH + int(time.time()) // _DAY_S


def day_of(moment: datetime) -> int:
    """The UTC day of a moment; a naive one is UTC."""
    if moment.tzinfo is not None:
        moment = moment.astimezone(timezone.utc)
    return moment.toordinal()
