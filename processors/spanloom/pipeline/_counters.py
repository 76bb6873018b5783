"""What the pipeline did, as metrics: read when metrics are collected, so that counting costs nothing."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from opentelemetry import metrics
from opentelemetry.metrics import CallbackOptions, Observation

from spanloom.semconv import SCHEMA_URL, Spanloom
from spanloom.semconv import metrics as specs

if TYPE_CHECKING:
    from spanloom.pipeline._finish import Finisher, Redacts
    from spanloom.sampling import TailSampler
    from spanloom.semconv import MetricSpec

KEPT, DROPPED = "kept", "dropped"


class Counters:
    """Observable counters of one pipeline; they end with it."""

    def __init__(self, tail: TailSampler | None, finisher: Finisher, redactor: Redacts) -> None:
        self._tail = tail
        self._finisher = finisher
        self._redactor = redactor
        self._meter = metrics.get_meter("spanloom.pipeline", schema_url=SCHEMA_URL)
        if tail is not None:
            self._show(specs.SAMPLING_TRACES, Counters.traces)
            self._show(specs.SAMPLING_EARLY, Counters.early)
        self._show(specs.REDACTIONS, Counters.redactions)
        self._show(specs.SPANS_CUT, Counters.cut)

    def _show(self, spec: MetricSpec, rows: Callable[[Counters], Iterable[Observation]]) -> None:
        # Weak: a meter never forgets its callbacks.
        me = weakref.ref(self)

        def observe(_options: CallbackOptions) -> Iterable[Observation]:
            counters = me()
            return [] if counters is None else list(rows(counters))

        self._meter.create_observable_counter(spec.name, [observe], spec.unit, spec.description)

    def traces(self) -> Iterator[Observation]:
        """Traces decided by the tail sampler."""
        for (kept, reason), count in (self._tail.traces if self._tail else {}).items():
            told = {Spanloom.SAMPLING_DECISION: KEPT if kept else DROPPED}
            if reason:
                told[Spanloom.SAMPLING_REASON] = reason
            yield Observation(count, told)

    def early(self) -> Iterator[Observation]:
        """Traces that a bound has decided."""
        for bound, count in (self._tail.early if self._tail else {}).items():
            yield Observation(count, {Spanloom.SAMPLING_BOUND: bound})

    def redactions(self) -> Iterator[Observation]:
        """Texts in which something was redacted."""
        for rule, count in self._redactor.counts().items():
            yield Observation(count, {Spanloom.REDACTION_RULE: rule})

    def cut(self) -> Iterator[Observation]:
        """Spans over the limit."""
        if self._finisher.cut_spans:
            yield Observation(self._finisher.cut_spans)
