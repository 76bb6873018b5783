"""A service with spanloom's span processor in a tracer provider of its own, and what comes out behind it."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from weakref import WeakSet

import pytest
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.metrics import Meter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanLimits, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, Sampler
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, TraceState

from spanloom.genai import _guard
from spanloom.pipeline import SpanloomProcessor, _counters
from spanloom.sampling import SamplingRules, TailRule, TailRules

OP, MODEL = "gen_ai.operation.name", "gen_ai.request.model"
REASON, KEEP = "spanloom.sampling.reason", "spanloom.keep"
NO_RULES = TailRules(baseline=0.0, rules=())


class SeededIds(IdGenerator):
    """Random ids that are the same in every run."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def generate_trace_id(self) -> int:
        return self._random.getrandbits(128) or 1

    def generate_span_id(self) -> int:
        return self._random.getrandbits(64) or 1


class Caught(SpanProcessor):
    """Keeps what it is handed."""

    def __init__(self) -> None:
        self.spans: list[ReadableSpan] = []

    def on_end(self, span: ReadableSpan) -> None:
        self.spans.append(span)

    def named(self, name: str) -> ReadableSpan:
        """The only span of this name."""
        (only,) = [span for span in self.spans if span.name == name]
        return only

    @property
    def names(self) -> list[str]:
        """In the order in which they came."""
        return [span.name for span in self.spans]


class Nothing:
    """A redactor that finds nothing."""

    def text(self, value: str) -> str:
        return value

    def attributes(self, attributes: Any) -> None:
        return None

    def body(self, value: Any) -> Any:
        return value

    def counts(self) -> dict[str, int]:
        return {}


class Service:
    """``tail``: the tail's rules. What came out lies in ``out``."""

    def __init__(
        self,
        tail: TailRules | None = None,
        *behind: SpanProcessor,
        sampler: Sampler = ALWAYS_ON,
        seed: int = 1,
        limits: SpanLimits | None = None,
        **options: Any,
    ) -> None:
        self.out = Caught()
        self.processor = SpanloomProcessor(self.out, *behind, sampling=SamplingRules(tail=tail), **options)
        self.provider = TracerProvider(
            sampler=sampler,
            resource=Resource({"service.name": "service"}),
            id_generator=SeededIds(seed),
            span_limits=limits,
            shutdown_on_exit=False,
        )
        self.provider.add_span_processor(self.processor)
        self.tracer = self.provider.get_tracer("tests", "1.0")

    def trace(self, name: str = "root", context: Context | None = None, **attributes: Any) -> None:
        """A trace of one span."""
        self.tracer.start_span(name, context or Context(), attributes=attributes).end()

    @contextmanager
    def root(self, name: str = "root", context: Context | None = None, **options: Any) -> Iterator[Span]:
        """A local root; what starts below is its child."""
        with self.tracer.start_as_current_span(name, context or Context(), **options) as span:
            yield span  # pyright: ignore

    def child(self, name: str = "child", status: Any = None, **attributes: Any) -> None:
        """A span below the current one."""
        span = self.tracer.start_span(name, attributes=attributes)
        if status is not None:
            span.set_status(status)
        span.end()

    @property
    def kept(self) -> dict[str, str]:
        """The reason of each trace that came out, by the name of its root."""
        return {one.name: one.attributes[REASON] for one in self.out.spans if one.parent is None}


def tail(*rules: TailRule, **options: Any) -> TailRules:
    """Rules with no baseline, if nothing else is said."""
    return TailRules(**{"baseline": 0.0, "rules": tuple(rules), **options})


def remote(trace_id: int, state: str = "", *, sampled: bool = True, span_id: int = 7) -> Context:
    """The context of a span in another process."""
    flags = TraceFlags(TraceFlags.SAMPLED if sampled else 0)
    parent = SpanContext(trace_id, span_id, True, flags, TraceState.from_header([state] if state else []))
    return trace.set_span_in_context(NonRecordingSpan(parent), Context())


class Faults:
    """Faults of ours that were caught, by place; to be asked for in place of the raising that tests have."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.counts: dict[str, int] = {}
        monkeypatch.setattr(_guard, "RERAISE", False)
        monkeypatch.setattr(_guard, "_count", self._count)

    def _count(self, place: str) -> None:
        self.counts[place] = self.counts.get(place, 0) + 1


class Meters:
    """A meter provider that ``spanloom.pipeline`` gets in place of the process's."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from opentelemetry import metrics

        self._reader = InMemoryMetricReader()
        self._provider = MeterProvider([self._reader], shutdown_on_exit=False)
        monkeypatch.setattr(metrics, "get_meter", self._meter)
        # As in a process that has just begun.
        monkeypatch.setattr(_counters, "_pipelines", WeakSet())
        monkeypatch.setattr(_counters, "_shown", set())

    def _meter(self, name: str, release: str = "", _: object = None, schema_url: str | None = None) -> Meter:
        return self._provider.get_meter(name, release, schema_url)

    def points(self, name: str) -> list[tuple[dict[str, Any], int | float]]:
        """Attributes and value of each point of a counter."""
        data = self._reader.get_metrics_data()
        scopes = [scope for resource in (data.resource_metrics if data else ()) for scope in resource.scope_metrics]
        metrics = [metric for scope in scopes for metric in scope.metrics if metric.name == name]
        points = [point for one in metrics for point in one.data.data_points]
        return [(dict(sorted(point.attributes.items())), point.value) for point in points]


def ratio_of(span: ReadableSpan) -> float:
    """What ``ot=th`` of an exported span says that is kept, read without our own reader."""
    entry = span.context.trace_state.get("ot")
    members = dict(one.split(":", 1) for one in entry.split(";"))
    return 1 - int(members["th"].ljust(14, "0"), 16) / 2**56


def weight(spans: Sequence[ReadableSpan]) -> float:
    """How many spans these stand for."""
    return sum(1 / ratio_of(span) for span in spans)
