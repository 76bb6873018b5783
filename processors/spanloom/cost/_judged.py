"""The verdict on one call: what it costs and why, and the rows that say so on its span."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

from spanloom import semconv
from spanloom.cost._parts import parts_of
from spanloom.cost._price import judge, status_without_rate
from spanloom.cost._rate import usd_of
from spanloom.cost._resolve import schedule_of
from spanloom.cost._usage import MODES, Counts, counts_of
from spanloom.cost._version import price_version
from spanloom.semconv import CostCopy, OtherProvider, Spanloom

if TYPE_CHECKING:
    from spanloom.cost._rate import Rate, Schedule
    from spanloom.genai.hooks import UsageView

CURRENCY: Final = "USD"
LOCAL, PROVIDER = "local", "provider"
# Units of which telemetry has no counts.
_UNTOLD: Final = frozenset({"output_video", "audio_hours", "input_audio_hours"})
_INFINITE: Final = float("inf")
_COPIES: Final = {"logfire": CostCopy.LOGFIRE, "openinference": CostCopy.OPENINFERENCE}


class Verdict(NamedTuple):
    """``usd``: the cost, where anybody knows it. ``own_usd``: by the table, with what it is made of."""

    status: str
    usd: float | None
    own_usd: float | None
    source: str = LOCAL
    rate: Rate | None = None
    counts: Counts | None = None


# Without the function around it.
_NEW: Final[Callable[[type[Verdict], tuple[Any, ...]], Verdict]] = cast("Any", tuple).__new__


def judged(
    provider: str | None,
    model: str | None,
    other_model: str | None,
    tier: str | None,
    usage: UsageView | None,
    server_address: str | None = None,
    reported_usd: float | None = None,
) -> Verdict:
    """The verdict on a call. ``other_model`` is asked where ``model`` is not known; the host says who bills.

    What the provider reports wins. A reported 0 is believed of OpenRouter only: others write it for a model that they
    have no price for.
    """
    own = _by_table(schedule_of(provider, model, other_model, tier, server_address), usage)
    if reported_usd is None or not 0 <= reported_usd < _INFINITE:
        return own
    if reported_usd == 0 and provider != OtherProvider.OPENROUTER:
        return own
    return Verdict("provider", reported_usd, own.usd, PROVIDER)


def _by_table(schedule: Schedule | None, usage: UsageView | None) -> Verdict:
    if usage is None:
        return Verdict(status_without_rate(schedule, None), None, None)
    tokens_in, tokens_out = usage.input_tokens, usage.output_tokens
    cached, written = usage.cache_read_input_tokens, usage.cache_write_input_tokens
    counts = counts_of(tokens_in, tokens_out, cached, written, usage.reasoning_output_tokens)
    # Searches, and sound or pictures that are counted: few calls have them.
    more = (
        usage.web_searches
        or usage.storage_searches
        or usage.audio_input_tokens
        or usage.audio_output_tokens
        or usage.image_output_tokens
    )
    rate = None if schedule is None or more else schedule.always or schedule.at(time.time())
    # Nearly all calls: nothing else is asked of them.
    if rate is not None and counts is not None and tokens_in and tokens_out is not None:
        usual = rate.usual
        if usual is not None:
            usd = usd_of(usual, counts)
            return _NEW(Verdict, ("priced", usd, usd, LOCAL, rate, counts))
    return _with_more(schedule, usage, counts)


def _with_more(schedule: Schedule | None, usage: UsageView, counts: Counts | None) -> Verdict:
    """The verdict where sound, pictures or searches may have a price of their own."""
    tokens_in, tokens_out = usage.input_tokens, usage.output_tokens
    status, usd, rate = judge(schedule, counts, tokens_in, tokens_out, None)
    by_mode: dict[str, int] | None = {}
    if rate is not None and counts is not None and not rate.units.isdisjoint(MODES):
        by_mode = _by_mode(rate, usage)
    elif rate is not None and rate.beyond_text:
        by_mode = None
    if by_mode is None and usd is not None:
        return Verdict("unknown_usage", None, None)
    if rate is not None and not rate.free and usd is not None and _lacks_a_mode(rate, usage):
        return Verdict("unknown_price", None, None)
    rest = {**(by_mode or {}), **_searches(usage)}
    if rest and counts is not None:
        cached, written = usage.cache_read_input_tokens, usage.cache_write_input_tokens
        counts = counts_of(tokens_in, tokens_out, cached, written, usage.reasoning_output_tokens, rest)
        status, usd, rate = judge(schedule, counts, tokens_in, tokens_out, None)
    if usd is None:
        return Verdict(status, None, None)
    if usd == 0 and status == "priced":
        # No call takes nothing and makes nothing: some servers write 0 for what they do not count.
        return Verdict("unknown_usage", None, None)
    return Verdict(status, usd, usd, LOCAL, rate, counts)


def _lacks_a_mode(rate: Rate, usage: UsageView) -> bool:
    """Sound, or pictures that were made, are counted, and the rate's only price is that of text: mostly too low."""
    counted = (
        ("input_audio", usage.audio_input_tokens),
        ("output_audio", usage.audio_output_tokens),
        ("output_image", usage.image_output_tokens),
    )
    return any(count and unit not in rate.units for unit, count in counted)


def _searches(usage: UsageView) -> dict[str, int]:
    told = {"web_searches": usage.web_searches, "storage_searches": usage.storage_searches}
    return {name: count for name, count in told.items() if count}


def _by_mode(rate: Rate, usage: UsageView) -> dict[str, int] | None:
    """The counts of sound and pictures that have a price of their own; ``None`` where more of them would be needed."""
    if not rate.units.isdisjoint(_UNTOLD):
        return None
    told = {
        "input_audio": usage.audio_input_tokens,
        "input_image": usage.image_input_tokens,
        "output_audio": usage.audio_output_tokens,
        "output_image": usage.image_output_tokens,
    }
    found: dict[str, int] = {}
    for unit, count in told.items():
        if unit not in rate.units:
            continue
        if count is not None:
            found[f"{unit}_tokens"] = count
        elif unit.startswith("output"):
            return None
    # Nobody says how much of what was cached is sound.
    mixed = usage.cache_read_input_tokens and (found.get("input_audio_tokens") or found.get("input_image_tokens"))
    return None if mixed else found


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
