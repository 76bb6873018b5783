"""What the current OpenTelemetry context tells an instrumentor: the enclosing invocation, and who already records."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry import context as otel
from opentelemetry import trace

# Read here, and not by the API's functions: every wrapper of ours asks, most of them more than once a call.
from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY as _SUPPRESS  # pyright: ignore[reportPrivateUsage]
from opentelemetry.context import Context

from spanloom.genai._conflict import claims
from spanloom.genai._roots import INVOCATION_KEY, SPAN_KEY

if TYPE_CHECKING:
    from opentelemetry.trace import Span

    from spanloom.genai._invocation import Invocation

_QUIET = otel.create_key("spanloom-quiet")
# The same by its older name.
_SUPPRESS_PLAIN = "suppress_instrumentation"
# Source: semantic-conventions-genai#475. Whoever records an inference sets it; whoever is below steps aside.
INFERENCE_SPAN_KEY = "opentelemetry.genai.inference_span"


def current(context: Context | None = None) -> Invocation | None:
    """The innermost invocation of ours that is active here, whichever thread or task this is."""
    here: Any = otel.get_current() if context is None else context
    return here.get(INVOCATION_KEY)


def inside(invocation: Invocation, span: Span, context: Context, is_inference: bool, claim: str) -> Context:
    """``context`` with this span and invocation current; an inference tells those below that it is recorded."""
    values: dict[str, Any] = {**context, SPAN_KEY: span, INVOCATION_KEY: invocation}
    if is_inference:
        values[INFERENCE_SPAN_KEY] = True
    if claim:
        values.update(claims(context, claim))
    return Context(values)


def is_quiet(context: Context) -> bool:
    """True below ``quiet``."""
    return bool(context.get(_QUIET))


def stand_in(context: Context) -> Span:
    """A span that nobody keeps, in the place of one: it stands for the span around it."""
    return trace.NonRecordingSpan(trace.get_current_span(context).get_span_context())


def quiet(context: Context | None = None) -> Context:
    """A context below which our invocations make no spans; their metrics and roll-ups go on."""
    return otel.set_value(_QUIET, True, context)


def without_invocation(context: Context) -> Context:
    """The same context for what outlives the call: a queued log record must not keep its messages in memory."""
    return otel.set_value(INVOCATION_KEY, None, context)


def is_suppressed(context: Context | None = None) -> bool:
    """True inside ``suppress_instrumentation()``."""
    if context is None:
        context = otel.get_current()
    return bool(context) and bool(context.get(_SUPPRESS) or context.get(_SUPPRESS_PLAIN))


def inference_is_recorded() -> bool:
    """True where somebody further out records this model call, so that a second span would count it twice."""
    return bool(otel.get_current().get(INFERENCE_SPAN_KEY))
