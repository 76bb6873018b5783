"""Spans and metrics of one test in memory, with fixed ids, and a form of them that is the same in every run."""

from __future__ import annotations

import itertools
import json
import re
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from opentelemetry.sdk._logs import LoggerProvider, ReadableLogRecord
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, Metric, MetricsData
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, Sampler

from spanloom.semconv import GenAI, Server, Spanloom

# What a clock, a free port or the bytes of a request (by way of the model server) decide.
_VOLATILE = (GenAI.RESPONSE_TIME_TO_FIRST_CHUNK, GenAI.RESPONSE_ID, Server.PORT)
_CALL_ID = re.compile(r"call_[0-9a-f]{24}")
_CONTENT = (
    GenAI.INPUT_MESSAGES,
    GenAI.OUTPUT_MESSAGES,
    GenAI.SYSTEM_INSTRUCTIONS,
    GenAI.TOOL_DEFINITIONS,
    GenAI.TOOL_CALL_ARGUMENTS,
    GenAI.TOOL_CALL_RESULT,
    "dspy.inputs",
    "dspy.outputs",
)


class CountingIds(IdGenerator):
    """Trace ids 1, 2, 3 ... and span ids 1, 2, 3 ..., in the order of their start."""

    def __init__(self) -> None:
        self._traces = itertools.count(1)
        self._spans = itertools.count(1)

    def generate_trace_id(self) -> int:
        return next(self._traces)

    def generate_span_id(self) -> int:
        return next(self._spans)


class Recorder:
    """Providers for one test, and what was recorded through them."""

    def __init__(self, sampler: Sampler = ALWAYS_ON) -> None:
        self._exporter = InMemorySpanExporter()
        self._reader = InMemoryMetricReader()
        self.tracer_provider = TracerProvider(sampler=sampler, id_generator=CountingIds(), shutdown_on_exit=False)
        self.tracer_provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.meter_provider = MeterProvider([self._reader], shutdown_on_exit=False)
        self._logs = InMemoryLogRecordExporter()
        self.logger_provider = LoggerProvider(shutdown_on_exit=False)
        self.logger_provider.add_log_record_processor(SimpleLogRecordProcessor(self._logs))

    @property
    def providers(self) -> dict[str, Any]:
        """The arguments of ``instrument()``."""
        return {
            "tracer_provider": self.tracer_provider,
            "meter_provider": self.meter_provider,
            "logger_provider": self.logger_provider,
        }

    @property
    def spans(self) -> list[ReadableSpan]:
        """Finished spans in the order of their start."""
        return sorted(self._exporter.get_finished_spans(), key=lambda span: span.context.span_id)

    @property
    def span(self) -> ReadableSpan:
        """The only span."""
        (only,) = self.spans
        return only

    def named(self, name: str) -> ReadableSpan:
        """The only span of this name."""
        (only,) = [span for span in self.spans if span.name == name]
        return only

    @property
    def events(self) -> list[ReadableLogRecord]:
        """Emitted events in their order."""
        return list(self._logs.get_finished_logs())

    def event(self, name: str) -> ReadableLogRecord:
        """The only event of this name."""
        (only,) = [one for one in self.events if one.log_record.event_name == name]
        return only

    def clear(self) -> None:
        """Forget the spans and the events."""
        self._exporter.clear()
        self._logs.clear()

    def metrics_data(self) -> MetricsData | None:
        """All metrics as they are exported."""
        return self._reader.get_metrics_data()

    def metrics(self) -> dict[str, Metric]:
        """Every metric by name, over all scopes (a name of two scopes fails)."""
        data = self.metrics_data()
        found: dict[str, Metric] = {}
        for resource in data.resource_metrics if data else ():
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    assert metric.name not in found, metric.name
                    found[metric.name] = metric
        return found

    def points(self, name: str) -> list[Any]:
        """The data points of one metric; none where it was not recorded."""
        metric = self.metrics().get(name)
        return list(metric.data.data_points) if metric else []

    def total(self, name: str) -> int | float:
        """The sum of a counter, or the count of a histogram, over all attributes."""
        return sum(point.value if hasattr(point, "value") else point.count for point in self.points(name))

    def close(self) -> None:
        """Shut the providers down."""
        self.tracer_provider.shutdown()
        self.meter_provider.shutdown()
        self.logger_provider.shutdown()


def eventually(condition: Callable[[], Any], within_s: float = 5.0) -> Any:
    """The condition's first true value; for what another thread does."""
    deadline = time.monotonic() + within_s
    while not (value := condition()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.005)
    return value


def normal(spans: Iterable[ReadableSpan]) -> list[dict[str, Any]]:
    """Spans as plain data without times: for snapshots. Content attributes are parsed."""
    return [_normal(span) for span in sorted(spans, key=lambda span: span.context.span_id)]


def _normal(span: ReadableSpan) -> dict[str, Any]:
    return {
        "trace": span.context.trace_id,
        "id": span.context.span_id,
        "parent": span.parent.span_id if span.parent else None,
        "name": span.name,
        "kind": span.kind.name,
        "scope": span.instrumentation_scope.name,
        "status": span.status.status_code.name,
        "status_text": span.status.description,
        "attributes": _attributes(span.attributes or {}),
        "events": [event.name for event in span.events],
        "links": [link.context.span_id for link in span.links],
    }


def _attributes(attributes: Mapping[str, Any]) -> dict[str, Any]:
    rows = {}
    for name, value in sorted(attributes.items()):
        if name in _VOLATILE:
            value = f"<{type(value).__name__}>"
        elif name in _CONTENT:
            value = json.loads(_CALL_ID.sub("call_<id>", value))
        rows[name] = list(value) if isinstance(value, tuple) else value
    return rows


def outline(spans: Iterable[ReadableSpan], *extra: str) -> list[str]:
    """The tree as indented lines: name, ``!`` for an error, and the values of ``extra`` attributes."""
    every = sorted(spans, key=lambda span: span.context.span_id)
    known = {span.context.span_id for span in every}
    below: dict[int | None, list[ReadableSpan]] = {}
    for span in every:
        parent = span.parent.span_id if span.parent and span.parent.span_id in known else None
        below.setdefault(parent, []).append(span)
    lines: list[str] = []

    def write(parent: int | None, depth: int) -> None:
        for span in below.get(parent, ()):
            lines.append("  " * depth + _line(span, extra))
            write(span.context.span_id, depth + 1)

    write(None, 0)
    return lines


def _line(span: ReadableSpan, extra: tuple[str, ...]) -> str:
    values = [f"{name.rpartition('.')[2]}={span.attributes[name]}" for name in extra if name in span.attributes]
    return " ".join([span.name + ("!" if span.status.status_code.name == "ERROR" else ""), *values])


def stream_end(span: ReadableSpan) -> str | None:
    """How a streamed call ended where nobody read to its end."""
    return span.attributes.get(Spanloom.STREAM_END)
