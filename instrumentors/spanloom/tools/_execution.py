"""How one execution of a plain function is recorded: same signature, same result, same exception."""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from spanloom.genai import (
    Telemetry,
    ToolExecution,
    any_tool_call,
    arguments_of,
    current,
    default_of,
    guard,
    guarded,
    is_suppressed,
    match_tool_call,
    named_arguments,
)

TelemetrySource = Callable[[], Telemetry]
# On every recording function, so that none is recorded twice.
_MARK = "_spanloom_tool"
_END = object()


@dataclass(frozen=True)
class ToolInfo:
    """What a tool is called and said to do."""

    name: str
    tool_type: str
    description: str | None

    @classmethod
    def of(cls, function: Callable[..., Any], name: str | None = None, tool_type: str = "function") -> ToolInfo:
        """From a function: its name, and the first line of its docstring."""
        lines = (inspect.getdoc(function) or "").splitlines()
        return cls(
            name or getattr(function, "__name__", type(function).__name__), tool_type, lines[0] if lines else None
        )


def recorded(function: Callable[..., Any], info: ToolInfo, source: TelemetrySource) -> Callable[..., Any]:
    """A function that runs ``function`` inside a tool span; ``source`` is asked at each call.

    What is recorded already comes back as it is. Wrong arguments of a coroutine or generator function are reported
    when it starts to run.
    """
    if hasattr(function, _MARK):
        return function
    call = _recorder(function)(function, info, source)
    setattr(call, _MARK, True)
    return call


def _recorder(function: Callable[..., Any]) -> Callable[..., Callable[..., Any]]:
    if inspect.isgeneratorfunction(function):
        return _generator
    if inspect.isasyncgenfunction(function):
        return _async_generator
    return _coroutine if inspect.iscoroutinefunction(function) else _plain


def _plain(function: Callable[..., Any], info: ToolInfo, source: TelemetrySource) -> Callable[..., Any]:
    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        execution = _begin(function, info, source, args, kwargs)
        if execution is None:
            return function(*args, **kwargs)
        with execution:
            result = function(*args, **kwargs)
        _conclude(execution, result)
        return result

    return call


def _coroutine(function: Callable[..., Any], info: ToolInfo, source: TelemetrySource) -> Callable[..., Any]:
    @functools.wraps(function)
    async def call(*args: Any, **kwargs: Any) -> Any:
        execution = _begin(function, info, source, args, kwargs)
        if execution is None:
            return await function(*args, **kwargs)
        with execution:
            result = await function(*args, **kwargs)
        _conclude(execution, result)
        return result

    return call


def _generator(function: Callable[..., Any], info: ToolInfo, source: TelemetrySource) -> Callable[..., Any]:
    # The span covers the iteration. It is not made current: between two items the caller's own code runs.
    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        execution = _begin(function, info, source, args, kwargs)
        with _Iteration(execution):
            inner: Generator[Any, Any, Any] = function(*args, **kwargs)
            return (yield from inner)

    return call


def _async_generator(function: Callable[..., Any], info: ToolInfo, source: TelemetrySource) -> Callable[..., Any]:
    # ``async for`` would not pass on what the caller sends or throws in: there is no ``yield from`` for these.
    @functools.wraps(function)
    async def call(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        with _Iteration(_begin(function, info, source, args, kwargs)):
            async with aclosing(function(*args, **kwargs)) as inner:
                step = inner.asend(None)
                while (item := await _item(step)) is not _END:
                    thrown, sent = _Thrown(), None
                    with thrown:
                        sent = yield item
                    step = inner.asend(sent) if thrown.error is None else inner.athrow(thrown.error)

    return call


async def _item(step: Awaitable[Any]) -> Any:
    try:
        return await step
    except StopAsyncIteration:
        return _END


class _Thrown:
    """What the caller throws into a generator; closing it is not held."""

    error: BaseException | None = None

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        if isinstance(error, GeneratorExit):
            return False
        self.error = error
        return True


class _Iteration:
    """The life of a generator: an exception fails the execution, closing early does not."""

    __slots__ = ("_execution",)

    def __init__(self, execution: ToolExecution | None) -> None:
        self._execution = execution

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if self._execution is None:
            return
        if error is None or isinstance(error, GeneratorExit):
            self._execution.stop()
        else:
            self._execution.fail(error)


@guarded("tools.begin")
def _begin(
    function: Callable[..., Any],
    info: ToolInfo,
    source: TelemetrySource,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
) -> ToolExecution | None:
    telemetry = source()
    if not telemetry.enabled or is_suppressed() or _is_recorded(function, info.name, telemetry):
        return None
    execution = ToolExecution(telemetry, info.name, info.tool_type, info.description)
    if any_tool_call():
        given = functools.partial(named_arguments, function, args, kwargs)
        match_tool_call(execution, given, functools.partial(default_of, function))
    if execution.captures_content:
        execution.arguments = lambda: arguments_of(function, args, kwargs)
    return execution


def _is_recorded(function: Callable[..., Any], name: str, telemetry: Telemetry) -> bool:
    """True where another plugin (an agent framework's tool class) has just opened the span of this very execution."""
    around = current()
    if not isinstance(around, ToolExecution) or around.telemetry is telemetry:
        return False
    return around.tool_name == name or function in (around.function, getattr(around.function, "__wrapped__", None))


def _conclude(execution: ToolExecution, result: Any) -> None:
    with guard("tools.result"):
        if execution.captures_content:
            execution.result = lambda: result
    execution.stop()
