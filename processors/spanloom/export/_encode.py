"""Spans, logs and metrics of the SDK (1.40 and newer) as OTLP/JSON requests. Pure; errors of the data become text.

Ids are hex, 64-bit integers are strings, enums are numbers, default values are left out: the JSON mapping of the OTLP
specification, which differs from protobuf's own in the ids.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk.metrics.export import MetricsData
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.trace import INVALID_SPAN_CONTEXT, Link, SpanContext, Status

from spanloom.export._encode_metrics import metric_item
from spanloom.export._pack import LOGS, METRICS, TRACES, Groups, Item, Request, Signal
from spanloom.export._value import array, attributes, name, quote, utf8, value

__all__ = ["LOGS", "METRICS", "TRACES", "Request", "Signal", "encode_logs", "encode_metrics", "encode_spans"]

# Receivers refuse more than 4 MiB (gRPC's default, which many HTTP front doors copy).
REQUEST_BYTES = 3_500_000

_HAS_REMOTE = 0x100
_IS_REMOTE = 0x200


def encode_spans(spans: Sequence[ReadableSpan], limit_bytes: int = REQUEST_BYTES) -> Iterator[Request]:
    """Requests with every span, each at most ``limit_bytes`` long unless one span alone is longer."""
    groups = Groups()
    for span in spans:
        items = groups.items_of(span.resource, span.instrumentation_scope)
        items.append(Item(utf8(span_text(span)), 1))
    return groups.requests(TRACES, limit_bytes)


def encode_logs(records: Sequence[ReadableLogRecord], limit_bytes: int = REQUEST_BYTES) -> Iterator[Request]:
    """Requests with every log record, bounded like those of spans."""
    groups = Groups()
    for record in records:
        items = groups.items_of(record.resource, record.instrumentation_scope)
        items.append(Item(utf8(log_text(record)), 1))
    return groups.requests(LOGS, limit_bytes)


def encode_metrics(data: MetricsData, limit_bytes: int = REQUEST_BYTES) -> Iterator[Request]:
    """Requests with every metric; ``entries`` are data points."""
    groups = Groups()
    for of_resource in data.resource_metrics:
        for of_scope in of_resource.scope_metrics:
            items = groups.items_of(of_resource.resource, of_scope.scope)
            items.extend(item for metric in of_scope.metrics if (item := metric_item(metric)))
    return groups.requests(METRICS, limit_bytes)


def span_text(span: ReadableSpan) -> str:
    """One Span object."""
    context, parent = span.get_span_context() or INVALID_SPAN_CONTEXT, span.parent
    # The parts below leave their trailing comma; "flags" always ends the object.
    return (
        f"{{{_ids(context)}{_parent(parent)}{_state(context)}"
        f'"name":{name(span.name)},"kind":{span.kind.value + 1},'
        f'"startTimeUnixNano":"{span.start_time or 0}","endTimeUnixNano":"{span.end_time or 0}",'
        f"{array('attributes', attributes(span.attributes))}{_dropped('Attributes', span.dropped_attributes)}"
        f"{array('events', ','.join(map(_event, span.events)))}{_dropped('Events', span.dropped_events)}"
        f"{array('links', ','.join(map(_link, span.links)))}{_dropped('Links', span.dropped_links)}"
        f'{_status(span.status)}"flags":{_flags(context, parent)}}}'
    )


def log_text(readable: ReadableLogRecord) -> str:
    """One LogRecord object. Without a time of its own it gets the observed one: else it lands in 1970."""
    record = readable.log_record
    observed = record.observed_timestamp or 0
    severity = record.severity_number
    level = f'"severityNumber":{severity.value},' if severity else ""
    body = "" if record.body is None else f'"body":{value(record.body)},'
    trace_id = f'"traceId":"{record.trace_id:032x}",' if record.trace_id else ""
    span_id = f'"spanId":"{record.span_id:016x}",' if record.span_id else ""
    return (
        f'{{"timeUnixNano":"{record.timestamp or observed}","observedTimeUnixNano":"{observed}",'
        f"{level}{_text('severityText', record.severity_text)}{body}"
        f"{array('attributes', attributes(record.attributes))}{_dropped('Attributes', readable.dropped_attributes)}"
        f"{trace_id}{span_id}{_text('eventName', record.event_name)}"
        f'"flags":{int(record.trace_flags or 0)}}}'
    )


def _text(key: str, text: str | None) -> str:
    return f'"{key}":{name(text)},' if text else ""


def _ids(context: SpanContext) -> str:
    return f'"traceId":"{context.trace_id:032x}","spanId":"{context.span_id:016x}",'


def _parent(parent: SpanContext | None) -> str:
    return f'"parentSpanId":"{parent.span_id:016x}",' if parent else ""


def _state(context: SpanContext) -> str:
    state = context.trace_state
    return f'"traceState":{quote(state.to_header())},' if state else ""


def _flags(own: SpanContext, remote: SpanContext | None) -> int:
    """The W3C flags in the low byte; above it whether ``remote`` came from another process."""
    return int(own.trace_flags) | _HAS_REMOTE | (_IS_REMOTE if remote and remote.is_remote else 0)


def _dropped(what: str, count: int) -> str:
    return f'"dropped{what}Count":{count},' if count else ""


def _event(event: Event) -> str:
    rows = array("attributes", attributes(event.attributes))
    dropped = _dropped("Attributes", event.dropped_attributes)
    return f'{{{rows}{dropped}"timeUnixNano":"{event.timestamp}","name":{name(event.name)}}}'


def _link(link: Link) -> str:
    context = link.context
    rows = array("attributes", attributes(link.attributes))
    dropped = _dropped("Attributes", link.dropped_attributes)
    return f'{{{_ids(context)}{_state(context)}{rows}{dropped}"flags":{_flags(context, context)}}}'


def _status(status: Status) -> str:
    message = f',"message":{name(status.description)}' if status.description else ""
    return f'"status":{{"code":{status.status_code.value}{message}}},'
