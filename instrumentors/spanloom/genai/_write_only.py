"""A span for somebody else's code: it may be written to, and what stands on it already is not shown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from opentelemetry.trace import Span

if TYPE_CHECKING:
    from opentelemetry.trace import SpanContext


class WriteOnlySpan(Span):
    """What the API has, handed on; nothing of the SDK's (``attributes``, ``events``). It does not end the span."""

    __slots__ = (
        "_add_event",
        "_add_link",
        "_get_span_context",
        "_is_recording",
        "_record_exception",
        "_set_attributes",
        "_set_status",
        "_update_name",
    )

    def __init__(self, span: Span) -> None:
        # Bound methods, not the span: whoever looks at our fields by name finds no attributes there.
        self._add_event = span.add_event
        self._add_link = span.add_link
        self._get_span_context = span.get_span_context
        self._is_recording = span.is_recording
        self._record_exception = span.record_exception
        self._set_attributes = span.set_attributes
        self._set_status = span.set_status
        self._update_name = span.update_name

    def end(self, end_time: int | None = None) -> None:
        """Nothing: whoever began it ends it."""

    def get_span_context(self) -> SpanContext:
        return self._get_span_context()

    def set_attributes(self, attributes: Mapping[str, Any]) -> None:
        self._set_attributes(attributes)

    def set_attribute(self, key: str, value: Any) -> None:
        self._set_attributes({key: value})

    def add_event(self, name: str, attributes: Any = None, timestamp: int | None = None) -> None:
        self._add_event(name, attributes, timestamp)

    def add_link(self, context: SpanContext, attributes: Any = None) -> None:
        self._add_link(context, attributes)

    def update_name(self, name: str) -> None:
        self._update_name(name)

    def is_recording(self) -> bool:
        return self._is_recording()

    def set_status(self, status: Any, description: str | None = None) -> None:
        self._set_status(status, description)

    def record_exception(
        self, exception: BaseException, attributes: Any = None, timestamp: int | None = None, escaped: bool = False
    ) -> None:
        self._record_exception(exception, attributes, timestamp, escaped)
