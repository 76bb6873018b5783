"""What the current OpenTelemetry context tells an instrumentor: the enclosing invocation, and who already records."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from opentelemetry import context as otel
from opentelemetry.instrumentation.utils import is_instrumentation_enabled

if TYPE_CHECKING:
    from opentelemetry.context import Context

    from spanloom.genai._invocation import Invocation

_CURRENT = otel.create_key("spanloom-invocation")
# Source: semantic-conventions-genai#475. Whoever records an inference sets it; whoever is below steps aside.
INFERENCE_SPAN_KEY = "opentelemetry.genai.inference_span"


def current(context: Context | None = None) -> Invocation | None:
    """The innermost invocation of ours that is active here, whichever thread or task this is."""
    return cast("Invocation | None", otel.get_value(_CURRENT, context))


def holding(invocation: Invocation, context: Context) -> Context:
    """A context in which ``current()`` is this invocation."""
    return otel.set_value(_CURRENT, invocation, context)


def below_inference(context: Context) -> Context:
    """A context in which instrumentors below know that this inference is recorded already."""
    return otel.set_value(INFERENCE_SPAN_KEY, True, context)


def is_suppressed() -> bool:
    """True inside ``suppress_instrumentation()``."""
    return not is_instrumentation_enabled()


def inference_is_recorded() -> bool:
    """True where somebody further out records this model call, so that a second span would count it twice."""
    return bool(otel.get_value(INFERENCE_SPAN_KEY))
