"""The short ways that nearly all calls take give what the long ones do, to the last bit."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from spanloom.cost._judged import judged
from spanloom.cost._meters import exact_sum, whole
from spanloom.cost._price import judge
from spanloom.cost._rate import SCALE, Rate
from spanloom.cost._resolve import finding, schedule_of
from spanloom.cost._table import Model, table
from spanloom.cost._usage import counts_of
from spanloom.cost._when import unix_s
from tests.cost._support import Usage

CONTEXT = finding()[1]
COUNTS = (12_345, 678, 9_876, 321, 77)


def rates() -> Iterator[Rate]:
    """The standard rates of the table that need no more than the usual counts."""
    for provider in table().providers:
        for index in range(len(provider.rows)):
            for phase in CONTEXT.schedule("x/y", provider.model(index), (), own=True).phases:
                if phase.rate is not None and phase.rate.plain is not None:
                    yield phase.rate


def test_amounts_in_small_numbers_are_the_same() -> None:
    """For every rate of the table, and with a discount and a fee on top of it."""
    found = list(rates())
    assert len(found) > 1000
    for rate in found:
        dearer = rate.times(Decimal("0.85"), "ours", "here").with_fee(10**21)
        assert dearer.plain is not None
        assert dearer.amount(COUNTS) == rate.times(Decimal("0.85"), "", "").amount(COUNTS) + 10**21
        for one in (rate, dearer):
            assert one.usd(COUNTS) == one.amount(COUNTS) / SCALE


@pytest.mark.parametrize("tier", [None, "priority"], ids=["one rate for ever", "a rate since a day"])
def test_a_usual_call_is_judged_as_any_other(tier: str | None) -> None:
    """Status, amount and rate are those of the long way."""
    found = judged("openai", "gpt-4o-mini", None, tier, Usage(*COUNTS))
    schedule = schedule_of("openai", "gpt-4o-mini", None, tier)
    assert (found.status, found.usd, found.rate) == judge(schedule, counts_of(*COUNTS), 12_345, 678, None)
    assert (found.status, found.usd, found.source) == ("priced", found.own_usd, "local")


def test_sums_by_fsum_are_exact() -> None:
    """Whatever the order and the size of the amounts, down to the smallest float there is."""
    chance = random.Random(7)
    amounts = [chance.random() * 10.0 ** chance.randrange(-30, 6) for _ in range(2000)]
    amounts += [5e-324, 0.1, 1e6, 0.0, -0.1]
    assert exact_sum(amounts) == sum(map(whole, amounts))
    assert exact_sum([]) == exact_sum([0.0]) == 0


def test_a_minute_is_looked_up_once() -> None:
    """The first second of a new price is not that of the minute before; moments before 1970 have prices as well."""
    rows = [{"prices": {"input": "1", "output": "1"}}, {"from": "2026-06-01", "prices": {"input": "2", "output": "2"}}]
    schedule = CONTEXT.schedule("x/y", Model("y", "y", rows), (), own=True)
    first = unix_s(datetime(2026, 6, 1))
    moments = (first - 0.001, first, first + 59.9, first + 60, first - 60, -1, -0.5, 0)
    found = [rate.rule.partition(" ")[2] for moment in moments if (rate := schedule.at(moment))]
    assert found == ["", "from 2026-06-01", "from 2026-06-01", "from 2026-06-01", "", "", "", ""]
    assert schedule.at(unix_s(datetime(1970, 1, 1) - timedelta(seconds=30))) is not None
