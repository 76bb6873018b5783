"""Metrics as OTLP/JSON. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from opentelemetry.sdk.metrics import Exemplar
from opentelemetry.sdk.metrics.export import (
    ExponentialHistogram,
    ExponentialHistogramDataPoint,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    NumberDataPoint,
    Sum,
)

from spanloom.export._pack import Item
from spanloom.export._value import array, attributes, name, number, utf8

_INT64 = 1 << 63


def metric_item(metric: Metric) -> Item | None:
    """One Metric object; nothing for a kind of data that this OTLP version has no form for."""
    data = metric.data
    for kind, encode in _KINDS.items():
        if isinstance(data, kind):
            description = f'"description":{name(metric.description)},' if metric.description else ""
            unit = f'"unit":{name(metric.unit)},' if metric.unit else ""
            text = f'{{"name":{name(metric.name)},{description}{unit}{encode(data)}}}'
            return Item(utf8(text), len(data.data_points))
    return None


def _gauge(data: Gauge) -> str:
    return f'"gauge":{{"dataPoints":[{_numbers(data.data_points, with_start=False)}]}}'


def _sum(data: Sum) -> str:
    monotonic = "true" if data.is_monotonic else "false"
    points = _numbers(data.data_points, with_start=True)
    return f'"sum":{{"dataPoints":[{points}],{_temporality(data)},"isMonotonic":{monotonic}}}'


def _histogram(data: Histogram) -> str:
    points = ",".join(map(_histogram_point, data.data_points))
    return f'"histogram":{{"dataPoints":[{points}],{_temporality(data)}}}'


def _exponential(data: ExponentialHistogram) -> str:
    points = ",".join(map(_exponential_point, data.data_points))
    return f'"exponentialHistogram":{{"dataPoints":[{points}],{_temporality(data)}}}'


_KINDS: dict[type, Callable[[Any], str]] = {
    Sum: _sum,
    Gauge: _gauge,
    Histogram: _histogram,
    ExponentialHistogram: _exponential,
}


def _temporality(data: Sum | Histogram | ExponentialHistogram) -> str:
    return f'"aggregationTemporality":{int(data.aggregation_temporality)}'


def _numbers(points: Iterable[NumberDataPoint], *, with_start: bool) -> str:
    return ",".join(f"{{{_common(point, with_start=with_start)}{_value(point.value)}}}" for point in points)


def _common(point: NumberDataPoint | HistogramDataPoint | ExponentialHistogramDataPoint, *, with_start: bool) -> str:
    start = f'"startTimeUnixNano":"{point.start_time_unix_nano}",' if with_start else ""
    rows = array("attributes", attributes(point.attributes))
    return f'{rows}{start}"timeUnixNano":"{point.time_unix_nano}",{array("exemplars", _exemplars(point.exemplars))}'


def _value(figure: float) -> str:
    """A whole number that fits goes as one; beyond 64 bits a double loses digits but not the request."""
    if isinstance(figure, int) and -_INT64 <= figure < _INT64:
        return f'"asInt":"{int(figure)}"'
    return f'"asDouble":{number(_double(figure))}'


def _double(figure: float) -> float:
    try:
        return float(figure)
    except OverflowError:
        return float("inf") if figure > 0 else float("-inf")


def _exemplars(exemplars: Sequence[Exemplar]) -> str:
    return ",".join(map(_exemplar, exemplars)) if exemplars else ""


def _exemplar(exemplar: Exemplar) -> str:
    rows = array("filteredAttributes", attributes(exemplar.filtered_attributes))
    ids = ""
    if exemplar.span_id is not None and exemplar.trace_id is not None:
        ids = f'"spanId":"{exemplar.span_id:016x}","traceId":"{exemplar.trace_id:032x}",'
    return f'{{{rows}"timeUnixNano":"{exemplar.time_unix_nano}",{ids}{_value(exemplar.value)}}}'


def _distribution(point: HistogramDataPoint | ExponentialHistogramDataPoint) -> str:
    """Count, sum and extremes. An instrument that keeps no extremes reports infinities the wrong way round."""
    extremes = f'"min":{number(point.min)},"max":{number(point.max)},' if point.min <= point.max else ""
    return f'{_common(point, with_start=True)}"count":"{point.count}","sum":{number(_double(point.sum))},{extremes}'


def _histogram_point(point: HistogramDataPoint) -> str:
    counts = ",".join([f'"{count}"' for count in point.bucket_counts])
    bounds = ",".join(map(number, point.explicit_bounds))
    return f'{{{_distribution(point)}"bucketCounts":[{counts}],"explicitBounds":[{bounds}]}}'


def _exponential_point(point: ExponentialHistogramDataPoint) -> str:
    sides = "".join(
        f'"{side}":{{"offset":{buckets.offset},"bucketCounts":[{counts}]}},'
        for side, buckets in (("positive", point.positive), ("negative", point.negative))
        if (counts := ",".join([f'"{count}"' for count in buckets.bucket_counts]))
    )
    return (
        f'{{{_distribution(point)}{sides}"scale":{point.scale},"zeroCount":"{point.zero_count}","flags":{point.flags}}}'
    )
