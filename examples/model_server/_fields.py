"""Typed access to the fields of a request body; a field of the wrong type is a 400 that names it."""

from __future__ import annotations

from typing import Any, TypeVar

from ._faults import Refusal

_T = TypeVar("_T")
_NAMES = {str: "a string", int: "an integer", bool: "a boolean", list: "an array", dict: "an object"}


def required(body: dict[str, Any], name: str, kind: type[_T]) -> _T:
    """The field, or a refusal when it is missing or of another type."""
    if body.get(name) is None:
        raise Refusal(400, f"Missing required parameter: '{name}'.", code="missing_required_parameter", param=name)
    return _checked(body[name], name, kind)


def optional(body: dict[str, Any], name: str, kind: type[_T], default: _T) -> _T:
    """The field, or the default when it is absent or null."""
    return default if body.get(name) is None else _checked(body[name], name, kind)


def limit(body: dict[str, Any], *names: str) -> int | None:
    """The first of several optional limits, at least 1."""
    for name in names:
        if body.get(name) is not None:
            value = _checked(body[name], name, int)
            if value < 1:
                raise Refusal(400, f"Invalid '{name}': expected at least 1, got {value}.", param=name)
            return value
    return None


def text_of(content: Any) -> str:
    """The text of a message's content: a string, or the text parts of a list."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "\n".join(str(part["text"]) for part in parts if isinstance(part, dict) and part.get("text") is not None)


def images_in(content: Any) -> int:
    """How many image parts a message's content has."""
    parts = content if isinstance(content, list) else []
    return sum(1 for part in parts if isinstance(part, dict) and part.get("type") in ("image_url", "input_image"))


def _checked(value: Any, name: str, kind: type[_T]) -> _T:
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        message = f"Invalid type for '{name}': expected {_NAMES.get(kind, kind.__name__)}, got {type(value).__name__}."
        raise Refusal(400, message, code="invalid_type", param=name)
    return value
