"""CPU time that recording a tool adds to its function, and that the memory of asked calls adds to an answer.

``python -m tests.benchmarks.tools``: against one span of the plain SDK that is made current, with one metric record, in
the same run; thread CPU time, blocks interleaved, the minimum over all blocks. Content is off.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from openai.types.chat import ChatCompletion
from opentelemetry import context, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, Sampler

from spanloom.genai import Telemetry, remember_tool_calls
from spanloom.genai._calls import Inference
from spanloom.genai._usage import Peer
from spanloom.openai._tool_calls import calls_in, tell_chat_history
from spanloom.tools import _shared, tool

# Times a bare span.
BARS = {"decorator, sampled": 2.2, "decorator, not sampled": 0.6, "asked calls, none in the answer": 0.05}
BLOCKS = 40
CALLS = 2_000
_AT_START = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "nothing", "gen_ai.tool.type": "function"}
_MEASURED = {"gen_ai.tool.name": "nothing", "gen_ai.tool.type": "function"}
MESSAGES = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Which river?"}]
ANSWER = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "gpt-4o-mini",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "The Seine."}}],
}

Once = Callable[[], object]


def nothing() -> None:
    """What the decorator is put on."""


def _providers(sampler: Sampler) -> tuple[TracerProvider, MeterProvider]:
    tracers = TracerProvider(sampler=sampler, shutdown_on_exit=False)
    tracers.add_span_processor(SpanProcessor())
    return tracers, MeterProvider([InMemoryMetricReader()], shutdown_on_exit=False)


def bare(sampler: Sampler) -> Once:
    """One span of the SDK, current while the function runs, and one record of its time."""
    tracers, meters = _providers(sampler)
    tracer = tracers.get_tracer("bench")
    histogram = meters.get_meter("bench").create_histogram("gen_ai.execute_tool.duration", "s")

    def once() -> None:
        began = time.perf_counter_ns()
        span = tracer.start_span("execute_tool nothing", attributes=_AT_START)
        around = trace.set_span_in_context(span)
        token = context.attach(around)
        nothing()
        context.detach(token)
        span.end()
        # With its exemplar, as ours has one.
        histogram.record((time.perf_counter_ns() - began) / 1e9, _MEASURED, around)

    return once


def decorated(sampler: Sampler) -> Once:
    """The same under ``@tool``."""
    tracers, meters = _providers(sampler)
    telemetry = Telemetry("spanloom.tools", tracers, meters)
    call = tool(nothing)

    def once() -> None:
        # Each contender has telemetry of its own.
        _shared.telemetry.use(telemetry)
        call()

    return once


def asked() -> Once:
    """What an answer and a request without tool calls cost the memory of them."""
    tracers, meters = _providers(ALWAYS_ON)
    inference = Inference(Telemetry("spanloom.openai", tracers, meters), "chat", "gpt-4o-mini", Peer("openai"))
    choices: Any = ChatCompletion.model_validate(ANSWER).choices

    def once() -> None:
        tell_chat_history(inference, MESSAGES)
        remember_tool_calls(inference, calls_in(choices))

    return once


def block(once: Once, calls: int) -> float:
    """Thread CPU microseconds a call."""
    begin = time.thread_time_ns()
    for _ in range(calls):
        once()
    return (time.thread_time_ns() - begin) / 1000 / calls


def measure(blocks: int = BLOCKS, calls: int = CALLS) -> dict[str, float]:
    """Microseconds a call, minima over interleaved blocks; the function itself is taken off."""
    contenders: dict[str, Once] = {
        "function": nothing,
        "bare span": bare(ALWAYS_ON),
        "bare span, not sampled": bare(ALWAYS_OFF),
        "decorator, sampled": decorated(ALWAYS_ON),
        "decorator, not sampled": decorated(ALWAYS_OFF),
        "asked calls, none in the answer": asked(),
    }
    best = dict.fromkeys(contenders, float("inf"))
    try:
        for _ in range(blocks):
            for name, once in contenders.items():
                best[name] = min(best[name], block(once, calls))
    finally:
        _shared.telemetry.use(None)
    function = best.pop("function")
    return {name: us - function for name, us in best.items()}


def main() -> None:
    """Measure and print."""
    found = measure()
    yardstick = found["bare span"]
    print(f"bare span, attached, one record: {yardstick:.1f} µs")
    unsampled = found["bare span, not sampled"]
    print(f"the same, not sampled: {unsampled:.1f} µs, {unsampled / yardstick:.2f} x")
    for name, bar in BARS.items():
        times = found[name] / yardstick
        print(f"{name}: {found[name]:.2f} µs, {times:.2f} x (bar {bar}) {'PASS' if times <= bar else 'MISS'}")


if __name__ == "__main__":
    main()
