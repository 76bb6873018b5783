"""Fields of what an SDK takes and gives: plain dicts, or its pydantic objects. Nothing is converted or copied."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol, cast


class Fields(Protocol):
    """All fields of one object; ``get`` gives ``None`` for one that is missing."""

    def get(self, key: str, /) -> Any: ...


_NO_FIELDS: Final[dict[str, Any]] = {}
# They have attributes ("index", "count"), but no fields.
_PLAIN: Final = (str, bytes, int, float, list, tuple, type)


def fields(value: Any) -> Fields:
    """The fields of a dict or an object; none of anything else.

    The SDK's objects are read through their ``__dict__``: attribute access costs three times as much, and twenty times
    as much for a field that is missing.
    """
    if type(value) is dict:
        return cast("dict[str, Any]", value)
    try:
        # Fields that the SDK's version does not know.
        extra = value.__pydantic_extra__
        return {**value.__dict__, **extra} if extra else value.__dict__
    except (AttributeError, TypeError):
        return _fields_otherwise(value)


def _fields_otherwise(value: Any) -> Fields:
    if isinstance(value, Mapping):
        return cast("Mapping[str, Any]", value)
    return _NO_FIELDS if value is None or isinstance(value, _PLAIN) else _Attributes(value)


class _Attributes:
    """Any other object: of another library, or of pydantic 1."""

    __slots__ = ("_value",)

    def __init__(self, value: object) -> None:
        self._value = value

    def get(self, key: str, /) -> Any:
        return getattr(self._value, key, None)


def get(value: Any, key: str) -> Any:
    """One field; ``None`` where it is missing."""
    if type(value) is dict:
        return cast("dict[str, Any]", value).get(key)
    try:
        found = value.__dict__.get(key)
        if found is None:
            extra = value.__pydantic_extra__
            return extra.get(key) if extra else None
        return found
    except (AttributeError, TypeError):
        return _fields_otherwise(value).get(key)


def items_of(value: Any, key: str) -> Sequence[Any]:
    """A list field; empty where it is missing or something else (some gateways send ``null``)."""
    found = get(value, key)
    return cast("Sequence[Any]", found) if isinstance(found, (list, tuple)) else ()


def text_of(value: Any, key: str) -> str | None:
    """A text field that says something."""
    found = get(value, key)
    return found if isinstance(found, str) and found else None


def is_index(value: Any) -> bool:
    """True for a place in a list."""
    return isinstance(value, int) and not isinstance(value, bool)


def plain(value: Any) -> Any:
    """The SDK's objects as dicts of what they say; dicts, and whatever else JSON has, as they are."""
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in cast("Sequence[Any]", value)]
    if value is None or isinstance(value, (str, int, float, dict)):
        return cast("Any", value)
    found = fields(value)
    if not isinstance(found, Mapping):
        return value
    return {key: plain(one) for key, one in cast("Mapping[str, Any]", found).items() if one is not None}


def picked(value: Any, *keys: str) -> dict[str, Any]:
    """These fields, as far as they say something."""
    told = fields(value)
    return {key: plain(found) for key in keys if (found := told.get(key)) is not None}
