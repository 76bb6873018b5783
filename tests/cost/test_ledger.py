"""The ledger: which calls are refused, what is counted, what is told once."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from spanloom.cost import Budget, BudgetExceeded, MemoryStore
from spanloom.cost import _ledger as ledger_module
from spanloom.cost._ledger import Ledger, described
from spanloom.genai import _guard
from spanloom.semconv import Spanloom
from spanloom.semconv import metrics as specs
from tests.cost._support import Call, Meter

NOON = 1_796_126_400  # 2026-12-01T12:00:00Z
MIDNIGHT = "2026-12-02T00:00:00+00:00"


class Bench(Meter):
    """A ledger with a clock of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = float(NOON)
        self.ledger = Ledger(self.provider, lambda: self.now_s)
        self.store = MemoryStore()

    def budget(self, name: str = "b", usd: float = 1.0, per: Any = "day", by: Sequence[str] = (), **more: Any) -> Any:
        return self.ledger.add(Budget(name, usd, per, by, **more), self.store)

    def spend(self, usd: float, **carried: str) -> Call:
        call = Call(carried={f"user.{name}": value for name, value in carried.items()})
        self.ledger.spend(described(call), usd, call.add_event)
        return call

    def ask(self, **carried: str) -> BudgetExceeded | None:
        return self.ledger.gate(Call(carried={f"user.{name}": value for name, value in carried.items()}))


@pytest.fixture
def bench() -> Iterator[Bench]:
    one = Bench()
    yield one
    one.provider.shutdown()


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, logger="spanloom")
    return caplog


def test_the_next_call_is_refused(bench):
    """Not the one that reaches the limit: that was sent. The exception has all that there is to know."""
    bench.budget("users", 1.0, by=["user"], action="raise")
    assert bench.ask(id="ada") is None
    bench.spend(0.6, id="ada")
    assert bench.ask(id="ada") is None
    bench.spend(0.6, id="ada")
    call = Call(carried={"user.id": "ada"})
    refusal = bench.ledger.gate(call)
    assert isinstance(refusal, BudgetExceeded)
    assert (refusal.budget, refusal.key, refusal.spent_usd, refusal.limit_usd) == ("users", {"user.id": "ada"}, 1.2, 1)
    assert refusal.resets_at.isoformat() == MIDNIGHT
    assert call.attributes == {
        Spanloom.BUDGET_NAME: "users",
        Spanloom.BUDGET_KEY: "ada",
        Spanloom.BUDGET_SPENT_USD: 1.2,
        Spanloom.BUDGET_LIMIT_USD: 1.0,
        Spanloom.BUDGET_RESETS_AT: MIDNIGHT,
    }
    assert bench.ask(id="bob") is None
    assert bench.values(specs.BUDGET_REFUSED.name) == {("users",): 1}


def test_a_new_window_lets_calls_through(bench):
    """To the second."""
    bench.budget(per="minute", action="raise")
    bench.spend(2.0)
    bench.now_s += 59.9
    assert bench.ask() is not None
    bench.now_s += 0.1
    assert bench.ask() is None


def test_a_budget_that_tells_refuses_nothing(bench):
    """However much was spent."""
    bench.budget()
    bench.spend(50.0)
    assert bench.ask() is None


@pytest.mark.parametrize("operation", [None, "execute_tool", "fetch_response", "retrieval"])
def test_what_costs_no_tokens_is_not_refused(bench, operation):
    """A stored response may still be fetched, and files be listed."""
    bench.budget(action="raise")
    bench.spend(2.0)
    assert bench.ledger.gate(Call(operation=operation)) is None
    assert bench.ledger.gate(Call(operation="embeddings")) is not None


def test_each_threshold_is_told_once_in_a_window(bench, told):
    """One log line, one count and one event of the call's span for each; again in the next window."""
    bench.budget("users", 1.0, by=["user"], thresholds=[0.5, 1.0], action="raise")
    calls = [bench.spend(0.2, id="ada") for _ in range(10)]
    assert [len(call.events) for call in calls] == [0, 0, 1, 0, 1, 0, 0, 0, 0, 0]
    name, attributes = calls[2].events[0]
    assert name == "spanloom.budget.threshold_reached"
    assert attributes == {
        Spanloom.BUDGET_NAME: "users",
        Spanloom.BUDGET_KEY: "ada",
        Spanloom.BUDGET_SPENT_USD: 0.6,
        Spanloom.BUDGET_LIMIT_USD: 1.0,
        Spanloom.BUDGET_RESETS_AT: MIDNIGHT,
        Spanloom.BUDGET_THRESHOLD: 0.5,
    }
    assert [one.getMessage() for one in told.records] == [
        f"spanloom: budget 'users' of ada: 50 % of 1 USD are spent, until {MIDNIGHT}",
        f"spanloom: budget 'users' of ada: 100 % of 1 USD are spent, until {MIDNIGHT}; calls are refused",
    ]
    bench.now_s += 86_400
    bench.spend(0.7, id="ada")
    assert bench.values(specs.BUDGET_THRESHOLDS.name) == {("users", 0.5): 2, ("users", 1.0): 1}


def test_one_call_may_reach_several_thresholds(bench, told):
    """A dear one; a foreign span has ended, and gets no event."""
    bench.budget()
    bench.ledger.spend({}, 3.0)
    assert [one.getMessage().partition(":")[2] for one in told.records] == [
        f" budget 'b': {share} % of 1 USD are spent, until {MIDNIGHT}" for share in (50, 80, 100)
    ]


def test_the_log_is_bounded(bench, told, monkeypatch):
    """Ten thousand users at their limit are in the metric, and not in the log; the next window tells again."""
    monkeypatch.setattr(ledger_module, "MAX_LINES", 3)
    bench.budget(by=["user"], thresholds=[1.0])
    for number in range(10):
        bench.spend(1.0, id=str(number))
    assert len(told.records) == 3
    assert bench.values(specs.BUDGET_THRESHOLDS.name) == {("b", 1.0): 10}
    bench.now_s += 86_400
    bench.spend(1.0, id="0")
    assert len(told.records) == 4


def test_sums_are_exact(bench):
    """A thousand calls of a tenth of a cent reach a dollar, and not 0.9999999: integers inside."""
    bench.budget(action="raise")
    for _ in range(999):
        bench.spend(0.001)
    assert bench.ask() is None
    bench.spend(0.001)
    assert bench.ask() is not None
    assert bench.values(specs.BUDGET_SPENT.name) == {("b",): 1.0}


def test_a_call_counts_against_every_budget_it_falls_under(bench):
    """The first that is spent refuses."""
    bench.budget("all", 10.0, action="raise")
    bench.budget("users", 1.0, by=["user"], action="raise")
    bench.budget("dear", 1.0, match={"model": ["gpt-5*"]}, action="raise")
    bench.spend(1.0, id="ada")
    assert bench.values(specs.BUDGET_SPENT.name) == {("all",): 1.0, ("ada", "users"): 1.0}
    refused = bench.ask(id="ada")
    assert refused is not None and refused.budget == "users"
    assert bench.values(specs.BUDGET_LIMIT.name) == {("all",): 10.0, ("users",): 1.0, ("dear",): 1.0}


def test_a_call_without_the_key_is_not_counted_and_said_once(bench, told):
    """Nobody's calls are no user's; the log says how to limit them. What does not match is no such call."""
    bench.budget("users", 1.0, by=["user", "tenant"], match={"user": ["*"]}, action="raise")
    bench.spend(5.0)
    assert told.records == []
    for _ in range(2):
        bench.spend(5.0, id="ada")
    assert bench.ask(id="ada") is None
    assert [one.getMessage() for one in told.records] == [
        "spanloom: budget 'users': a call without spanloom.tenant is not counted; a budget without `by` beside it "
        "counts all"
    ]


def test_unpriced_calls_are_counted_and_spend_nothing(bench):
    """Nobody knows what they cost; the metric tells that the sum is too low."""
    bench.budget("users", 1.0, by=["user"])
    bench.ledger.leave_unpriced({"user.id": "ada"})
    bench.ledger.leave_unpriced({"user.id": "ada"})
    bench.ledger.leave_unpriced({})
    assert bench.values(specs.BUDGET_UNPRICED.name) == {("users",): 2}
    assert bench.values(specs.BUDGET_SPENT.name) == {}


def test_the_metric_has_the_keys_that_spent_most(bench):
    """As many as the budget allows, of the current window; dropped keys are counted."""
    bench.store = MemoryStore(max_keys=5)
    bench.budget(by=["user"], keys_in_metrics=2)
    for number in range(8):
        bench.spend(number / 100, id=str(number))
    assert bench.values(specs.BUDGET_SPENT.name) == {("7", "b"): 0.07, ("6", "b"): 0.06}
    assert bench.values(specs.BUDGET_KEYS_DROPPED.name) == {("b",): 3}
    bench.now_s += 86_400
    assert bench.values(specs.BUDGET_SPENT.name) == {}


def test_names_are_unique_and_a_budget_can_go(bench):
    """Taken out twice is harmless; its name is free again, and there is nothing left to ask."""
    remove = bench.budget(action="raise")
    with pytest.raises(ValueError, match="there is a budget 'b' already"):
        bench.budget()
    bench.spend(2.0)
    remove()
    remove()
    assert bench.ledger.is_empty
    assert bench.ask() is None
    bench.budget()
    assert not bench.ledger.is_empty


class Broken(MemoryStore):
    """A shared store that cannot be reached."""

    def add(self, *_: Any) -> int:
        raise ConnectionError("store")

    def spent(self, *_: Any) -> int:
        raise ConnectionError("store")


def test_a_store_that_fails_costs_its_own_budget_only(bench, monkeypatch):
    """Calls go through, and the other budgets go on counting and refusing."""
    monkeypatch.setattr(_guard, "RERAISE", False)
    bench.ledger.add(Budget("shared", 1.0, "day", action="raise"), Broken())
    bench.budget(action="raise")
    assert bench.ask() is None
    bench.spend(2.0)
    refused = bench.ask()
    assert refused is not None and refused.budget == "b"
