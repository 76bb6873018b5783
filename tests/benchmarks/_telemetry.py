"""The SDK as it is measured: spans batched to an exporter that throws them away; metrics aggregated; events dropped."""

from __future__ import annotations

import functools
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from opentelemetry.context import Context
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import DEFAULT_ON, Decision, Sampler, SamplingResult
from opentelemetry.trace import Link, SpanKind, TraceState

from tests.benchmarks.cases import Setting

if TYPE_CHECKING:
    import asyncio


class CountingExporter(SpanExporter):
    """Only counts, so that a contender that records nothing cannot win."""

    def __init__(self) -> None:
        self.spans = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.spans += len(spans)
        return SpanExportResult.SUCCESS


class CountingOff(Sampler):
    """Drops every span and counts them; tells ``on_drop``, if set, what each was started with."""

    def __init__(self) -> None:
        self.spans = 0
        self.on_drop: Callable[[str, SpanKind | None, Mapping[str, Any] | None], object] | None = None

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Mapping[str, Any] | None = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        self.spans += 1
        if self.on_drop is not None:
            self.on_drop(name, kind, attributes)
        return SamplingResult(Decision.DROP)

    def get_description(self) -> str:
        return "CountingOff"


class Bench:
    """What a case gets: providers of its own, and whether message content is captured."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.exporter = CountingExporter()
        self.processor = BatchSpanProcessor(self.exporter)
        self.dropped = CountingOff()
        self.tracer_provider = TracerProvider(DEFAULT_ON if setting.sampled else self.dropped)
        self.tracer_provider.add_span_processor(self.processor)
        self.metric_reader = InMemoryMetricReader()
        self.meter_provider = MeterProvider([self.metric_reader])
        self.logger_provider = LoggerProvider()

    @functools.cached_property
    def _loop(self) -> asyncio.AbstractEventLoop:
        # Not for those who do without: it would hide what an instrumentor costs that imports it.
        import asyncio

        return asyncio.new_event_loop()

    def run(self, calls: Coroutine[Any, Any, None]) -> None:
        """Run asynchronous calls, always in the same event loop: starting one costs more than a call."""
        self._loop.run_until_complete(calls)

    def close(self) -> None:
        """Shut everything down, for a process that goes on."""
        # Twice: what is put off until the loop runs again has its turn.
        for _ in range(2):
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()
        self.tracer_provider.shutdown()
        self.meter_provider.shutdown()

    def spans_so_far(self) -> int:
        """Spans that arrived at the exporter, or were started where none is sampled."""
        self.tracer_provider.force_flush()
        return self.exporter.spans if self.setting.sampled else self.dropped.spans
