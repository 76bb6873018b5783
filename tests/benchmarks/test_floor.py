"""The floor writes what the plugin writes: described in one process, written by hand in the same."""

from __future__ import annotations

import gc
import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any

import pytest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tests.benchmarks._contenders import CONTENDERS, CONTENT_SWITCH, Switch
from tests.benchmarks._shape import Shape, shape_of
from tests.benchmarks._telemetry import Bench
from tests.benchmarks._worker import Worker
from tests.benchmarks.cases import FLOOR, OFF, ON, OURS, UNSAMPLED, Case, Setting, all_cases

CASES = {
    case.name: case for case in all_cases().values() if FLOOR in case.contenders and not case.name.endswith("short")
}


@pytest.fixture
def make_bench(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Setting], Bench]]:
    """Providers as a worker has them, shut down at the end."""
    monkeypatch.setenv(CONTENT_SWITCH, "")  # restored at the end, whatever a switch sets
    made: list[Bench] = []

    def make(setting: Setting) -> Bench:
        made.append(Bench(setting))
        return made[-1]

    yield make
    for bench in made:
        bench.close()


def written(case: Case, contender: str, bench: Bench, shape: Shape | None = None) -> Shape | None:
    """What a contender writes for one call."""
    switch = Switch(CONTENDERS[case.library, contender], bench)
    switch.on()
    if shape is not None:
        switch.use(shape)
    try:
        call = case.setup(bench)
        call()
        return shape_of(bench, call, case.batch)
    finally:
        switch.off()


def sent(shape: Shape) -> Shape:
    """As it comes to another process."""
    return Shape.of(json.loads(json.dumps(shape.as_dict())))


def told(shape: Shape) -> list[str]:
    """All of each span; threads may start them in any order."""
    return sorted(repr(asdict(one)) for one in sent(shape).spans)


def counted(shape: Shape) -> dict[Any, tuple[int, bool]]:
    """Each series, how many records a call makes there, and whether they lead to the trace."""
    return {one.key: (one.count, one.exemplar) for one in shape.records}


@pytest.mark.parametrize("setting", [OFF, ON, UNSAMPLED], ids=lambda one: one.name)
@pytest.mark.parametrize("name", CASES)
def test_the_floor_writes_the_same_spans_and_the_same_metrics(
    name: str, setting: Setting, make_bench: Callable[[Setting], Bench]
) -> None:
    """Names, kinds, attributes at the start and at the end, events, every histogram record, every counter."""
    wanted = written(CASES[name], OURS, make_bench(setting))
    assert wanted is not None
    made = written(CASES[name], FLOOR, make_bench(setting), sent(wanted))
    assert made is not None
    assert told(made) == told(wanted)
    assert counted(made) == counted(wanted)
    assert any(one.buckets for one in wanted.records), "a call without a duration"
    if setting is ON:
        texts = [value for span in wanted.spans for value in span.at_end.values() if isinstance(value, str)]
        assert any(text.startswith("[") for text in texts)


def test_what_makes_no_span_has_no_shape(make_bench: Callable[[Setting], Bench]) -> None:
    """Where the plugin records nothing there is nothing for the floor to write."""
    assert shape_of(make_bench(OFF), lambda: None, 1) is None


def test_a_worker_measures_with_and_without_the_instrumentation(monkeypatch: pytest.MonkeyPatch) -> None:
    """It makes a span a call while it is on and none when it is off; both are timed."""
    monkeypatch.setenv(CONTENT_SWITCH, "")
    monkeypatch.setattr(gc, "freeze", lambda: None)  # this process goes on with other tests
    worker = Worker("openai", OURS)
    assert worker.answer({"prepare": "openai chat", "setting": OFF.name}) == {"spans": 1, "bare_spans": 0}
    run = worker.answer({"run": "openai chat", "setting": OFF.name, "calls": 1, "repeat": 2})
    assert run["us"] > 0
    assert run["bare_us"] > 0


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.library == "dspy"])
def test_the_spans_of_the_floor_make_the_same_tree(name: str, make_bench: Callable[[Setting], Bench]) -> None:
    """Each span is below the same one."""
    case, trees = CASES[name], []
    shape = None
    for contender in (OURS, FLOOR):
        bench, kept = make_bench(ON), InMemorySpanExporter()
        bench.tracer_provider.add_span_processor(SimpleSpanProcessor(kept))
        shape = written(case, contender, bench, shape)
        assert shape is not None
        spans = kept.get_finished_spans()
        names = {span.context.span_id: span.name for span in spans}
        trees.append(Counter((span.name, span.parent and names[span.parent.span_id]) for span in spans))
    assert trees[0] == trees[1]
