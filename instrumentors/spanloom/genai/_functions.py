"""A function of the application's with an invocation around each call: same kind, signature, result and exception."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from types import FunctionType
from typing import TYPE_CHECKING, Any, TypeVar, cast

from spanloom.genai._generators import Steps, async_generator_function, generator_function
from spanloom.genai._guard import attempt, guarded, tolerant

if TYPE_CHECKING:
    from spanloom.genai._invocation import Invocation

Begun = TypeVar("Begun", bound="Invocation")
_Function = Callable[..., Any]
_Begin = Callable[[tuple[Any, ...], Mapping[str, Any]], Any]
_Conclude = Callable[[Any, Any], object]


def around_calls(
    function: _Function,
    begin: Callable[[tuple[Any, ...], Mapping[str, Any]], Begun | None],
    conclude: Callable[[Begun, Any], object],
    place: str,
) -> _Function:
    """A function that runs ``function``, plain, coroutine or (asynchronous) generator, inside what ``begin`` starts.

    ``begin(args, kwargs)`` is asked when the function's own code would begin to run (of a generator: at its first
    step); ``None`` lets the call pass unrecorded. Where content is captured ``conclude(invocation, result)`` is told
    what came out; then the invocation is stopped. An exception fails it, and nothing is told. Of a generator the result
    is the list of the items that were yielded, in JSON's terms and within the limit: it is told at every end. A fault
    of either stays ours; ``place`` is where it is said to be.
    """
    make = _maker(function) or _maker(_call_of(function)) or _plain
    call = functools.wraps(function)(make(function, guarded(f"{place}.begin")(begin), conclude, f"{place}.result"))
    for name, method in _methods_of(function):
        if not hasattr(call, name):
            setattr(call, name, method)
    return call


def _maker(function: Any) -> Callable[[_Function, _Begin, _Conclude, str], _Function] | None:
    if inspect.isgeneratorfunction(function):
        return _generator
    if inspect.isasyncgenfunction(function):
        return _async_generator
    return _coroutine if inspect.iscoroutinefunction(function) else None


def _call_of(function: Any) -> Any:
    """What runs where an object is called."""
    while isinstance(function, functools.partial):
        function = cast("functools.partial[Any]", function).func
    kind: Any = type(cast("object", function))
    return getattr(kind, "__call__", None)  # noqa: B004 - not whether it can be called, but what runs


def _methods_of(function: _Function) -> Iterator[tuple[str, Any]]:
    """What can be asked of an object that is called: ``cache_clear`` of a function under ``lru_cache``."""
    kind: type = type(function)
    for name in () if kind is FunctionType else dir(kind):
        if not name.startswith("_") and inspect.isroutine(inspect.getattr_static(kind, name, None)):
            method = tolerant(getattr, None, function, name)
            if method is not None:
                yield name, method


def _plain(function: _Function, begin: _Begin, conclude: _Conclude, place: str) -> _Function:
    def call(*args: Any, **kwargs: Any) -> Any:
        invocation = begin(args, kwargs)
        if invocation is None:
            return function(*args, **kwargs)
        with invocation:
            result = function(*args, **kwargs)
        if invocation.captures_content:
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
        if invocation.captures_content:
            attempt(place, conclude, invocation, result)
        invocation.stop()
        return result

    return call


def _generator(function: _Function, begin: _Begin, conclude: _Conclude, place: str) -> _Function:
    return generator_function(functools.partial(_start, function, begin, conclude, place))


def _async_generator(function: _Function, begin: _Begin, conclude: _Conclude, place: str) -> _Function:
    return async_generator_function(functools.partial(_start, function, begin, conclude, place))


def _start(
    function: _Function,
    begin: _Begin,
    conclude: _Conclude,
    place: str,
    /,
    *args: Any,
    **kwargs: Any,
) -> tuple[Steps, _Function]:
    invocation = begin(args, kwargs)
    told = functools.partial(attempt, place, conclude, invocation)
    return Steps(invocation, told), functools.partial(function, *args, **kwargs)
