"""Run by the Python of Logfire's environment: its tail sampling and the stock processor, for tests.benchmarks.pipeline.

Attributes and the sizes of a run come by stdin, microseconds a span go to stdout, both as JSON. It imports nothing of
ours.
"""

from __future__ import annotations

import gc
import json
import sys
import time
from collections.abc import Sequence
from typing import Any

from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult


class Reads(SpanExporter):
    """Looks at all that an exporter looks at."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        for span in spans:
            _ = span.name, span.attributes, span.events, span.links, span.status, span.context, span.parent
            _ = span.kind, span.start_time, span.end_time, span.resource, span.instrumentation_scope
            _ = span.dropped_attributes, span.dropped_events, span.dropped_links
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        """Nothing."""


def batching() -> BatchSpanProcessor:
    return BatchSpanProcessor(Reads(), max_queue_size=4096, schedule_delay_millis=100_000)


def slow_or_failed(info: Any) -> float:
    """Two rules that do not hold."""
    return 1.0 if info.duration > 10 or info.level >= "error" else 0.0


def at_the_end(info: Any) -> float:
    """Decided where ours is: as the root ends."""
    return 1.0 if info.event == "end" and info.span.parent is None else slow_or_failed(info)


def provider(processor: SpanProcessor) -> TracerProvider:
    made = TracerProvider(shutdown_on_exit=False)
    made.add_span_processor(processor)
    return made


def main() -> None:
    """Measure and print."""
    from logfire.sampling._tail_sampling import TailSamplingProcessor  # pyright: ignore

    given = json.load(sys.stdin)
    table = {
        "stock": provider(batching()),
        "Logfire: dropped": provider(TailSamplingProcessor(batching(), slow_or_failed)),
        "Logfire: kept": provider(TailSamplingProcessor(batching(), at_the_end)),
    }
    best = dict.fromkeys(table, float("inf"))
    for _ in range(given["blocks"]):
        for name, one in table.items():
            gc.collect()
            begin = time.process_time_ns()
            run(one, given)
            spent = (time.process_time_ns() - begin) / 1000 / given["traces"] / given["spans"]
            best[name] = min(best[name], spent)
    print(json.dumps(best))


def run(one: TracerProvider, given: dict[str, Any]) -> None:
    tracer = one.get_tracer("bench")
    for _ in range(given["traces"]):
        root = tracer.start_span("POST /ask", attributes={"http.route": "/ask"})
        around = trace.set_span_in_context(root)
        for _ in range(given["spans"] - 1):
            span = tracer.start_span("chat gpt-4o-mini", around)
            span.set_attributes(given["attributes"])
            span.end()
        root.end()
    one.force_flush()


if __name__ == "__main__":
    main()
