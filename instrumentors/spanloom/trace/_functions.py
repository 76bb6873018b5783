"""A function that is recorded at each call: same signature, same result, same exceptions."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from spanloom.genai import attempt

if TYPE_CHECKING:
    from spanloom.genai import Invocation

_Function = Callable[..., Any]
_Begin = Callable[[tuple[Any, ...], Mapping[str, Any]], "Invocation | None"]
_Conclude = Callable[[Any, Any], object]


def around_calls(function: _Function, begin: _Begin, conclude: _Conclude, place: str) -> _Function:
    """A function that runs ``function`` inside what ``begin(args, kwargs)`` starts; ``None`` lets the call pass.

    ``conclude(invocation, result)`` is told what came out; a fault in it is said to be at ``place``. Raises
    ``TypeError`` for generator functions.
    """
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise TypeError("agent() does not decorate generator functions; write `with agent(...):` where it is read")
    make = _coroutine if inspect.iscoroutinefunction(function) else _plain
    return functools.wraps(function)(make(function, begin, conclude, f"{place}.result"))


def _plain(function: _Function, begin: _Begin, conclude: _Conclude, place: str) -> _Function:
    def call(*args: Any, **kwargs: Any) -> Any:
        invocation = begin(args, kwargs)
        if invocation is None:
            return function(*args, **kwargs)
        with invocation:
            result = function(*args, **kwargs)
        attempt(place, conclude, invocation, result)
        invocation.stop()
        return result

    return call


def _coroutine(function: _Function, begin: _Begin, conclude: _Conclude, place: str) -> _Function:
    async def call(*args: Any, **kwargs: Any) -> Any:
        invocation = begin(args, kwargs)
        if invocation is None:
            return await function(*args, **kwargs)
        with invocation:
            result = await function(*args, **kwargs)
        attempt(place, conclude, invocation, result)
        invocation.stop()
        return result

    return call
