"""The pipeline of a process that is set up by the distribution: one span processor before all exporters."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.environment_variables import OTEL_BSP_MAX_QUEUE_SIZE
from opentelemetry.sdk.trace import SpanProcessor
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from spanloom import semconv
from spanloom.pipeline._batches import BoundedLogExporter, BoundedSpanExporter
from spanloom.pipeline._logs import Evaluations, RedactingLogExporter
from spanloom.pipeline._processor import SpanloomProcessor

if TYPE_CHECKING:
    from opentelemetry.sdk._logs import LogRecordProcessor
    from opentelemetry.sdk._logs.export import LogRecordExporter
    from opentelemetry.sdk.trace.export import SpanExporter

# How many traces of the greatest length the exporters' queue takes.
_LONGEST_TRACES: Final = 4
# The SDK's batches must fit, too.
_LEAST: Final = 512

_assembled: Assembly | None = None


class Assembly:
    """Gives the SDK's configurator what it asks for, exporter by exporter."""

    def __init__(self) -> None:
        self.processor = SpanloomProcessor()
        self._max_bytes = semconv.integer("SPANLOOM_BATCH_MAX_BYTES")
        self._queue = _queue(self.processor)

    def span_processors(self) -> list[SpanProcessor]:
        """For the provider: the pipeline, once."""
        return [self.processor]

    def behind(self, exporter: SpanExporter, *_args: Any, **_kwargs: Any) -> SpanProcessor:
        """Put an exporter behind the pipeline; what the SDK adds to the provider in its place does nothing."""
        self.processor.wrap(BatchSpanProcessor(self._bounded(exporter), max_queue_size=self._queue))
        return SpanProcessor()

    def log_record_processors(self) -> list[LogRecordProcessor]:
        """For the logger provider: what the tail sampler must know of log records, where its rules ask for it."""
        tail = self.processor.tail
        return [Evaluations(tail)] if tail is not None and tail.asks_for_evaluations else []

    def log_processor(self, exporter: LogRecordExporter, *_args: Any, **_kwargs: Any) -> LogRecordProcessor:
        """A batching processor before an exporter that is given redacted records."""
        inner = exporter if _is_ours(exporter) else BoundedLogExporter(exporter, self._max_bytes)
        return BatchLogRecordProcessor(RedactingLogExporter(inner, self.processor.redactor))

    def _bounded(self, exporter: SpanExporter) -> SpanExporter:
        return exporter if _is_ours(exporter) else BoundedSpanExporter(exporter, self._max_bytes)


def _queue(processor: SpanloomProcessor) -> int | None:
    """A trace that is kept comes at once: the queue takes some of the longest, unless somebody has set its length."""
    tail = processor.tail
    if tail is None or os.environ.get(OTEL_BSP_MAX_QUEUE_SIZE):
        return None
    return _LONGEST_TRACES * max(_LEAST, tail.max_spans_per_trace)


def _is_ours(exporter: object) -> bool:
    """Our exporters bound their requests by what is really encoded."""
    return type(exporter).__module__.startswith("spanloom.")


def assemble() -> Assembly:
    """The process's own assembly, made at the first call."""
    global _assembled
    if _assembled is None:
        _assembled = Assembly()
    return _assembled


def wrap(processor: SpanProcessor) -> None:
    """Put a span processor of the application's behind the pipeline that the distribution has set up.

    It then sees the ends of spans as exporters do: with costs, redacted, and only those that are kept. (It is told of
    every start, as long as nobody knows what will be kept. One that is added to the
    tracer provider stands beside the pipeline and sees the originals.) Raises ``RuntimeError`` where the distribution
    has set nothing up: there, give the processor to ``SpanloomProcessor``.
    """
    if _assembled is None:
        raise RuntimeError(
            "spanloom.pipeline.wrap() needs a process that spanloom has set up (opentelemetry-instrument or "
            "spanloom.distro.start()); in your own TracerProvider use SpanloomProcessor(processor, ...)"
        )
    _assembled.processor.wrap(processor)
