"""Tools: one span an execution, whichever of DSPy's ways leads to it."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from types import FrameType, FunctionType, MethodType
from typing import Any, NamedTuple, cast

from spanloom.dspy._agents import kind_of
from spanloom.dspy._asked import Asked, id_for
from spanloom.dspy._frames import at_home
from spanloom.dspy._origins import link_back
from spanloom.dspy._paths import own
from spanloom.dspy._settings import Settings
from spanloom.dspy._wrap import both
from spanloom.genai import (
    Target,
    Telemetry,
    ToolExecution,
    any_tool_call,
    default_of,
    enclosing_agent,
    guard,
    guarded,
    is_suppressed,
    match_tool_call,
)

_TOOL = "dspy.adapters.types.tool"
# What an agent uses to say that it is done is not a tool of the user's.
_CLOSING = {"finish": "ReAct", "submit": "ReActV2"}
_Function = Callable[..., Any]


class Call(NamedTuple):
    """What is known of a plain function that is called as a tool."""

    name: str
    description: str | None = None
    id: str | None = None


def targets(telemetry: Telemetry, settings: Settings) -> Iterator[Target]:
    """``dspy.Tool``, called; a tool call that executes itself; what an agent does with the calls of one turn."""
    del settings
    yield from both(telemetry, _TOOL, "Tool", begin, conclude)
    yield Target(_TOOL, "ToolCalls.ToolCall.execute", functools.partial(_wrap_execute, telemetry), optional=True)
    yield Target("dspy.predict.react_v2", "ReActV2._execute_tool_calls", _wrap_turn, optional=True)
    yield Target("dspy.predict.react_v2", "ReActV2._aexecute_tool_calls", _wrap_async_turn, optional=True)


def begin(telemetry: Telemetry, tool: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> ToolExecution | None:
    """Start the span of one execution; ``None`` for an agent's own ``finish``."""
    del args
    fields = own(tool)
    name = fields.get("name")
    name = name if isinstance(name, str) and name else type(tool).__name__
    if name in _CLOSING and _belongs_to_agent(tool, name):
        return None
    description = fields.get("desc")
    call = Call(name, description if isinstance(description, str) else None, id_for(tool))
    return execution_of(telemetry, call, fields.get("func"), dict(kwargs))


def execution_of(telemetry: Telemetry, call: Call, function: object, arguments: Mapping[str, Any]) -> ToolExecution:
    """Start the span of one execution with these arguments."""
    execution = ToolExecution(telemetry, call.name, "function", call.description)
    if execution.parent is None:
        link_back(execution)
    execution.function = function
    if call.id is not None or any_tool_call():
        match_tool_call(execution, lambda: arguments, functools.partial(default_of, function), call.id)
    if execution.captures_content:
        execution.arguments = lambda: arguments
    return execution


def _belongs_to_agent(tool: Any, name: str) -> bool:
    agent = enclosing_agent()
    if agent is None or kind_of(type(agent.owner)) != _CLOSING[name]:
        return False
    tools = own(agent.owner).get("tools")
    return isinstance(tools, dict) and cast("dict[str, Any]", tools).get(name) is tool


def conclude(execution: ToolExecution, result: Any) -> Any:
    """End it with its result."""
    with guard("dspy.tool.result"):
        if execution.captures_content:
            execution.result = lambda: result
    execution.stop()
    return result


def tool_behind(function: object) -> object | None:
    """The ``dspy.Tool`` that a callable is, or is a method of: its call records itself."""
    owner: object = function.__self__ if isinstance(function, MethodType) else function
    return owner if _is_tool(owner) else None


def _is_tool(value: object) -> bool:
    return any(base.__name__ == "Tool" and base.__module__ == _TOOL for base in type(value).__mro__)


def described(name: str, function: object, call_id: object = None) -> Call:
    """A plain function under this name."""
    text = function.__doc__ if isinstance(function, (FunctionType, MethodType)) else None
    return Call(name, text, call_id if isinstance(call_id, str) and call_id else None)


@guarded("dspy.tool.function")
def _begin_plain(
    telemetry: Telemetry, call: Call, function: object, arguments: Mapping[str, Any]
) -> ToolExecution | None:
    return execution_of(telemetry, call, function, arguments)


def recorder(telemetry: Telemetry, original: _Function) -> Callable[[Call, _Function], _Function]:
    """Gives what runs a function as this call in a span. Its frames count as frames of the original's module."""

    async def later(call: Call, function: _Function, waiting: Any, kwargs: dict[str, Any]) -> Any:
        execution = _begin_plain(telemetry, call, function, kwargs)
        if execution is None:
            return await waiting
        with execution:
            result = await waiting
        return conclude(execution, result)

    follow = at_home(later, original)

    def run(call: Call, function: _Function, /, *args: Any, **kwargs: Any) -> Any:
        arguments = {"args": list(args), **kwargs} if args else kwargs
        if inspect.iscoroutinefunction(function):
            # Called at once, so that wrong arguments are refused here; recorded while it runs.
            waiting = function(*args, **kwargs)
            return _alike(follow(call, function, waiting, arguments), waiting)
        execution = _begin_plain(telemetry, call, function, arguments)
        if execution is None:
            return function(*args, **kwargs)
        with execution:
            result = function(*args, **kwargs)
        return conclude(execution, result)

    return functools.partial(functools.partial, at_home(run, original))


def _alike(coroutine: Any, waiting: Any) -> Any:
    """A coroutine with the name of the one that it awaits."""
    coroutine.__name__, coroutine.__qualname__ = waiting.__name__, waiting.__qualname__
    return coroutine


def _wrap_execute(telemetry: Telemetry, original: _Function) -> _Function:
    """Wrap ``ToolCall.execute``. Without functions it looks into the frame of its caller, where ours is now."""
    recorded = recorder(telemetry, original)

    def execute(self: Any, functions: Any = None) -> Any:
        if functions is None:
            frame = inspect.currentframe()
            functions = _visible(frame.f_back if frame is not None else None, self.name)
        if not telemetry.enabled or is_suppressed():
            return original(self, functions)
        asked, functions = _prepared(recorded, self, functions) or (nullcontext(), functions)
        with asked:
            return original(self, functions)

    return at_home(execute, original)


def _visible(frame: FrameType | None, name: str) -> dict[str, Any]:
    """What DSPy would find by this name where the call was made."""
    found = None if frame is None else frame.f_locals.get(name) or frame.f_globals.get(name)
    return {} if found is None else {name: found}


@guarded("dspy.tool_call")
def _prepared(
    recorded: Callable[[Call, _Function], _Function], tool_call: Any, functions: Any
) -> tuple[AbstractContextManager[Any], Any] | None:
    """The id for a ``Tool`` that will record itself, or a function that does; ``None`` where there is nothing to run.

    Of a list, DSPy takes the plain function of the tool.
    """
    fields = own(tool_call)
    name, call_id = fields["name"], fields.get("id")
    function, description = _chosen(functions, name)
    if function is None:
        return None
    tool = tool_behind(function)
    if tool is not None:
        return Asked([(tool, call_id)]), functions
    call = described(name, function, call_id)
    return nullcontext(), {name: recorded(call._replace(description=description or call.description), function)}


def _chosen(functions: Any, name: str) -> tuple[Any, str | None]:
    """The function of this name as DSPy chooses it, and what its tool says of it."""
    if isinstance(functions, dict):
        return cast("dict[str, Any]", functions).get(name), None
    if isinstance(functions, list):
        for tool in cast("list[Any]", functions):
            if own(tool).get("name") == name:
                return own(tool)["func"], own(tool).get("desc")
    return None, None


def _wrap_turn(original: _Function) -> _Function:
    """Wrap what executes the tool calls of one turn, in their order."""

    def execute(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        with _asked(self, args) or nullcontext():
            return original(self, *args, **kwargs)

    return at_home(execute, original)


def _wrap_async_turn(original: _Function) -> _Function:
    async def execute(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        with _asked(self, args) or nullcontext():
            return await original(self, *args, **kwargs)

    return at_home(execute, original)


@guarded("dspy.tool_calls")
def _asked(agent: Any, args: tuple[Any, ...]) -> Asked | None:
    calls: list[Any] = own(args[0])["tool_calls"] if args else []
    tools: dict[str, Any] = own(agent)["tools"]
    return Asked([(tools.get(own(call)["name"]), own(call).get("id")) for call in calls])
