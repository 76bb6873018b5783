"""Where message content may go: the process's mode, and what ``spanloom.trace.content`` says for a block of code."""

from __future__ import annotations

import functools
import inspect
import re
import sys
import threading
from collections.abc import Callable
from contextvars import Token
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar, cast

from opentelemetry import context as otel

from spanloom import semconv
from spanloom.genai._guard import tolerant

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Span, SpanContext

    from spanloom.genai._completion import Hook
    from spanloom.genai._telemetry import Telemetry

P = ParamSpec("P")
R = TypeVar("R")

# Flags.
NOWHERE: Final = 0
ON_SPANS: Final = 1
IN_EVENTS: Final = 2

_VARIABLE: Final = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
_MODES: Final = {
    "NO_CONTENT": NOWHERE,
    "FALSE": NOWHERE,
    "SPAN_ONLY": ON_SPANS,
    "TRUE": ON_SPANS,
    "EVENT_ONLY": IN_EVENTS,
    "SPAN_AND_EVENT": ON_SPANS | IN_EVENTS,
}
_KEY = otel.create_key("spanloom-content")
# Traces have 56 random bits: the last ones of their id, or what their trace state gives instead of these.
# Source: OpenTelemetry's specification, "TraceState: Probability Sampling".
_RANDOM_BITS: Final = 56
_EVERY: Final = 1 << _RANDOM_BITS
_RANDOM_VALUE: Final = re.compile(r"(?:^|;)rv:([0-9a-f]{14})(?:;|$)")


def configured() -> int:
    """The process's mode, by ``OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT``. Read when a plugin starts."""
    return _MODES[semconv.choice_of(_VARIABLE)]


def least_randomness() -> int:
    """The randomness from which on a trace gets content, by ``SPANLOOM_CONTENT_RATIO``; 0 is every trace."""
    # As samplers have it: with a lower ratio of theirs, the traces that they keep are those that have content.
    return _EVERY - round(semconv.ratio("SPANLOOM_CONTENT_RATIO") * _EVERY)


def randomness(trace: SpanContext) -> int:
    """The same number for every span of a trace, in every process."""
    state = trace.trace_state.get("ot")
    given = _RANDOM_VALUE.search(state) if state else None
    return trace.trace_id & (_EVERY - 1) if given is None else int(given[1], 16)


@dataclass(eq=False)
class _Override:
    """One ``content(...)`` block. ``client`` is None where it holds for every call."""

    capture: int
    client: Any
    outer: _Override | None
    # True for one that could not be taken out of the context where it was put.
    is_over: bool = False

    def holds_for(self, owner: object) -> bool:
        if self.is_over:
            return False
        return self.client is None or self.client is owner or _same_connection(self.client, owner)


def _same_connection(client: object, owner: object) -> bool:
    """Copies of an OpenAI client (``with_options``) share its HTTP client."""
    http = tolerant(lambda: getattr(client, "_client", None), None)
    return http is not None and tolerant(lambda: getattr(owner, "_client", None), None) is http


def capture_for(telemetry: Telemetry, owner: object, context: Context, span: Span) -> tuple[int, Hook | None]:
    """The flags for a call by ``owner`` (its client, if it has one), and the hook that is given its content, if any.

    The innermost block that holds decides on the flags, else the process's mode. A trace that is not of the chosen ones
    has content only where a block asks for it.
    """
    wish = _wish(owner, context)
    if not wish and telemetry.least_randomness and randomness(span.get_span_context()) < telemetry.least_randomness:
        return NOWHERE, None
    return telemetry.capture if wish is None else wish, telemetry.completion


def _wish(owner: object, context: Context) -> int | None:
    """What the code around says."""
    override: Any = context.get(_KEY)
    while override is not None:
        if override.holds_for(owner):
            return override.capture
        override = override.outer
    return None


def whereabouts() -> object:
    """The thread, and the task in it: who has a context of his own."""
    asyncio = sys.modules.get("asyncio")
    try:
        task = asyncio.current_task() if asyncio is not None else None
    except RuntimeError:  # no event loop runs here
        task = None
    return threading.get_ident(), task


class content:  # noqa: N801 - read as a statement: `with content(...):`
    """Write message content elsewhere than the process does, or not at all, for the calls begun in this block.

    ``mode`` is ``NO_CONTENT``, ``SPAN_ONLY``, ``EVENT_ONLY`` or ``SPAN_AND_EVENT`` (as
    ``OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT`` has them), ``True`` for spans or ``False`` for nothing. With
    ``client`` only that client's calls are meant, its copies (``with_options``) included. Blocks nest; the innermost
    wins. It is carried by the OpenTelemetry context: into tasks, and into the threads of DSPy. It decorates functions
    and coroutine functions, too. What it asks for is written in every trace, whatever ``SPANLOOM_CONTENT_RATIO`` is.

    Raises ``ValueError`` for any other mode, ``TypeError`` where it decorates a generator function.
    """

    def __init__(self, mode: str | bool, *, client: object = None) -> None:
        chosen = _MODES.get(str(mode).upper())
        if chosen is None:
            raise ValueError(f"content(): {mode!r} is none of {', '.join(_MODES)}; give one of these, or True or False")
        self._mode = mode
        self._capture = chosen
        self._client = client
        # One object may be entered again inside itself.
        self._entered: list[tuple[_Override, Token[Context], object]] = []

    def __enter__(self) -> None:
        outer: Any = otel.get_value(_KEY)
        override = _Override(self._capture, self._client, outer)
        self._entered.append((override, otel.attach(otel.set_value(_KEY, override)), whereabouts()))

    def __exit__(self, *_: object) -> None:
        override, token, place = self._entered.pop()
        if otel.get_value(_KEY) is override and whereabouts() == place:
            otel.detach(token)
        else:
            # A generator that the collector or another task closes has left it in its reader's context.
            override.is_over = True

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        """The same function inside such a block."""
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise TypeError("content() does not decorate generator functions; write `with content(...):` inside")
        if inspect.iscoroutinefunction(function):
            coroutine = cast("Callable[..., Any]", function)

            @functools.wraps(function)
            async def awaited(*args: Any, **kwargs: Any) -> Any:
                with content(self._mode, client=self._client):
                    return await coroutine(*args, **kwargs)

            return cast("Callable[P, R]", awaited)

        @functools.wraps(function)
        def called(*args: P.args, **kwargs: P.kwargs) -> R:
            with content(self._mode, client=self._client):
                return function(*args, **kwargs)

        return called
