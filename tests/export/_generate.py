"""Seeded random telemetry: every field of the SDK's types, with the awkward values that services really produce."""

from __future__ import annotations

import random
import string
from typing import Any

from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.attributes import BoundedAttributes
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk.metrics import Exemplar
from opentelemetry.sdk.metrics import export as points
from opentelemetry.sdk.metrics.export import AggregationTemporality, MetricsData, ResourceMetrics, ScopeMetrics
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.sdk.version import __version__ as SDK_VERSION
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState

ALPHABETS = (string.ascii_letters, string.printable, "äöüßéñ", "東京大阪データ", "🙂🚀👩‍💻", '\x00\x1f\x7f\u2028"\\/')
# Older official encoders drop an attribute with a None inside, and older SDKs make one of bytes that are no text;
# ours keeps them in every version.
NESTED_NONE = tuple(map(int, SDK_VERSION.split(".")[:2])) >= (1, 45)


class Generator:
    """Telemetry from one seed; the same seed gives the same telemetry."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        # The official encoder keeps one of several equal resources: ours differ by a number.
        self.resources = [Resource({"number": index, **self.attributes()}, self.schema()) for index in range(3)]
        self.scopes = [self.scope() for _ in range(3)]

    def text(self, most: int = 30) -> str:
        alphabet = self.random.choice(ALPHABETS)
        return "".join(self.random.choices(alphabet, k=self.random.randint(0, most)))

    def schema(self) -> str:
        return self.random.choice(("", "https://opentelemetry.io/schemas/1.42.0"))

    def scope(self) -> InstrumentationScope:
        version = self.random.choice((None, "1.2.3", ""))
        return InstrumentationScope(self.text() or "scope", version, self.schema(), self.attributes(most=3))

    def integer(self) -> int:
        edges = (0, 1, -1, 2**31, 2**53 + 1, 2**63 - 1, -(2**63), self.random.randint(-(2**63), 2**63 - 1))
        return self.random.choice(edges)

    def double(self) -> float:
        edges = (0.0, -0.0, 1.5, 1e300, 5e-324, -1 / 3, float("inf"), float("-inf"), self.random.uniform(-1e6, 1e6))
        return self.random.choice(edges)

    def scalar(self) -> Any:
        return self.random.choice((self.text, self.integer, self.double, lambda: self.random.random() < 0.5))()

    def value(self, depth: int = 0) -> Any:
        """Anything an AnyValue holds, nested to three levels."""
        roll = self.random.random()
        if depth < 3 and roll < 0.15:
            return [self.value(depth + 1) for _ in range(self.random.randint(0, 4))]
        if depth < 3 and roll < 0.3:
            return {f"{self.text(8)}{index}": self.value(depth + 1) for index in range(self.random.randint(0, 4))}
        if roll < 0.4:
            data = self.random.randbytes(self.random.randint(0, 9))
            return data if NESTED_NONE else data.hex().encode()
        return None if roll < 0.45 and depth and NESTED_NONE else self.scalar()

    def attributes(self, most: int = 8, *, nested: bool = False) -> dict[str, Any]:
        rows: dict[str, Any] = {}
        for index in range(self.random.randint(0, most)):
            key = f"{self.text(12)}.{index}"
            lists = (["a", "ü"], [1, 2, 3], [0.5, 1e9], [True, False])
            rows[key] = self.value() if nested else self.random.choice((self.scalar(), self.random.choice(lists)))
        return rows

    def bounded(self, *, nested: bool = False) -> BoundedAttributes:
        """Attributes as the SDK keeps them, at times with some dropped."""
        rows = BoundedAttributes(attributes=self.attributes(nested=nested), immutable=False)
        rows.dropped = self.random.choice((0, 0, 3))
        return rows

    def context(self) -> SpanContext:
        state = TraceState([("vendor", "a1"), ("ot", "th:8")]) if self.random.random() < 0.3 else None
        flags = TraceFlags(self.random.choice((0, 1)))
        ids = self.random.getrandbits(128) or 1, self.random.getrandbits(64) or 1
        return SpanContext(*ids, self.random.random() < 0.5, flags, state)

    def time(self) -> int:
        return 1_790_000_000_000_000_000 + self.random.getrandbits(50)

    def event(self) -> Event:
        return Event(self.text(), self.bounded(), self.time())

    def span(self) -> ReadableSpan:
        code = self.random.choice(list(StatusCode))
        status = Status(code, self.text() or "failed" if code is StatusCode.ERROR else None)
        return ReadableSpan(
            name=self.text(),
            context=self.context(),
            parent=self.context() if self.random.random() < 0.6 else None,
            resource=self.random.choice(self.resources),
            attributes=self.bounded(nested=True),
            events=[self.event() for _ in range(self.random.randint(0, 2))],
            links=[Link(self.context(), self.bounded()) for _ in range(self.random.randint(0, 2))],
            kind=self.random.choice(list(SpanKind)),
            status=status,
            start_time=self.time(),
            end_time=self.time(),
            instrumentation_scope=self.random.choice([*self.scopes, None]),
        )

    def spans(self, count: int) -> list[ReadableSpan]:
        return [self.span() for _ in range(count)]

    def log(self) -> ReadableLogRecord:
        traced = self.random.random() < 0.5
        record = LogRecord(
            timestamp=self.time(),
            observed_timestamp=self.time(),
            severity_text=self.random.choice((None, "INFO", self.text())),
            severity_number=self.random.choice((None, SeverityNumber.ERROR, SeverityNumber.DEBUG2)),
            body=self.random.choice((self.value(), None)),
            attributes=self.bounded(nested=True),
            event_name=self.random.choice((None, "gen.event")),
        )
        record.trace_id = self.random.getrandbits(128) if traced else 0
        record.span_id = self.random.getrandbits(64) if traced else 0
        record.trace_flags = TraceFlags(1 if traced else 0)
        resource, scope = self.random.choice(self.resources), self.random.choice([*self.scopes, None])
        return ReadableLogRecord(record, resource, scope)

    def logs(self, count: int) -> list[ReadableLogRecord]:
        return [self.log() for _ in range(count)]

    def exemplar(self) -> Exemplar:
        ids = (
            (self.random.getrandbits(64), self.random.getrandbits(128)) if self.random.random() < 0.5 else (None, None)
        )
        value = self.random.choice((self.integer(), self.double()))
        return Exemplar(self.attributes(most=2), value, self.time(), *ids)

    def exemplars(self) -> list[Exemplar]:
        return [self.exemplar() for _ in range(self.random.randint(0, 2))]

    def number_point(self) -> points.NumberDataPoint:
        value = self.random.choice((self.integer(), self.double()))
        return points.NumberDataPoint(self.attributes(), self.time(), self.time(), value, self.exemplars())

    def histogram_point(self) -> points.HistogramDataPoint:
        counts = [self.random.getrandbits(20) for _ in range(4)]
        low = self.random.uniform(-5, 5)
        return points.HistogramDataPoint(
            self.attributes(), self.time(), self.time(), sum(counts), self.double(), counts,
            [0.1, 1.0, 1e9], low, low + self.random.uniform(0, 9), self.exemplars(),
        )  # fmt: skip

    def buckets(self) -> points.Buckets:
        return points.Buckets(
            self.random.randint(-9, 9), [self.random.getrandbits(9) for _ in range(self.random.randint(0, 5))]
        )

    def exponential_point(self) -> points.ExponentialHistogramDataPoint:
        return points.ExponentialHistogramDataPoint(
            self.attributes(), self.time(), self.time(), self.random.getrandbits(30), self.double(),
            self.random.randint(-10, 20), self.random.getrandbits(8), self.buckets(), self.buckets(),
            self.random.choice((0, 1)), -1.5, 7.25, self.exemplars(),
        )  # fmt: skip

    def metric(self) -> points.Metric:
        temporality = self.random.choice((AggregationTemporality.DELTA, AggregationTemporality.CUMULATIVE))
        many = range(self.random.randint(1, 3))
        data = self.random.choice(
            (
                lambda: points.Sum([self.number_point() for _ in many], temporality, self.random.random() < 0.5),
                lambda: points.Gauge([self.number_point() for _ in many]),
                lambda: points.Histogram([self.histogram_point() for _ in many], temporality),
                lambda: points.ExponentialHistogram([self.exponential_point() for _ in many], temporality),
            )
        )()
        unit = self.random.choice(("", "s", "{token}"))
        return points.Metric(self.text(), self.text(), unit, data)

    def metrics(self) -> MetricsData:
        return MetricsData([self.metrics_of(resource) for resource in self.resources])

    def metrics_of(self, resource: Resource) -> ResourceMetrics:
        scopes = [
            ScopeMetrics(scope, [self.metric() for _ in range(3)], scope.schema_url or "") for scope in self.scopes
        ]
        return ResourceMetrics(resource, scopes, resource.schema_url)
