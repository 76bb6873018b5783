"""A span within a limit of bytes: its longest texts are cut, JSON stays JSON, and what is cut is counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.trace import Link

from spanloom.genai import hooks
from spanloom.pipeline._derived import ATTRIBUTES, EVENTS

# Encoded, besides names and texts (measured generously with OTLP/JSON): ids, times and braces; a value's own frame.
SPAN_BYTES: Final = 400
VALUE_BYTES: Final = 40
# Shorter texts are left alone: their marks would be as long.
_LEAST_BYTES: Final = 256
_NUMBER_BYTES: Final = 24


def size_of(value: Any) -> int:
    """Bytes of a value at the receiver: at least as many as OTLP needs, in JSON (but for its escapes) and protobuf."""
    if isinstance(value, str):
        return len(value) if value.isascii() else len(value.encode(errors="replace"))
    # Before the abstract classes: a look at those costs more than all the rest.
    if isinstance(value, (tuple, list)):
        size = 0
        for item in cast("Sequence[Any]", value):
            size += size_of(item) + VALUE_BYTES
        return size
    if isinstance(value, (int, float)) or value is None:
        return _NUMBER_BYTES
    if isinstance(value, bytes):
        return len(value) * 4 // 3
    if isinstance(value, Mapping):
        return attributes_size(cast("Mapping[str, Any]", value))
    return _NUMBER_BYTES


def attributes_size(attributes: Mapping[str, Any]) -> int:
    """Bytes of names and values."""
    return sum(len(name) + VALUE_BYTES + size_of(value) for name, value in attributes.items())


def span_size(span: ReadableSpan) -> int:
    """Bytes of a whole span, estimated high."""
    size = SPAN_BYTES + len(span.name) + attributes_size(span.attributes or {})
    for one in (*span.events, *span.links):
        size += _part_size(one)
    return size


def _part_size(part: Event | Link) -> int:
    return SPAN_BYTES // 4 + attributes_size(part.attributes or {}) + len(getattr(part, "name", ""))


class Limit:
    """Cuts spans that are longer than ``max_bytes`` (attributes and events together)."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self.cut_spans = 0

    def apply(self, span: ReadableSpan, fields: dict[str, Any]) -> None:
        """Replace what is too long in ``fields``: those that differ from the span's own."""
        attributes, events = fields[ATTRIBUTES], fields.get(EVENTS)
        if events is None and not len(getattr(span, EVENTS)):
            events = ()
        if not events and _at_most(attributes) <= self._max_bytes:
            return
        events = span.events if events is None else events
        excess = attributes_size(attributes) + sum(map(_part_size, events)) - self._max_bytes
        if excess > 0:
            self.cut_spans += 1
            fields[ATTRIBUTES], fields[EVENTS] = self._cut(attributes, list(events), excess)

    def _cut(
        self, attributes: Mapping[str, Any], events: list[Event], excess: int
    ) -> tuple[dict[str, Any], list[Event]]:
        rows, excess = cut_texts(attributes, excess)
        for index, event in enumerate(events):
            if excess <= 0:
                break
            told, excess = cut_texts(event.attributes or {}, excess)
            events[index] = Event(event.name, told, event.timestamp)
        # Very many short things: the newest events go, then the longest attributes.
        while excess > 0 and events:
            excess -= _part_size(events.pop())
        return (_shortest(rows, self._max_bytes) if excess > 0 else rows), events


def _at_most(attributes: Mapping[str, Any]) -> int:
    """A bound of their size that is quickly had: most spans are far below the limit."""
    chars, others = 0, 0
    for value in attributes.values():
        kind = value.__class__
        if kind is str:
            chars += len(value)
        elif kind is not int and kind is not float and kind is not bool:
            others += size_of(value)
    return 4 * chars + others + 256 * len(attributes)


def cut_texts(attributes: Mapping[str, Any], excess: int) -> tuple[dict[str, Any], int]:
    """The longest texts shortened until ``excess`` bytes are gone; what is still too much is returned beside it."""
    rows = dict(attributes)
    sizes = sorted(((size_of(value), name) for name, value in rows.items() if isinstance(value, str)), reverse=True)
    for size, name in sizes:
        if excess <= 0 or size <= _LEAST_BYTES:
            break
        rows[name] = hooks.cut_content(rows[name], max(_LEAST_BYTES, size - excess))
        excess -= size - size_of(rows[name])
    return rows, max(0, excess)


def _shortest(attributes: Mapping[str, Any], max_bytes: int) -> dict[str, Any]:
    """As many attributes as fit, the shortest ones."""
    rows: dict[str, Any] = {}
    size = 0
    for name, value in sorted(attributes.items(), key=lambda row: size_of(row[1])):
        size += len(name) + VALUE_BYTES + size_of(value)
        if size > max_bytes:
            break
        rows[name] = value
    return rows
