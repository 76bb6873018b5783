"""Whether message content may be written, and how it becomes JSON text."""

from __future__ import annotations

import functools
import hashlib
import json
import logging
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, cast

from spanloom import semconv
from spanloom.genai._guard import tolerant

_VARIABLE: Final = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
_ON_SPANS: Final = frozenset({"SPAN_ONLY", "SPAN_AND_EVENT", "TRUE"})
_IN_EVENTS: Final = frozenset({"EVENT_ONLY", "SPAN_AND_EVENT"})
_MAX_DEPTH: Final = 24

_log = logging.getLogger("spanloom")


def content_on_spans() -> bool:
    """True where the user has switched message content on for spans. Read when an instrumentor starts."""
    mode = semconv.choice_of(_VARIABLE)
    if mode in _IN_EVENTS:
        _say_once(mode)
    return mode in _ON_SPANS


@functools.cache
def _say_once(mode: str) -> None:
    _log.warning("spanloom: %s=%s: content in events is not written yet; SPAN_ONLY writes it to spans", _VARIABLE, mode)


def json_text(value: Any) -> str:
    """JSON for an attribute, always valid and always encodable. What JSON has no form for becomes text; never an error.

    Bytes are not copied: their digest and size stand for them.
    """
    # Most values are JSON's own already; walking them first would cost as much again.
    text = tolerant(lambda: _dumped(value), None)
    return _dumped(_plain(value, ())) if text is None else text


def _dumped(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    # A lone surrogate cannot be exported: one such character would cost a whole batch.
    return text if text.isascii() or _encodable(text) else json.dumps(value, allow_nan=False)


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _plain(value: Any, around: tuple[int, ...]) -> Any:
    """The value in JSON's terms; ``around`` are the ids of the containers it stands in."""
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if value is None or isinstance(value, (str, int)):
        return value
    if isinstance(value, (bytes, bytearray)):
        return {"sha256": hashlib.sha256(value).hexdigest(), "bytes": len(value)}
    if len(around) >= _MAX_DEPTH or id(value) in around:
        return as_text(value)
    return _opened(value, (*around, id(value)))


def _opened(value: Any, around: tuple[int, ...]) -> Any:
    """A container or a model with its items in JSON's terms; anything else, or one that cannot be read, as text."""
    if isinstance(value, Mapping):
        mapping = cast("Mapping[Any, Any]", value)
        pairs = tolerant(lambda: list(mapping.items()), None)
        return as_text(mapping) if pairs is None else {as_text(key): _plain(item, around) for key, item in pairs}
    if isinstance(value, (list, tuple)):
        items = tolerant(lambda: list(cast("Iterable[Any]", value)), None)
        return as_text(value) if items is None else [_plain(item, around) for item in items]  # pyright: ignore[reportUnknownArgumentType]
    dump = None if isinstance(value, type) else tolerant(lambda: getattr(value, "model_dump", None), None)
    if callable(dump):
        dumped = tolerant(lambda: cast("Callable[..., Any]", dump)(mode="json", warnings=False), None)
        return as_text(value) if dumped is None else _plain(dumped, around)
    return as_text(value)


def as_text(value: object) -> str:
    """``str(value)``, or the type's name where that raises: users' ``__str__`` may do anything."""
    return tolerant(lambda: str(value), f"<{type(value).__qualname__}>")
