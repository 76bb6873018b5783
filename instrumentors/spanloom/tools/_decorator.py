"""The decorator ``tool``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast, overload

from spanloom.semconv import ToolType
from spanloom.tools import _shared
from spanloom.tools._execution import ToolInfo, recorded

F = TypeVar("F", bound=Callable[..., Any])
_UNBOUND: tuple[Any, ...] = (staticmethod, classmethod)
_TYPES = (ToolType.FUNCTION, ToolType.EXTENSION, ToolType.DATASTORE)


@overload
def tool(function: F, /) -> F: ...
@overload
def tool(
    *, name: str | None = None, tool_type: str = "function", description: str | None = None
) -> Callable[[F], F]: ...
def tool(
    function: F | None = None,
    /,
    *,
    name: str | None = None,
    tool_type: str = "function",
    description: str | None = None,
) -> F | Callable[[F], F]:
    """Record each call of a function as ``execute_tool {name}``.

    Works on functions, coroutine functions, generator functions and methods; the function keeps its signature, result
    and exceptions. ``name`` defaults to the function's name, ``description`` to the first line of its docstring;
    ``tool_type`` is ``function``, ``extension`` or ``datastore`` (the GenAI conventions' ``gen_ai.tool.type``).
    On a static or class method it may stand above or below that decorator. Raises ``TypeError`` on a class or what
    cannot be called, ``ValueError`` for an empty name or another ``tool_type``.
    """
    _check(name, tool_type, description)

    def decorate(target: Any) -> Any:
        kind: Any = type(cast("object", target))
        if issubclass(kind, _UNBOUND):
            return kind(decorate(target.__func__))
        _check_target(target)
        return recorded(target, ToolInfo.of(target, name, tool_type, description), _shared.source)

    return decorate if function is None else decorate(function)


def _check(name: object, tool_type: object, description: object) -> None:
    for what, value in (("name", name), ("description", description)):
        if not (value is None or isinstance(value, str)):
            raise TypeError(f"tool({what}=...) takes a str, not {value!r}")
    if isinstance(name, str) and not name.strip():
        raise ValueError("tool(name=...) takes a name that is not empty; leave it out to use the function's own")
    if tool_type not in _TYPES:
        raise ValueError(f"tool(tool_type=...) takes one of {', '.join(_TYPES)}, not {tool_type!r}")


def _check_target(target: object) -> None:
    if isinstance(target, type):
        raise TypeError(f"tool() records functions and methods; put it on a method of {target.__qualname__}")
    if isinstance(target, str):
        raise TypeError(f"tool() is given a name as tool(name={target!r})")
    if not callable(target):
        raise TypeError(f"tool() records functions and methods, not {target!r}")
