"""The floor: a recorder written by hand that knows what to write beforehand, against the plain SDK.

A call costs it one span with its first attributes, the context's switch, one ``set_attributes`` with the rest (content
is made to JSON anew, by the fastest encoder that we have), and the same histogram records as the plugin's, with the
same exemplars. Counters are added up in the process and observed. A chunk costs it a count, the time, and keeping its
text where content is on.
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
    from tests.benchmarks._shape import Record, Shape, SpanShape

_PLACES = (
    ("openai.resources.chat.completions.completions", "Completions"),
    ("openai.resources.chat.completions.completions", "AsyncCompletions"),
    ("openai.resources.responses.responses", "Responses"),
    ("openai.resources.embeddings", "Embeddings"),
)

# Not empty: the API takes an empty context for none.
NO_SPAN = otel.set_value("floor", True, Context())
# Of a shorter text the library is the faster one.
_LONG = 1024
_ENCODE = json.JSONEncoder(ensure_ascii=False).encode


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
    """What each call writes. A case of several spans has them in the order of their start."""

    def __init__(self, shape: Shape, tracer: trace.Tracer, sums: dict[Any, float]) -> None:
        self.spans = [SpanPlan(one, tracer) for one in shape.spans]
        self.sums = sums
        self.records: list[tuple[Any, float, dict[str, Any], bool]] = []
        self.adds: list[tuple[Any, float]] = []

    def record(self, context: Context) -> None:
        """All records of a call."""
        for histogram, value, attributes, exemplar in self.records:
            histogram.record(value, attributes, context if exemplar else NO_SPAN)
        sums = self.sums
        for key, value in self.adds:
            sums[key] += value


class SpanPlan:
    """One span, with all that is said of it."""

    def __init__(self, shape: SpanShape, tracer: trace.Tracer) -> None:
        self.tracer = tracer
        self.name = shape.name
        self.kind = trace.SpanKind[shape.kind]
        self.at_start = shape.at_start
        self.content = [(name, *found) for name, text in shape.at_end.items() if (found := _json(text)) is not None]
        constant = shape.at_end.keys() - {name for name, *_ in self.content}
        self.at_end = {name: value for name, value in shape.at_end.items() if name in constant}
        self.events = shape.events

    def start(self) -> trace.Span:
        return self.tracer.start_span(self.name, kind=self.kind, attributes=self.at_start)

    def end(self, span: trace.Span) -> None:
        if span.is_recording():
            content = {name: encode(value) for name, value, encode in self.content}
            span.set_attributes({**self.at_end, **content} if content else self.at_end)
        span.end()


def _json(text: Any) -> tuple[Any, Callable[[Any], str]] | None:
    """The value of an attribute that is JSON text, and what makes this text of it in the least time."""
    if not isinstance(text, str) or not text.startswith(("[", "{", '"')):
        return None
    from spanloom.genai._encoder import encoded

    return json.loads(text), encoded if len(text) > _LONG else _ENCODE


class Call:
    """One call from its start to its end."""

    __slots__ = ("context", "plan", "planned", "span")

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.planned = plan.spans[-1]
        self.span = self.planned.start()
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
        self.planned.end(self.span)
        self.plan.record(self.context)

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
    if not plan.spans[-1].content:
        return None
    pieces: list[str] = []

    def keep(chunk: Any) -> None:
        # Not `hasattr`, which is slow where there is none.
        if type(chunk).__name__ == "ChatCompletionChunk":
            pieces.extend(choice.delta.content for choice in chunk.choices if choice.delta.content)
        elif chunk.type == "response.output_text.delta":
            pieces.append(chunk.delta)

    return keep
