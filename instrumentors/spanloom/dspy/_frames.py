"""Our frames must not be seen where DSPy looks at frames.

ReAct puts the first traceback frames of a failing tool into the next prompt; and a deprecation warning is attributed to
the first frame outside ``dspy``, which decides whether Python shows it.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FunctionType, TracebackType
from typing import TYPE_CHECKING, Any, cast

from spanloom.genai import Target, Telemetry, guarded

if TYPE_CHECKING:
    from spanloom.dspy._settings import Settings

_OURS = str(Path(__file__).parent.parent) + os.sep


def at_home(function: Callable[..., Any], original: Callable[..., Any]) -> Callable[..., Any]:
    """A copy of ``function`` whose frames count as frames of the original's module."""
    made = cast("FunctionType", function)
    names = {**made.__globals__, "__name__": original.__module__}
    home = FunctionType(made.__code__, names, made.__name__, made.__defaults__, made.__closure__)
    home.__kwdefaults__ = made.__kwdefaults__
    return functools.update_wrapper(home, original)


def targets(telemetry: Telemetry, settings: Settings) -> Iterator[Target]:
    """What writes a failure into the next prompt; DSPy 3.3 has another name for it."""
    del telemetry, settings
    for module in ("dspy.predict.react", "dspy.predict.react_v2"):
        for name in ("format_error_for_lm", "_fmt_exc"):
            yield Target(module, name, wrap_formatter, optional=True)


def wrap_formatter(original: Callable[..., str]) -> Callable[..., str]:
    """Wrap ``format_error_for_lm`` so that it never sees a frame of ours."""

    @functools.wraps(original)
    def format_error(*args: Any, **kwargs: Any) -> str:
        hidden = _hide([one for one in (*args, *kwargs.values()) if isinstance(one, BaseException)])
        try:
            return original(*args, **kwargs)
        finally:
            for one, trace in hidden:
                one.__traceback__ = trace

    return format_error


def _chain(errors: list[BaseException]) -> list[BaseException]:
    """The exceptions, what they came from and what they group; cycles end."""
    found: list[BaseException] = []
    waiting: list[BaseException | None] = [*errors]
    while waiting:
        one = waiting.pop()
        if one is not None and not any(one is seen for seen in found):
            found.append(one)
            members = getattr(one, "exceptions", ())
            grouped = cast("tuple[Any, ...]", members) if isinstance(members, tuple) else ()
            waiting += [one.__cause__, one.__context__, *(each for each in grouped if isinstance(each, BaseException))]
    return found


@guarded("dspy.frames", default=[])
def _hide(errors: list[BaseException]) -> list[tuple[BaseException, TracebackType | None]]:
    """Take our frames out of every traceback of the chain; gives back what to restore afterwards."""
    saved: list[tuple[BaseException, TracebackType | None]] = []
    for one in _chain(errors):
        saved.append((one, one.__traceback__))
        one.__traceback__ = without_ours(one.__traceback__)
    return saved


def without_ours(trace: TracebackType | None) -> TracebackType | None:
    """The same traceback without the frames of this package."""
    kept: list[TracebackType] = []
    while trace is not None:
        if not trace.tb_frame.f_code.co_filename.startswith(_OURS):
            kept.append(trace)
        trace = trace.tb_next
    result: TracebackType | None = None
    for one in reversed(kept):
        result = TracebackType(result, one.tb_frame, one.tb_lasti, one.tb_lineno)
    return result


def forget_ours(error: BaseException) -> None:
    """Take our frames out of a failure for good: DSPy is about to print where it came from."""
    _hide([error])
