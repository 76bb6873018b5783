"""Spans through a sampler, and what of a trace state they carry."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from typing import Any

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import IdGenerator, TracerProvider
from opentelemetry.sdk.trace.sampling import Sampler as AnySampler
from opentelemetry.trace import SpanContext, SpanKind, TraceFlags, TraceState

from spanloom.sampling import loads
from spanloom.sampling._head import Sampler
from spanloom.sampling._trace_state import NEVER, parse, ratio_of


class Seeded(IdGenerator):
    """The same ids in every run."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def generate_span_id(self) -> int:
        return self._random.getrandbits(64) or 1

    def generate_trace_id(self) -> int:
        return self._random.getrandbits(128) or 1

    def is_trace_id_random(self) -> bool:
        return True


def head(text: str) -> Sampler:
    """A sampler with these lines below ``head``."""
    lines = "\n".join(f"  {line}" for line in text.strip("\n").splitlines())
    return Sampler(loads(f"version: 1\nhead:\n{lines}\n"))


def tracer(sampler: AnySampler, seed: int = 1) -> trace.Tracer:
    """Of a provider with this sampler."""
    return TracerProvider(sampler=sampler, id_generator=Seeded(seed), shutdown_on_exit=False).get_tracer("t")


def below(
    trace_id: int, *, sampled: bool = True, state: str = "", is_remote: bool = True, is_random: bool = True
) -> Context:
    """A context with a parent; ``state`` is the header's text."""
    flags = TraceFlags((TraceFlags.SAMPLED if sampled else 0) | (TraceFlags.RANDOM_TRACE_ID if is_random else 0))
    states = TraceState.from_header([state]) if state else None
    parent = SpanContext(trace_id, 0xABC, is_remote, flags, states)
    return trace.set_span_in_context(trace.NonRecordingSpan(parent), Context())


def ids(count: int, seed: int = 7) -> Iterator[int]:
    """Random trace ids, the same in every run."""
    numbers = random.Random(seed)
    return (numbers.getrandbits(128) | 1 << 127 for _ in range(count))


def decide(
    sampler: AnySampler,
    trace_id: int,
    context: Context | None = None,
    name: str = "s",
    kind: SpanKind = SpanKind.INTERNAL,
    attributes: Mapping[str, Any] | None = None,
) -> tuple[bool, str | None]:
    """Kept or not, and the trace state's text (``None`` where there is none)."""
    found = sampler.should_sample(context if context is not None else Context(), trace_id, name, kind, attributes)
    return found.decision.is_sampled(), found.trace_state.to_header() if found.trace_state else None


def adjusted_count(state: str | None) -> float:
    """How many spans a kept one stands for."""
    threshold = parse(TraceState.from_header([state or ""])).threshold
    assert threshold is not None and threshold < NEVER
    return 1 / ratio_of(threshold)
