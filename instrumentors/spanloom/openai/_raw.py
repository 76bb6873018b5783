"""``with_raw_response`` and ``with_streaming_response``: the body is the caller's, and we never read it."""

from __future__ import annotations

import json
from typing import Any

from spanloom.genai import ClientCall, StreamWatch, tolerant
from spanloom.openai._stream import Reading, Shape, follow, shape_of, watching

# Where a body is mostly vectors, the few fields for us are picked out of a longer one than this.
_LONG_BYTES = 32_768
_FIELDS = ("model", "usage")


def observe_raw(call: ClientCall, reading: Reading, result: Any) -> None:
    """Let the call end with the body.

    A body that has been read already is looked at, and so is one that the caller reads as a whole; a stream that he
    asks for (``parse()``) is followed. Bytes and lines that he takes himself are counted to their end, not looked at.
    """
    response = result.http_response
    # A stream may come from memory, too: caches and recorded answers do that.
    if getattr(response, "is_closed", False) and not getattr(result, "_stream", False):
        _read_body(call, reading, response.content)
        call.stop()
        return
    watch = watching(call, reading)
    watch.watch_body(response, lambda body: _read_body(call, reading, body))
    watch.watch_parse(result, lambda parsed: _follow_once(watch, parsed))
    watch.watch_owner(response)


def _follow_once(watch: StreamWatch[Any], parsed: Any) -> None:
    # A second ``parse()`` gives the same stream again.
    if shape_of(parsed) is Shape.STREAM and not watch.followed:
        follow(watch, parsed)


def read_answer(call: ClientCall, reading: Reading, response: Any) -> None:
    """Read the body of an HTTP response that the SDK has read already; how the call ends is not told by it."""
    body = tolerant(lambda: response.content, None) if getattr(response, "is_stream_consumed", False) else None
    parsed = _fields_of(reading, body)
    if parsed is not None and reading.answer is not None:
        reading.answer(call, parsed)


def _read_body(call: ClientCall, reading: Reading, body: Any) -> None:
    """Read a response that is still JSON text."""
    parsed = _fields_of(reading, body)
    if parsed is not None:
        reading.whole(call, parsed)


def _fields_of(reading: Reading, body: Any) -> Any:
    """What a body says; nothing where it is no JSON, or is not to be read."""
    if reading.answer is None or not isinstance(body, bytes):
        return None
    return _some_fields(body) if reading.large and len(body) > _LONG_BYTES else _parsed(body)


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None


def _some_fields(body: bytes) -> dict[str, Any] | None:
    """The last ``model`` and ``usage`` of a long body, without parsing the vectors."""
    found: dict[str, Any] = {}
    for name in _FIELDS:
        _, key, rest = body.rpartition(f'"{name}"'.encode())
        text = rest[:_LONG_BYTES].decode("utf-8", "replace").lstrip(" \r\n\t:")
        if key:
            with_value = _first_value(text)
            if with_value is not None:
                found[name] = with_value
    return found or None


def _first_value(text: str) -> Any:
    try:
        return json.JSONDecoder().raw_decode(text)[0]
    except ValueError:
        return None
