"""Tells the core which span is whose local root, so that roll-ups reach the server span across spans of others."""

from __future__ import annotations

from opentelemetry.context import Context
from opentelemetry.sdk.trace import Span, SpanProcessor

from spanloom.genai import hooks


class LocalRoots(SpanProcessor):
    """A span processor that looks at starts only. A span does not know its ancestors, and its context ends with it."""

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Note the root; faults stay in the hook, which is guarded."""
        hooks.span_started(span, parent_context)
