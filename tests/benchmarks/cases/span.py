"""The yardstick: what one span of the plain SDK costs, made current and with as many attributes as a chat span has."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from tests.benchmarks.cases import BARE, OFF, Case

if TYPE_CHECKING:
    from tests.benchmarks._telemetry import Bench

YARDSTICK = "span"
ATTRIBUTES = {f"attribute.{number}": (f"value {number}", number, number / 7)[number % 3] for number in range(12)}


def setup(bench: Bench) -> Callable[[], None]:
    from opentelemetry import context, trace

    tracer = bench.tracer_provider.get_tracer("bench")

    def call() -> None:
        span = tracer.start_span("chat gpt-4o-mini", kind=trace.SpanKind.CLIENT)
        token = context.attach(trace.set_span_in_context(span))
        context.detach(token)
        span.set_attributes(ATTRIBUTES)
        span.end()

    return call


CASES = (Case(YARDSTICK, "one SDK span, attached, 12 attributes", "sdk", setup, (BARE,), (OFF,)),)
