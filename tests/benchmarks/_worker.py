"""One contender in its own process and environment: ``python -m tests.benchmarks._worker LIBRARY CONTENDER``.

Reads one JSON request a line and answers with one JSON line; each names a setting:
``{"prepare": CASE}`` → ``{"spans": n, "bare_spans": n}`` made by a call, instrumented and not;
``{"describe": CASE}`` → ``{"shape": what one call writes}``, which the floor gets with its ``prepare``;
``{"run": CASE, "calls": n, "repeat": m}`` → ``{"us": process CPU microseconds a call, "bare_us": the same without
instrumentation}``, each the least of m blocks of n calls. Ends with its standard input.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tests.benchmarks._contenders import CONTENDERS, Contender, Switch
from tests.benchmarks._shape import Shape, shape_of
from tests.benchmarks._telemetry import Bench
from tests.benchmarks.cases import SETTINGS, Case, Setting, all_cases

WARM_UP = 3


class Worker:
    """A contender's process, with providers for each setting."""

    def __init__(self, library: str, contender: str) -> None:
        self._contender = CONTENDERS[library, contender]
        self._cases = all_cases()
        self._rooms: dict[str, Room] = {}

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """The reply to one request."""
        room = self._room(request["setting"])
        if "prepare" in request:
            return room.prepare(self._cases[request["prepare"]], request.get("shape"))
        if "describe" in request:
            return {"shape": room.describe(self._cases[request["describe"]])}
        return room.run(self._cases[request["run"]], request["calls"], request["repeat"])

    def _room(self, setting: str) -> Room:
        if setting not in self._rooms:
            self._rooms[setting] = Room(self._contender, SETTINGS[setting])
        return self._rooms[setting]


class Room:
    """The cases that are ready under one setting."""

    def __init__(self, contender: Contender, setting: Setting) -> None:
        self._bench = Bench(setting)
        self._switch = Switch(contender, self._bench)
        self._ready: dict[str, Callable[[], Any]] = {}
        self._shapes: dict[str, Shape] = {}

    def prepare(self, case: Case, shape: dict[str, Any] | None) -> dict[str, float]:
        """Make the case ready, and count the spans of a call."""
        if shape is not None:
            self._shapes[case.name] = Shape.of(shape)
        with self._instrumented(case):
            call = self._ready[case.name] = case.setup(self._bench)
            for _ in range(WARM_UP):
                call()
            spans = self._spans(call, case.batch)
        bare_spans = self._spans(call, case.batch) if self._switch.can else 0
        # What is there by now stays; the collections before each block then cost little.
        gc.collect()
        gc.freeze()
        return {"spans": spans, "bare_spans": bare_spans}

    def describe(self, case: Case) -> dict[str, Any] | None:
        """What one call writes."""
        with self._instrumented(case):
            shape = shape_of(self._bench, self._ready[case.name], case.batch)
        return shape.as_dict() if shape else None

    def run(self, case: Case, calls: int, repeat: int) -> dict[str, float | None]:
        """One turn: with the instrumentation, then without."""
        call = self._ready[case.name]
        with self._instrumented(case):
            us = least(call, calls, repeat) / case.batch
        return {"us": us, "bare_us": least(call, calls, repeat) / case.batch if self._switch.can else None}

    @contextmanager
    def _instrumented(self, case: Case) -> Iterator[None]:
        self._switch.on()
        shape = self._shapes.get(case.name)
        if shape is not None:
            self._switch.use(shape)
        yield
        self._switch.off()

    def _spans(self, call: Callable[[], Any], batch: int) -> float:
        before = self._bench.spans_so_far()
        call()
        return (self._bench.spans_so_far() - before) / batch


def least(call: Callable[[], Any], calls: int, repeat: int) -> float:
    """The least of some blocks. The first calls are not counted: patching makes Python forget what it knew of them."""
    for _ in range(min(WARM_UP, calls)):
        call()
    return min(block(call, calls) for _ in range(repeat))


def block(call: Callable[[], Any], calls: int) -> float:
    """Process CPU microseconds a call, with the garbage of earlier blocks out of the way."""
    gc.collect()
    begin = time.process_time_ns()
    for _ in range(calls):
        call()
    return (time.process_time_ns() - begin) / 1000 / calls


def main(library: str, contender: str) -> None:
    """Serve until the parent closes our input. Libraries may print: only our answers go to the real output."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    worker = Worker(library, contender)
    for line in sys.stdin:
        answers.write(json.dumps(worker.answer(json.loads(line))) + "\n")
        answers.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
