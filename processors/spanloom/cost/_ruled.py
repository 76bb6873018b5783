"""The rules of one's own before the table; loaded where there are any."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from spanloom.cost._overrides import Call, Override, combined
from spanloom.cost._rate import Circumstances, Schedule
from spanloom.cost._resolve import finding, listed, of_match, tier_of
from spanloom.cost._table import table
from spanloom.cost._when import ALWAYS, When


def with_rules(
    rules: Sequence[Override],
    provider: str | None,
    models: tuple[str | None, ...],
    host: str,
    service_tier: str | None,
    circumstances: Circumstances,
    found: Schedule | None,
) -> Schedule | None:
    """The prices of a call by the rules that fit, else by the table (``found``)."""
    call = call_of(provider, models, host, service_tier)
    return combined(list(ruled(rules, call, circumstances, found)), found)


def call_of(provider: str | None, models: tuple[str | None, ...], host: str, service_tier: str | None) -> Call:
    """What rules may ask of a call."""
    names = tuple(name.strip().lower() for name in models if name)
    return Call((provider or "").strip().lower(), names, host, tier_of(service_tier) or "standard")


def ruled(
    rules: Sequence[Override], call: Call, circumstances: Circumstances, found: Schedule | None
) -> Iterator[tuple[When, Schedule]]:
    """What the rules that fit say, each with when it holds; none after one that always does."""
    for rule in rules:
        part = of_rule(rule, call, circumstances, found) if rule.fits(call) else None
        if part is not None:
            yield rule.when, part
            if rule.when == ALWAYS:
                return


def of_rule(rule: Override, call: Call, circumstances: Circumstances, found: Schedule | None) -> Schedule | None:
    """A rule's prices for a call; None where it only changes a price, and there is none."""
    matcher, context = finding()
    if rule.stands_alone:
        return rule.own(context)
    base = found
    if rule.alias is not None:
        match = matcher.find(None, rule.alias)
        base = of_match(match, circumstances) if match else None
    elif rule.billed_by is not None:
        base = listed(rule.billed_by, call.models, "", circumstances)
    # A model that is listed without a price for this tier has none by the rule either.
    return rule.applied(base, table().source) if base is not None and base.otherwise == "unknown_price" else None
