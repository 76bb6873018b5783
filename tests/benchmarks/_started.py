"""One fresh process: the SDK is set up and the instrumentor started as a service does it, then the first call is made.

``python -m tests.benchmarks._started uses|never [MODULE[:CLASS]]`` prints one JSON line: CPU since the process began,
its peak memory, the modules of openai that are there, and the spans that the call made. A module without a class is
only imported.
"""

from __future__ import annotations

import importlib
import json
import re
import resource
import sys
from pathlib import Path


def main(mode: str, instrumentor: str | None = None) -> None:
    from tests.benchmarks._contenders import instrumentor_class
    from tests.benchmarks._telemetry import Bench
    from tests.benchmarks.cases import OFF

    bench = Bench(OFF)
    if instrumentor and ":" not in instrumentor:
        importlib.import_module(instrumentor)
    elif instrumentor:
        instrumentor_class(instrumentor)().instrument(
            tracer_provider=bench.tracer_provider,
            meter_provider=bench.meter_provider,
            logger_provider=bench.logger_provider,
        )
    if mode == "uses":
        first_call()
    made = report()
    print(json.dumps({**made, "spans": bench.spans_so_far()}), flush=True)


def first_call() -> None:
    from tests.benchmarks._openai import client
    from tests.benchmarks.cases.openai_chat import ANSWER, REQUEST, answer

    made = client(answer()).chat.completions.create(**REQUEST)
    assert made.choices[0].message.content == ANSWER


def report() -> dict[str, float]:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "cpu_ms": (used.ru_utime + used.ru_stime) * 1000,
        "peak_mb": peak_mb(),
        "openai_modules": sum(1 for name in sys.modules if name.partition(".")[0] == "openai"),
        "modules": len(sys.modules),
    }


def peak_mb() -> float:
    """This program's own peak; ``ru_maxrss`` would begin with the peak of whoever started it."""
    try:
        found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text(encoding="ascii"))
    except OSError:
        found = None
    kib = int(found[1]) if found else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return kib / 1024


if __name__ == "__main__":
    main(*sys.argv[1:])
