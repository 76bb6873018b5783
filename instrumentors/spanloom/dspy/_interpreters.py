"""Code that a model wrote, run by an interpreter: ``execute_tool python``, and the functions that the code calls."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterator
from types import FunctionType, MethodType
from typing import Any

from opentelemetry import context as otel

from spanloom.dspy._agents import LoopAgent, kind_of
from spanloom.dspy._frames import at_home
from spanloom.dspy._paths import own
from spanloom.dspy._settings import Settings
from spanloom.dspy._threads import StandIn
from spanloom.dspy._tools import conclude as conclude_tool
from spanloom.dspy._tools import described, execution_of, recorder, tool_behind
from spanloom.dspy._wrap import method
from spanloom.genai import Invocation, Target, Telemetry, ToolExecution, current, guard, guarded, is_suppressed
from spanloom.semconv import DSpy

# Where the code is that makes ``dspy`` known inside an interpreter; in DSPy 3.3 it is elsewhere.
_SHIMS = ("dspy.primitives.facade", "dspy.predict.flex.bridge")
_SETTING_UP = otel.create_key("spanloom-dspy-setting-up")
_LOCAL = ("dspy.primitives.local_interpreter", "LocalInterpreter")
_SANDBOX = ("dspy.primitives.python_interpreter", "PythonInterpreter")
_AGENTS = (("dspy.predict.program_of_thought", "ProgramOfThought"), ("dspy.predict.rlm", "RLM"))
_Function = Callable[..., Any]


class CodeExecution(ToolExecution):
    """One piece of code in an interpreter."""

    __slots__ = ()


def targets(telemetry: Telemetry, settings: Settings) -> Iterator[Target]:
    """DSPy's interpreters; and where its agents hand code to one, which may be the application's own."""
    del settings
    for module, owner in (_LOCAL, _SANDBOX):
        yield method(telemetry, module, f"{owner}.execute", begin, conclude, optional=True)
        yield method(telemetry, module, f"{owner}.invoke_tool", _begin_call, conclude_tool, optional=True)
    wrap_call = functools.partial(_wrap_handle, telemetry)
    yield Target(_SANDBOX[0], f"{_SANDBOX[1]}._handle_tool_call", wrap_call, optional=True)
    for module, owner in _AGENTS:
        wrap = functools.partial(_wrap_execute_code, telemetry)
        yield Target(module, f"{owner}._execute_code", wrap, optional=True)
    yield Target("dspy.predict.rlm", "RLM._prepare_serializable_vars", _wrap_set_up, optional=True)


def begin(
    telemetry: Telemetry, interpreter: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> CodeExecution | None:
    """Start the span of one execution; ``None`` for code of DSPy's own."""
    around, code = current(), _code_of(args, kwargs)
    return None if _sets_up(around, code) else _begin_step(telemetry, interpreter, args, kwargs)


def _begin_step(
    telemetry: Telemetry, interpreter: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> CodeExecution | None:
    """The same without a doubt whose code it is; ``None`` in an interpreter that hands it on to another one."""
    around = current()
    if isinstance(around, CodeExecution) and not around.ended:
        return None
    execution = CodeExecution(telemetry, "python", "extension")
    execution.attributes[DSpy.INTERPRETER] = type(interpreter).__name__
    if execution.captures_content:
        code = _code_of(args, kwargs)
        execution.arguments = lambda: {"code": code}
    return execution


def _code_of(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return args[0] if args else kwargs.get("code")


def _sets_up(around: Invocation | None, code: object) -> bool:
    """True for what no model wrote: DSPy's shim, an agent's variables, the sources of its tools."""
    if otel.get_value(_SETTING_UP) or (isinstance(around, LoopAgent) and kind_of(type(around.owner)) == "CodeAct"):
        return True
    modules = (sys.modules.get(name) for name in _SHIMS)
    return any(vars(one).get("SHIM_SETUP") is code for one in modules if one is not None)


def conclude(execution: CodeExecution, result: Any) -> Any:
    """End it with what the code printed, gave back or submitted."""
    with guard("dspy.interpreter.result"):
        if execution.captures_content:
            value: Any = own(result).get("output") if type(result).__name__ == "FinalOutput" else result
            execution.result = lambda: value
    execution.stop()
    return result


def _wrap_execute_code(telemetry: Telemetry, original: _Function) -> _Function:
    """Wrap where an agent hands code to its interpreter; it makes a text of a failure, so that is too far out."""
    begin_safely = guarded("dspy.interpreter.execute")(_begin_step)

    def run(interpreter: Any, execute: _Function, /, *args: Any, **kwargs: Any) -> Any:
        execution = begin_safely(telemetry, interpreter, args, kwargs)
        if execution is None:
            return execute(*args, **kwargs)
        with execution:
            result = execute(*args, **kwargs)
        return conclude(execution, result)

    home = at_home(run, original)

    def see(value: Any) -> Any:
        if not _is_interpreter(value):
            return value
        return StandIn(value, {"execute": functools.partial(functools.partial, home, value)})

    def execute_code(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        if not telemetry.enabled or is_suppressed():
            return original(self, *args, **kwargs)
        return original(self, *map(see, args), **{name: see(value) for name, value in kwargs.items()})

    return at_home(execute_code, original)


def _is_interpreter(value: object) -> bool:
    kind = type(value)
    return hasattr(kind, "execute") and hasattr(kind, "shutdown")


def _wrap_set_up(original: _Function) -> _Function:
    """Wrap what brings an agent's inputs into the interpreter, by code of DSPy's."""

    def prepare(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        token = otel.attach(otel.set_value(_SETTING_UP, True))
        try:
            return original(self, *args, **kwargs)
        finally:
            otel.detach(token)

    return at_home(prepare, original)


def _begin_call(
    telemetry: Telemetry, interpreter: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> ToolExecution | None:
    """``invoke_tool(name, [positional,] named)``; ``None`` for what is unknown, or recorded anyway."""
    name, *given = [*args, *kwargs.values()]
    function = own(interpreter)["tools"].get(name)
    if function is None or _records_itself(function):
        return None
    arguments: dict[str, Any] = dict(given[-1])
    positional: list[Any] = [] if len(given) == 1 else given[0]
    told = {"args": positional, **arguments} if positional else arguments
    return execution_of(telemetry, described(name, function), function, told)


def _records_itself(function: object) -> bool:
    """True for a ``Tool``, and for DSPy's own functions: they lead to one, or to a model or a module."""
    if tool_behind(function) is not None:
        return True
    plain: object = function.__func__ if isinstance(function, MethodType) else function
    if not isinstance(plain, FunctionType) or not str(plain.__globals__.get("__name__")).startswith("dspy."):
        return False
    # One that calls another function is as that one is; what it calls is in its closure.
    inner = [cell.cell_contents for cell in plain.__closure__ or () if callable(cell.cell_contents)]
    named = getattr(plain, "__wrapped__", None)
    return not any(one is named and tool_behind(one) is None and not _records_itself(one) for one in inner)


def _wrap_handle(telemetry: Telemetry, original: _Function) -> _Function:
    """Wrap what calls a function for the code in DSPy 3.3, where there is no ``invoke_tool``."""
    if "tools" not in original.__code__.co_names:
        return original
    recorded = recorder(telemetry, original)

    def see(tools: dict[str, _Function]) -> dict[str, _Function]:
        if not telemetry.enabled or is_suppressed():
            return tools
        return _seen(recorded, tools) or tools

    def handle(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        return original(StandIn(self, {"tools": see}), *args, **kwargs)

    return at_home(handle, original)


@guarded("dspy.interpreter.tools")
def _seen(recorded: Callable[..., _Function], tools: dict[str, _Function]) -> dict[str, _Function]:
    return {
        name: function if _records_itself(function) else recorded(described(name, function), function)
        for name, function in tools.items()
    }
