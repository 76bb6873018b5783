"""Which temporality and which histograms the standard variables ask of metric exporters."""

from __future__ import annotations

from collections.abc import Mapping

from opentelemetry.sdk.metrics import Counter, Histogram, ObservableCounter
from opentelemetry.sdk.metrics.export import AggregationTemporality
from opentelemetry.sdk.metrics.view import (
    Aggregation,
    ExplicitBucketHistogramAggregation,
    ExponentialBucketHistogramAggregation,
)

from spanloom.export._complaints import log

_TEMPORALITY = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE"
_HISTOGRAM = "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION"

# What is not named stays cumulative: up-down counters always are.
_DELTA: dict[str, tuple[type, ...]] = {
    "CUMULATIVE": (),
    "DELTA": (Counter, Histogram, ObservableCounter),
    "LOWMEMORY": (Counter, Histogram),
}
_HISTOGRAMS: dict[str, type[ExplicitBucketHistogramAggregation | ExponentialBucketHistogramAggregation]] = {
    "EXPLICIT_BUCKET_HISTOGRAM": ExplicitBucketHistogramAggregation,
    "BASE2_EXPONENTIAL_BUCKET_HISTOGRAM": ExponentialBucketHistogramAggregation,
}


def temporalities(environ: Mapping[str, str]) -> dict[type, AggregationTemporality]:
    """Instrument classes that are not cumulative."""
    choice = _choice(environ, _TEMPORALITY, tuple(_DELTA))
    return dict.fromkeys(_DELTA[choice], AggregationTemporality.DELTA)


def aggregations(environ: Mapping[str, str]) -> dict[type, Aggregation]:
    """The kind of histogram, where another than the usual one is wanted."""
    choice = _choice(environ, _HISTOGRAM, tuple(_HISTOGRAMS))
    return {} if choice == next(iter(_HISTOGRAMS)) else {Histogram: _HISTOGRAMS[choice]()}


def _choice(environ: Mapping[str, str], variable: str, choices: tuple[str, ...]) -> str:
    """The variable's value in upper case; the first choice where it is unset or none of them."""
    value = environ.get(variable, "").strip()
    if not value or value.upper() in choices:
        return value.upper() or choices[0]
    log.warning("%s=%r is not one of %s; using %s", variable, value, ", ".join(choices).lower(), choices[0].lower())
    return choices[0]
