"""How one execution of a plain function is recorded: same signature, same result, same exception."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from spanloom.genai import (
    Telemetry,
    ToolExecution,
    any_tool_call,
    arguments_of,
    around_calls,
    current,
    default_of,
    is_suppressed,
    match_tool_call,
    named_arguments,
)

TelemetrySource = Callable[[], Telemetry]
# On every recording function, so that none is recorded twice: what it runs. ``functools.wraps`` copies the mark to
# others, which run something else.
_MARK = "_spanloom_tool"


@dataclass(frozen=True)
class ToolInfo:
    """What a tool is called and said to do."""

    name: str
    tool_type: str
    description: str | None

    @classmethod
    def of(
        cls,
        function: Callable[..., Any],
        name: str | None = None,
        tool_type: str = "function",
        description: str | None = None,
    ) -> ToolInfo:
        """From a function, where nothing else is said: its name, and the first line of its docstring."""
        if description is None:
            description = (inspect.getdoc(function) or "").partition("\n")[0]
        return cls(name or getattr(function, "__name__", type(function).__name__), tool_type, description or None)


def recorded(function: Callable[..., Any], info: ToolInfo, source: TelemetrySource) -> Callable[..., Any]:
    """A function that runs ``function`` inside a tool span; ``source`` is asked at each call.

    What is recorded already comes back as it is. Wrong arguments of a coroutine or generator function are reported
    when it starts to run.
    """
    runs = recorded_below(function)
    if runs is not None and runs is getattr(function, "__wrapped__", None):
        return function
    call = around_calls(function, functools.partial(_begin, function, info, source), _conclude, "tools")
    setattr(call, _MARK, function)
    return call


def recorded_below(function: Callable[..., Any]) -> Any:
    """The function that is recorded where this one is called: by itself, or by what ``functools.wraps`` made it of."""
    return getattr(function, _MARK, None)


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
    execution.result = lambda: result
