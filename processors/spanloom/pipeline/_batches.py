"""Exporters behind a limit of bytes: a batch that is counted in spans may be larger than a receiver takes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, TypeVar

from opentelemetry.sdk._logs.export import LogRecordExporter, LogRecordExportResult
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from spanloom.pipeline._limits import SPAN_BYTES, attributes_size, size_of, span_size
from spanloom.pipeline._passing import Passing

if TYPE_CHECKING:
    from opentelemetry.sdk._logs import ReadableLogRecord
    from opentelemetry.sdk.trace import ReadableSpan

T = TypeVar("T")
R = TypeVar("R")


def portions(items: Sequence[T], size: Callable[[T], int], max_bytes: int) -> Iterator[Sequence[T]]:
    """The same items in order, in portions of at most ``max_bytes``; one that is larger alone goes alone."""
    begun, total = 0, 0
    room = max_bytes - shared_size(items)
    for index, item in enumerate(items):
        needed = size(item)
        if index > begun and total + needed > room:
            yield items[begun:index]
            begun, total = index, 0
        total += needed
    if begun < len(items):
        yield items[begun:] if begun else items


def shared_size(items: Sequence[Any]) -> int:
    """Bytes of the resources and scopes, of which a request has each once."""
    shared = {id(one): one for item in items for one in (item.resource, item.instrumentation_scope) if one is not None}
    size = 0
    for one in shared.values():
        texts = (getattr(one, name, None) or "" for name in ("name", "version", "schema_url"))
        size += SPAN_BYTES + attributes_size(one.attributes or {}) + sum(map(size_of, texts))
    return size


def record_size(record: ReadableLogRecord) -> int:
    """Bytes of a log record, estimated high."""
    inner = record.log_record
    texts = size_of(inner.event_name or "") + size_of(inner.severity_text or "")
    return SPAN_BYTES + texts + size_of(inner.body or "") + attributes_size(inner.attributes or {})


def _exported(export: Callable[[Any], R], some: Iterator[Sequence[Any]]) -> list[R]:
    """Each portion on its own. One that raises does not cost the others; the caller gets to know of it afterwards."""
    results: list[R] = []

    def step(one: Sequence[Any]) -> None:
        results.append(export(one))

    with ExitStack() as stack:
        for one in reversed(list(some)):
            stack.callback(step, one)
    return results


class BoundedSpanExporter(Passing, SpanExporter):
    """Hands spans on to another exporter, at most ``max_bytes`` at once."""

    def __init__(self, inner: SpanExporter, max_bytes: int) -> None:
        super().__init__(inner)
        self._max_bytes = max_bytes

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Each portion on its own: one that fails does not cost the others."""
        results = _exported(self.inner.export, portions(spans, span_size, self._max_bytes))
        failed = [one for one in results if one is not SpanExportResult.SUCCESS]
        return failed[0] if failed else SpanExportResult.SUCCESS


class BoundedLogExporter(Passing, LogRecordExporter):
    """The same for log records."""

    def __init__(self, inner: LogRecordExporter, max_bytes: int) -> None:
        super().__init__(inner)
        self._max_bytes = max_bytes

    def export(self, batch: Sequence[ReadableLogRecord]) -> LogRecordExportResult:
        """Each portion on its own."""
        results = _exported(self.inner.export, portions(batch, record_size, self._max_bytes))
        failed = [one for one in results if one is not LogRecordExportResult.SUCCESS]
        return failed[0] if failed else LogRecordExportResult.SUCCESS
