"""ReAct puts the first traceback frames of a failing tool into the next prompt; ours must never be among them."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

from spanloom.genai import guarded

_OURS = str(Path(__file__).parent.parent) + os.sep


def wrap_formatter(original: Callable[..., str]) -> Callable[..., str]:
    """Wrap ``format_error_for_lm`` so that it never sees a frame of ours."""

    @functools.wraps(original)
    def format_error(error: BaseException, *args: Any, **kwargs: Any) -> str:
        hidden = _hide(error)
        try:
            return original(error, *args, **kwargs)
        finally:
            for one, trace in hidden:
                one.__traceback__ = trace

    return format_error


def _chain(error: BaseException | None) -> list[BaseException]:
    """The exception and what it came from; cycles end."""
    found: list[BaseException] = []
    waiting = [error]
    while waiting:
        one = waiting.pop()
        if one is not None and not any(one is seen for seen in found):
            found.append(one)
            waiting += [one.__cause__, one.__context__]
    return found


@guarded("dspy.frames", default=[])
def _hide(error: BaseException) -> list[tuple[BaseException, TracebackType | None]]:
    """Take our frames out of every traceback of the chain; gives back what to restore afterwards."""
    saved: list[tuple[BaseException, TracebackType | None]] = []
    for one in _chain(error):
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
