"""The parent: workers side by side, their blocks interleaved, so that a slow second of the machine hits all of them."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.benchmarks._environments import environment
from tests.benchmarks.cases import BARE, Case

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Effort:
    """``blocks`` for each contender, each long enough for about ``block_ms`` of CPU."""

    blocks: int
    block_ms: float


FULL = Effort(blocks=25, block_ms=60)
QUICK = Effort(blocks=3, block_ms=10)


@dataclass(frozen=True)
class Result:
    """The minimum over all blocks: process CPU microseconds a call."""

    case: str
    content: bool
    contender: str
    us: float
    spans: float
    calls: int
    blocks: int

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


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
            raise RuntimeError(f"the benchmark worker {self._label} ended at {request} (its output is above)")
        return json.loads(answer)


@contextmanager
def worker(library: str, contender: str, content: bool) -> Iterator[WorkerProcess]:
    """A worker process in its environment; it ends with the block."""
    command = [str(environment(library, contender)), "-m", "tests.benchmarks._worker", library, contender]
    with tempfile.TemporaryDirectory(prefix="spanloom-bench-") as folder:
        process = subprocess.Popen(
            [*command, "on" if content else "off"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=folder,
            env=variables(Path(folder), content),
        )
        try:
            yield WorkerProcess(process, f"{library}/{contender}")
        finally:
            process.kill()
            process.communicate()


def variables(folder: Path, content: bool) -> dict[str, str]:
    """The worker's variables: nothing of the caller's telemetry settings, no network, no key."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "SPANLOOM_", "PYTHON"))}
    return {
        **kept,
        "PYTHONPATH": str(ROOT),
        "PYTHONDONTWRITEBYTECODE": "1",
        "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "SPAN_ONLY" if content else "NO_CONTENT",
        "OTEL_SEMCONV_STABILITY_OPT_IN": "gen_ai_latest_experimental",
        "DSPY_CACHEDIR": str(folder / "dspy"),
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    }


def measure(cases: Iterable[Case], effort: Effort) -> Iterator[Result]:
    """All results. Workers of the same library and content setting live at the same time and serve all its cases."""
    chosen = list(cases)
    for library in dict.fromkeys(case.library for case in chosen):
        for content in (False, True):
            group = [case for case in chosen if case.library == library and content in case.contents]
            if group:
                yield from _measure_group(library, content, group, effort)


def _measure_group(library: str, content: bool, group: list[Case], effort: Effort) -> Iterator[Result]:
    with ExitStack() as stack:
        names = dict.fromkeys(name for case in group for name in case.contenders)
        workers = {name: stack.enter_context(worker(library, name, content)) for name in names}
        for case in group:
            yield from _measure_case(case, content, {name: workers[name] for name in case.contenders}, effort)


def _measure_case(case: Case, content: bool, workers: dict[str, WorkerProcess], effort: Effort) -> Iterator[Result]:
    spans = {name: one.ask(prepare=case.name)["spans"] for name, one in workers.items()}
    for name, made in spans.items():
        check_spans(case, name, made)
    first = max(one.ask(run=case.name, calls=3)["us"] for one in workers.values()) * case.batch
    calls = max(1, round(effort.block_ms * 1000 / first))
    best = dict.fromkeys(workers, float("inf"))
    for _ in range(effort.blocks):
        for name, one in workers.items():
            best[name] = min(best[name], one.ask(run=case.name, calls=calls)["us"])
    for name, us in best.items():
        yield Result(case.name, content, name, us, spans[name], calls * case.batch, effort.blocks)


def check_spans(case: Case, contender: str, made: float) -> None:
    """A contender that records nothing, or a bare one that does, would make the comparison worthless."""
    is_bare = contender == BARE and len(case.contenders) > 1
    if (made != 0) if is_bare else (made < case.spans):
        wanted = "none" if is_bare else f"at least {case.spans}"
        raise RuntimeError(f"{case.name}: {contender} made {made:g} spans a call, wanted {wanted}")
