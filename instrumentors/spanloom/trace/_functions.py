"""A function that is recorded at each call: same signature, same result, same exceptions."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spanloom.genai import Invocation

Begin = Callable[[], "Invocation | None"]


def around_calls(function: Callable[..., Any], begin: Begin) -> Callable[..., Any]:
    """The same function inside what ``begin`` gives at each call. Generator functions are refused (``TypeError``)."""
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise TypeError("agent() does not decorate generator functions; write `with agent(...):` around the loop")
    return _coroutine(function, begin) if inspect.iscoroutinefunction(function) else _plain(function, begin)


def _plain(function: Callable[..., Any], begin: Begin) -> Callable[..., Any]:
    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        invocation = begin()
        if invocation is None:
            return function(*args, **kwargs)
        with invocation:
            result = function(*args, **kwargs)
        invocation.stop()
        return result

    return call


def _coroutine(function: Callable[..., Any], begin: Begin) -> Callable[..., Any]:
    @functools.wraps(function)
    async def call(*args: Any, **kwargs: Any) -> Any:
        invocation = begin()
        if invocation is None:
            return await function(*args, **kwargs)
        with invocation:
            result = await function(*args, **kwargs)
        invocation.stop()
        return result

    return call
