"""One contender in its own process and environment: ``python -m tests.benchmarks._worker LIBRARY CONTENDER on|off``.

Reads one JSON request a line and answers with one JSON line: ``{"prepare": CASE}`` → ``{"spans": n}`` made by a call;
``{"run": CASE, "calls": n}`` → ``{"us": process CPU microseconds a call}``. Ends with its standard input.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

from tests.benchmarks._contenders import CONTENDERS, switch_on
from tests.benchmarks._telemetry import Bench
from tests.benchmarks.cases import Case, all_cases

WARM_UP = 3


class Worker:
    """The cases that are ready in this process."""

    def __init__(self, library: str, contender: str, content: bool) -> None:
        self._bench = Bench(content)
        switch_on(CONTENDERS[library, contender], self._bench)
        self._cases = all_cases()
        self._ready: dict[str, Callable[[], Any]] = {}

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """The reply to one request."""
        if "prepare" in request:
            return {"spans": self._prepare(self._cases[request["prepare"]])}
        case = self._cases[request["run"]]
        return {"us": block(self._ready[case.name], request["calls"]) / case.batch}

    def _prepare(self, case: Case) -> float:
        call = self._ready[case.name] = case.setup(self._bench)
        for _ in range(WARM_UP):
            call()
        before = self._bench.spans_so_far()
        call()
        return (self._bench.spans_so_far() - before) / case.batch


def block(call: Callable[[], Any], calls: int) -> float:
    """Process CPU microseconds a call, with the garbage of earlier blocks out of the way."""
    gc.collect()
    gc.freeze()
    begin = time.process_time_ns()
    for _ in range(calls):
        call()
    spent = time.process_time_ns() - begin
    gc.unfreeze()
    return spent / 1000 / calls


def main(library: str, contender: str, content: str) -> None:
    """Serve until the parent closes our input. Libraries may print: only our answers go to the real output."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    worker = Worker(library, contender, content == "on")
    for line in sys.stdin:
        answers.write(json.dumps(worker.answer(json.loads(line))) + "\n")
        answers.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
