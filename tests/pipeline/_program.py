"""The pipeline, the sampler and the tail with the installed SDK; prints what came out as one JSON line.

It needs nothing but the SDK and our own code, so that it runs with any version.
"""

from __future__ import annotations

import importlib.metadata
import json
import logging
import warnings
from typing import Any

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import NonRecordingSpan, SpanContext, StatusCode, TraceFlags

from spanloom.genai import _guard
from spanloom.pipeline import SpanloomProcessor
from spanloom.pipeline._batches import BoundedSpanExporter
from spanloom.pipeline._logs import Evaluations, RedactingLogExporter
from spanloom.sampling import HeadRules, Sampler, SamplingRules, TailRule, TailRules
from spanloom.trace import context

SECRET = "sk-proj-abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKL"
CALLED = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o",
    "gen_ai.usage.input_tokens": 1000,
    "gen_ai.usage.output_tokens": 100,
}
RULES = SamplingRules(
    HeadRules(1.0),
    TailRules(
        baseline=0.0,
        skeleton=True,
        rules=(TailRule("failed", "error"), TailRule("bad", "evaluation_below", 0.5), TailRule("asked", "keep")),
    ),
)


class Line:
    """A service with everything."""

    def __init__(self) -> None:
        self.exporter, self.logs = InMemorySpanExporter(), InMemoryLogRecordExporter()
        self.processor = SpanloomProcessor(
            BatchSpanProcessor(BoundedSpanExporter(self.exporter, 10_000)), sampling=RULES
        )
        limits = SpanLimits(max_events=1, max_event_attributes=1, max_links=1)
        self.provider = TracerProvider(sampler=Sampler(RULES), span_limits=limits, shutdown_on_exit=False)
        self.provider.add_span_processor(self.processor)
        self.tracer = self.provider.get_tracer("program")
        self.loggers = LoggerProvider(shutdown_on_exit=False)
        assert self.processor.tail is not None
        self.loggers.add_log_record_processor(Evaluations(self.processor.tail))
        redacting = RedactingLogExporter(self.logs, self.processor.redactor)
        self.loggers.add_log_record_processor(SimpleLogRecordProcessor(redacting))

    def run(self) -> None:
        """One trace of each kind."""
        with context(user="u1"), self.tracer.start_as_current_span("asked") as root:
            root.set_attribute("spanloom.keep", True)
            self.tracer.start_span("chat", attributes={**CALLED, "key": SECRET}).end()
        with self.tracer.start_as_current_span("failed", self._remote()) as root:
            for _ in range(3):
                root.add_event(f"event {SECRET}", {"a": SECRET, "b": 2})
                root.add_link(SpanContext(1, 1, False), {"a": SECRET})
            root.set_status(StatusCode.ERROR, f"said {SECRET}")
        with self.tracer.start_as_current_span("judged"):
            attributes: dict[str, Any] = {"gen_ai.evaluation.score.value": 0.1, "nested": {"key": [SECRET, "a"]}}
            logger = self.loggers.get_logger("program")
            logger.emit(body={"said": [SECRET]}, attributes=attributes, event_name="gen_ai.evaluation.result")
            logger.emit(body="nothing", attributes={"plain": 1})
        with self.tracer.start_as_current_span("dropped", attributes={"input.value": "x"}):
            self.tracer.start_span("child").end()
        self.processor.force_flush()

    @staticmethod
    def _remote() -> Context:
        parent = SpanContext(0xFF << 48, 7, True, TraceFlags(1), trace.TraceState([("ot", "th:8"), ("v", "1")]))
        return trace.set_span_in_context(NonRecordingSpan(parent), Context())


def told(line: Line) -> list[dict[str, Any]]:
    """Spans as plain data."""
    return [
        {
            "name": span.name,
            "attributes": dict(span.attributes or {}),
            "state": span.context.trace_state.to_header(),
            "events": [[event.name, dict(event.attributes or {}), event.dropped_attributes] for event in span.events],
            "links": [dict(link.attributes or {}) for link in span.links],
            "dropped": [span.dropped_attributes, span.dropped_events, span.dropped_links],
            "description": span.status.description,
            "json": len(span.to_json()) > 100,
        }
        for span in line.exporter.get_finished_spans()
    ]


def main() -> None:
    """Run, and print."""
    warnings.simplefilter("error")
    _guard.RERAISE = True
    said: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: said.append(record.getMessage())
    logging.getLogger().addHandler(handler)
    reader = InMemoryMetricReader()
    from opentelemetry import metrics

    metrics.set_meter_provider(MeterProvider([reader], shutdown_on_exit=False))
    line = Line()
    line.run()
    spans = told(line)
    records = [
        {"body": one.log_record.body, "attributes": _plain(one.log_record.attributes)}
        for one in line.logs.get_finished_logs()
    ]
    data = reader.get_metrics_data()
    points = {
        metric.name: sorted(
            [point.value, *(value for _, value in sorted(point.attributes.items()))]
            for point in metric.data.data_points
        )
        for resource in (data.resource_metrics if data else ())
        for scope in resource.scope_metrics
        for metric in scope.metrics
        if metric.name.startswith("spanloom.")
    }
    line.provider.shutdown()
    version = importlib.metadata.version("opentelemetry-sdk")
    print(json.dumps({"version": version, "spans": spans, "logs": records, "points": points, "said": said}))


def _plain(value: Any) -> Any:
    if hasattr(value, "items"):
        return {key: _plain(one) for key, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, (list, tuple)) else value


if __name__ == "__main__":
    main()
