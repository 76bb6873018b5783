"""What a call costs: ``price(model, …)``."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple, TypedDict, cast

from spanloom.cost._rate import Rate, Schedule, Status
from spanloom.cost._resolve import schedule_of
from spanloom.cost._table import table
from spanloom.cost._usage import NAMES, USUAL, Counts, counts_of
from spanloom.cost._when import unix_s

if TYPE_CHECKING:
    from typing_extensions import Unpack

_NAMES = frozenset(NAMES)


class MoreCounts(TypedDict, total=False):
    """Counts that few calls have. ``None`` (or nothing) means that the provider reports no such part."""

    cache_write_1h_tokens: int | None
    input_audio_tokens: int | None
    cache_read_audio_tokens: int | None
    output_audio_tokens: int | None
    input_image_tokens: int | None
    cache_read_image_tokens: int | None
    output_image_tokens: int | None
    input_video_tokens: int | None
    output_video_tokens: int | None
    citation_tokens: int | None
    audio_seconds: float | None
    input_audio_seconds: float | None
    input_characters: int | None
    input_text_messages: int | None
    document_pages: int | None
    annotated_document_pages: int | None
    web_searches: int | None
    storage_searches: int | None


class Price(NamedTuple):
    """The answer to "what does this call cost?".

    ``amount_usd``: US dollars, None where nobody can know (never 0 for that).
    ``status``: ``priced`` · ``free`` (the data says that it costs nothing; the amount is 0) · ``unknown_model`` (not in
    the table) · ``unknown_deployment`` (a server of one's own, or a name that its owner chose) · ``unknown_price`` (in
    the table, but without a price that holds for this call: by subscription, in a service tier whose price is not
    listed, with a web search whose price is not) · ``unknown_usage`` (counts missing or impossible).
    ``rule``: the row and conditions that gave the price, ``openai/gpt-4.1-mini``; None where no row was found.
    ``source``: the data with its version and day.
    """

    amount_usd: float | None
    status: Status
    rule: str | None
    source: str


# What Price(...) does, without the function around it.
_NEW: Callable[[type[Price], tuple[Any, ...]], Price] = cast("Any", tuple).__new__


def price(
    model: str,
    *,
    provider: str | None = None,
    input_tokens: int | None,
    output_tokens: int | None,
    cache_read_tokens: int | None = 0,
    cache_write_tokens: int | None = 0,
    reasoning_tokens: int | None = 0,
    service_tier: str | None = None,
    server_address: str | None = None,
    conditions: Mapping[str, str] | None = None,
    at: datetime | None = None,
    **more: Unpack[MoreCounts],
) -> Price:
    """The price of one call in US dollars, from the table that came with the package. No network, never an exception.

    Counts are those of OpenTelemetry: ``input_tokens`` includes cached, audio, image and video ones, ``output_tokens``
    includes reasoning, audio, image, video and citations, ``cache_write_tokens`` includes those kept for an hour
    (``cache_write_1h_tokens``), ``audio_seconds`` those of the input, ``document_pages`` annotated ones.
    ``input_tokens`` or ``output_tokens`` of None (not reported) give ``unknown_usage``, unless the model has no price
    for them (embeddings have no output, transcriptions are billed by ``audio_seconds``); None elsewhere means that the
    provider reports no such part (``MoreCounts``). What no count stands for (a search nobody counted) is not in the
    amount; where the data charges each request, that is.

    ``provider``: OpenTelemetry's provider name or the table's id; without one, ``model`` may be ``provider/model``.
    ``service_tier``: as the provider reports it (``flex``, ``priority``, ``batch``, ``fast`` …). ``server_address``:
    the host that was called; one that is known says who bills. ``conditions``: other circumstances as the data names
    them (``{"search_type": "fast"}``). ``at``: when the call was made (naive: UTC; default: now); prices change.
    """
    if more and not _NAMES.issuperset(more):
        raise TypeError(f"price() has no count {min(more.keys() - _NAMES)!r}; there are {', '.join(NAMES)}")
    others = tuple(sorted(conditions.items())) if conditions else ()
    found = schedule_of(provider, model, None, service_tier, server_address, others)
    counts = counts_of(input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, reasoning_tokens, more)
    status, usd, rate = judge(found, counts, input_tokens, output_tokens, at)
    if rate is None:
        listed = found.rule if found and found.otherwise == "unknown_price" else None
        return Price(None, status, listed, table().source)
    return _NEW(Price, (usd, status, rate.rule, rate.source))


def judge(
    found: Schedule | None, counts: Counts | None, input_tokens: object, output_tokens: object, at: datetime | None
) -> tuple[Status, float | None, Rate | None]:
    """(status, USD, rate). ``counts`` is None for impossible ones, ``at`` for now."""
    if found is None:
        return "unknown_model", None, None
    # Most models have one price for all time; only the others need to know the moment.
    rate = found.always or found.at(time.time() if at is None else unix_s(at))
    if rate is None:
        return status_without_rate(found, counts), None, None
    if counts is None:
        return "unknown_usage", None, rate
    if rate.plain is not None and len(counts) == USUAL and input_tokens is not None and output_tokens is not None:
        return "priced", rate.usd(counts), rate
    if rate.free:
        return "free", 0.0, rate
    if (input_tokens is None and rate.prices_input) or (output_tokens is None and rate.prices_output):
        return "unknown_usage", None, rate
    if len(counts) > USUAL or not (rate.prices_input and rate.prices_output):
        missing = rate.lacks(counts)
        if missing is not None:
            return missing, None, rate
    return "priced", rate.usd(counts), rate


def status_without_rate(found: Schedule | None, counts: Counts | None) -> Status:
    """Why a call has no amount where it has no rate, or (``counts`` is None) no usage."""
    if found is None:
        return "unknown_model"
    if counts is None and (found.phases or found.otherwise == "unknown_price"):
        return "unknown_usage"
    return found.otherwise
