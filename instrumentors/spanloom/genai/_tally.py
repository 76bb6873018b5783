"""Token sums by attribute set, read by observable counters when metrics are collected.

A synchronous counter costs 8-14 us an addition; five of them would be a third of what we add to a call. The wire form
is the same (the conventions leave the choice to the implementation), see docs/decisions/010-observable-counters.md.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from opentelemetry.metrics import Observation

from spanloom.genai._usage import Counts
from spanloom.semconv import GenAI
from spanloom.semconv import metrics as specs

if TYPE_CHECKING:
    from opentelemetry.metrics import CallbackOptions, Meter

    from spanloom.semconv import MetricSpec

# As many sets as the SDK keeps by default; what comes later is added up in one set, marked as the SDK marks it.
MAX_SETS = 2000
_OVERFLOW: Mapping[str, Any] = {"otel.metric.overflow": True}
_COUNTERS = (
    specs.INPUT_TOKENS,
    specs.OUTPUT_TOKENS,
    specs.CACHE_READ_TOKENS,
    specs.CACHE_WRITE_TOKENS,
    specs.REASONING_TOKENS,
)

_Row = tuple[Mapping[str, Any], list[int | None]]


class Tally:
    """Sums of ``Counts`` since the start of the process. A counter has no point for what was never reported."""

    def __init__(self) -> None:
        # Reentrant: the garbage collector may end a dropped stream's call in a thread that holds it.
        self._lock = threading.RLock()
        self._rows: dict[Any, _Row] = {}
        _live.add(self)

    def add(self, attributes: Mapping[str, Any], modality: str, counts: Counts) -> None:
        """Add one call's tokens of one modality."""
        key = (modality, *attributes.items())
        with self._lock:
            row = self._rows.get(key) or self._new_row(key, attributes, modality)
            sums = row[1]
            for index, count in enumerate(counts):
                if count is not None:
                    sums[index] = count + (sums[index] or 0)

    def _new_row(self, key: Any, attributes: Mapping[str, Any], modality: str) -> _Row:
        if len(self._rows) >= MAX_SETS:
            return self._rows.setdefault(None, (_OVERFLOW, [None] * len(_COUNTERS)))
        row: _Row = ({**attributes, GenAI.TOKEN_MODALITY: modality}, [None] * len(_COUNTERS))
        self._rows[key] = row
        return row

    def observer(self, index: int) -> Callable[[CallbackOptions], Iterable[Observation]]:
        """The callback of one counter."""

        def observe(options: CallbackOptions) -> Iterable[Observation]:
            del options
            with self._lock:
                rows = [(attributes, sums[index]) for attributes, sums in self._rows.values()]
            return [Observation(total, dict(attributes)) for attributes, total in rows if total is not None]

        return observe

    def after_fork(self) -> None:
        """The sums are the parent's, and it reports them; another thread may have held the lock."""
        self._lock = threading.RLock()
        self._rows = {}


_live: weakref.WeakSet[Tally] = weakref.WeakSet()
_by_meter: weakref.WeakKeyDictionary[Meter, Tally] = weakref.WeakKeyDictionary()
_by_scope: dict[str, Tally] = {}


def _after_fork() -> None:
    for one in list(_live):
        one.after_fork()


if hasattr(os, "register_at_fork"):  # pragma: no branch - Windows has no fork
    os.register_at_fork(after_in_child=_after_fork)


def tally_of(scope: str, get_meter: Callable[[], Meter]) -> Tally:
    """The tally behind a scope's counters, the same one each time: an SDK keeps an observable counter's first callback.

    Before an SDK is set, each ``get_meter`` gives another stand-in; then the scope's name tells what is the same.
    """
    meter = get_meter()
    stands_in = get_meter() is not meter
    known = _by_scope.get(scope) if stands_in else _by_meter.get(meter)
    if known is None:
        known = Tally()
        if stands_in:
            _by_scope[scope] = known
        else:
            _by_meter[meter] = known
    for index, spec in enumerate(_COUNTERS):
        _register(meter, spec, known.observer(index))
    return known


def _register(meter: Meter, spec: MetricSpec, callback: Callable[[CallbackOptions], Iterable[Observation]]) -> None:
    meter.create_observable_counter(spec.name, [callback], spec.unit, spec.description)
