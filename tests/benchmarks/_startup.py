"""The start of a process: fresh ones, interleaved; what the instrumentor adds to their time and memory.

The floor here is what OpenTelemetry's own loader has imported before it starts any plugin: the base class of every
instrumentor, wrapt and what they need. A process that never calls a model pays that much for tracing anything at all.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.benchmarks._bars import CPU, MEMORY, MODULES, NEVER, USES, WALL
from tests.benchmarks._contenders import CONTENDERS
from tests.benchmarks._environments import environment
from tests.benchmarks._run import variables
from tests.benchmarks.cases import BARE, FLOOR, OFFICIAL, OURS

LIBRARY = "openai"
_MODES = ((USES, "uses"), (NEVER, "never"))
LOADER = "opentelemetry.instrumentation.auto_instrumentation._load"
# Contender -> the environment that it runs in, and what is started there.
_TAKEN = {
    BARE: (BARE, None),
    OFFICIAL: (OFFICIAL, CONTENDERS[LIBRARY, OFFICIAL].instrumentor),
    OURS: (OURS, CONTENDERS[LIBRARY, OURS].instrumentor),
    FLOOR: (OURS, LOADER),
}


@dataclass(frozen=True)
class Start:
    """What was measured of one kind of process: ``measure`` is one of CPU, WALL, MEMORY, MODULES."""

    case: str
    measure: str
    contender: str
    value: float
    starts: int

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def measure_start(starts: int) -> Iterator[Start]:
    """Times are the minimum of all starts, memory the median. The first of several only warms the disk."""
    pythons = {name: environment(LIBRARY, place) for name, (place, _) in _TAKEN.items()}
    for case, mode in _MODES:
        runs: dict[str, list[dict[str, float]]] = {name: [] for name in _TAKEN}
        for number in range(1, starts + 1):
            print(f"  {case}, {number} of {starts}", file=sys.stderr, flush=True)
            for name, python in pythons.items():
                runs[name].append(_start(python, mode, _TAKEN[name][1]))
                _check(case, mode, name, runs[name][-1])
        for name, taken in runs.items():
            made = taken[1:] or taken
            yield Start(case, CPU, name, min(run["cpu_ms"] for run in made), starts)
            yield Start(case, WALL, name, min(run["wall_ms"] for run in made), starts)
            yield Start(case, MEMORY, name, statistics.median(run["peak_mb"] for run in made), starts)
            yield Start(case, MODULES, name, max(run["openai_modules"] for run in made), starts)


def _start(python: Path, mode: str, instrumentor: str | None) -> dict[str, float]:
    """One process; the time on the wall is from its start until it reports."""
    command = [str(python), "-m", "tests.benchmarks._started", mode, *([instrumentor] if instrumentor else [])]
    with tempfile.TemporaryDirectory(prefix="spanloom-bench-") as folder:
        began = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=folder, env=variables(Path(folder)))
        assert process.stdout is not None
        line = process.stdout.readline()
        wall_ms = (time.perf_counter() - began) * 1000
        process.communicate()
    if not line:
        raise RuntimeError(f"the process {' '.join(command)} failed (its output is above)")
    return {**json.loads(line), "wall_ms": wall_ms}


def _check(case: str, mode: str, contender: str, run: dict[str, float]) -> None:
    """An instrumentor that did not see the first call was not started at all."""
    wanted = 1 if mode == "uses" and contender in (OFFICIAL, OURS) else 0
    if run["spans"] != wanted:
        raise RuntimeError(f"{case}: {contender} made {run['spans']:g} spans, wanted {wanted}")
