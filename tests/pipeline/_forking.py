"""A process with open and waiting traces, and threads at work, that forks; prints what each side exported."""

from __future__ import annotations

import faulthandler
import json
import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Sequence

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from spanloom.genai import _guard
from spanloom.pipeline import SpanloomProcessor
from spanloom.sampling import SamplingRules, TailRule, TailRules

RULES = TailRules(
    baseline=1.0,
    rules=(TailRule("new", "first_seen", 1.0), TailRule("slow", "above_p99"), TailRule("failed", "error")),
)
CALLED = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": "gpt-4o"}
THREADS, FORKS = 4, 8


class Exporter(SpanExporter):
    """Without a lock, which another thread of the parent could hold as it forks (as of the SDK's in memory)."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.names += [span.name for span in spans]
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        """Nothing is open."""


class Line:
    """A service, and threads that make traces until they are told to stop."""

    def __init__(self) -> None:
        self.exporter = Exporter()
        self.processor = SpanloomProcessor(
            BatchSpanProcessor(self.exporter, max_queue_size=1 << 16), sampling=SamplingRules(tail=RULES)
        )
        self.provider = TracerProvider(shutdown_on_exit=False)
        self.provider.add_span_processor(self.processor)
        self.tracer = self.provider.get_tracer("forking")
        self.stop = threading.Event()
        self.made = [0] * THREADS
        self.threads = [threading.Thread(target=self._work, args=(at,), daemon=True) for at in range(THREADS)]

    def _work(self, at: int) -> None:
        while not self.stop.is_set():
            with self.tracer.start_as_current_span(f"work {os.getpid()}", Context(), attributes=CALLED):
                self.tracer.start_span(f"work {os.getpid()}", attributes=CALLED).end()
            self.made[at] += 2
            if self.made[at] % 40 == 0:
                time.sleep(0.002)

    def names(self) -> list[str]:
        """Of what was exported."""
        self.processor.force_flush()
        return self.exporter.names


def child(line: Line, out: int) -> None:
    """Spans of its own, one that the parent has begun, and one of a trace that waits there."""
    # Alarms are not inherited.
    signal.alarm(30)
    line.exporter.names = []
    before = line.processor.tail.held if line.processor.tail else None
    for _ in range(50):
        with line.tracer.start_as_current_span("child", Context(), attributes=CALLED):
            line.tracer.start_span("child").end()
    line.tracer.start_span("below the parent's").end()
    names = line.names()
    told = {"held": before, "names": {name: names.count(name) for name in set(names)}}
    os.write(out, json.dumps(told).encode())
    os._exit(0)


def main() -> None:
    """Fork some times under load."""
    # Who hangs is ended, and shows where it was.
    faulthandler.register(signal.SIGALRM, chain=True)
    signal.alarm(60)
    warnings.simplefilter("ignore", DeprecationWarning)
    _guard.RERAISE = True
    line = Line()
    for one in line.threads:
        one.start()
    children = []
    with line.tracer.start_as_current_span("parent", Context()) as root:
        for _ in range(10):
            line.tracer.start_span("parent").end()
        for _ in range(FORKS):
            time.sleep(0.01)
            read, write = os.pipe()
            pid = os.fork()
            if pid == 0:
                child(line, write)
            os.close(write)
            children.append((pid, read))
        assert trace.get_current_span() is root
    found = []
    for pid, read in children:
        with os.fdopen(read) as told:
            found.append(json.loads(told.read() or "null"))
        assert os.waitpid(pid, 0)[1] == 0, "a child hung or failed"
    line.stop.set()
    for one in line.threads:
        one.join()
    names = line.names()
    work = f"work {os.getpid()}"
    parent = {"made": sum(line.made), "work": names.count(work), "parent": names.count("parent"), "all": len(names)}
    print(json.dumps({"parent": parent, "children": found}))
    line.provider.shutdown()


if __name__ == "__main__":
    sys.exit(main())
