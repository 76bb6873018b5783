"""OTLP/JSON objects to spans. Pure; what is no OTLP raises ``MalformedError`` and never anything else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, cast

from spanloom.record._model import KINDS, Event, Link, Span, Value

SIGNALS = ("resourceSpans", "resourceMetrics", "resourceLogs")
_HEX = frozenset("0123456789abcdef")

Wanted = Callable[[str], bool]


class MalformedError(ValueError):
    """Not what OTLP/JSON has in this place."""


def spans_of(line: object, wanted: Wanted) -> Iterator[Span | MalformedError]:
    """Every span of one export request; an error in the place of a span that is none.

    Only attributes whose name is ``wanted`` are kept. Raises MalformedError where the line as a whole is no request.
    """
    request = _object(line)
    if not any(signal in request for signal in SIGNALS):
        raise MalformedError("no OTLP request")
    for resource_spans in _objects(request, "resourceSpans"):
        resource = _object(resource_spans.get("resource", {}))
        service = _attributes(resource, lambda name: name == "service.name").get("service.name")
        for scope_spans in _objects(resource_spans, "scopeSpans"):
            scope = _text(_object(scope_spans.get("scope", {})), "name")
            for row in _list(scope_spans, "spans"):
                yield _span_or_error(row, service if isinstance(service, str) else "", scope, wanted)


def _span_or_error(row: object, service: str, scope: str, wanted: Wanted) -> Span | MalformedError:
    try:
        return _span(_object(row), service, scope, wanted)
    except MalformedError as error:
        return error


def _span(row: dict[str, Any], service: str, scope: str, wanted: Wanted) -> Span:
    status = _object(row.get("status", {}))
    kind = _integer(row, "kind")
    return Span(
        trace_id=_id(row, "traceId", 32),
        span_id=_id(row, "spanId", 16),
        parent_id=_id(row, "parentSpanId", 16) if row.get("parentSpanId") else "",
        name=_text(row, "name"),
        kind=KINDS[kind] if 0 <= kind < len(KINDS) else "",
        start_ns=_integer(row, "startTimeUnixNano"),
        end_ns=_integer(row, "endTimeUnixNano"),
        status_code=_integer(status, "code"),
        status_message=_text(status, "message"),
        service=service,
        scope=scope,
        attributes=_attributes(row, wanted),
        events=[_event(event, wanted) for event in _objects(row, "events")],
        links=[link for one in _objects(row, "links") if (link := _link(one, wanted)) is not None],
    )


def _event(row: dict[str, Any], wanted: Wanted) -> Event:
    return Event(_text(row, "name"), _integer(row, "timeUnixNano"), _attributes(row, wanted))


def _link(row: dict[str, Any], wanted: Wanted) -> Link | None:
    """``None`` for one that leads nowhere: the span is worth more than it."""
    try:
        return Link(_id(row, "traceId", 32), _id(row, "spanId", 16), _attributes(row, wanted))
    except MalformedError:
        return None


def _attributes(row: dict[str, Any], wanted: Wanted) -> dict[str, Value]:
    return {
        name: _value(pair.get("value"), 0) for pair in _objects(row, "attributes") if wanted(name := _text(pair, "key"))
    }


_MAX_DEPTH = 100


def _value(any_value: object, depth: int) -> Value:
    """An AnyValue; bytes stay base64 text, an unknown kind of value is None."""
    row = _object(any_value) if any_value is not None else {}
    if depth > _MAX_DEPTH:
        raise MalformedError("nested too deep")
    for kind, value in row.items():
        if kind in ("stringValue", "bytesValue"):
            return _text(row, kind)
        if kind == "boolValue":
            return value is True
        if kind == "intValue":
            return _integer(row, kind)
        if kind == "doubleValue":
            return _double(value)
        if kind == "arrayValue":
            return [_value(item, depth + 1) for item in _list(_object(value), "values")]
        if kind == "kvlistValue":
            pairs = _objects(_object(value), "values")
            return {_text(pair, "key"): _value(pair.get("value"), depth + 1) for pair in pairs}
    return None


def _double(value: object) -> float:
    """A number, or one of the words that JSON has no number for."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return _finite(value)
    words = {"NaN": "nan", "Infinity": "inf", "-Infinity": "-inf"}
    if isinstance(value, str) and value in words:
        return float(words[value])
    raise MalformedError("no number")


def _finite(value: float) -> float:
    try:
        return float(value)
    except OverflowError:
        raise MalformedError("a number without end") from None


def _object(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise MalformedError("no object")
    return cast("dict[str, Any]", value)


def _list(row: dict[str, Any], key: str) -> list[object]:
    value = row.get(key, [])
    if not isinstance(value, list):
        raise MalformedError(f"{key} is no list")
    return cast("list[object]", value)


def _objects(row: dict[str, Any], key: str) -> Iterator[dict[str, Any]]:
    return map(_object, _list(row, key))


def _text(row: dict[str, Any], key: str) -> str:
    value = row.get(key, "")
    if not isinstance(value, str):
        raise MalformedError(f"{key} is no text")
    return value


def _integer(row: dict[str, Any], key: str) -> int:
    """64-bit integers are strings in OTLP/JSON; writers with plain numbers are understood too."""
    value = row.get(key, 0)
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**64:
        return value
    digits = value.removeprefix("-") if isinstance(value, str) else ""
    if digits.isascii() and digits.isdigit() and len(digits) <= 20:
        return int(value)
    raise MalformedError(f"{key} is no integer")


def _id(row: dict[str, Any], key: str, length: int) -> str:
    value = _text(row, key).lower()
    if len(value) != length or not _HEX.issuperset(value) or not value.strip("0"):
        raise MalformedError(f"{key} is no id")
    return value
