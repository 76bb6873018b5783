"""CPU time of the pipeline and of tail sampling, against the SDK's own BatchSpanProcessor.

``python -m tests.benchmarks.pipeline``: whole traces (a server span and seven model calls with 20 attributes and two
messages of 2 kB) through one provider each, in one run: process CPU time with the exporter's thread, blocks
interleaved, minima, per span. The exporter looks at everything that it exports (``read``), or encodes it as the
official OTLP exporter does (``encode``). The peers (Logfire's tail sampling) are measured the same way where installed.
"""

from __future__ import annotations

import gc
import json
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from spanloom.cost import SpanCosts
from spanloom.pipeline import SpanloomProcessor
from spanloom.pipeline._derived import DerivedSpan, plain_attributes
from spanloom.pipeline._finish import Finisher
from spanloom.redaction import Redactor
from spanloom.sampling import Sampler, SamplingRules, loads
from tests.benchmarks.redaction import logfire_python

DROPPED_BAR, KEPT_BAR, DERIVED_BAR = 0.95, 1.12, 0.35
BLOCKS, TRACES, SPANS = 25, 100, 8
RULES = (
    "{error: true}, {slower_than: 10s}, {above_p99: true}, {cost_above_usd: 1}, {tokens_above: 100000}, "
    "{finish_reason: [length]}, {tool_failure: true}, {keep: true}"
)
OURS = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o-mini",
    "gen_ai.response.model": "gpt-4o-mini-2024-07-18",
    "gen_ai.response.id": "chatcmpl-9XwQ2mB1",
    "gen_ai.response.finish_reasons": ("stop",),
    "gen_ai.request.temperature": 0.2,
    "gen_ai.request.max_tokens": 512,
    "gen_ai.usage.input_tokens": 812,
    "gen_ai.usage.output_tokens": 96,
    "gen_ai.usage.cache_read.input_tokens": 0,
    "gen_ai.usage.cost.amount": 0.00018,
    "gen_ai.usage.cost.currency": "USD",
    "gen_ai.usage.cost.source": "local",
    "spanloom.cost.status": "priced",
    "openai.api.type": "chat_completions",
    "server.address": "api.openai.com",
    "server.port": 443,
    "gen_ai.input.messages": "What does the keeper of the light at Portland Bill write down every evening? " * 26,
    "gen_ai.output.messages": "The weather, the state of the lamp, and 3 of the ships that passed since noon. " * 25,
}
FOREIGN = {name: value for name, value in OURS.items() if "cost" not in name}


class Nothing:
    """No redaction: what it costs has a benchmark of its own (``tests.benchmarks.redaction``)."""

    def text(self, value: str) -> str:
        return value

    def attributes(self, attributes: object) -> None:
        return None

    def body(self, value: object) -> object:
        return value

    def counts(self) -> dict[str, int]:
        return {}


class Floor(SpanProcessor):
    """The least that a tail sampler can be: it waits for the root, asks nothing, and adds the reason to what it keeps.

    No lock, no bound, no rule, no threshold, no late spans, no fault kept from the caller: what nobody can save.
    """

    def __init__(self, behind: SpanProcessor, keeps: bool) -> None:
        self._behind = behind
        self._keeps = keeps
        self._waiting: dict[int, list[ReadableSpan]] = {}

    def on_start(self, span: ReadableSpan, parent_context: object = None) -> None:
        if span.parent is None:
            self._waiting[span.context.trace_id] = []

    def on_end(self, span: ReadableSpan) -> None:
        trace_id = span.context.trace_id
        self._waiting[trace_id].append(span)
        if span.parent is None:
            for one in self._waiting.pop(trace_id):
                if self._keeps:
                    self._behind.on_end(_with_reason(one))

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._behind.force_flush(timeout_millis)

    def shutdown(self) -> None:
        self._behind.shutdown()


def _with_reason(span: ReadableSpan) -> ReadableSpan:
    made = ReadableSpan.__new__(ReadableSpan)
    made.__dict__ = {**vars(span), "_attributes": {**span._attributes._dict, "spanloom.sampling.reason": "baseline"}}
    return made


class Reads(SpanExporter):
    """Looks at all that an exporter looks at."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        for span in spans:
            _ = span.name, span.attributes, span.events, span.links, span.status, span.context, span.parent
            _ = span.kind, span.start_time, span.end_time, span.resource, span.instrumentation_scope
            _ = span.dropped_attributes, span.dropped_events, span.dropped_links
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        """Nothing."""


class Encodes(Reads):
    """The official exporter without its connection."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        encode_spans(spans).SerializeToString()
        return SpanExportResult.SUCCESS


def tail(baseline: float) -> SamplingRules:
    """Eight rules of which none holds."""
    return loads(f"version: 1\ntail: {{baseline: {baseline}, rules: [{RULES}]}}")


def providers(exporter: type[SpanExporter]) -> dict[str, TracerProvider]:
    """One provider for each way."""

    def batching() -> BatchSpanProcessor:
        return BatchSpanProcessor(exporter(), max_queue_size=4096, schedule_delay_millis=100_000)

    def ours(rules: SamplingRules, redactor: object) -> TracerProvider:
        made = TracerProvider(sampler=Sampler(rules), shutdown_on_exit=False)
        made.add_span_processor(SpanloomProcessor(batching(), sampling=rules, redaction=redactor))  # pyright: ignore
        return made

    def plain(processor: SpanProcessor) -> TracerProvider:
        made = TracerProvider(shutdown_on_exit=False)
        made.add_span_processor(processor)
        return made

    return {
        "stock": plain(batching()),
        "floor: dropped": plain(Floor(batching(), keeps=False)),
        "floor: kept": plain(Floor(batching(), keeps=True)),
        "tail: dropped": ours(tail(0.0), Nothing()),
        "tail: kept": ours(tail(1.0), Nothing()),
        "pipeline without tail": ours(SamplingRules(), Nothing()),
        "pipeline, secrets redacted": ours(SamplingRules(), Redactor()),
    }


def run(provider: TracerProvider) -> None:
    """Some traces, exported."""
    tracer = provider.get_tracer("bench")
    for _ in range(TRACES):
        root = tracer.start_span("POST /ask", attributes={"http.route": "/ask"})
        around = trace.set_span_in_context(root)
        for _ in range(SPANS - 1):
            span = tracer.start_span("chat gpt-4o-mini", around)
            span.set_attributes(OURS)
            span.end()
        root.end()
    provider.force_flush()


def measure(exporter: type[SpanExporter]) -> dict[str, float]:
    """Microseconds a span, by way."""
    table = providers(exporter)
    best = dict.fromkeys(table, float("inf"))
    for _ in range(BLOCKS):
        for name, provider in table.items():
            gc.collect()
            begin = time.process_time_ns()
            run(provider)
            best[name] = min(best[name], (time.process_time_ns() - begin) / 1000 / TRACES / SPANS)
    for provider in table.values():
        provider.shutdown()
    return best


def logfire() -> dict[str, float] | None:
    """Logfire's tail sampling in its own environment, with the stock processor beside it."""
    python = logfire_python()
    if python is None:
        return None
    given = {"blocks": BLOCKS, "traces": TRACES, "spans": SPANS, "attributes": OURS}
    script = str(Path(__file__).with_name("_logfire_tail.py"))
    done = subprocess.run([str(python), script], input=json.dumps(given), capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return json.loads(done.stdout)


def show(title: str, best: dict[str, float]) -> None:
    """The table of one exporter."""
    bars = {"tail: dropped": DROPPED_BAR, "tail: kept": KEPT_BAR}
    print(title)
    for name, spent in best.items():
        times = spent / best["stock"]
        bar = bars.get(name)
        verdict = "" if bar is None else f"bar {bar} {'PASS' if times <= bar else 'MISS'}"
        print(f"  {name:<28}{spent:7.2f} µs {times:5.2f} times stock  {verdict}")


def derived() -> None:
    """A derived span for one of another recorder's, against a bare span."""
    provider = TracerProvider(shutdown_on_exit=False)
    tracer = provider.get_tracer("bench")
    span = tracer.start_span("chat")
    span.set_attributes(FOREIGN)
    span.end()
    original = span._readable_span()
    finisher = Finisher(None, 1 << 21)
    costs = SpanCosts()

    def derive(add: Callable[[dict], object]) -> Callable[[], object]:
        def once() -> object:
            attributes = plain_attributes(original)
            attributes.update(add(attributes) or {})
            return DerivedSpan(original, finisher, original.context, attributes)

        return once

    ways = {
        "bare span": lambda: tracer.start_span("chat").end(),
        "derived span, foreign": derive(lambda _: {"spanloom.cost.status": "priced"}),
        "the same, with its price": derive(lambda rows: costs.attributes(original, rows)),
    }
    best = dict.fromkeys(ways, float("inf"))
    for _ in range(BLOCKS):
        for name, once in ways.items():
            begin = time.thread_time_ns()
            for _ in range(2_000):
                once()
            best[name] = min(best[name], (time.thread_time_ns() - begin) / 2_000_000)
    for name, spent in best.items():
        times = spent / best["bare span"]
        verdict = f"bar {DERIVED_BAR} {'PASS' if times <= DERIVED_BAR else 'MISS'}" if "foreign" in name else ""
        print(f"  {name:<28}{spent:7.2f} µs {times:5.2f} times a bare span  {verdict}")


def main() -> None:
    """Measure and print."""
    show("exporter that reads", measure(Reads))
    theirs = logfire()
    if theirs:
        show("the same with Logfire's tail sampling, in its own environment", theirs)
    show("exporter that encodes as the official OTLP exporter does", measure(Encodes))
    print("derived")
    derived()


if __name__ == "__main__":
    main()
