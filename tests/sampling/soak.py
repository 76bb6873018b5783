"""``python -m tests.sampling.soak``: 10^6 traces whose root never ends. Memory stays within what the rules allow."""

from __future__ import annotations

import argparse
import gc
import sys
import threading
from collections.abc import Iterable

from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_ON

from spanloom.pipeline import SpanloomProcessor
from spanloom.sampling import SamplingRules, TailRules
from tests.no_harm.soak import Memory, rss_kib

MIB = 1024
# Beside the rules' own megabytes: verdicts, traces that are handed on, what is not measured yet, fragmentation.
MORE_KIB = 24 * MIB


class Tally(SpanProcessor):
    """Counts, and lets go."""

    def __init__(self) -> None:
        self.ended = 0

    def on_end(self, span: ReadableSpan) -> None:
        self.ended += 1


class Soak:
    """``span_bytes``: text on each span."""

    def __init__(self, tail: TailRules, span_bytes: int = 0) -> None:
        self.tally = Tally()
        self.processor = SpanloomProcessor(self.tally, sampling=SamplingRules(tail=tail))
        provider = TracerProvider(sampler=ALWAYS_ON, shutdown_on_exit=False)
        provider.add_span_processor(self.processor)
        self._tracer = provider.get_tracer(__name__)
        self._bytes = span_bytes
        self._made = 0

    def _text(self) -> dict[str, str]:
        """Another text each time: equal ones could be shared."""
        self._made += 1
        return {"text": f"{self._made:09}" + "x" * self._bytes} if self._bytes else {}

    def roots(self, count: int) -> None:
        """Spans that begin a trace, and that nobody holds."""
        for _ in range(count):
            self._tracer.start_span("root", Context())

    def traces(self, count: int, spans: int = 1) -> None:
        """The same with that many spans below each root, which have ended."""
        for _ in range(count):
            with self._tracer.start_as_current_span("root", Context(), end_on_exit=False):
                for _ in range(spans):
                    self._tracer.start_span("child", attributes=self._text()).end()


def stand(traces: int) -> Memory:
    """How the process stands."""
    gc.collect()
    return Memory(traces, rss_kib(), len(gc.get_objects()), threading.active_count())


def run(soak: Soak, traces: int, steps: int = 10) -> list[Memory]:
    """How memory stood at first and after each step."""
    memory = [stand(0)]
    for step in range(1, steps + 1):
        soak.traces(traces // steps)
        memory.append(stand(traces // steps * step))
    return memory


def problems(memory: list[Memory], max_bytes: int) -> list[str]:
    """What is more than the rules allow."""
    allowed = max_bytes // 1024 + MORE_KIB
    grown = max(one.rss_kib for one in memory) - memory[0].rss_kib
    return [f"resident memory grew by {grown:,} KiB, of {allowed:,}"] if grown > allowed else []


def _told(memory: Iterable[Memory]) -> None:
    for one in memory:
        print(f"{one.calls:>9,} traces: {one.rss_kib:,} KiB resident, {one.objects:,} objects")


def main() -> int:
    """1 where it grew."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--traces", type=int, default=1_000_000)
    traces = parser.parse_args().traces
    found: list[str] = []
    for title, span_bytes, count in (("small spans", 0, traces), ("20 kB spans", 20_000, traces // 10)):
        soak = Soak(TailRules(), span_bytes)
        memory = run(soak, count)
        print(f"{title}; decided early: {soak.processor.tail.early}; exported: {soak.tally.ended:,}")
        _told(memory)
        found += problems(memory, TailRules().max_bytes)
    print("\n".join(found) or "memory stays within the rules")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
