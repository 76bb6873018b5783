"""The parent: workers side by side, their blocks interleaved, so that a slow second of the machine hits all of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.benchmarks._environments import environment
from tests.benchmarks.cases import FLOOR, OURS, PRICED, SETTINGS, Case, Setting

ROOT = Path(__file__).resolve().parents[2]
# A turn, of a call that is longer than a block: what it adds is little beside what the machine does to it.
_LEAST_BLOCKS = 6


@dataclass(frozen=True)
class Effort:
    """``rounds`` of fresh processes; in each, ``turns`` of every contender, with and without its instrumentation.

    Fresh processes, because where one lies in memory makes it faster or slower, by some per cent; for the same reason
    each process measures the bare call as well. A turn has up to ``repeat`` blocks of each kind of about ``block_ms``
    of CPU: short ones, since a short one is likelier to be left alone by the rest of the machine.
    ``starts``: how many processes of a kind are started to measure the start.
    """

    rounds: int
    turns: int
    repeat: int
    block_ms: float
    starts: int


FULL = Effort(rounds=2, turns=10, repeat=12, block_ms=2.5, starts=10)
QUICK = Effort(rounds=1, turns=1, repeat=1, block_ms=3, starts=1)


@dataclass(frozen=True)
class Result:
    """Minima over the blocks of a process: CPU microseconds a call, with the instrumentation and without.

    ``us`` is ``None`` for one that records nothing, ``bare_us`` for what is no instrumentation.
    """

    case: str
    setting: str
    contender: str
    us: float | None
    bare_us: float | None
    spans: float
    calls: int
    blocks: int

    @property
    def added_us(self) -> float | None:
        """What the instrumentation adds; the absolute figure where there is none."""
        return None if self.us is None else self.us - (self.bare_us or 0)

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "added_us": self.added_us}


class WorkerProcess:
    """A worker and the pipe to it."""

    def __init__(self, process: subprocess.Popen[str], label: str) -> None:
        self._process = process
        self._label = label

    def ask(self, **request: Any) -> dict[str, Any]:
        """One request, one answer."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError(f"the benchmark worker {self._label} ended at {_short(request)} (its output is above)")
        return json.loads(answer)


def _short(request: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in request.items() if key != "shape"}


@contextmanager
def worker(library: str, contender: str) -> Iterator[WorkerProcess]:
    """A worker process in its environment; it ends with the block."""
    command = [str(environment(library, contender)), "-m", "tests.benchmarks._worker", library, contender]
    with tempfile.TemporaryDirectory(prefix="spanloom-bench-") as folder:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=folder,
            env=variables(Path(folder)),
        )
        try:
            yield WorkerProcess(process, f"{library}/{contender}")
        finally:
            process.kill()
            process.communicate()


def variables(folder: Path) -> dict[str, str]:
    """The worker's variables: nothing of the caller's telemetry settings, no network, no key."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "SPANLOOM_", "PYTHON"))}
    return {
        **kept,
        "PYTHONPATH": str(ROOT),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONHASHSEED": "0",
        "OTEL_SEMCONV_STABILITY_OPT_IN": "gen_ai_latest_experimental",
        "DSPY_CACHEDIR": str(folder / "dspy"),
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    }


def measure(cases: Iterable[Case], effort: Effort) -> Iterator[Result]:
    """All results. Workers of the same library live at the same time and serve all its cases in all settings."""
    chosen = list(cases)
    for library in dict.fromkeys(case.library for case in chosen):
        group = [case for case in chosen if case.library == library]
        rounds = [_round(library, group, effort, number) for number in range(1, effort.rounds + 1)]
        for same in zip(*rounds, strict=True):
            # The round that ran fastest: what is added comes from one process, and from a quiet one.
            yield min(same, key=lambda one: (one.us or 0) + (one.bare_us or 0))


def _round(library: str, group: list[Case], effort: Effort, number: int) -> list[Result]:
    with ExitStack() as stack:
        names = dict.fromkeys(name for case in group for name in case.contenders)
        workers = {name: stack.enter_context(worker(library, name)) for name in names}
        made: list[Result] = []
        for case, setting in _settings_in_turn(group):
            print(f"  round {number} of {effort.rounds}: {case.name}, {setting.name}", file=sys.stderr, flush=True)
            made.extend(_measure_case(case, setting, {name: workers[name] for name in case.contenders}, effort))
        return made


def _settings_in_turn(group: list[Case]) -> Iterator[tuple[Case, Setting]]:
    for setting in SETTINGS.values():
        yield from ((case, setting) for case in group if setting in case.settings)


def _measure_case(case: Case, setting: Setting, workers: dict[str, WorkerProcess], effort: Effort) -> list[Result]:
    spans = prepare(case, setting, workers)
    running = {name: workers[name] for name in workers if spans[name] is not None}
    what = {"run": case.name, "setting": setting.name}
    first_us = max(one.ask(**what, calls=2, repeat=1)["us"] for one in running.values()) * case.batch
    calls = max(1, round(effort.block_ms * 1000 / first_us))
    repeat = min(effort.repeat, max(_LEAST_BLOCKS, round(effort.repeat * effort.block_ms * 1000 / (first_us * calls))))
    turns: dict[str, list[dict[str, Any]]] = {name: [] for name in running}
    for _ in range(effort.turns):
        for name, one in running.items():
            turns[name].append(one.ask(**what, calls=calls, repeat=repeat))
    figures = {name: (_least(made, "us"), _least(made, "bare_us")) for name, made in turns.items()}
    made, taken = calls * case.batch, effort.turns * repeat * effort.rounds
    return [
        Result(case.name, setting.name, name, *figures.get(name, (None, None)), spans[name] or 0, made, taken)
        for name in workers
    ]


def _least(turns: list[dict[str, Any]], key: str) -> float | None:
    values = [one[key] for one in turns if one[key] is not None]
    return min(values, default=None)


def prepare(case: Case, setting: Setting, workers: dict[str, WorkerProcess]) -> dict[str, float | None]:
    """Make the case ready: spans a call by contender, ``None`` for one of ours that records nothing here."""
    what = {"prepare": case.name, "setting": setting.name}
    made: dict[str, float | None] = {}
    for name, one in workers.items():
        if name != FLOOR:
            made[name] = check_spans(case, name, **one.ask(**what))
    if FLOOR in workers:
        # The floor writes what the plugin writes, so that there is none where the plugin writes nothing.
        shape = made[OURS] and workers[OURS].ask(describe=case.name, setting=setting.name)["shape"]
        made[FLOOR] = check_spans(case, FLOOR, **workers[FLOOR].ask(**what, shape=shape)) if shape else None
    return made


def check_spans(case: Case, contender: str, spans: float, bare_spans: float) -> float | None:
    """Spans of a bare call, or none from the official package, would make the comparison worthless.

    Where ours records nothing, that is the result.
    """
    if bare_spans:
        raise RuntimeError(f"{case.name}: {contender} made {bare_spans:g} spans a call after it was switched off")
    if spans >= case.spans:
        return spans
    if contender in (OURS, PRICED):
        return None
    raise RuntimeError(f"{case.name}: {contender} made {spans:g} spans a call, wanted at least {case.spans}")
