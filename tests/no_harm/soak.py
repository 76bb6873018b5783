"""The soak: very many short calls over every kind of end. Memory stays flat, and every call has its span.

``make soak`` makes 100,000 calls and says how memory stands every 5,000.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import sys
import threading
import time
import tracemalloc
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider

from spanloom.openai import OpenAIInstrumentor
from tests.no_harm._compare import CONTENT
from tests.no_harm._soak_ends import Line, table

# What may be there in the end and not after the warm-up: caches that fill late, none of them a call's.
MOST_OBJECTS = 400
MOST_RSS_KIB = 4096
MOST_TRACED_KIB = 64
TRACED_CALLS = 500


class Tally(SpanProcessor):
    """Counts spans and lets them go."""

    def __init__(self) -> None:
        self.ended = 0
        self._lock = threading.Lock()

    def on_end(self, span: ReadableSpan) -> None:
        with self._lock:
            self.ended += 1


@dataclass
class Memory:
    """How the process stands after a garbage collection."""

    calls: int
    rss_kib: int
    objects: int
    threads: int


@dataclass
class Result:
    """What a soak found."""

    calls: int
    spans: int
    memory: list[Memory]
    traced_kib: float
    seconds: float

    def problems(self) -> list[str]:
        """What grew, and what was lost."""
        first, last = self.memory[0], self.memory[-1]
        found = [] if self.spans == self.calls else [f"{self.calls} calls have {self.spans} spans"]
        if last.objects - first.objects > MOST_OBJECTS:
            found.append(f"objects grew from {first.objects} to {last.objects}")
        if last.rss_kib - first.rss_kib > MOST_RSS_KIB:
            found.append(f"resident memory grew from {first.rss_kib} to {last.rss_kib} KiB")
        if self.traced_kib > MOST_TRACED_KIB:
            found.append(f"{TRACED_CALLS} calls left {self.traced_kib:.0f} KiB behind")
        if last.threads > first.threads:
            found.append(f"threads grew from {first.threads} to {last.threads}")
        return found


def rss_kib() -> int:
    """The resident memory of this process (Linux)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") // 1024


class Soak:
    """The clients, the loop and the table of ends; the next call is always the next row."""

    def __init__(self) -> None:
        self._line = Line()
        self._client, self._aclient = self._line.client(), self._line.aclient()
        self._loop = asyncio.new_event_loop()
        self._table = table(self._line)
        self.calls = 0

    @property
    def rows(self) -> int:
        """How many calls until each end was there, sync and async."""
        return 2 * len(self._table)

    def run(self, count: int) -> None:
        """Make so many calls."""
        for _ in range(count):
            name, prepare, end, loop = self._table[self.calls // 2 % len(self._table)]
            prepare()
            try:
                if loop or self.calls % 2:
                    self._loop.run_until_complete(end(self._aclient))
                else:
                    self._sync(end)
            except Exception as error:
                raise AssertionError(f"{name} failed") from error
            self.calls += 1

    def _sync(self, end: Any) -> None:
        try:
            end(self._client).send(None)
        except StopIteration:
            return
        raise AssertionError("a sync call waited")

    def settle(self) -> None:
        """Let everything that was dropped be collected."""
        for _ in range(3):
            gc.collect()
            self._loop.run_until_complete(asyncio.sleep(0.01))
        time.sleep(0.05)

    def memory(self) -> Memory:
        """How the process stands now."""
        self.settle()
        return Memory(self.calls, rss_kib(), len(gc.get_objects()), threading.active_count())

    def close(self) -> None:
        """Close the clients and the loop."""
        self._client.close()
        self._loop.run_until_complete(self._aclient.close())
        self._loop.close()


def soak(calls: int, say: Any = None, mode: str = "SPAN_AND_EVENT") -> Result:
    """Warm up with a tenth, then measure. The last calls are traced: that is slow."""
    tally, reader = Tally(), InMemoryMetricReader()
    tracers = TracerProvider(shutdown_on_exit=False)
    tracers.add_span_processor(tally)
    meters = MeterProvider([reader], shutdown_on_exit=False)
    loggers = LoggerProvider(shutdown_on_exit=False)
    os.environ[CONTENT] = mode
    plugin = OpenAIInstrumentor()
    plugin.instrument(tracer_provider=tracers, meter_provider=meters, logger_provider=loggers)
    begun, one = time.monotonic(), Soak()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            memory, traced = measured(one, calls, say)
    finally:
        plugin.uninstrument()
        del os.environ[CONTENT]
        one.close()
        for provider in (tracers, meters, loggers):
            provider.shutdown()
    return Result(one.calls, tally.ended, memory, traced, time.monotonic() - begun)


def measured(one: Any, calls: int, say: Any) -> tuple[list[Memory], float]:
    """Run a soak with its memory at every step, and what its last calls left behind in KiB."""
    one.run(max(calls // 10, 3 * one.rows))
    memory = [one.memory()]
    step = max(calls // 20, 500)
    while one.calls < calls - TRACED_CALLS:
        one.run(min(step, calls - TRACED_CALLS - one.calls))
        memory.append(one.memory())
        if say is not None:
            say(memory[-1])
    return memory, _traced(one)


def _traced(one: Any) -> float:
    """What Python has allocated and kept over the last calls, in KiB."""
    tracemalloc.start()
    try:
        one.run(TRACED_CALLS // 4)
        one.settle()
        before, _ = tracemalloc.get_traced_memory()
        one.run(TRACED_CALLS - TRACED_CALLS // 4)
        one.settle()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return (after - before) / 1024


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=100_000)
    given = parser.parse_args()
    gc.collect()
    gc.freeze()

    def say(now: Memory) -> None:
        print(f"{now.calls:>7} calls: {now.rss_kib} KiB, {now.objects} objects, {now.threads} threads", flush=True)

    result = soak(given.calls, say)
    found = result.problems()
    left = f"the last {TRACED_CALLS} left {result.traced_kib:.0f} KiB"
    print(f"{result.calls} calls, {result.spans} spans, {left}, {result.seconds:.0f} s")
    print("\n".join(found) or "memory is flat")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
