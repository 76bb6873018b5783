"""The SDK as it is measured: every span sampled and batched to an exporter that throws it away; metrics aggregated."""

from __future__ import annotations

from collections.abc import Sequence

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult


class CountingExporter(SpanExporter):
    """Only counts, so that a contender that records nothing cannot win."""

    def __init__(self) -> None:
        self.spans = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.spans += len(spans)
        return SpanExportResult.SUCCESS


class Bench:
    """What a case gets: providers of its own, and whether message content is captured."""

    def __init__(self, content: bool) -> None:
        self.content = content
        self._exporter = CountingExporter()
        self.tracer_provider = TracerProvider()
        self.tracer_provider.add_span_processor(BatchSpanProcessor(self._exporter))
        self.meter_provider = MeterProvider([InMemoryMetricReader()])

    def spans_so_far(self) -> int:
        """Spans that arrived at the exporter."""
        self.tracer_provider.force_flush()
        return self._exporter.spans
