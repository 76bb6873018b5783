"""How one execution of a plain function is recorded: same signature, same result, same exception."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import Any

from spanloom.genai import Telemetry, ToolExecution, current, guard, guarded, is_suppressed

TelemetrySource = Callable[[], Telemetry]


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
    """A function that runs ``function`` inside a tool span; ``source`` is asked at each call."""
    if inspect.isgeneratorfunction(function):
        return _generator(function, info, source)
    if inspect.iscoroutinefunction(function):
        return _coroutine(function, info, source)
    return _plain(function, info, source)


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
    if not telemetry.enabled or is_suppressed() or _is_recorded(info.name, telemetry):
        return None
    execution = ToolExecution(telemetry, info.name, info.tool_type, info.description)
    if execution.captures_content:
        execution.arguments = lambda: arguments_of(function, args, kwargs)
    return execution


def _is_recorded(name: str, telemetry: Telemetry) -> bool:
    """True where another plugin (an agent framework's tool class) has just opened the span of this very execution."""
    around = current()
    return isinstance(around, ToolExecution) and around.tool_name == name and around.telemetry is not telemetry


def _conclude(execution: ToolExecution, result: Any) -> None:
    with guard("tools.result"):
        if execution.captures_content:
            execution.result = lambda: result
    execution.stop()


def arguments_of(function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments by parameter name; ``self`` and ``cls`` are not arguments of a tool."""
    bound = inspect.signature(function).bind(*args, **kwargs).arguments
    return {name: value for name, value in bound.items() if name not in ("self", "cls")}
