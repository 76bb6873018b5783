"""How a method of DSPy's is replaced: one invocation around it, or none. Sync and async come from one row."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from typing import Any

from spanloom.dspy._frames import at_home
from spanloom.genai import Invocation, Target, Telemetry, guarded, is_suppressed

# (telemetry, self, args, kwargs) -> the invocation, or None where nothing is to be recorded.
Begin = Callable[[Telemetry, Any, tuple[Any, ...], dict[str, Any]], Invocation | None]
# (invocation, result) -> ends the invocation; gives back what the caller gets, which is the result but for generators.
Conclude = Callable[[Any, Any], Any]


def method(
    telemetry: Telemetry, module: str, path: str, begin: Begin, conclude: Conclude, *, optional: bool = False
) -> Target:
    """One synchronous method: an invocation around each call of it."""
    safe = guarded(f"dspy.{path}")(begin)
    return Target(module, path, functools.partial(_wrap_sync, telemetry, safe, conclude), optional)


def async_method(
    telemetry: Telemetry, module: str, path: str, begin: Begin, conclude: Conclude, *, optional: bool = False
) -> Target:
    """The same for a coroutine function."""
    safe = guarded(f"dspy.{path}")(begin)
    return Target(module, path, functools.partial(_wrap_async, telemetry, safe, conclude), optional)


def both(
    telemetry: Telemetry, module: str, owner: str, begin: Begin, conclude: Conclude, *, optional: bool = False
) -> Iterator[Target]:
    """A class' ``__call__`` and ``acall``."""
    yield method(telemetry, module, f"{owner}.__call__", begin, conclude, optional=optional)
    yield async_method(telemetry, module, f"{owner}.acall", begin, conclude, optional=optional)


def wrapped(
    telemetry: Telemetry, place: str, begin: Begin, conclude: Conclude, original: Callable[..., Any]
) -> Callable[..., Any]:
    """The replacement of one method, be it synchronous or not."""
    wrap = _wrap_async if inspect.iscoroutinefunction(original) else _wrap_sync
    return wrap(telemetry, guarded(f"dspy.{place}")(begin), conclude, original)


def _wrap_sync(
    telemetry: Telemetry, begin: Begin, conclude: Conclude, original: Callable[..., Any]
) -> Callable[..., Any]:
    def call(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        if not telemetry.enabled or is_suppressed():
            return original(self, *args, **kwargs)
        invocation = begin(telemetry, self, args, kwargs)
        if invocation is None:
            return original(self, *args, **kwargs)
        with invocation:
            result = original(self, *args, **kwargs)
        return conclude(invocation, result)

    return at_home(call, original)


def _wrap_async(
    telemetry: Telemetry, begin: Begin, conclude: Conclude, original: Callable[..., Any]
) -> Callable[..., Any]:
    async def call(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        if not telemetry.enabled or is_suppressed():
            return await original(self, *args, **kwargs)
        invocation = begin(telemetry, self, args, kwargs)
        if invocation is None:
            return await original(self, *args, **kwargs)
        with invocation:
            result = await original(self, *args, **kwargs)
        return conclude(invocation, result)

    return at_home(call, original)
