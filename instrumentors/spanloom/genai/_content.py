"""Whether message content may be written, and how it becomes JSON text."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from spanloom import semconv

_VARIABLE: Final = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
_ON_SPANS: Final = frozenset({"SPAN_ONLY", "SPAN_AND_EVENT", "TRUE"})


def content_on_spans() -> bool:
    """True where the user has switched message content on for spans. Read when an instrumentor starts."""
    return semconv.choice_of(_VARIABLE) in _ON_SPANS


def json_text(value: Any) -> str:
    """JSON for an attribute. What JSON has no form for becomes text; never an error."""
    return json.dumps(_plain(value, 0), ensure_ascii=False)


_SCALARS: Final = (str, int, float, bool, type(None))
_MAX_DEPTH: Final = 24


def _plain(value: Any, depth: int) -> Any:
    if isinstance(value, _SCALARS):
        return value
    if depth >= _MAX_DEPTH:
        return as_text(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(item, depth + 1) for key, item in value.items()}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    if isinstance(value, (list, tuple)):
        return [_plain(item, depth + 1) for item in value]  # pyright: ignore[reportUnknownVariableType]
    dump = getattr(value, "model_dump", None)
    if callable(dump):
        return _plain(dump(mode="json"), depth + 1)
    return as_text(value)


def as_text(value: object) -> str:
    """``str(value)``, or the type's name where that raises: users' ``__repr__`` may do anything."""
    try:
        return str(value)
    except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError):
        return f"<{type(value).__qualname__}>"
