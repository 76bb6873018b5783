"""Counts what calls cost against the budgets, refuses calls whose budget is spent, and tells thresholds."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timezone
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from opentelemetry import metrics
from opentelemetry.metrics import CallbackOptions, Observation

from spanloom.cost._budget import NANO, Budget, BudgetExceeded, Key, Line, nano_of
from spanloom.cost._calls import OPERATIONS, own_version
from spanloom.cost._store import BudgetStore
from spanloom.cost._window import Window, window_at
from spanloom.genai import hooks
from spanloom.semconv import SCHEMA_URL, GenAI, Spanloom, SpanloomEvent
from spanloom.semconv import metrics as specs

if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider

    from spanloom.genai.hooks import FinishedCall, PendingCall
    from spanloom.semconv import MetricSpec

# Thresholds of one budget that are told in the log in one window; the metric counts all.
MAX_LINES: Final = 100

_log = logging.getLogger("spanloom")
# Adds an event to a span.
AddEvent = Callable[[str, Mapping[str, Any]], None]


class _Account:
    """One budget with its store, and what is counted of it."""

    def __init__(self, budget: Budget, store: BudgetStore) -> None:
        self.line = Line(budget)
        self.name = budget.name
        self.store = store
        self.refuses = budget.action == "raise"
        self.lines_left = MAX_LINES
        self.window = Window(0, 0)
        self.lacks_told = False

    def window_of(self, now_s: float) -> Window:
        """The current window; most calls lie in that of the call before."""
        known = self.window
        if known.start_s <= now_s < known.end_s:
            return known
        self.lines_left = MAX_LINES
        self.window = window = window_at(self.line.budget.per, now_s)
        return window

    def key_of(self, call: Mapping[str, Any]) -> Key | None:
        """The key of a call that falls under this budget."""
        key = self.line.key_of(call)
        if key is None and not self.lacks_told:
            self._tell_lacks(self.line.lacks(call))
        return key

    def _tell_lacks(self, names: Sequence[str]) -> None:
        if names:
            self.lacks_told = True
            _log.warning(
                "spanloom: budget %r: a call without %s is not counted; a budget without `by` beside it counts all",
                self.name,
                " and ".join(names),
            )


class Ledger:
    """All budgets of the process. ``clock`` gives seconds since 1970 (UTC)."""

    def __init__(self, meter_provider: MeterProvider | None = None, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        # Replaced as a whole: readers need no lock.
        self._accounts: tuple[_Account, ...] = ()
        self._changing = threading.Lock()
        meter = metrics.get_meter("spanloom.cost", own_version(), meter_provider, SCHEMA_URL)
        self._thresholds, self._refused, self._unpriced = (
            meter.create_counter(spec.name, spec.unit, spec.description)
            for spec in (specs.BUDGET_THRESHOLDS, specs.BUDGET_REFUSED, specs.BUDGET_UNPRICED)
        )
        self._show(meter.create_observable_gauge, specs.BUDGET_SPENT, self._spent)
        self._show(meter.create_observable_gauge, specs.BUDGET_LIMIT, self._limits)
        self._show(meter.create_observable_counter, specs.BUDGET_KEYS_DROPPED, self._keys_dropped)

    def _show(self, create: Callable[..., Any], spec: MetricSpec, rows: Callable[[], Iterable[Observation]]) -> None:
        create(spec.name, [partial(_observed, rows)], spec.unit, spec.description)

    def add(self, budget: Budget, store: BudgetStore) -> Callable[[], None]:
        """Count from now on; the function that is returned ends it. ``ValueError`` where the name is taken."""
        account = _Account(budget, store)
        with self._changing:
            if any(one.name == budget.name for one in self._accounts):
                raise ValueError(f"there is a budget {budget.name!r} already; its name tells budgets apart")
            self._accounts = (*self._accounts, account)

        def remove() -> None:
            with self._changing:
                self._accounts = tuple(one for one in self._accounts if one is not account)

        return remove

    @property
    def is_empty(self) -> bool:
        """True where there is no budget."""
        return not self._accounts

    def gate(self, call: PendingCall) -> BudgetExceeded | None:
        """Refuse a call that falls under a budget which is spent. For ``spanloom.genai.hooks.add_gate``."""
        if call.operation not in OPERATIONS:
            return None
        known = described(call)
        now_s = self._clock()
        for account in self._accounts:
            if account.refuses and (key := account.key_of(known)) is not None:
                window = account.window_of(now_s)
                # A store that fails refuses nothing.
                spent = hooks.attempted("cost.budget", 0, account.store.spent, account.name, key, window)
                if spent >= account.line.limit:
                    return self._refuse(account, key, spent, window, call.attributes)
        return None

    def _refuse(
        self, account: _Account, key: Key, spent: int, window: Window, attributes: dict[str, Any]
    ) -> BudgetExceeded:
        self._refused.add(1, {Spanloom.BUDGET_NAME: account.name})
        attributes.update(_told(account, key, spent, window))
        whose = dict(zip(account.line.fields, key, strict=True))
        return BudgetExceeded(account.name, whose, spent / NANO, account.line.limit / NANO, _moment(window.end_s))

    def count(self, call: Mapping[str, Any], usd: float | None, add_event: AddEvent | None = None) -> None:
        """A call has ended; ``usd`` is ``None`` where nobody knows its cost."""
        if usd is None:
            self.leave_unpriced(call)
        else:
            self.spend(call, usd, add_event)

    def spend(self, call: Mapping[str, Any], usd: float, add_event: AddEvent | None = None) -> None:
        """Count what a call cost against every budget that it falls under. ``call``: its fields, by attribute."""
        nano = nano_of(usd)
        now_s = self._clock()
        for account in self._accounts:
            if (key := account.key_of(call)) is not None:
                hooks.attempt("cost.budget", self._spend, account, key, nano, now_s, add_event)

    def _spend(self, account: _Account, key: Key, nano: int, now_s: float, add_event: AddEvent | None) -> None:
        window = account.window_of(now_s)
        spent = account.store.add(account.name, key, window, nano)
        for share, edge in account.line.thresholds:
            # No two additions give the same sum, so that exactly one call reaches a threshold.
            if spent - nano < edge <= spent:
                self._tell(account, share, _told(account, key, spent, window), add_event)

    def leave_unpriced(self, call: Mapping[str, Any]) -> None:
        """A call of which nobody knows the cost: it is counted, and spends nothing."""
        for account in self._accounts:
            if account.key_of(call) is not None:
                self._unpriced.add(1, {Spanloom.BUDGET_NAME: account.name})

    def _tell(self, account: _Account, share: float, told: dict[str, Any], add_event: AddEvent | None) -> None:
        self._thresholds.add(1, {Spanloom.BUDGET_NAME: account.name, Spanloom.BUDGET_THRESHOLD: share})
        if add_event is not None:
            add_event(SpanloomEvent.BUDGET_THRESHOLD, {**told, Spanloom.BUDGET_THRESHOLD: share})
        if account.lines_left <= 0:
            return
        account.lines_left -= 1
        _log.warning(
            "spanloom: budget %r%s: %g %% of %g USD are spent, until %s%s",
            account.name,
            f" of {told[Spanloom.BUDGET_KEY]}" if Spanloom.BUDGET_KEY in told else "",
            share * 100,
            told[Spanloom.BUDGET_LIMIT_USD],
            told[Spanloom.BUDGET_RESETS_AT],
            "; calls are refused" if account.refuses and share >= 1 else "",
        )

    def _spent(self) -> Iterator[Observation]:
        now_s = self._clock()
        for account in self._accounts:
            window = account.window_of(now_s)
            for key, spent in account.store.largest(account.name, window, account.line.budget.keys_in_metrics):
                told = {Spanloom.BUDGET_NAME: account.name, **_key_row(key)}
                yield Observation(spent / NANO, told)

    def _limits(self) -> Iterator[Observation]:
        for account in self._accounts:
            yield Observation(account.line.limit / NANO, {Spanloom.BUDGET_NAME: account.name})

    def _keys_dropped(self) -> Iterator[Observation]:
        for account in self._accounts:
            if count := account.store.dropped().get(account.name):
                yield Observation(count, {Spanloom.BUDGET_NAME: account.name})


def described(call: PendingCall | FinishedCall) -> dict[str, Any]:
    """What keys are made of: what the context carried when the call began, and the call's own fields."""
    return {**call.carried, GenAI.PROVIDER_NAME: call.provider, GenAI.REQUEST_MODEL: call.request_model}


def _observed(rows: Callable[[], Iterable[Observation]], _options: CallbackOptions) -> list[Observation]:
    return list(rows())


def _moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, timezone.utc)


def _key_row(key: Key) -> dict[str, str]:
    return {Spanloom.BUDGET_KEY: ",".join(key)} if key else {}


def _told(account: _Account, key: Key, spent: int, window: Window) -> dict[str, Any]:
    return {
        Spanloom.BUDGET_NAME: account.name,
        **_key_row(key),
        Spanloom.BUDGET_SPENT_USD: spent / NANO,
        Spanloom.BUDGET_LIMIT_USD: account.line.limit / NANO,
        Spanloom.BUDGET_RESETS_AT: _moment(window.end_s).isoformat(),
    }
