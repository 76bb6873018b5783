"""What the pipeline did, as metrics: read when metrics are collected, so that counting costs nothing."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from opentelemetry import metrics
from opentelemetry.metrics import CallbackOptions, Observation

from spanloom.semconv import SCHEMA_URL, Spanloom
from spanloom.semconv import metrics as specs

if TYPE_CHECKING:
    from spanloom.pipeline._finish import Finisher, Redacts
    from spanloom.sampling import TailSampler
    from spanloom.semconv import MetricSpec

KEPT, DROPPED = "kept", "dropped"

Rows = Iterator[tuple[int, dict[str, Any]]]
# Weak: a meter never forgets its callbacks. One instrument for all pipelines of the process: the SDK would not ask the
# callback of a second one of the same name.
_pipelines: weakref.WeakSet[Counters] = weakref.WeakSet()
_shown: set[str] = set()


class Counters:
    """Observable counters of one pipeline; they end with it."""

    def __init__(self, tail: TailSampler | None, finisher: Finisher, redactor: Redacts) -> None:
        self._tail = tail
        self._finisher = finisher
        self._redactor = redactor
        _pipelines.add(self)
        if tail is not None:
            _show(specs.SAMPLING_TRACES, Counters.traces)
            _show(specs.SAMPLING_EARLY, Counters.early)
        _show(specs.REDACTIONS, Counters.redactions)
        _show(specs.SPANS_CUT, Counters.cut)

    def traces(self) -> Rows:
        """Traces decided by the tail sampler."""
        for (kept, reason), count in (self._tail.traces if self._tail else {}).items():
            told = {Spanloom.SAMPLING_DECISION: KEPT if kept else DROPPED}
            if reason:
                told[Spanloom.SAMPLING_REASON] = reason
            yield count, told

    def early(self) -> Rows:
        """Traces that a bound has decided."""
        for bound, count in (self._tail.early if self._tail else {}).items():
            yield count, {Spanloom.SAMPLING_BOUND: bound}

    def redactions(self) -> Rows:
        """Texts in which something was redacted."""
        for rule, count in self._redactor.counts().items():
            yield count, {Spanloom.REDACTION_RULE: rule}

    def cut(self) -> Rows:
        """Spans over the limit."""
        if self._finisher.cut_spans:
            yield self._finisher.cut_spans, {}


def _show(spec: MetricSpec, rows: Callable[[Counters], Rows]) -> None:
    if spec.name in _shown:
        return
    _shown.add(spec.name)

    def observe(_options: CallbackOptions) -> Iterable[Observation]:
        totals: dict[frozenset[tuple[str, Any]], int] = {}
        for pipeline in list(_pipelines):
            for count, told in rows(pipeline):
                key = frozenset(told.items())
                totals[key] = totals.get(key, 0) + count
        return [Observation(count, dict(key)) for key, count in totals.items()]

    meter = metrics.get_meter("spanloom.pipeline", schema_url=SCHEMA_URL)
    meter.create_observable_counter(spec.name, [observe], spec.unit, spec.description)
