"""What is patched in DSPy. Sync and async come from one row; each handler starts one invocation, or none."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

from spanloom.dspy import _frames, _lm, _modules, _parallel, _tools
from spanloom.genai import Invocation, Target, Telemetry, guarded, is_suppressed

# (telemetry, self, args, kwargs) -> the invocation, or None where nothing is to be recorded.
Begin = Callable[[Telemetry, Any, tuple[Any, ...], dict[str, Any]], Invocation | None]
# (invocation, result) -> ends the invocation.
Conclude = Callable[[Any, Any], None]

_ROWS: tuple[tuple[str, str, Begin, Conclude], ...] = (
    ("dspy.primitives.module", "Module", _modules.begin, _modules.conclude),
    ("dspy.clients.base_lm", "BaseLM", _lm.begin, _lm.conclude),
    ("dspy.adapters.types.tool", "Tool", _tools.begin, _tools.conclude),
)


def targets(telemetry: Telemetry) -> Iterator[Target]:
    """Each class' ``__call__`` and ``acall``, and the functions that know usage, prompts and threads."""
    for module, owner, begin, conclude in _ROWS:
        safe = guarded(f"dspy.{owner}.begin")(begin)
        yield Target(module, f"{owner}.__call__", functools.partial(_wrap_sync, telemetry, safe, conclude))
        yield Target(module, f"{owner}.acall", functools.partial(_wrap_async, telemetry, safe, conclude))
    yield Target("dspy.clients.execution", "finalize", _lm.wrap_finalize)
    yield Target("dspy.utils.parallelizer", "ParallelExecutor.execute", _parallel.wrap_execute)
    # DSPy 3.3 has other names for two of these.
    for method in ("_process_lm_response", "_finalize_lm_response"):
        yield Target("dspy.clients.base_lm", f"BaseLM.{method}", _lm.wrap_recording, optional=True)
    for module in ("dspy.predict.react", "dspy.predict.react_v2"):
        for name in ("format_error_for_lm", "_fmt_exc"):
            yield Target(module, name, _frames.wrap_formatter, optional=True)


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
        conclude(invocation, result)
        return result

    return _frames.at_home(call, original)


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
        conclude(invocation, result)
        return result

    return _frames.at_home(call, original)
