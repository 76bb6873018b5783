"""CPU time of prices against genai-prices and of the finisher against a span, in one run.

``python -m tests.benchmarks.costs``: a warm price of four counts (thread CPU time, blocks by turns, minima); the
finisher on a chat with all it does but the SDK's own record of the histogram, against a span of the plain SDK that is
as large as a chat's (the same); and the first price of a fresh process, import and load included (CPU time and memory
of the process, less those of a process that does nothing; by turns, minima). Needs Python 3.11, as genai-prices does,
and Linux.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

BAR_WARM = 0.02
BAR_FIRST = 0.06
BAR_FINISHER = 0.15
BLOCKS = 20
PROCESSES = 7
RULES = "version: 1\nprices:\n" + "".join(
    f"  - {{match: {{provider: azure, model: 'deployment-{number}'}}, alias: azure/gpt-4o}}\n" for number in range(50)
)

_IDLE = "pass"
_OURS = """
from spanloom.cost import price
assert price("gpt-4o-mini", provider="openai", input_tokens=1000, output_tokens=500).amount_usd == 0.00045
"""
_THEIRS = """
from genai_prices import Usage, calc_price
found = calc_price(Usage(input_tokens=1000, output_tokens=500), "gpt-4o-mini", provider_id="openai")
assert float(found.total_price) == 0.00045
"""
# The peak since the program began; getrusage's would be the parent's.
_TOLD = """
import json, time
with open("/proc/self/status") as file:
    peak = next(line for line in file if line.startswith("VmHWM"))
print(json.dumps([time.process_time(), int(peak.split()[1])]))
"""

Once = Callable[[], object]


class First(NamedTuple):
    """What a first price takes beyond an idle process."""

    cpu_ms: float
    memory_mb: float


def ours() -> Once:
    """One warm price of ours, written as people write it: a call with ``**`` takes Python a fifth longer."""
    from spanloom.cost import price

    return lambda: price(
        "gpt-4o-mini",
        provider="openai",
        input_tokens=12_345,
        output_tokens=678,
        cache_read_tokens=9_876,
        cache_write_tokens=0,
    )


def ours_in_full() -> Once:
    """The same with all that telemetry tells of a call."""
    from spanloom.cost import price

    return lambda: price(
        "gpt-4o-mini",
        provider="openai",
        input_tokens=12_345,
        output_tokens=678,
        cache_read_tokens=9_876,
        cache_write_tokens=0,
        service_tier="priority",
        server_address="api.openai.com",
    )


def theirs() -> Once:
    """One warm price of theirs."""
    from genai_prices import Usage, calc_price

    return lambda: calc_price(
        Usage(input_tokens=12_345, output_tokens=678, cache_read_tokens=9_876, cache_write_tokens=0),
        "gpt-4o-mini",
        provider_id="openai",
    )


def block(once: Once, calls: int) -> float:
    """Thread CPU microseconds a call."""
    begin = time.thread_time_ns()
    for _ in range(calls):
        once()
    return (time.thread_time_ns() - begin) / 1000 / calls


def warm(blocks: int = BLOCKS, calls: int = 2_000) -> dict[str, float]:
    """Microseconds a price; minima over blocks by turns. Rules of one's own are put into effect for the last case."""
    from spanloom.cost import load_overrides, reset_overrides

    cases = {"genai-prices": theirs(), "ours": ours(), "ours, a host and a tier": ours_in_full()}
    best = dict.fromkeys(cases, float("inf"))
    for _ in range(blocks):
        for name, once in cases.items():
            best[name] = min(best[name], block(once, calls // 20 if name == "genai-prices" else calls))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "prices.yaml"
        path.write_text(RULES, encoding="utf-8")
        load_overrides(path)
        best["ours, with a file of 50 rules"] = min(block(ours(), calls) for _ in range(blocks))
        reset_overrides()
    return best


def finisher(blocks: int = 3 * BLOCKS, calls: int = 1_000) -> dict[str, float]:
    """Microseconds of the bare span and of the finisher; minima over blocks by turns, more and shorter ones: the bar is
    near."""
    from tests.benchmarks._telemetry import Bench
    from tests.benchmarks.cases import OFF, cost, span

    bench = Bench(OFF)
    cases = {"span": span.setup(bench), "finisher": cost.finisher(bench)}
    best = dict.fromkeys(cases, float("inf"))
    for _ in range(blocks):
        for name, once in cases.items():
            best[name] = min(best[name], block(once, calls))
    bench.close()
    return best


def process(code: str) -> tuple[float, float]:
    """CPU seconds and peak memory (KiB) of a fresh process."""
    done = subprocess.run([sys.executable, "-c", code + _TOLD], check=True, capture_output=True, text=True)
    seconds, kib = json.loads(done.stdout)
    return seconds, kib


def first(processes: int = PROCESSES) -> dict[str, First]:
    """What a first price takes, ours and theirs."""
    codes = {"idle": _IDLE, "ours": _OURS, "genai-prices": _THEIRS}
    runs: dict[str, list[tuple[float, float]]] = {name: [] for name in codes}
    for _ in range(processes):
        for name, code in codes.items():
            runs[name].append(process(code))
    least = {name: (min(one[0] for one in rows), min(one[1] for one in rows)) for name, rows in runs.items()}
    idle_s, idle_kib = least.pop("idle")
    return {name: First((seconds - idle_s) * 1e3, (kib - idle_kib) / 1024) for name, (seconds, kib) in least.items()}


def verdict(ratio: float, bar: float, whose: str = "theirs") -> str:
    """A ratio and whether it is within its bar."""
    return f"{ratio:6.3f} of {whose}  bar {bar} {'PASS' if ratio <= bar else 'MISS'}"


def main() -> None:
    """Measure and print."""
    found = warm()
    for name, us in found.items():
        word = "" if name == "genai-prices" else verdict(us / found["genai-prices"], BAR_WARM)
        print(f"{name:<34}{us:8.2f} µs     {word}")
    ended = finisher()
    print(f"{'a bare span':<34}{ended['span']:8.2f} µs")
    word = verdict(ended["finisher"] / ended["span"], BAR_FINISHER, "a span")
    print(f"{'the finisher without SDK metrics':<34}{ended['finisher']:8.2f} µs     {word}")
    one = first()
    mine, others = one["ours"], one["genai-prices"]
    print(f"{'first price, CPU':<34}{mine.cpu_ms:8.1f} ms, genai-prices {others.cpu_ms:.1f} ms", end="  ")
    print(verdict(mine.cpu_ms / others.cpu_ms, BAR_FIRST))
    print(f"{'first price, memory':<34}{mine.memory_mb:8.1f} MiB, genai-prices {others.memory_mb:.1f} MiB", end="  ")
    print(verdict(mine.memory_mb / others.memory_mb, BAR_FIRST))


if __name__ == "__main__":
    main()
