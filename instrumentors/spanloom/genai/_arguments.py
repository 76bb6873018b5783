"""The arguments of a plain function's call by the names of its parameters."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, Final

from spanloom.genai._pending import MISSING

# What is an argument of the method, and not of the tool.
_UNASKED: Final = ("self", "cls")


def arguments_of(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> dict[str, Any] | None:
    """Arguments by parameter name; ``self`` and ``cls`` are not arguments of a tool.

    ``None`` where they do not fit, or where nobody knows the parameters: the call itself then tells.
    """
    try:
        bound = inspect.signature(function).bind(*args, **kwargs).arguments
    except (TypeError, ValueError):
        return None
    return {name: value for name, value in bound.items() if name not in _UNASKED}


def named_arguments(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> Mapping[str, Any] | None:
    """The same as a model names them: it knows nothing of ``**more``."""
    if not args:
        return kwargs
    found = arguments_of(function, args, kwargs)
    if found is None:
        return None
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind is parameter.VAR_KEYWORD:
            found |= found.pop(name, {})
    return found


def default_of(function: Any, name: str) -> Any:
    """What a parameter is where nobody gives it; ``MISSING`` where there is nothing."""
    try:
        parameter = inspect.signature(function).parameters.get(name)
    except (TypeError, ValueError):
        return MISSING
    return MISSING if parameter is None or parameter.default is parameter.empty else parameter.default
