"""The floor: a recorder written by hand that knows what to write beforehand, against the plain SDK.

A call costs it one span with its first attributes, the context's switch, one ``set_attributes`` with the rest (content
is made to JSON anew), and the same histogram records as the plugin's, with the same exemplars. Counters are added up in
the process and observed. A chunk costs it a count, the time, and keeping its text where content is on.
It reads nothing of requests and responses, guards nothing and knows no early ends: nobody can be cheaper and honest.
"""

from __future__ import annotations

import functools
import importlib
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import TYPE_CHECKING, Any, ClassVar

from opentelemetry import context as otel
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.metrics import CallbackOptions, Observation

if TYPE_CHECKING:
    from tests.benchmarks._shape import Record, Shape

_PLACES = (
    ("openai.resources.chat.completions.completions", "Completions"),
    ("openai.resources.chat.completions.completions", "AsyncCompletions"),
    ("openai.resources.responses.responses", "Responses"),
    ("openai.resources.embeddings", "Embeddings"),
)

# Not empty: the API takes an empty context for none.
NO_SPAN = otel.set_value("floor", True, Context())


class Floor:
    """Patches the methods that the cases call. ``use`` says what the next calls write."""

    plan: Plan | None = None
    _originals: ClassVar[list[tuple[Any, str, Any]]] = []
    _sums: ClassVar[dict[Any, float]] = {}
    _histograms: ClassVar[dict[str, Any]] = {}
    _provider: ClassVar[Any] = None

    def instrument(self, tracer_provider: Any, meter_provider: Any, logger_provider: Any) -> None:
        if Floor._provider is not meter_provider:
            # Instruments are made once for each provider, however often it is switched on and off.
            self._sums.clear()
            self._histograms.clear()
        Floor._provider = meter_provider
        Floor._tracer = tracer_provider.get_tracer("floor")
        Floor._meter = meter_provider.get_meter("floor")
        self._patch()

    def _patch(self) -> None:
        for module, owner in _PLACES:
            kind = getattr(importlib.import_module(module), owner)
            self._originals.append((kind, "create", kind.create))
            wrap = _wrapped_async if owner.startswith("Async") else _wrapped
            kind.create = wrap(kind.create)

    def uninstrument(self) -> None:
        while self._originals:
            setattr(*self._originals.pop())

    def use(self, shape: Shape) -> None:
        """Make ready what does not depend on a call."""
        plan = Floor.plan = Plan(shape, self._tracer, self._sums)
        for record in shape.records:
            if record.buckets is not None:
                once = (self._histogram(record), record.value, record.attributes, record.exemplar)
                plan.records.extend([once] * record.count)
            else:
                plan.adds.append((self._sum(record), record.value))

    def _histogram(self, record: Record) -> Any:
        if record.instrument not in self._histograms:
            self._histograms[record.instrument] = self._meter.create_histogram(
                record.instrument, record.unit, explicit_bucket_boundaries_advisory=record.buckets
            )
        return self._histograms[record.instrument]

    def _sum(self, record: Record) -> Any:
        name = record.instrument
        if not any(name == known for known, _ in self._sums):

            def observe(options: CallbackOptions) -> Iterator[Observation]:
                for (instrument, attributes), value in self._sums.items():
                    if instrument == name:
                        yield Observation(value, dict(attributes))

            self._meter.create_observable_counter(name, [observe], record.unit)
        self._sums.setdefault(record.key, 0)
        return record.key


def _wrapped(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def create(resource: Any, /, *args: Any, **kwargs: Any) -> Any:
        assert Floor.plan is not None
        call = Call(Floor.plan)
        token = otel.attach(call.context)
        try:
            result = original(resource, *args, **kwargs)
        finally:
            otel.detach(token)
        return call.conclude(result)

    return create


def _wrapped_async(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    async def create(resource: Any, /, *args: Any, **kwargs: Any) -> Any:
        assert Floor.plan is not None
        call = Call(Floor.plan)
        token = otel.attach(call.context)
        try:
            result = await original(resource, *args, **kwargs)
        finally:
            otel.detach(token)
        return call.conclude(result)

    return create


class Plan:
    """What each call writes."""

    def __init__(self, shape: Shape, tracer: trace.Tracer, sums: dict[Any, float]) -> None:
        self.tracer = tracer
        self.sums = sums
        self.name = shape.name
        self.kind = trace.SpanKind[shape.kind]
        self.at_start = shape.at_start
        self.content = {name: value for name, text in shape.at_end.items() if (value := _json(text)) is not None}
        self.at_end = {name: value for name, value in shape.at_end.items() if name not in self.content}
        self.records: list[tuple[Any, float, dict[str, Any], bool]] = []
        self.adds: list[tuple[Any, float]] = []


def _json(text: Any) -> Any:
    """The value of an attribute that is JSON text."""
    return json.loads(text) if isinstance(text, str) and text.startswith(("[", "{")) else None


class Call:
    """One call from its start to its end."""

    __slots__ = ("context", "plan", "span")

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.span = plan.tracer.start_span(plan.name, kind=plan.kind, attributes=plan.at_start)
        self.context = trace.set_span_in_context(self.span)

    def conclude(self, result: Any) -> Any:
        """End it now, or with its stream."""
        inner = getattr(result, "_iterator", None)
        if inner is None:
            self.end()
        else:
            result._iterator = self._achunks(inner) if hasattr(inner, "__anext__") else self._chunks(inner)
        return result

    def end(self) -> None:
        plan, span, context = self.plan, self.span, self.context
        if span.is_recording():
            content = {name: json.dumps(value, ensure_ascii=False) for name, value in plan.content.items()}
            span.set_attributes({**plan.at_end, **content} if content else plan.at_end)
        span.end()
        for histogram, value, attributes, exemplar in plan.records:
            histogram.record(value, attributes, context if exemplar else NO_SPAN)
        sums = plan.sums
        for key, value in plan.adds:
            sums[key] += value

    def _chunks(self, inner: Iterator[Any]) -> Iterator[Any]:
        keep = _keeper(self.plan)
        chunks, last = 0, 0
        for chunk in inner:
            chunks += 1
            last = time.perf_counter_ns()
            if keep is not None:
                keep(chunk)
            yield chunk
        assert chunks and last
        self.end()

    async def _achunks(self, inner: AsyncIterator[Any]) -> AsyncIterator[Any]:
        keep = _keeper(self.plan)
        chunks, last = 0, 0
        async for chunk in inner:
            chunks += 1
            last = time.perf_counter_ns()
            if keep is not None:
                keep(chunk)
            yield chunk
        assert chunks and last
        self.end()


def _keeper(plan: Plan) -> Callable[[Any], None] | None:
    """Keeps a chunk's text, for what writes content."""
    if not plan.content:
        return None
    pieces: list[str] = []

    def keep(chunk: Any) -> None:
        if hasattr(chunk, "choices"):
            pieces.extend(choice.delta.content for choice in chunk.choices if choice.delta.content)
        elif chunk.type == "response.output_text.delta":
            pieces.append(chunk.delta)

    return keep
