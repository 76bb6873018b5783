"""Prices of one's own: rules that are asked before the table, and what they make of its prices. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import NamedTuple

from spanloom.cost._match import PROVIDERS
from spanloom.cost._rate import SCALE, Context, Phase, Rate, Schedule, schedule
from spanloom.cost._table import PriceSet
from spanloom.cost._usage import REQUESTS
from spanloom.cost._when import ALWAYS, When


class Call(NamedTuple):
    """What a rule may ask of a call, all in lower case; ``host`` is bare, ``service_tier`` "standard" by default."""

    provider: str
    models: tuple[str, ...]
    host: str
    service_tier: str

    def values(self) -> Mapping[str, tuple[str, ...]]:
        """By the names of the file."""
        return {
            "provider": provider_names(self.provider),
            "model": self.models,
            "server_address": (self.host,),
            "service_tier": (self.service_tier,),
        }


@lru_cache(maxsize=256)
def provider_names(provider: str) -> tuple[str, ...]:
    """All names of a provider: the one that is written, the table's, and the others that mean the same."""
    known = PROVIDERS.get(provider, provider)
    return (provider, known, *(name for name, other in PROVIDERS.items() if other == known))


FIELDS = tuple(Call("", (), "", "").values())


@dataclass(frozen=True, eq=False)
class Override:
    """One rule. Exactly one of ``prices``, ``alias``, ``billed_by`` and ``free``, or none of them: the table's prices.

    ``where``: file and line. ``match``: by field of ``Call``, of which all must fit. ``alias``, ``billed_by``: a model
    (``provider/model``) and a provider of the table. ``factor``: what the prices are multiplied with.
    ``per_request_usd``: due for each call; all that is due where nothing else is said.
    """

    name: str
    where: str
    match: Mapping[str, re.Pattern[str]]
    when: When = ALWAYS
    prices: PriceSet | None = None
    alias: str | None = None
    billed_by: str | None = None
    free: bool = False
    factor: Decimal | None = None
    per_request_usd: Decimal | None = None

    def fits(self, call: Call) -> bool:
        """Whether the rule is for this call, whenever it is made."""
        values = call.values()
        return all(any(map(pattern.search, values[name])) for name, pattern in self.match.items())

    @property
    def stands_alone(self) -> bool:
        """Whether nothing of the table is needed."""
        only_fee = self.per_request_usd is not None and not (self.alias or self.billed_by or self.factor)
        return self.free or self.prices is not None or only_fee

    def own(self, context: Context) -> Schedule:
        """The prices of a rule that needs no others."""
        prices: PriceSet | str = "free" if self.free else self.prices or {REQUESTS: "0"}
        rate = context.rate(self.name, prices)
        return schedule(self.name, [Phase((), rate and self._with_fee(rate._replace(source=self.where)))])

    def applied(self, base: Schedule, source: str) -> Schedule:
        """The rule's discount and fee on other prices. ``source``: that of the table."""
        rule = f"{self.name}: {base.rule}"
        phases = [Phase(one.when, one.rate and self._changed(one.rate, source)) for one in base.phases]
        return schedule(rule, phases, base.otherwise)

    def _changed(self, rate: Rate, source: str) -> Rate:
        return self._with_fee(
            rate.times(self.factor or Decimal(1), f"{self.name}: {rate.rule}", f"{self.where} on {source}")
        )

    def _with_fee(self, rate: Rate) -> Rate:
        if self.per_request_usd is None:
            return rate
        return rate.with_fee(int(self.per_request_usd * SCALE))


def combined(parts: Sequence[tuple[When, Schedule]], listed: Schedule | None) -> Schedule | None:
    """Schedules of rules, each while its rule holds, before what the table says."""
    if not parts:
        return listed
    phases: list[Phase] = []
    for when, part in parts:
        while_rule: tuple[When, ...] = () if when == ALWAYS else (when,)
        phases += [Phase(while_rule + one.when, one.rate) for one in part.phases]
        # Where the rule holds and its prices do not, no later rule is asked.
        phases.append(Phase(while_rule, None))
    last_when, last = parts[-1]
    listed_status = listed.otherwise if listed else "unknown_model"
    otherwise = last.otherwise if last_when == ALWAYS else listed_status
    return schedule(parts[0][1].rule, [*phases, *(listed.phases if listed else ())], otherwise)
