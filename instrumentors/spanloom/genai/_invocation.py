"""One lifecycle for everything we record: ``start -> stop | fail``, exactly one span, whatever happens.

An invocation is a context manager. ``with invocation:`` makes it current for the block only; leaving the block by an
exception fails it, leaving it normally does *not* stop it (a stream goes on after the call has returned).
``stop`` and ``fail`` may come twice, late, or from another thread: the first one wins.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Collection, Mapping
from contextvars import Token
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar

from opentelemetry import context as otel
from opentelemetry.context import Context
from opentelemetry.trace import SpanKind, Status, StatusCode

from spanloom.genai import _context
from spanloom.genai._capture import IN_EVENTS, ON_SPANS, capture_for
from spanloom.genai._content import as_text, encodable, make_encodable
from spanloom.genai._events import emit_evaluation as _emit_evaluation
from spanloom.genai._guard import attempt, tolerant
from spanloom.genai._roots import totals_around
from spanloom.genai._totals import Totals
from spanloom.semconv import Error

if TYPE_CHECKING:
    from spanloom.genai._telemetry import Telemetry

_MAX_STATUS_CHARS = 1024
_KEY_WORDS = re.compile(r"(?i)api[ _-]?key|\bsk-\w|\bbearer ")
# What is shorter (``Bearer``, an ``x`` in the place of a key) stands in any text.
_LEAST_SECRET = 7
_ENDED = Context()


def _may_quote_a_key(text: str) -> bool:
    """Whether the type or text of a failure is about a key: whoever refuses one may quote it."""
    return _KEY_WORDS.search(text) is not None


def error_type(error: BaseException) -> str:
    """The conventions' ``error.type``: the qualified class name, without ``builtins``; a class may hide it."""
    return tolerant(lambda: _qualified(type(error)), Error.OTHER)


def _qualified(kind: type) -> str:
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


class Invocation:
    """What is common to model calls, tools, agents, workflows and steps. Made by ``Telemetry``-holding plugins."""

    __slots__ = (
        "_context",
        "_end_right",
        "_started_ns",
        "_token",
        "around",
        "attributes",
        "capture",
        "captures_content",
        "completion",
        "error_type",
        "hides_error_text",
        "parent",
        "recording",
        "secrets",
        "span",
        "telemetry",
        "totals",
    )

    kind: ClassVar[SpanKind] = SpanKind.INTERNAL
    # True where instrumentors below must not record a model call once more.
    is_inference: ClassVar[bool] = False
    # As what other recorders below learn of it; nothing for what stays in the process.
    claim: ClassVar[str] = ""

    def __init__(self, telemetry: Telemetry, name: str, at_start: Mapping[str, Any], owner: object = None) -> None:
        """Start the span. ``at_start`` holds the attributes that samplers may use; ``owner`` is the calling client."""
        context = otel.get_current()
        self.telemetry = telemetry
        self.attributes: dict[str, Any] = {}
        self.error_type: str | None = None
        # True where the text of a failure may quote a secret (a key that was refused): it is not told, content or not.
        self.hides_error_text = False
        # Gives the texts that no failure may quote: the keys that a call below was made with.
        self.secrets: Callable[[], Collection[str]] | None = None
        self.parent = parent = _context.current(context)
        # Where this one's own contribution goes, and where those of the calls below it add up.
        self.around: Totals | None = parent.totals if parent is not None else totals_around(context)
        self.totals: Totals | None = self._make_totals(self.around)
        self._token: Token[Context] | None = None
        # Whoever takes the one item ends the span. No lock: the garbage collector may come at any point.
        self._end_right = [True]
        # The span is made without being current, so that a fault here leaves nothing attached.
        attributes = telemetry.spelling.of(at_start) if telemetry.spelling else at_start
        self.span = span = (
            _context.stand_in(context)
            if _context.is_quiet(context)
            else telemetry.tracer.start_span(encodable(name), context, self.kind, attributes)
        )
        # A span that nobody keeps gets no content work at all.
        self.recording = recording = span.is_recording()
        # Flags: where content goes; `captures_content` is what plugins ask before they read any.
        self.capture, self.completion = capture_for(telemetry, owner, context, span)
        self.captures_content = recording and (self.capture != 0 or self.completion is not None)
        self._context = _context.inside(self, span, context, self.is_inference, self.claim)
        self._started_ns = time.perf_counter_ns()

    def _make_totals(self, around: Totals | None) -> Totals | None:
        return Totals(around)

    @property
    def ended(self) -> bool:
        """True from the first ``stop`` or ``fail`` on."""
        return not self._end_right

    @property
    def context(self) -> Context:
        """The context in which code below this invocation runs; empty after its end."""
        return self._context

    def __enter__(self) -> None:
        self._token = otel.attach(self._context)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace_: TracebackType | None
    ) -> None:
        self.leave(error)
        if error is not None:
            self.fail(error)

    def leave(self, error: BaseException | None = None) -> None:
        """Be current no longer, where the block ends (by ``error``), and go on."""
        token, self._token = self._token, None
        if token is not None and (error is None or not self._is_elsewhere(error)):
            otel.detach(token)

    def _is_elsewhere(self, error: BaseException) -> bool:
        """True where the collector closes a coroutine of ours, in another context: ours has gone with it."""
        return isinstance(error, GeneratorExit) and _context.current() is not self

    def elapsed_s(self) -> float:
        """Seconds since the start."""
        return (time.perf_counter_ns() - self._started_ns) / 1e9

    def stop(self) -> None:
        """End it well. Status stays unset, as the conventions ask."""
        self._end()

    def fail(self, error: BaseException) -> None:
        """End it with status ERROR and ``error.type``; the exception's text only where content is switched on."""
        if self._end_right:
            self._end(error_type(error), error)

    def fail_as(self, kind: str, message: str | None = None) -> None:
        """End it with status ERROR for a failure that was reported, not raised (``kind`` becomes ``error.type``)."""
        self._end(kind, message)

    def _end(self, kind: str | None = None, error: BaseException | str | None = None) -> None:
        try:
            self._end_right.pop()
        except IndexError:
            return
        duration_s = (time.perf_counter_ns() - self._started_ns) / 1e9
        # Each step on its own: a fault in one may cost its attributes, never the end of the span. Ctrl-C may come, too.
        try:
            if kind is not None:
                attempt("genai.status", self._mark, kind, error)
            attempt("genai.finish", self._finish)
            if self.recording:
                attempt("genai.attributes", self._write)
        finally:
            attempt("genai.end", self.span.end)
            attempt("genai.metrics", self._record, duration_s)
        if isinstance(error, BaseException):
            attempt("genai.exception_event", self._tell_exception, error)
        # The context refers to us: without it, what the call was given is freed now, not by a later collection.
        self._context = _ENDED

    def _mark(self, kind: str, error: BaseException | str | None) -> None:
        self.attributes[Error.TYPE] = self.error_type = kind
        self._warn_above()
        if self.capture and error is not None and not self.hides_error_text:
            text = f"{kind} {as_text(error)}"
            self.hides_error_text = _may_quote_a_key(text) or self._quotes_a_secret(text)
        told = self.capture & ON_SPANS and error is not None and not self.hides_error_text
        text = encodable(as_text(error)[:_MAX_STATUS_CHARS]) if told else None
        self.span.set_status(Status(StatusCode.ERROR, text))

    def _warn_above(self) -> None:
        """What fails around a call that failed mostly says the same."""
        above = self.parent if self.secrets is not None else None
        while above is not None:
            above.secrets = self.secrets
            above = above.parent

    def _quotes_a_secret(self, text: str) -> bool:
        return self.secrets is not None and any(len(one) >= _LEAST_SECRET and one in text for one in self.secrets())

    def _finish(self) -> None:
        """Work that must happen for unsampled calls as well."""

    def _write(self) -> None:
        """Everything that is known at the end, in one step. Only of recording spans."""
        attributes = self.attributes
        attempt("genai.final_attributes", self._add_final, attributes)
        make_encodable(attributes)
        # After it: what is JSON text is encodable, and long.
        attempt("genai.content_attributes", self._add_content, attributes)
        spelling = self.telemetry.spelling
        self.span.set_attributes(spelling.of(attributes) if spelling else attributes)

    def _add_final(self, attributes: dict[str, Any]) -> None:
        """Attributes known at the end."""
        if self.totals is not None:
            attributes.update(self.totals.last_attributes())

    def _add_content(self, attributes: dict[str, Any]) -> None:
        """Content, where it belongs on the span."""

    def _record(self, duration_s: float) -> None:
        """Metrics: for every call, sampled or not."""

    def _tell_exception(self, error: BaseException) -> None:
        """The conventions' event for a failed call to a provider."""

    def add_event(self, name: str, attributes: Mapping[str, Any]) -> None:
        """Something that happened on the way, as a span event; dropped where nobody keeps the span."""
        if self.recording:
            told = dict(attributes)
            make_encodable(told)
            attempt("genai.event", self.span.add_event, name, told)

    def add_evaluation(self, name: str, score: float | None, label: str | None, explanation: str | None) -> None:
        """The conventions' event for a judgement of what this invocation made. ``explanation`` is content."""
        if self.recording:
            told = explanation if self.capture != 0 else None
            context = _context.without_invocation(self._context)
            attempt("genai.evaluation", _emit_evaluation, self.telemetry.logger, name, score, label, told, context)

    @property
    def on_span(self) -> bool:
        """True where content belongs on the span."""
        return self.recording and bool(self.capture & ON_SPANS)

    @property
    def in_events(self) -> bool:
        """True where content belongs into events."""
        return self.recording and bool(self.capture & IN_EVENTS)
