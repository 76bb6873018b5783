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

_MARK = "_spanloom_local_root"
_UNKNOWN = object()
# The API keeps it private; a context with nothing but a span in it shows it.
SPAN_KEY = next(iter(trace.set_span_in_context(trace.INVALID_SPAN, Context())))
# Bounded by the spans that are open: the totals go with their span.
_totals: weakref.WeakKeyDictionary[Span, RootTotals] = weakref.WeakKeyDictionary()


def span_started(span: Span, parent_context: Context | None) -> None:
    """Note a new span's local root. For a span processor's ``on_start``: every span of the process comes here."""
    try:
        # Not `get_current_span`, whose check of an abstract class costs as much as all of this.
        parent: Any = (otel.get_current() if parent_context is None else parent_context).get(SPAN_KEY)
        if parent is None or parent is trace.INVALID_SPAN:
            return
        root = getattr(parent, _MARK, None)
        if root is None:
            if parent.get_span_context().is_remote:
                return
            root = parent
        setattr(span, _MARK, root)
    except AttributeError:
        return  # a span of another SDK, which takes no marks


def local_root(span: Span) -> Span | None:
    """The root around ``span``, itself included; ``None`` where nobody can tell."""
    noted = getattr(span, _MARK, None)
    if noted is not None:
        return noted
    parent: Any = getattr(span, "parent", _UNKNOWN)
    return span if parent is None or getattr(parent, "is_remote", False) else None


def totals_around(context: Context) -> Totals | None:
    """The totals of the local root span around here; ``None`` where there is none that is being recorded."""
    span: Any = context.get(SPAN_KEY)
    if span is None or span is trace.INVALID_SPAN:
        return None
    root = local_root(span)
    if root is None or not root.is_recording():
        return None
    known = _totals.get(root)
    # Two threads may come here at once: one of theirs stays.
    return known if known is not None else _totals.setdefault(root, RootTotals(root))
