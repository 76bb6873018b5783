"""The metrics of money: each call, sampled or not; what each model cost in all; what nobody could price."""

from __future__ import annotations

import logging
import math
import os
import threading
import weakref
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from opentelemetry import metrics
from opentelemetry.metrics import CallbackOptions, Observation

from spanloom.cost._calls import own_version
from spanloom.cost._judged import CURRENCY, LOCAL, PROVIDER, Verdict
from spanloom.semconv import SCHEMA_URL, GenAI, Spanloom
from spanloom.semconv import metrics as specs

if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider

# Lines in the log about models without a cost; a service with unbounded names must not fill it.
MAX_LINES = 1000
# Warnings are what a price of one's own, or another version of the table, would mend. A call without usage has mostly
# failed, and a server of one's own costs nothing that this table could know.
_WHY: Final = {
    "unknown_model": (logging.WARNING, "it is not in the price table, nor in prices of your own"),
    "unknown_price": (logging.WARNING, "the price table has none for such a call"),
    "unknown_deployment": (logging.INFO, "nobody knows what is behind this host or name; SPANLOOM_PRICES can say it"),
    "unknown_usage": (logging.INFO, "its usage is missing or impossible, or does not tell enough"),
}
# As many sets of attributes as the SDK keeps by default; what comes later is added up in one, marked as the SDK does.
MAX_SETS: Final = 2000
# Amounts that wait to be added up; then the call that brings one more adds them.
MAX_WAITING: Final = 512

_log = logging.getLogger("spanloom")
_Key = tuple[str | None, ...]
_OVERFLOW: Final[_Key] = ()
_NAMES: Final = (GenAI.PROVIDER_NAME, GenAI.REQUEST_MODEL, Spanloom.COST_SOURCE)


# Every finite float is a whole number of these: their sums are exact in any order, and those of floats are not.
UNIT_BITS: Final = 1074
UNIT: Final = 1 << UNIT_BITS


def whole(usd: float) -> int:
    """An amount in units of 2**-1074 USD, exactly."""
    numerator, denominator = usd.as_integer_ratio()
    return numerator << (UNIT_BITS + 1 - denominator.bit_length())


def exact_sum(amounts: list[float]) -> int:
    """The sum of amounts in units of 2**-1074 USD, exactly: the nearest float, and again of what that leaves."""
    total = 0
    rest = list(amounts)
    while nearest := math.fsum(rest):
        total += whole(nearest)
        rest.append(-nearest)
    return total


class Sums:
    """Exact sums of amounts by attributes, read when metrics are collected.

    To add is to append to a list, which is one step: no lock is held where the garbage collector may end a call.
    """

    def __init__(self) -> None:
        self._sums: dict[_Key, int] = {}
        # By key; others only append, so that a beginning can be taken out at any time.
        self._waiting: dict[_Key, list[float]] = {}
        self._lock = threading.RLock()
        self._settling = False
        _live.add(self)

    def add(self, key: _Key, usd: float) -> None:
        """One more amount."""
        waiting = self._waiting.get(key)
        if waiting is None:
            waiting = self._waiting.setdefault(key if len(self._waiting) < MAX_SETS else _OVERFLOW, [])
        waiting.append(usd)
        if len(waiting) > MAX_WAITING:
            self._settle()

    def observe(self, _options: CallbackOptions) -> list[Observation]:
        """The callback of a counter."""
        self._settle()
        with self._lock:
            return [Observation(total / UNIT, _rows_of(key)) for key, total in self._sums.items()]

    def _settle(self) -> None:
        with self._lock:
            if self._settling:
                return
            self._settling = True
            try:
                self._take_waiting()
            finally:
                self._settling = False

    def _take_waiting(self) -> None:
        for key, waiting in list(self._waiting.items()):
            if count := len(waiting):
                self._sums[key] = self._sums.get(key, 0) + exact_sum(waiting[:count])
                del waiting[:count]

    def after_fork(self) -> None:
        """The sums are the parent's, and it reports them; another thread may have held the lock."""
        self._lock, self._settling = threading.RLock(), False
        self._sums.clear()
        self._waiting.clear()


_live: weakref.WeakSet[Sums] = weakref.WeakSet()
_by_meter: weakref.WeakKeyDictionary[Any, tuple[Sums, Sums]] = weakref.WeakKeyDictionary()


def _after_fork() -> None:
    for one in list(_live):
        one.after_fork()


if hasattr(os, "register_at_fork"):  # pragma: no branch - Windows has no fork
    os.register_at_fork(after_in_child=_after_fork)


class Meters:
    """All instruments of the cost room but the budgets'."""

    def __init__(self, meter_provider: MeterProvider | None = None) -> None:
        meter = metrics.get_meter("spanloom.cost", own_version(), meter_provider, SCHEMA_URL)
        self._cost = meter.create_histogram(
            specs.OPERATION_COST.name,
            specs.OPERATION_COST.unit,
            specs.OPERATION_COST.description,
            explicit_bucket_boundaries_advisory=specs.OPERATION_COST.buckets,
        )
        self._unpriced = meter.create_counter(
            specs.UNPRICED_OPERATIONS.name, specs.UNPRICED_OPERATIONS.unit, specs.UNPRICED_OPERATIONS.description
        )
        self._totals, self._drift = _sums_of(meter)
        self._told: set[tuple[str | None, str | None, str]] = set()

    def record(self, verdict: Verdict, attributes: Mapping[str, Any], provider: str | None, model: str | None) -> None:
        """One call. ``attributes``: those of its other metrics. The log names a model without a cost."""
        usd = verdict.usd
        if usd is None:
            self._unpriced.add(1, {**attributes, Spanloom.COST_STATUS: verdict.status})
            self._tell_once(provider, model, verdict.status)
            return
        # A copy and one more: a third less than both in one display.
        told = dict(attributes)
        told[Spanloom.COST_CURRENCY] = CURRENCY
        self._cost.record(usd, told)
        # Made into attributes when metrics are collected.
        whose, asked = attributes.get(GenAI.PROVIDER_NAME), attributes.get(GenAI.REQUEST_MODEL)
        self._totals.add((whose, asked, None), usd)
        if verdict.source == PROVIDER and verdict.own_usd is not None:
            self._drift.add((whose, asked, PROVIDER), usd)
            self._drift.add((whose, asked, LOCAL), verdict.own_usd)

    def _tell_once(self, provider: str | None, model: str | None, status: str) -> None:
        key = (provider, model, status)
        if key in self._told or len(self._told) >= MAX_LINES:
            return
        self._told.add(key)
        level, why = _WHY[status]
        _log.log(level, "no cost for model %r of provider %r: %s (%s)", model, provider, why, status)


def _rows_of(key: _Key) -> dict[str, Any]:
    if not key:
        return {"otel.metric.overflow": True}
    told = {name: value for name, value in zip(_NAMES, key, strict=True) if value is not None}
    return {**told, Spanloom.COST_CURRENCY: CURRENCY}


def _sums_of(meter: Any) -> tuple[Sums, Sums]:
    """The same sums for the same meter: an SDK keeps an observable counter's first callback."""
    known = _by_meter.get(meter)
    if known is None:
        known = _by_meter[meter] = Sums(), Sums()
        create: Callable[..., Any] = meter.create_observable_counter
        for spec, sums in zip((specs.COST_TOTAL, specs.COST_DRIFT), known, strict=True):
            create(spec.name, [partial(Sums.observe, sums)], spec.unit, spec.description)
    return known
