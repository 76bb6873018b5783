"""A span within a limit of bytes: its longest texts are cut, JSON stays JSON, and what is cut is counted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, cast

from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.trace import Link, SpanContext, Status

from spanloom.genai import hooks
from spanloom.pipeline._derived import ATTRIBUTES, DROPPED, EVENTS, LINKS, NAME, STATUS
from spanloom.pipeline._parts import event_with, link_with

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
        items = cast("Sequence[Any]", value)
        return sum([size_of(item) for item in items]) + VALUE_BYTES * len(items)
    if isinstance(value, (int, float)):
        return _NUMBER_BYTES
    if isinstance(value, bytes):
        return len(value) * 4 // 3
    if isinstance(value, Mapping):
        return attributes_size(cast("Mapping[str, Any]", value))
    return _NUMBER_BYTES


def attributes_size(attributes: Mapping[str, Any]) -> int:
    """Bytes of names and values."""
    return sum(size_of(name) + VALUE_BYTES + size_of(value) for name, value in attributes.items())


def span_size(span: ReadableSpan) -> int:
    """Bytes of a whole span, estimated high."""
    size = SPAN_BYTES + size_of(span.name) + attributes_size(span.attributes or {})
    size += size_of(span.status.description or "") + _state_size(span.context)
    for one in (*span.events, *span.links):
        size += _part_size(one)
    return size


def _part_size(part: Event | Link) -> int:
    own = size_of(part.name) if isinstance(part, Event) else _state_size(part.context)
    return SPAN_BYTES // 4 + attributes_size(part.attributes or {}) + own


def _state_size(context: SpanContext | None) -> int:
    state = context.trace_state if context is not None else None
    return sum(len(key) + len(value) + 2 for key, value in state.items()) if state else 0


class Limit:
    """Cuts spans that are longer than ``max_bytes``, whatever of them it is that is long."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self.cut_spans = 0

    def apply(self, fields: dict[str, Any]) -> None:
        """Replace what is too long in the fields of a span that is to be shown."""
        attributes, status = fields[ATTRIBUTES], fields[STATUS]
        texts = {NAME: fields[NAME], STATUS: status.description or ""}
        if not (len(fields[EVENTS]) or len(fields[LINKS])):
            others = len(texts[NAME]) + len(texts[STATUS])
            if _at_most(attributes) + 4 * others <= self._max_bytes:
                return
        events, links = list(fields[EVENTS]), list(fields[LINKS])
        excess = attributes_size(attributes) + sum(map(size_of, texts.values())) - self._max_bytes
        excess += sum(map(_part_size, (*events, *links)))
        if excess <= 0:
            return
        self.cut_spans += 1
        rows, excess = cut_texts(attributes, excess)
        excess = _cut_parts(events, excess, event_with)
        excess = _cut_parts(links, excess, link_with)
        fields.update(zip((ATTRIBUTES, EVENTS, LINKS), (rows, events, links), strict=True))
        if excess > 0:
            told, excess = cut_texts(texts, excess)
            fields[NAME], fields[STATUS] = told[NAME], Status(status.status_code, told[STATUS] or None)
        if excess > 0:
            self._drop(fields, excess)

    def _drop(self, fields: dict[str, Any], excess: int) -> None:
        """Very many short things: the newest events and links go, then the longest attributes."""
        rows, events, links = fields[ATTRIBUTES], fields[EVENTS], fields[LINKS]
        had = (len(rows), len(events), len(links))
        for parts in (events, links):
            while excess > 0 and parts:
                excess -= _part_size(parts.pop())
        if excess > 0:
            fields[ATTRIBUTES] = _shortest(rows, attributes_size(rows) - excess)
        left = (len(fields[ATTRIBUTES]), len(events), len(links))
        fields[DROPPED] = tuple(sum(one) - rest for *one, rest in zip(fields[DROPPED], had, left, strict=True))


def _cut_parts(parts: list[Any], excess: int, made: Callable[[Any, dict[str, Any]], Any]) -> int:
    """Events or links with their longest texts cut; what is still too much."""
    for index, part in enumerate(parts):
        if excess <= 0:
            break
        told, left = cut_texts(part.attributes or {}, excess)
        if left < excess:
            parts[index], excess = made(part, told), left
    return excess


def _at_most(attributes: Mapping[str, Any]) -> int:
    """A bound of their size that is quickly had: most spans are far below the limit."""
    chars, others = len("".join(attributes)), 0
    for value in attributes.values():
        kind = value.__class__
        if kind is str:
            chars += len(value)
        elif kind is not int and kind is not float and kind is not bool:
            others += size_of(value)
    return 4 * chars + others + (VALUE_BYTES + _NUMBER_BYTES) * len(attributes)


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
        size += size_of(name) + VALUE_BYTES + size_of(value)
        if size > max_bytes:
            break
        rows[name] = value
    return rows
