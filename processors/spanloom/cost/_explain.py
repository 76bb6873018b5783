"""Why a name has the price it has, or none: ``explain(model, …)``, in words for people."""

from __future__ import annotations

import difflib
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from spanloom.cost._active import active
from spanloom.cost._deployment import bare_host, is_own_name, is_self_hosted
from spanloom.cost._match import MAX_NAME, Index
from spanloom.cost._overrides import Override
from spanloom.cost._rate import SCALE, Rate, Schedule
from spanloom.cost._resolve import finding, schedule_of
from spanloom.cost._ruled import call_of
from spanloom.cost._table import table
from spanloom.cost._usage import COUNTED, REQUESTS, TICKS
from spanloom.cost._when import unix_s

_NEAR = 3
_PER = {1_000_000: "per million", 1_000: "per thousand", 3_600: "per hour"}


@dataclass(frozen=True)
class Explanation:
    """``rule``: the row and conditions that hold, None where there is none. ``lines``: what was looked at and why, and
    the prices (USD) with the times when they hold; text for people, which may change."""

    rule: str | None
    lines: tuple[str, ...]


def explain(
    model: str,
    *,
    provider: str | None = None,
    service_tier: str | None = None,
    server_address: str | None = None,
    conditions: Mapping[str, str] | None = None,
    at: datetime | None = None,
) -> Explanation:
    """Why ``price()`` of the same arguments finds what it finds. No network, never an exception."""
    others = tuple(sorted(conditions.items())) if conditions else ()
    found = schedule_of(provider, model, None, service_tier, server_address, others)
    moment = int(time.time()) if at is None else unix_s(at)
    rate = found and found.at(moment)
    host = bare_host(server_address or "")
    lines = [
        *_rules(provider, model, host, service_tier, moment),
        *_who(provider, model, host),
        *_result(found, rate),
    ]
    return Explanation(rate.rule if rate else None, tuple(lines))


def _rules(provider: str | None, model: str, host: str, service_tier: str | None, moment: int) -> Iterator[str]:
    """The prices of one's own, up to the first that fits always."""
    call = call_of(provider, (model,), host, service_tier)
    for rule in active.rules:
        if not rule.fits(call):
            yield f"own price {rule.name} ({rule.where}) is not for it: {_misfit(rule, call.values())}"
        elif not rule.when.holds(moment):
            yield f"own price {rule.name} ({rule.where}) does not hold then, but {rule.when.words()}"
        else:
            yield f"own price {rule.name} ({rule.where}) is for it"
            return


def _misfit(rule: Override, values: Mapping[str, tuple[str, ...]]) -> str:
    name = next(name for name, pattern in rule.match.items() if not any(map(pattern.search, values[name])))
    return f"its {name} does not fit {values[name][0] if values[name] else ''!r}"


def _who(provider: str | None, model: str, host: str) -> Iterator[str]:
    """Whose list is searched, under which names, and with what result."""
    matcher, _ = finding()
    name = model.strip().lower()
    if is_self_hosted(host):
        yield f"the host {host} is a server of one's own: no cloud's price is taken for it"
        return
    if is_own_name(name):
        yield "the name is one that its owner gave it, and says nothing of the model"
        return
    if len(name) > MAX_NAME:
        yield f"the name is longer than any of a model ({MAX_NAME} characters)"
        return
    index = matcher.asked(provider, host)
    if index is not None:
        why = f"the host {host}" if host and index.is_at(host) else f"provider {provider!r}"
        yield f"{why} means the table's provider {index.row.id}"
    elif provider or host:
        yield f"the table has no provider for {provider or host!r}"
        return
    else:
        index = matcher.head(name) or matcher.owner(name)
        yield f"no provider is given; the name is one of {index.row.id}" if index else "no provider has such names"
    if index is not None:
        yield from _row(index, provider, name, host)


def _row(index: Index, provider: str | None, name: str, host: str) -> Iterator[str]:
    matcher, _ = finding()
    tried = list(matcher.spellings(index, name))
    yield f"names that were tried: {', '.join(tried) or 'none'}"
    found = matcher.find(provider, name, host)
    if found is not None:
        by = "" if found.own else f", which resells it (by the list of {', '.join(index.row.fallback)})"
        yield f"the first row that matches is {found.model.id} of {found.provider}{by}"
        return
    near = difflib.get_close_matches(name.rpartition("/")[2], index.names(), n=_NEAR, cutoff=0.6)
    yield f"no row of {index.row.id} matches{'; near are ' + ', '.join(near) if near else ''}"


def _result(found: Schedule | None, rate: Rate | None) -> Iterator[str]:
    """The prices that hold, and when others do."""
    if found is None or not found.phases:
        return
    if rate is None:
        yield f"{found.rule} has no price for this moment and these conditions"
    else:
        yield f"{rate.rule} holds; USD: {', '.join(rate_words(rate))}"
    others = [one.rate.rule for one in found.phases if one.rate is not None and one.rate is not rate]
    if others:
        yield f"at other times: {'; '.join(others)}"


def rate_words(rate: Rate) -> Iterator[str]:
    """Each price of a rate: ``input 2.5 per million``; with its steps by input tokens."""
    if rate.free:
        yield "free"
    for edge, band in rate.bands:
        above = f" above {edge:,} input tokens" if edge else ""
        for unit, usd in _whole_prices(rate, band):
            per = table().per[unit]
            yield f"{unit} {usd * per:.10g} {_PER.get(per, f'per {per:,}')}{above}"
    if rate.per_call:
        yield f"{rate.per_call / SCALE:.10g} per request"


def _whole_prices(rate: Rate, band: tuple[int, ...]) -> Iterator[tuple[str, float]]:
    """A part's coefficient is what it costs beyond the wholes that it lies in; here both are added again."""
    _, context = finding()
    coefficients: dict[str, int] = dict(zip(COUNTED, band, strict=True))
    for unit in COUNTED:
        if unit not in rate.units:
            continue
        around = [whole for whole in rate.units - {REQUESTS} if context.dimensions[whole] <= context.dimensions[unit]]
        total = sum(coefficients[whole] for whole in around)
        yield unit, total / SCALE * (TICKS if unit.endswith("_hours") else 1)
