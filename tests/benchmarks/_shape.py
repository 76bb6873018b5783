"""What one call of a contender writes: the span, what of it was there at its start, and the metric records.

The floor is made to write the same, whatever the plugin writes today. It travels as JSON between the processes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from opentelemetry.sdk.metrics.export import HistogramDataPoint, NumberDataPoint
from opentelemetry.sdk.trace import Span

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
class Shape:
    """One call's telemetry. ``at_end`` are the attributes that its start did not have."""

    name: str
    kind: str
    at_start: dict[str, Any]
    at_end: dict[str, Any]
    records: list[Record] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def of(cls, made: Mapping[str, Any]) -> Shape:
        return cls(**{**made, "records": [Record(**one) for one in made["records"]]})


def shape_of(bench: Bench, call: Callable[[], Any], calls: int) -> Shape | None:
    """Run ``call``, which makes ``calls`` calls; ``None`` where it makes no span."""
    starts: list[dict[str, Any]] = []

    def on_start(span: Span, parent_context: Any = None) -> None:
        starts.append(dict(span.attributes or {}))

    bench.processor.on_start = on_start  # type: ignore[method-assign]
    spans, before = bench.spans_so_far(), _points(bench)
    call()
    made, after = bench.spans_so_far() - spans, _points(bench)
    del bench.processor.on_start
    if made < calls:
        return None
    records = [_difference(one, before.get(key), calls) for key, one in after.items()]
    return _span_of(bench, starts, [one for one in records if one is not None])


def _span_of(bench: Bench, starts: list[dict[str, Any]], records: list[Record]) -> Shape:
    last = bench.exporter.last
    if not bench.setting.sampled:
        assert bench.dropped.last is not None
        name, kind, attributes = bench.dropped.last
        return Shape(name, kind.name if kind else "INTERNAL", dict(attributes or {}), {}, records)
    assert last is not None
    at_start = starts[-1]
    at_end = {key: value for key, value in (last.attributes or {}).items() if at_start.get(key) != value}
    return Shape(last.name, last.kind.name, at_start, at_end, records)


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
