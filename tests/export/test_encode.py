"""The encoder against the official one, and what the official one refuses."""

from __future__ import annotations

import datetime
import decimal
import enum
import json
from collections import deque
from typing import Any

import pytest
from opentelemetry._logs import LogRecord
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs as official_logs
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics as official_metrics
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans as official_spans
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    InMemoryMetricReader,
    Metric,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.metrics.view import (
    ExplicitBucketHistogramAggregation,
    ExponentialBucketHistogramAggregation,
    View,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, TraceFlags

from spanloom.export import _encode, _pack, _value
from spanloom.export._encode import encode_logs, encode_metrics, encode_spans
from spanloom.export._value import value

from ._generate import Generator
from ._otlp import message, only, strict

SEEDS = range(40)


def by_content(request: Any, level: str, scopes: str) -> list[tuple[bytes, bytes]]:
    """Every item with what stands above it: the official encoder merges equal resources, ours identical ones."""
    rows: list[tuple[bytes, bytes]] = []
    for resource in getattr(request, level):
        for scope in getattr(resource, scopes):
            above = resource.resource.SerializeToString() + resource.schema_url.encode()
            above += scope.scope.SerializeToString() + scope.schema_url.encode()
            kind = {"scope_spans": "spans", "scope_metrics": "metrics", "scope_logs": "log_records"}[scopes]
            rows.extend((above, item.SerializeToString(deterministic=True)) for item in getattr(scope, kind))
    return sorted(rows)


def without_w3c_flags(request: ExportTraceServiceRequest) -> ExportTraceServiceRequest:
    """The official encoder leaves out the low byte of the flags and the trace state of links."""
    for resource in request.resource_spans:
        for scope in resource.scope_spans:
            for span in scope.spans:
                span.flags &= 0x300
                for link in span.links:
                    link.flags &= 0x300
                    link.trace_state = ""
    return request


@pytest.mark.parametrize("seed", SEEDS)
def test_spans_equal_the_official_message(seed: int) -> None:
    """Random spans, decoded from our JSON, are what the official encoder makes of them."""
    spans = Generator(seed).spans(12)
    ours = without_w3c_flags(message(only(encode_spans(spans)), ExportTraceServiceRequest()))
    assert by_content(ours, "resource_spans", "scope_spans") == by_content(
        official_spans(spans), "resource_spans", "scope_spans"
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_logs_equal_the_official_message(seed: int) -> None:
    """Random log records, decoded from our JSON, are what the official encoder makes of them."""
    logs = Generator(seed).logs(12)
    expected = official_logs(logs)
    for resource in expected.resource_logs:
        for scope in resource.scope_logs:
            for record in scope.log_records:
                if not record.body.WhichOneof("value"):
                    record.ClearField("body")
    ours = message(only(encode_logs(logs)), ExportLogsServiceRequest())
    for resource in ours.resource_logs:
        for scope in resource.scope_logs:
            for record in scope.log_records:
                if not record.body.WhichOneof("value"):
                    record.ClearField("body")
    assert by_content(ours, "resource_logs", "scope_logs") == by_content(expected, "resource_logs", "scope_logs")


@pytest.mark.parametrize("seed", SEEDS)
def test_metrics_equal_the_official_message(seed: int) -> None:
    """Random metrics of all four kinds, decoded from our JSON, are what the official encoder makes of them."""
    data = Generator(seed).metrics()
    ours = message(only(encode_metrics(data)), ExportMetricsServiceRequest())
    assert by_content(ours, "resource_metrics", "scope_metrics") == by_content(
        official_metrics(data), "resource_metrics", "scope_metrics"
    )


def test_metrics_of_the_real_sdk_equal_the_official_message() -> None:
    """Instruments of every kind, collected by the SDK itself, agree too."""
    views = [View(instrument_name="exponential", aggregation=ExponentialBucketHistogramAggregation())]
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader], views=views, resource=Resource({"service.name": "s"}))
    meter = provider.get_meter("m", "1", "https://opentelemetry.io/schemas/1.30.0", {"a": 1})
    meter.create_counter("counter", "1", "d").add(3, {"k": "v"})
    meter.create_up_down_counter("updown").add(-2.5)
    meter.create_gauge("gauge").set(7)
    for figure in (0.0, 0.3, 12.0, 1e7):
        meter.create_histogram("exponential").record(figure)
        meter.create_histogram("plain", explicit_bucket_boundaries_advisory=[1.0, 5.0]).record(figure)
    data = reader.get_metrics_data()
    assert data is not None
    ours = message(only(encode_metrics(data)), ExportMetricsServiceRequest())
    assert ours == official_metrics(data)


def test_metric_requests_count_data_points() -> None:
    """What the receiver may reject is counted in data points, not in metrics."""
    data = Generator(1).metrics()
    points = [
        point for r in data.resource_metrics for s in r.scope_metrics for m in s.metrics for point in m.data.data_points
    ]
    assert sum(request.entries for request in encode_metrics(data)) == len(points)


def test_extremes_that_were_not_kept_are_absent() -> None:
    """A histogram without min and max reports inf and -inf; those are no figures and are left out."""
    reader = InMemoryMetricReader()
    view = View(instrument_name="h", aggregation=ExplicitBucketHistogramAggregation((1.0,), record_min_max=False))
    meter = MeterProvider([reader], views=[view]).get_meter("m")
    meter.create_histogram("h").record(0.5)
    data = reader.get_metrics_data()
    assert data is not None
    body = strict(only(encode_metrics(data)))
    (point,) = body["resourceMetrics"][0]["scopeMetrics"][0]["metrics"][0]["histogram"]["dataPoints"]
    assert point["sum"] == 0.5 and "min" not in point and "max" not in point


def one_span(attributes: dict[str, Any] | None = None, name: str = "s") -> ReadableSpan:
    span = TracerProvider(resource=Resource({"service.name": "x"})).get_tracer("t").start_span(name)
    span.set_attributes(attributes or {})
    span.end()
    assert isinstance(span, ReadableSpan)
    return span


def encoded(spans: list[ReadableSpan]) -> list[dict[str, Any]]:
    body = strict(only(encode_spans(spans)))
    return [span for r in body["resourceSpans"] for s in r["scopeSpans"] for span in s["spans"]]


def test_the_json_mapping_is_otlps() -> None:
    """Hex ids, 64-bit integers as strings, enums as numbers, defaults left out."""
    (span,) = encoded([one_span({"n": 3, "f": 1.5, "l": ["a"]})])
    assert len(span["traceId"]) == 32 and int(span["traceId"], 16)
    assert len(span["spanId"]) == 16 and span["startTimeUnixNano"].isdigit()
    assert span["kind"] == 1 and span["status"] == {"code": 0} and span["flags"] & 0x301 == 0x101
    assert not {"parentSpanId", "traceState", "events", "links", "droppedAttributesCount"} & set(span)
    assert span["attributes"] == [
        {"key": "n", "value": {"intValue": "3"}},
        {"key": "f", "value": {"doubleValue": 1.5}},
        {"key": "l", "value": {"arrayValue": {"values": [{"stringValue": "a"}]}}},
    ]


class Colour(enum.IntEnum):
    RED = 4


class Named(str):
    __slots__ = ()

    def __str__(self) -> str:
        return "not this"


class Broken:
    def __str__(self) -> str:
        raise RuntimeError("no text")


class Loud:
    def __str__(self) -> str:
        return "x" * 100_000


CYCLE: list[Any] = []
CYCLE.extend([CYCLE, CYCLE])
DEEP: Any = "bottom"
for _ in range(300):
    DEEP = [DEEP]

VALUES = [
    (2**63, {"stringValue": str(2**63)}),
    (-(2**63) - 1, {"stringValue": str(-(2**63) - 1)}),
    (2**63 - 1, {"intValue": str(2**63 - 1)}),
    (float("nan"), {"doubleValue": "NaN"}),
    (float("-inf"), {"doubleValue": "-Infinity"}),
    (True, {"boolValue": True}),
    (Colour.RED, {"intValue": "4"}),
    (Named("this"), {"stringValue": "this"}),
    (b"\x00\xff", {"bytesValue": "AP8="}),
    (bytearray(b"ab"), {"bytesValue": "YWI="}),
    (memoryview(b"ab"), {"bytesValue": "YWI="}),
    (None, {}),
    ([], {"arrayValue": {}}),
    ({}, {"kvlistValue": {}}),
    (deque([1]), {"arrayValue": {"values": [{"intValue": "1"}]}}),
    ({1: None}, {"kvlistValue": {"values": [{"key": "1", "value": {}}]}}),
    (decimal.Decimal("1.20"), {"stringValue": "1.20"}),
    (datetime.date(2026, 11, 21), {"stringValue": "2026-11-21"}),
    (Broken(), {"stringValue": "<Broken>"}),
    ({3}, {"stringValue": "{3}"}),
]


@pytest.mark.parametrize(("given", "expected"), VALUES, ids=lambda item: type(item).__name__)
def test_every_value_has_a_form(given: object, expected: dict[str, Any]) -> None:
    """Scalars, containers, subclasses and strangers each become one valid AnyValue."""
    assert json.loads(value(given)) == expected


def test_a_number_too_long_for_decimal_digits_becomes_hex() -> None:
    """Python refuses to print integers of more than 4,300 digits; they still are text and no error."""
    assert json.loads(value(16**4000)) == {"stringValue": "0x1" + "0" * 4000}


def test_the_text_of_a_stranger_is_bounded() -> None:
    """An object whose text is huge does not fill the request."""
    assert len(json.loads(value(Loud()))["stringValue"]) <= 4096


def test_cycles_end() -> None:
    """A list that contains itself is encoded once; the inner ones are text."""
    items = json.loads(value(CYCLE))["arrayValue"]["values"]
    assert [list(item) for item in items] == [["stringValue"], ["stringValue"]]


def test_depth_is_bounded() -> None:
    """Nesting ends below what receivers take, with the rest as text."""
    depth, node = 0, json.loads(value(DEEP))
    while "arrayValue" in node:
        depth, node = depth + 1, node["arrayValue"]["values"][0]
    assert depth == 24 and node["stringValue"].startswith("[[")
    assert message(value(DEEP).encode(), AnyValue()).HasField("array_value")


def test_broken_surrogates_are_cleaned() -> None:
    """Halves of surrogate pairs join, single ones become U+FFFD; the other spans of the batch are untouched."""
    first, second = encoded([one_span({"a": "x\ud83dy", "b": "\ud83d\ude00", "c\udc00": 1}), one_span(name="Grüße")])
    assert first["attributes"][0]["value"]["stringValue"] == "x\ufffdy"
    assert first["attributes"][1]["value"]["stringValue"] == "😀"
    assert first["attributes"][2]["key"] == "c\ufffd"
    assert second["name"] == "Grüße"


def test_a_span_name_that_is_no_string_becomes_text() -> None:
    """A service that names its span with a number loses no batch."""
    context = SpanContext(1, 2, False, TraceFlags(1))
    (span,) = encoded([ReadableSpan(name=404, context=context)])  # type: ignore[arg-type]
    assert span["name"] == "404" and span["startTimeUnixNano"] == "0" and span["endTimeUnixNano"] == "0"


def test_a_span_without_a_context_is_still_valid() -> None:
    """Ids are zeros then: the receiver says what it thinks of the one span, and takes the others."""
    (span,) = encoded([ReadableSpan(name="x")])
    assert span["traceId"] == "0" * 32 and span["spanId"] == "0" * 16


def test_a_log_without_its_own_time_takes_the_observed_one() -> None:
    """Otherwise the record lands in 1970."""
    record = LogRecord(timestamp=None, observed_timestamp=17, body="b")
    body = strict(only(encode_logs([ReadableLogRecord(record, Resource({}))])))
    (log,) = body["resourceLogs"][0]["scopeLogs"][0]["logRecords"]
    assert log["timeUnixNano"] == "17" == log["observedTimeUnixNano"]


def test_dropped_counts_are_kept() -> None:
    """What the SDK's limits dropped is said on spans, events and links."""
    spans = [span for span in Generator(3).spans(60) if span.dropped_attributes]
    assert spans and all(span["droppedAttributesCount"] == 3 for span in encoded(spans))


def test_requests_are_bounded_in_bytes() -> None:
    """A batch above the limit is split; nothing is lost, nothing doubled, each request is whole."""
    spans = Generator(5).spans(200)
    requests = list(encode_spans(spans, 8_000))
    assert len(requests) > 5 and sum(request.entries for request in requests) == 200
    assert all(len(request.body) <= 8_000 for request in requests)
    seen = [span["spanId"] for request in requests for span in spans_of(request.body)]
    assert sorted(seen) == sorted(f"{span.get_span_context().span_id:016x}" for span in spans)


def test_a_split_request_repeats_resource_and_scope() -> None:
    """Each part says on its own where its spans come from."""
    spans = [one_span(name=f"s{index}") for index in range(1)] * 30
    parts = [strict(request.body)["resourceSpans"] for request in encode_spans(spans, 2_000)]
    assert len(parts) > 2
    assert {json.dumps(part[0]["resource"]) for part in parts} == {json.dumps(parts[0][0]["resource"])}
    assert {part[0]["scopeSpans"][0]["scope"]["name"] for part in parts} == {"t"}


def test_one_span_above_the_limit_goes_alone() -> None:
    """A single huge span is sent by itself, in its place."""
    spans = [one_span(name="a"), one_span({"big": "x" * 5_000}, "big"), one_span(name="b")]
    names = [[span["name"] for span in spans_of(request.body)] for request in encode_spans(spans, 2_500)]
    assert names == [["a"], ["big"], ["b"]]


def spans_of(body: bytes) -> list[dict[str, Any]]:
    return [span for r in strict(body)["resourceSpans"] for s in r["scopeSpans"] for span in s["spans"]]


def test_nothing_gives_no_request() -> None:
    """An empty batch is not sent."""
    assert list(encode_spans([])) == []
    assert list(encode_metrics(MetricsData([]))) == []


def test_the_cache_of_resources_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A service that makes resources without end does not fill memory, and none is taken for another."""
    monkeypatch.setattr(_pack, "_cache", {})
    for index in range(600):
        provider = TracerProvider(resource=Resource({"index": index}))
        span = provider.get_tracer(f"t{index}").start_span("s")
        span.end()
        body = strict(only(_encode.encode_spans([span])))  # type: ignore[list-item]
        (resource,) = body["resourceSpans"]
        assert {"key": "index", "value": {"intValue": str(index)}} in resource["resource"]["attributes"]
        assert resource["scopeSpans"][0]["scope"]["name"] == f"t{index}"
    assert len(_pack._cache) <= 256


def test_the_cache_of_keys_is_bounded() -> None:
    """Ids used as attribute keys do not fill memory."""
    for index in range(5_000):
        _value.attributes({f"key.{index}": index})
    assert len(_value._heads) <= 2048


def test_an_unknown_kind_of_metric_is_left_out() -> None:
    """Data of a kind that OTLP has no form for costs itself only."""
    data = Generator(2).metrics()
    metric = data.resource_metrics[0].scope_metrics[0].metrics[0]
    object.__setattr__(metric, "data", object())
    count = sum(len(s.metrics) for r in data.resource_metrics for s in r.scope_metrics)
    body = strict(only(encode_metrics(data)))
    found = [m for r in body["resourceMetrics"] for s in r["scopeMetrics"] for m in s["metrics"]]
    assert len(found) == count - 1


@pytest.mark.parametrize(
    ("value", "expected"), [(2**70, float(2**70)), (10**400, "Infinity"), (-(10**400), "-Infinity")]
)
def test_an_integer_metric_beyond_64_bits_is_a_double(value: int, expected: object) -> None:
    """A counter that overflowed keeps its magnitude and does not cost the request."""
    point = NumberDataPoint({}, 1, 2, value)
    metric = Metric("c", "", "", Sum([point], AggregationTemporality.CUMULATIVE, True))
    scopes = [ScopeMetrics(InstrumentationScope("s"), [metric], "")]
    body = strict(only(encode_metrics(MetricsData([ResourceMetrics(Resource({}), scopes, "")]))))
    (encoded_point,) = body["resourceMetrics"][0]["scopeMetrics"][0]["metrics"][0]["sum"]["dataPoints"]
    assert encoded_point["asDouble"] == expected
