"""The floor writes what the plugin writes: described in one process, written by hand in the same."""

from __future__ import annotations

import gc
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tests.benchmarks._contenders import CONTENDERS, CONTENT_SWITCH, Switch
from tests.benchmarks._floor import Floor
from tests.benchmarks._shape import Shape, shape_of
from tests.benchmarks._telemetry import Bench
from tests.benchmarks._worker import Worker
from tests.benchmarks.cases import FLOOR, OFF, ON, OURS, UNSAMPLED, Setting, all_cases

CASES = {
    case.name: case
    for case in all_cases().values()
    if FLOOR in case.contenders and case.library == "openai" and not case.name.endswith("short")
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


def written(name: str, contender: str, bench: Bench, shape: Shape | None = None) -> Shape | None:
    """What a contender writes for one call."""
    case, switch = CASES[name], Switch(CONTENDERS["openai", contender], bench)
    switch.on()
    if shape is not None:
        Floor().use(shape)
    try:
        call = case.setup(bench)
        call()
        return shape_of(bench, call, case.batch)
    finally:
        switch.off()


def counted(shape: Shape) -> dict[Any, tuple[int, bool]]:
    """Each series, how many records a call makes there, and whether they lead to the trace."""
    return {one.key: (one.count, one.exemplar) for one in shape.records}


@pytest.mark.parametrize("setting", [OFF, ON, UNSAMPLED], ids=lambda one: one.name)
@pytest.mark.parametrize("name", CASES)
def test_the_floor_writes_the_same_span_and_the_same_metrics(
    name: str, setting: Setting, make_bench: Callable[[Setting], Bench]
) -> None:
    """Name, kind, attributes at the start and at the end, every histogram record, every counter."""
    wanted = written(name, OURS, make_bench(setting))
    assert wanted is not None
    sent = Shape.of(json.loads(json.dumps(wanted.as_dict())))
    made = written(name, FLOOR, make_bench(setting), sent)
    assert made is not None
    assert (made.name, made.kind, made.at_start) == (wanted.name, wanted.kind, wanted.at_start)
    assert made.at_end.keys() == wanted.at_end.keys()
    assert counted(made) == counted(wanted)
    assert any(one.buckets for one in wanted.records), "a call without a duration"
    if setting is ON:
        assert any(isinstance(value, str) and value.startswith("[") for value in wanted.at_end.values())


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


@pytest.mark.parametrize("setting", [OFF, ON, UNSAMPLED], ids=lambda one: one.name)
def test_the_floor_of_a_program_writes_the_same_spans_and_metrics(
    setting: Setting, make_bench: Callable[[Setting], Bench]
) -> None:
    """Both spans with their attributes and events, every record and every counter."""
    case, told, shapes = all_cases()["dspy predict"], [], []
    for contender in (OURS, FLOOR):
        bench, kept = make_bench(setting), InMemorySpanExporter()
        bench.tracer_provider.add_span_processor(SimpleSpanProcessor(kept))
        switch = Switch(CONTENDERS["dspy", contender], bench)
        switch.on()
        try:
            if shapes:
                switch.use(Shape.of(json.loads(json.dumps(shapes[0].as_dict()))))
            call = case.setup(bench)
            call()
            made = shape_of(bench, call, case.batch)
            assert made is not None
            shapes.append(made)
        finally:
            switch.off()
        events = [[event.name for event in span.events] for span in kept.get_finished_spans()]
        told.append(([(span.name, span.kind, set(span.attributes)) for span in kept.get_finished_spans()], events))
    ours, floor = shapes
    assert told[0] == told[1]
    assert bool(told[0][0]) == setting.sampled
    assert counted(floor) == counted(ours)
    assert sum(one.count for one in ours.records if one.buckets) == 4
