"""Whether the SDK lets a span processor write to a span that ends (opentelemetry-python#5614; not up to 1.45)."""

from __future__ import annotations

import functools

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Span, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_ON


class _Probe(SpanProcessor):
    def __init__(self) -> None:
        self.writable = False

    def _on_ending(self, span: Span) -> None:
        # Not by writing: the SDK logs a warning where that is too late.
        self.writable = span.is_recording()


@functools.cache
def can_write_at_end() -> bool:
    """Tried once in a process, with a span that nobody sees."""
    probe = _Probe()
    provider = TracerProvider(sampler=ALWAYS_ON, resource=Resource.get_empty(), shutdown_on_exit=False)
    provider.add_span_processor(probe)
    provider.get_tracer(__name__).start_span("probe").end()
    return probe.writable
