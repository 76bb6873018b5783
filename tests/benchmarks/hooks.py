"""CPU time that the hooks cost a call while none is registered: the gates before it, the finishers at its end.

``python -m tests.benchmarks.hooks``: the code as it runs in a call, against the same code of an invocation that has
no such hook; thread CPU time, blocks interleaved, the minimum over all blocks. Bar: 0.3 µs each.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import TracerProvider

from spanloom.genai import Inference, Peer, Step, Telemetry

LIMIT_US = 0.3
BLOCKS = 40
CALLS = 20_000


def entering(invocation: Inference | Step) -> Callable[[], None]:
    """What runs around a call: asking the gates is a part of it for calls to a provider."""

    def once() -> None:
        with invocation:
            pass

    return once


def block(once: Callable[[], object], calls: int) -> float:
    """Thread CPU microseconds a call."""
    begin = time.thread_time_ns()
    for _ in range(calls):
        once()
    return (time.thread_time_ns() - begin) / 1000 / calls


def measure(blocks: int = BLOCKS, calls: int = CALLS) -> dict[str, float]:
    """Microseconds added by gates and by finishers, minima over interleaved blocks."""
    telemetry = Telemetry("spanloom.bench", TracerProvider(), MeterProvider(), None)
    call, step = Inference(telemetry, "chat", "m", Peer("openai")), Step(telemetry, "step", object(), {})
    # Without totals around it, finishing is the finishers and nothing else.
    call.around = None
    pairs: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
        "gates": (entering(call), entering(step)),
        "finishers": (call._finish, step._finish),
    }
    best = {(name, place): float("inf") for name in pairs for place in (0, 1)}
    for _ in range(blocks):
        for name, both in pairs.items():
            for place, once in enumerate(both):
                best[name, place] = min(best[name, place], block(once, calls))
    return {name: max(best[name, 0] - best[name, 1], 0.0) for name in pairs}


def main() -> None:
    """Measure and print."""
    for name, us in measure().items():
        print(f"{name}, none registered: {us:.3f} µs a call (bar {LIMIT_US}) {'PASS' if us <= LIMIT_US else 'MISS'}")


if __name__ == "__main__":
    main()
