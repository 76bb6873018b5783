"""What an application can see of a value, as plain data that can be compared."""

from __future__ import annotations

import copy
import pickle
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pydantic import BaseModel

# What differs between two runs of anything.
_VOLATILE = {"elapsed", "date"}
_ADDRESS = re.compile(r"(?:\bat 0x|\bscope )[0-9a-f]+")


def kind(value: object) -> str:
    """The full name of a value's type."""
    return f"{type(value).__module__}.{type(value).__qualname__}"


def describe(value: Any, depth: int = 0) -> Any:
    """Type and contents of results, exceptions, HTTP requests and responses; of the rest, the type."""
    if value != value:  # not a number: never like itself
        return repr(value)
    if value is None or isinstance(value, (str, int, float, bytes, bool)):
        return value if type(value) in (str, int, float, bytes, bool, type(None)) else [kind(value), repr(value)]
    if depth > 12:
        return kind(value)
    if isinstance(value, BaseException):
        return _exception(value, depth)
    if isinstance(value, BaseModel):
        return _model(value, depth)
    if isinstance(value, Mapping):
        return [kind(value), {str(key): describe(one, depth + 1) for key, one in value.items()}]
    if isinstance(value, (list, tuple)):
        return [kind(value), *(describe(one, depth + 1) for one in value)]
    if isinstance(value, type):
        return f"class {value.__module__}.{value.__qualname__}"
    return _http(value) or kind(value)


def _model(value: BaseModel, depth: int) -> dict[str, Any]:
    return {
        "type": kind(value),
        "fields": describe(dict(vars(value)), depth + 1),
        "extra": describe(value.model_extra, depth + 1),
        "set": sorted(value.model_fields_set),
        "private": sorted(value.__pydantic_private__ or {}),
        "request_id": getattr(value, "_request_id", "none"),
    }


def _exception(error: BaseException, depth: int) -> dict[str, Any]:
    return {
        "type": kind(error),
        "text": _ADDRESS.sub("<address>", str(error)),
        "args": describe(
            [_ADDRESS.sub("<address>", one) if isinstance(one, str) else one for one in error.args], depth
        ),
        "attributes": describe(dict(sorted(vars(error).items())), depth + 1),
        "notes": getattr(error, "__notes__", []),
        "cause": describe(error.__cause__, depth + 1),
        "context": describe(error.__context__, depth + 1) if error.__context__ is not error.__cause__ else "the cause",
        "suppressed": error.__suppress_context__,
    }


def _http(value: Any) -> Any:
    """Requests and responses of httpx or httpx2; nothing is read."""
    if not type(value).__module__.partition(".")[0].startswith("httpx"):
        return None
    name = type(value).__name__
    if name == "Request":
        return [kind(value), value.method, str(value.url), sorted(value.headers.items())]
    if name == "Response":
        rows = sorted((key, one) for key, one in value.headers.items() if key not in _VOLATILE)
        return [kind(value), value.status_code, rows, value.is_closed, value.is_stream_consumed]
    return [kind(value), str(value)] if name in ("URL", "Headers") else None


def attempt(step: Callable[[], Any]) -> Any:
    """What a step gives or raises."""
    try:
        return describe(step())
    except Exception as error:
        return [kind(error), str(error)]


def copied(value: Any) -> dict[str, Any]:
    """What becomes of a value that is pickled, copied, or written as JSON."""
    return {
        "copy": attempt(lambda: copy.copy(value)),
        "deep copy": attempt(lambda: copy.deepcopy(value)),
        "pickle": attempt(lambda: pickle.loads(pickle.dumps(value))),
        "json": attempt(lambda: value.model_dump_json(warnings=False)),
        "repr": repr(value),
    }


def differing(one: Any, other: Any, path: str = "") -> Iterator[str]:
    """Where two descriptions are not the same."""
    if one == other:
        return
    if type(one) is type(other) and isinstance(one, dict) and list(one) == list(other):
        for key in one:
            yield from differing(one[key], other[key], f"{path}/{key}")
    elif type(one) is type(other) and isinstance(one, (list, tuple)):
        for place, pair in enumerate(zip(one, other, strict=False)):
            yield from differing(*pair, f"{path}/{place}")
        if len(one) != len(other):
            longer = one if len(one) > len(other) else other
            yield f"{path}: {len(one)} became {len(other)}: {longer[min(len(one), len(other)) :]!r}"
    else:
        yield f"{path}: {one!r} became {other!r}"


def outside(value: Any) -> list[Any]:
    """What a stream or a raw response shows without being read."""
    return [kind(value), [base.__name__ for base in type(value).__mro__], sorted(set(dir(value)))]
