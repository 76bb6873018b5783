"""A thread of the application's with DSPy's settings of a call, but not its context: a link back to that call.

DSPy's settings tell which modules are running, as a list that each call makes anew; a copy of the settings has that
very list. Who copies them inside a module is noted, so nobody else pays for it.
"""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable, Iterator
from typing import Any, cast

from opentelemetry.trace import get_current_span

from spanloom.dspy._frames import at_home
from spanloom.dspy._scopes import enclosing_module
from spanloom.dspy._settings import Settings
from spanloom.genai import Invocation, Step, Target, Telemetry, current, guarded

_HOME = "dspy.dsp.utils.settings"
# Calls that run and whose settings were copied. More than these are not noted; each is let go when it is over.
_MAX_CALLS = 1_024
# By the identity of the list, which the call keeps as long as it runs.
_copied: weakref.WeakValueDictionary[int, Step] = weakref.WeakValueDictionary()


def targets(telemetry: Telemetry, settings: Settings) -> Iterator[Target]:
    """What gives the application a copy of the settings; ``settings.config`` comes through it, too."""
    del telemetry, settings
    yield Target(_HOME, "Settings.copy", _wrap_copy, optional=True)


def _wrap_copy(original: Callable[..., Any]) -> Callable[..., Any]:
    def copy(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        copied = original(self, *args, **kwargs)
        _note(copied)
        return copied

    return at_home(copy, original)


@guarded("dspy.settings.copy")
def _note(copied: Any) -> None:
    modules = copied.get("caller_modules")
    step = enclosing_module(current())
    if step is not None and _is_of(step, modules) and len(_copied) < _MAX_CALLS:
        _copied[id(modules)] = step


def _is_of(step: Step, modules: Any) -> bool:
    """Whether the step is one of the calls that make this list: not one of a call around it."""
    return isinstance(modules, list) and any(one is step.owner for one in cast("list[Any]", modules))


@guarded("dspy.origin")
def link_back(invocation: Invocation) -> None:
    """Link what starts here without an invocation around it to the call whose settings this thread has."""
    if not _copied:
        return
    modules: Any = sys.modules[_HOME].settings.get("caller_modules")
    step = _copied.get(id(modules))
    if step is None or step.ended or not _is_of(step, modules):
        return
    origin = step.span.get_span_context()
    if origin.is_valid and origin.span_id != get_current_span().get_span_context().span_id:
        invocation.span.add_link(origin)
