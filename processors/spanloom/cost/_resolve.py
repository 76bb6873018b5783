"""From what telemetry says of a call to its prices, through bounded caches."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

from spanloom.cost._active import active
from spanloom.cost._deployment import bare_host, is_apart, is_own_name, is_self_hosted, is_self_hosted_provider
from spanloom.cost._match import MAX_NAME, Match, Matcher, plain_provider
from spanloom.cost._rate import Circumstances, Context, Phase, Schedule, schedule
from spanloom.cost._table import table

# One resolved schedule for each distinct (provider, models, tier, host); names are unbounded, the cache is not.
CACHED_SCHEDULES: Final = 4096

# What providers write for the tier that everybody has.
_STANDARD_TIERS: Final = frozenset({"", "auto", "default", "standard"})
# Other ways of writing what the source has as a circumstance of its own.
_TIERS: Final = {
    "batch": frozenset({("processing", "batch")}),
    "fast": frozenset({("service_tier", "fast"), ("speed", "fast")}),
}
# Whoever deploys a model there names it.
_AZURE: Final = "azure"
_TOO_LONG: Final = "?"
_NOBODY_KNOWS: Final = "unknown_deployment"
Conditions = tuple[tuple[str, str], ...]


def schedule_of(
    provider: str | None,
    model: str | None,
    other_model: str | None,
    service_tier: str | None,
    server_address: str | None = None,
    conditions: Conditions = (),
) -> Schedule | None:
    """The prices of the first of both models that the table knows; None where it knows neither.

    ``server_address``: where the model was called. A server of one's own has no price of a cloud.
    """
    if active.next_look_s <= time.monotonic():
        active.look()
    try:
        return schedules(active.generation, provider, model, other_model, service_tier, server_address, conditions)
    except _TooLongError:
        names = (provider, model, other_model, service_tier, server_address)
        return schedules(active.generation, *(_no_longer(name) for name in names), conditions)


def _no_longer(name: str | None) -> str | None:
    """A name that may stay in the cache; nobody is called what stands for one that is too long."""
    return _TOO_LONG if name is not None and len(name) > MAX_NAME else name


class _TooLongError(Exception):
    """What is too long to be a name must not stay in the cache."""


@lru_cache(maxsize=CACHED_SCHEDULES)
def schedules(
    _generation: int,
    provider: str | None,
    model: str | None,
    other_model: str | None,
    service_tier: str | None,
    server_address: str | None,
    conditions: Conditions,
) -> Schedule | None:
    """As ``schedule_of``, and kept for this generation of rules; an exception is not kept."""
    names = (provider, model, other_model, service_tier, server_address)
    if any(name is not None and len(name) > MAX_NAME for name in names):
        raise _TooLongError
    host = bare_host(server_address or "")
    circumstances = circumstances_of(service_tier, conditions)
    models = (model, other_model)
    found = listed(provider, models, host, circumstances)
    if not active.rules:
        return found
    from spanloom.cost._ruled import with_rules  # nobody needs it who has no prices of their own

    return with_rules(active.rules, provider, models, host, service_tier, circumstances, found)


def listed(
    provider: str | None, models: tuple[str | None, ...], host: str, circumstances: Circumstances
) -> Schedule | None:
    """What the table says. A schedule without any rate where nobody can know what is behind the name."""
    who = plain_provider(provider)
    if is_self_hosted(host) or any(is_self_hosted_provider(one) for one in (who, *_heads(who, models))):
        return schedule("", (), _NOBODY_KNOWS)
    if is_apart(host):
        return schedule("", ())
    matcher, _ = finding()
    for model in models:
        found = None if is_own_name((model or "").strip().lower()) else matcher.find(provider, model, host)
        if found is not None:
            return of_match(found, circumstances)
    return schedule("", (), _NOBODY_KNOWS) if _is_deployment(provider, models, host) else None


def _heads(who: str, models: tuple[str | None, ...]) -> Iterator[str]:
    """Whose models are called, where only their names tell: ``ollama/llama3.2``."""
    if not who:
        yield from ((model or "").strip().lower().partition("/")[0] for model in models)


def _is_deployment(provider: str | None, models: tuple[str | None, ...], host: str) -> bool:
    """Whether the name is one that its owner chose: Azure's, an account's own, or any at a host that nobody knows."""
    names = [name.strip().lower() for name in models if name and name.strip()]
    if any(map(is_own_name, names)):
        return True
    matcher, _ = finding()
    index = matcher.asked(provider, host)
    if index is not None or plain_provider(provider):
        return bool(names) and index is not None and index.row.id == _AZURE
    if host:
        return bool(names)
    heads = [matcher.head(name) for name in names]
    return any(head is not None and head.row.id == _AZURE for head in heads)


def of_match(found: Match, circumstances: Circumstances) -> Schedule:
    """The prices of a row of the table, with the surcharge of its region."""
    _, context = finding()
    name = f"{found.provider}/{found.model.id}"
    whole = context.schedule(name, found.model, circumstances, own=found.own)
    factor = found.factor
    if factor is None:
        return whole
    phases = [
        Phase(one.when, one.rate and one.rate.times(factor, f"{one.rate.rule} {found.reason}", one.rate.source))
        for one in whole.phases
    ]
    return schedule(f"{whole.rule} {found.reason}", phases)


def circumstances_of(service_tier: str | None, conditions: Conditions = ()) -> Circumstances:
    """What else the price depends on, as the source names it; nothing for the standard tier."""
    return tuple(_circumstances(service_tier, conditions))


def _circumstances(service_tier: str | None, conditions: Conditions) -> Iterator[frozenset[tuple[str, str]]]:
    tier = tier_of(service_tier)
    if tier:
        yield _TIERS.get(tier, frozenset({("service_tier", tier)}))
    for pair in conditions:
        yield frozenset({pair})


def tier_of(service_tier: str | None) -> str:
    """A tier in lower case; empty for the one that everybody has."""
    tier = (service_tier or "").strip().lower()
    return "" if tier in _STANDARD_TIERS else tier


@lru_cache(maxsize=1)
def finding() -> tuple[Matcher, Context]:
    """The package's table, ready to be searched."""
    prices = table()
    return Matcher(prices), Context(prices)
