"""``python -m tests.tool_calls.soak``: 10^6 tool calls that nobody executes or answers. Memory stays flat."""

from __future__ import annotations

import argparse
import gc
import sys
import threading

from opentelemetry.trace import SpanContext

from spanloom.genai._pending import AskedCalls, Call, Response
from spanloom.genai._prints import asked_prints
from tests.no_harm.soak import Memory, rss_kib

# Everything is full: 16 times as many as in one scope.
FULL = 16 * 1024
MOST_RSS_KIB = 8 * 1024


def run(calls: int) -> tuple[AskedCalls, list[Memory]]:
    """The registry after so many calls, and how memory stood ten times since it was full."""
    asked = AskedCalls(max_calls=1024, max_age_s=600)
    _ask(asked, 0, 3 * FULL)
    step = max(1, (calls - 3 * FULL) // 10)
    memory = [_stand(3 * FULL)]
    for start in range(3 * FULL, calls - step + 1, step):
        _ask(asked, start, step)
        memory.append(_stand(start + step))
    return asked, memory


def _stand(calls: int) -> Memory:
    gc.collect()
    return Memory(calls, rss_kib(), len(gc.get_objects()), threading.active_count())


def _ask(asked: AskedCalls, start: int, count: int) -> None:
    for number in range(start, start + count):
        response = Response(SpanContext(number + 1, 1, is_remote=False), f"r{number}", True)
        call = Call(f"call_{number}", "search", asked_prints({"q": number}), 0)
        asked.add(response, [call], (number // 10,))


def problems(asked: AskedCalls, memory: list[Memory]) -> list[str]:
    """What grew."""
    first, last = memory[0], memory[-1]
    found = [] if len(asked) == FULL else [f"{len(asked):,} calls are kept"]
    if last.rss_kib - first.rss_kib > MOST_RSS_KIB:
        found.append(f"resident memory grew from {first.rss_kib:,} to {last.rss_kib:,} KiB")
    if last.objects - first.objects > 100:
        found.append(f"objects grew from {first.objects:,} to {last.objects:,}")
    return found


def main() -> int:
    """1 where it grew."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=1_000_000)
    asked, memory = run(parser.parse_args().calls)
    for one in memory:
        print(f"{one.calls:>9,} calls: {one.rss_kib:,} KiB resident, {one.objects:,} objects")
    found = problems(asked, memory)
    print("\n".join(found) or "memory is flat")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
