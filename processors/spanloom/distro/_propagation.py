"""The trace context is nobody's business at a model provider: it is not injected into the requests of such a call.

Instrumentations of HTTP clients (httpx, requests, ...) run below the call and would send ``traceparent`` and baggage
along. They all ask the global propagator, so that is where it is kept back; what comes in passes through.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

from opentelemetry import propagate
from opentelemetry.context import Context
from opentelemetry.propagators.textmap import (
    CarrierT,
    Getter,
    Setter,
    TextMapPropagator,
    default_getter,
    default_setter,
)

from spanloom.genai import hooks


class KeepingBack(TextMapPropagator):
    """Another propagator, but for requests to hosts that must not get what it would inject."""

    def __init__(self, inner: TextMapPropagator) -> None:
        self.inner = inner

    def extract(
        self, carrier: CarrierT, context: Context | None = None, getter: Getter[CarrierT] = default_getter
    ) -> Context:
        """What came in with a request."""
        return self.inner.extract(carrier, context, getter)

    def inject(
        self, carrier: CarrierT, context: Context | None = None, setter: Setter[CarrierT] = default_setter
    ) -> None:
        """Nothing inside a call whose host must not get it."""
        if not hooks.blocks_propagation(context):
            self.inner.inject(carrier, context, setter)

    @property
    def fields(self) -> set[str]:
        """The names that ``inject`` may set."""
        return self.inner.fields


def keep_back() -> None:
    """Wrap the global propagator, and each one that the application sets later. A second call changes nothing."""
    current = propagate.get_global_textmap()
    if not isinstance(current, KeepingBack):
        propagate.set_global_textmap(KeepingBack(current))
        propagate.set_global_textmap = _wrapping(propagate.set_global_textmap)


def _wrapping(set_global: Callable[[TextMapPropagator], None]) -> Callable[[TextMapPropagator], None]:
    @functools.wraps(set_global)
    def set_global_textmap(http_text_format: TextMapPropagator) -> None:
        known = isinstance(http_text_format, KeepingBack)
        set_global(http_text_format if known else KeepingBack(http_text_format))

    return set_global_textmap
