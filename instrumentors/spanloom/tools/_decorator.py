"""The decorator ``tool``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast, overload

from spanloom.tools import _shared
from spanloom.tools._execution import ToolInfo, recorded

F = TypeVar("F", bound=Callable[..., Any])
_UNBOUND: tuple[Any, ...] = (staticmethod, classmethod)


@overload
def tool(function: F, /) -> F: ...
@overload
def tool(*, name: str | None = None, tool_type: str = "function") -> Callable[[F], F]: ...
def tool(function: F | None = None, /, *, name: str | None = None, tool_type: str = "function") -> F | Callable[[F], F]:
    """Record each call of a function as ``execute_tool {name}``.

    Works on functions, coroutine functions, generator functions and methods; the function keeps its signature, result
    and exceptions. ``name`` defaults to the function's name, the description to the first line of its docstring;
    ``tool_type`` is ``function``, ``extension`` or ``datastore`` (the GenAI conventions' ``gen_ai.tool.type``).
    On a static or class method it may stand above or below that decorator. Raises ``TypeError`` on a class.
    """

    def decorate(target: Any) -> Any:
        if isinstance(target, type):
            raise TypeError(f"tool() records functions and methods; put it on a method of {target.__qualname__}")
        kind: Any = type(cast("object", target))
        if kind in _UNBOUND:
            return kind(decorate(target.__func__))
        return recorded(target, ToolInfo.of(target, name, tool_type), _shared.telemetry)

    return decorate if function is None else decorate(function)
