"""CPU time of sampling: a span through our sampler against the same span through the stock one.

``python -m tests.benchmarks.sampling``: ``start_span`` and ``end`` without a span processor, thread CPU time, blocks
interleaved, the minimum over all blocks. Stock: ``ParentBased(TraceIdRatioBased(ratio))``.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.sdk.trace.sampling import Sampler as AnySampler

from spanloom.sampling import HeadRules, Sampler, SamplingRules, loads

# Times the stock sampler's span.
HEAD_BAR = 1.05
BLOCKS = 60
CALLS = 2_000
ATTRIBUTES = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o-mini",
    "server.address": "api.openai.com",
    "server.port": 443,
}
# None of them fits: what they cost every span.
RULES = """
version: 1
head:
  spans_per_second: 1000000000
  leaves: [health, http_under_inference]
  rules:
    - {name: health, match: {route: ['/health*', '/livez'], method: GET}, ratio: 0}
    - {name: cheap, match: {operation: chat, model: 'llama-*', provider: acme}, ratio: 0.2}
    - {name: by_attribute, match: {attributes: {shop.tier: [free, trial]}}, ratio: 0.5}
"""

Once = Callable[[], object]


class Case(NamedTuple):
    """What is measured, what it is compared with, and how many times that it may cost; no bar: a figure to know."""

    ours: Once
    stock: Once
    bar: float | None


def span(sampler: AnySampler, parent: bool | None = None) -> Once:
    """A span that begins and ends: a root, or below a remote parent that is (not) sampled."""
    tracer = TracerProvider(sampler=sampler, shutdown_on_exit=False).get_tracer("bench")
    around = Context() if parent is None else _around(parent)

    def once() -> None:
        tracer.start_span("chat", around, attributes=ATTRIBUTES).end()

    return once


def _around(sampled: bool) -> Context:
    flags = trace.TraceFlags(trace.TraceFlags.SAMPLED if sampled else 0)
    state = trace.TraceState([("ot", "th:0")]) if sampled else None
    return trace.set_span_in_context(trace.NonRecordingSpan(trace.SpanContext(1, 2, True, flags, state)), Context())


def ours(ratio: float) -> Sampler:
    """Ours without rules."""
    return Sampler(SamplingRules(HeadRules(ratio)))


def stock(ratio: float) -> ParentBased:
    """What a service has without us."""
    return ParentBased(TraceIdRatioBased(ratio))


def head() -> dict[str, Case]:
    """The head sampler: roots and children, sampled and not."""
    with_rules = Sampler(loads(RULES))
    return {
        "head: root, sampled": Case(span(ours(1.0)), span(stock(1.0)), HEAD_BAR),
        "head: root, not sampled": Case(span(ours(0.0)), span(stock(0.0)), HEAD_BAR),
        "head: root, one of ten": Case(span(ours(0.1)), span(stock(0.1)), HEAD_BAR),
        "head: child, sampled": Case(span(ours(1.0), True), span(stock(1.0), True), HEAD_BAR),
        "head: child, not sampled": Case(span(ours(1.0), False), span(stock(1.0), False), HEAD_BAR),
        "head: root, 3 rules, leaves, rate": Case(span(with_rules), span(stock(1.0)), None),
        "head: child, 3 rules, leaves, rate": Case(span(with_rules, True), span(stock(1.0), True), None),
    }


def cases() -> dict[str, Case]:
    """All of them, in one table."""
    return {**head()}


def block(once: Once, calls: int) -> float:
    """Thread CPU microseconds a call."""
    begin = time.thread_time_ns()
    for _ in range(calls):
        once()
    return (time.thread_time_ns() - begin) / 1000 / calls


def measure(table: dict[str, Case], blocks: int = BLOCKS, calls: int = CALLS) -> dict[str, tuple[float, float]]:
    """Microseconds of ours and of stock, by case; minima over interleaved blocks."""
    best = {name: (float("inf"), float("inf")) for name in table}
    for _ in range(blocks):
        for name, case in table.items():
            mine, theirs = best[name]
            best[name] = min(mine, block(case.ours, calls)), min(theirs, block(case.stock, calls))
    return best


def main() -> None:
    """Measure and print."""
    table = cases()
    for name, (mine, theirs) in measure(table).items():
        bar = table[name].bar
        times = mine / theirs
        verdict = "" if bar is None else f"bar {bar} {'PASS' if times <= bar else 'MISS'}"
        print(f"{name:<36}{mine:7.2f} µs, stock {theirs:7.2f} µs, {times:5.2f} times  {verdict}")


if __name__ == "__main__":
    main()
