"""The local root span: the outermost span of this process around a call, made by whomever. It gets the roll-up, too.

A span does not know its ancestors. Where the distribution's span processor runs, each span is told its root as it
starts; without it, only a span that is a root itself is recognised.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

from opentelemetry import context as otel
from opentelemetry import trace
from opentelemetry.context import Context

from spanloom.genai._totals import RootTotals, Totals

if TYPE_CHECKING:
    from opentelemetry.trace import Span

# The local root, and the sums of the nearest span of ours. One attribute: a second one would have its dict made anew.
_MARK = "_spanloom_above"
_UNKNOWN = object()
# What of ours is active in a context.
INVOCATION_KEY = otel.create_key("spanloom-invocation")
# The API keeps it private; a context with nothing but a span in it shows it.
SPAN_KEY = next(iter(trace.set_span_in_context(trace.INVALID_SPAN, Context())))
# Bounded by the spans that are open: the totals go with their span.
_totals: weakref.WeakKeyDictionary[Span, RootTotals] = weakref.WeakKeyDictionary()


def span_started(span: Span, parent_context: Context | None) -> None:
    """Note what is above a new span: its local root, and the sums of the nearest span of ours.

    For a span processor's ``on_start``: every span of the process comes here.
    """
    try:
        here: Any = otel.get_current() if parent_context is None else parent_context
        # Not `get_current_span`, whose check of an abstract class costs as much as all of this.
        parent = here.get(SPAN_KEY)
        if parent is None or parent is trace.INVALID_SPAN:
            return
        noted = getattr(parent, _MARK, None)
        if noted is None:
            if parent.get_span_context().is_remote:
                return
            noted = (parent, None)
        around = here.get(INVOCATION_KEY)
        setattr(span, _MARK, (noted[0], None if around is None else around.totals))
    except AttributeError:
        return  # a span of another SDK, which takes no marks


def local_root(span: Span) -> Span | None:
    """The root around ``span``, itself included; ``None`` where nobody can tell."""
    noted = getattr(span, _MARK, None)
    if noted is not None:
        return noted[0]
    parent: Any = getattr(span, "parent", _UNKNOWN)
    return span if parent is None or getattr(parent, "is_remote", False) else None


def totals_around(context: Context) -> Totals | None:
    """The totals of the local root span around here; ``None`` where there is none that is being recorded."""
    span: Any = context.get(SPAN_KEY)
    if span is None or span is trace.INVALID_SPAN:
        return None
    root = local_root(span)
    return None if root is None else _totals_of(root)


def totals_above(span: Any) -> Totals | None:
    """Where a call adds up that this span stands for, whoever made it: by what was noted as it started."""
    root, level = getattr(span, _MARK, (None, None))
    return _totals_of(root) if level is None and root is not None else level


def _totals_of(root: Span) -> Totals | None:
    if not root.is_recording():
        return None
    known = _totals.get(root)
    # Two threads may come here at once: one of theirs stays.
    return known if known is not None else _totals.setdefault(root, RootTotals(root))
