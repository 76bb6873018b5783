"""One lifecycle for everything we record: ``start -> stop | fail``, exactly one span, whatever happens.

An invocation is a context manager. ``with invocation:`` makes it current for the block only; leaving the block by an
exception fails it, leaving it normally does *not* stop it (a stream goes on after the call has returned).
``stop`` and ``fail`` may come twice, late, or from another thread: the first one wins.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextvars import Token
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar

from opentelemetry import context as otel
from opentelemetry import trace
from opentelemetry.trace import SpanKind, Status, StatusCode

from spanloom.genai import _context
from spanloom.genai._content import as_text
from spanloom.genai._guard import guard
from spanloom.genai._totals import Totals
from spanloom.semconv import Error

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Span

    from spanloom.genai._telemetry import Telemetry

_MAX_STATUS_CHARS = 1024


def error_type(error: BaseException) -> str:
    """The conventions' ``error.type``: the qualified class name, without ``builtins``."""
    kind = type(error)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


class Invocation:
    """What is common to model calls, tools, agents, workflows and steps. Made by ``Telemetry``-holding plugins."""

    __slots__ = (
        "_context",
        "_end_right",
        "_started_ns",
        "_token",
        "attributes",
        "error_type",
        "parent",
        "span",
        "telemetry",
        "totals",
    )

    kind: ClassVar[SpanKind] = SpanKind.INTERNAL

    def __init__(self, telemetry: Telemetry, name: str, at_start: Mapping[str, Any]) -> None:
        """Start the span. ``at_start`` holds the attributes that samplers may use."""
        self.telemetry = telemetry
        self.attributes: dict[str, Any] = {}
        self.error_type: str | None = None
        self.parent = _context.current()
        self.totals = Totals(self.parent.totals if self.parent is not None else None)
        self._token: Token[Context] | None = None
        # Whoever takes the one item ends the span. No lock: the garbage collector may come at any point.
        self._end_right = [True]
        # The span is made without being current, so that a fault here leaves nothing attached.
        self.span: Span = telemetry.tracer.start_span(name, kind=self.kind, attributes=at_start)
        self._context = self._make_context(_context.holding(self, trace.set_span_in_context(self.span)))
        self._started_ns = time.perf_counter_ns()

    def _make_context(self, context: Context) -> Context:
        """What code below sees; model calls add that they record the inference."""
        return context

    @property
    def captures_content(self) -> bool:
        """True where content work is worth doing: switched on, and somebody keeps the span."""
        return self.telemetry.capture_content and self.span.is_recording()

    @property
    def ended(self) -> bool:
        return not self._end_right

    @property
    def context(self) -> Context:
        """The context in which code below this invocation runs."""
        return self._context

    def __enter__(self) -> None:
        self._token = otel.attach(self._context)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace_: TracebackType | None
    ) -> None:
        if self._token is not None:
            otel.detach(self._token)
            self._token = None
        if error is not None:
            self.fail(error)

    def elapsed_s(self) -> float:
        """Seconds since the start."""
        return (time.perf_counter_ns() - self._started_ns) / 1e9

    def stop(self) -> None:
        """End it well. Status stays unset, as the conventions ask."""
        self._end(None)

    def fail(self, error: BaseException) -> None:
        """End it with status ERROR and ``error.type``; the exception's text only where content is switched on."""
        self._end(error)

    def _end(self, error: BaseException | None) -> None:
        try:
            self._end_right.pop()
        except IndexError:
            return
        duration_s = self.elapsed_s()
        if error is not None:
            self._mark(error)
        # Each step on its own: a fault in one may cost its attributes, never the end of the span.
        with guard("genai.finish"):
            self._finish()
        with guard("genai.attributes"):
            if self.span.is_recording():
                with guard("genai.final_attributes"):
                    self.attributes.update(self._final_attributes())
                self.span.set_attributes(self.attributes)
        with guard("genai.end"):
            self.span.end()
        with guard("genai.metrics"):
            self._record(duration_s)

    def _mark(self, error: BaseException) -> None:
        with guard("genai.status"):
            self.attributes[Error.TYPE] = self.error_type = error_type(error)
            description = as_text(error)[:_MAX_STATUS_CHARS] if self.telemetry.capture_content else None
            self.span.set_status(Status(StatusCode.ERROR, description))

    def _finish(self) -> None:
        """Work that must happen for unsampled calls as well."""

    def _final_attributes(self) -> Mapping[str, Any]:
        """Attributes known at the end; only asked of recording spans."""
        return self.totals.attributes()

    def _record(self, duration_s: float) -> None:
        """Metrics: for every call, sampled or not."""
