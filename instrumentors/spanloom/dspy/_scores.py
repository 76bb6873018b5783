"""What a metric said: DSPy takes numbers, booleans and records with a ``score``, some with a ``feedback``."""

from __future__ import annotations

from typing import Any, cast


def judgement(given: object) -> tuple[float | None, str | None, str | None]:
    """Score, label and explanation. Only a yes or no has a label; the explanation is content."""
    fields = {} if isinstance(given, (int, float)) else fields_of(given)
    value = _python(fields.get("score") if fields else given)
    label = None if not isinstance(value, bool) else "pass" if value else "fail"
    feedback = fields.get("feedback")
    return number(value), label, feedback if isinstance(feedback, str) else None


def number(value: object) -> float | None:
    """The score as a float; ``None`` where it is no number, or a larger one than a float can be."""
    value = _python(value)
    if not isinstance(value, (int, float)):
        return None
    try:
        return float(value)
    except OverflowError:
        return None


def _python(value: object) -> object:
    """NumPy's scalars as Python's own."""
    kind = type(value)
    is_scalar = kind.__module__ == "numpy" and getattr(value, "ndim", None) == 0
    return cast("Any", value).item() if is_scalar else value


def stored_in(record: object) -> dict[str, Any] | None:
    """The fields of an ``Example`` or a ``Prediction``."""
    stored = _own(record).get("_store")
    return cast("dict[str, Any]", stored) if isinstance(stored, dict) else None


def fields_of(record: object) -> dict[str, Any]:
    """Of a dict, one of DSPy's records or an object; not what a property of it would say."""
    if isinstance(record, dict):
        return cast("dict[str, Any]", record)
    stored = stored_in(record)
    return _own(record) if stored is None else stored


def _own(record: object) -> dict[str, Any]:
    own = getattr(record, "__dict__", None)
    return cast("dict[str, Any]", own) if isinstance(own, dict) else {}
