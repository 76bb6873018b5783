"""What one call of a contender writes: the spans, what of each was there at its start, and the metric records.

The floor is made to write the same, whatever the plugin writes today. It travels as JSON between the processes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from opentelemetry.sdk.metrics.export import HistogramDataPoint, NumberDataPoint
from opentelemetry.sdk.trace import Span
from opentelemetry.trace import SpanKind

from tests.benchmarks._telemetry import Bench


@dataclass(frozen=True)
class Record:
    """``count`` records of one histogram with the mean of their values, or an addition to one sum.

    ``exemplar``: the record leads to the trace, which costs the SDK a part of it.
    """

    instrument: str
    unit: str
    attributes: dict[str, Any]
    value: float
    count: int
    buckets: list[float] | None
    exemplar: bool = False

    @property
    def key(self) -> tuple[str, tuple[tuple[str, Any], ...]]:
        return self.instrument, tuple(sorted(self.attributes.items()))


@dataclass(frozen=True)
class SpanShape:
    """One span. ``at_end`` are the attributes that its start did not have; ``events`` are name and attributes."""

    name: str
    kind: str
    at_start: dict[str, Any]
    at_end: dict[str, Any] = field(default_factory=dict)
    events: list[tuple[str, dict[str, Any]]] = field(default_factory=list)


@dataclass(frozen=True)
class Shape:
    """The telemetry of a case's calls: all spans in the order of their start, and the records of one call."""

    spans: list[SpanShape]
    records: list[Record] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def of(cls, made: Mapping[str, Any]) -> Shape:
        spans, records = made["spans"], made["records"]
        return cls([SpanShape(**one) for one in spans], [Record(**one) for one in records])


def shape_of(bench: Bench, call: Callable[[], Any], calls: int) -> Shape | None:
    """Run ``call``, which makes ``calls`` calls; ``None`` where it makes no span."""
    started: list[tuple[Span, dict[str, Any]]] = []
    dropped: list[SpanShape] = []

    def on_start(span: Span, parent_context: Any = None) -> None:
        started.append((span, dict(span.attributes or {})))

    def on_drop(name: str, kind: SpanKind | None, attributes: Mapping[str, Any] | None) -> None:
        dropped.append(SpanShape(name, kind.name if kind else SpanKind.INTERNAL.name, dict(attributes or {})))

    bench.processor.on_start = on_start  # type: ignore[method-assign]
    bench.dropped.on_drop = on_drop
    spans, before = bench.spans_so_far(), _points(bench)
    call()
    made, after = bench.spans_so_far() - spans, _points(bench)
    bench.dropped.on_drop = None
    del bench.processor.on_start
    if made < calls:
        return None
    records = [_difference(one, before.get(key), calls) for key, one in after.items()]
    return Shape(dropped or [_span_of(*one) for one in started], [one for one in records if one is not None])


def _span_of(span: Span, at_start: dict[str, Any]) -> SpanShape:
    at_end = {key: value for key, value in (span.attributes or {}).items() if at_start.get(key) != value}
    events = [(event.name, dict(event.attributes or {})) for event in span.events]
    return SpanShape(span.name, span.kind.name, at_start, at_end, events)


def _points(bench: Bench) -> dict[Any, Record]:
    """Every series so far, by instrument and attributes."""
    data = bench.metric_reader.get_metrics_data()
    found = [] if data is None else [one for resource in data.resource_metrics for one in resource.scope_metrics]
    metrics = (metric for scope in found for metric in scope.metrics)
    records = [record for metric in metrics for record in _records(metric)]
    return {record.key: record for record in records}


def _records(metric: Any) -> Iterator[Record]:
    for point in metric.data.data_points:
        attributes = dict(point.attributes or {})
        if isinstance(point, HistogramDataPoint):
            buckets = list(point.explicit_bounds)
            leads = bool(point.exemplars)
            yield Record(metric.name, metric.unit or "", attributes, point.sum, point.count, buckets, leads)
        elif isinstance(point, NumberDataPoint):
            yield Record(metric.name, metric.unit or "", attributes, point.value, 1, None)


def _difference(now: Record, before: Record | None, calls: int) -> Record | None:
    """What one call added; ``None`` where it added nothing."""
    value, count = now.value - (before.value if before else 0), now.count
    if now.buckets is not None:
        count -= before.count if before else 0
    if not count or (now.buckets is None and not value):
        return None
    each = value / count if now.buckets is not None else value / calls
    share = max(1, round(count / calls)) if now.buckets is not None else 1
    return replace(now, value=each, count=share)
