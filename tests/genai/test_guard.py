"""The guard: a fault of ours is counted, logged at most once a minute and place, and never reaches the application."""

from __future__ import annotations

import logging

import pytest

from spanloom.genai import _guard, guard, guarded
from spanloom.genai._guard import report, tolerant
from spanloom.genai.hooks import add_finisher
from tests._support.spans import Recorder
from tests.genai._make import KINDS, inference, telemetry, usage


@pytest.fixture
def kept(monkeypatch):
    """As in production: faults do not raise."""
    monkeypatch.setattr(_guard, "RERAISE", False)


@pytest.fixture
def counted(monkeypatch):
    """What was counted, by place."""
    places: list[str] = []

    class Counter:
        def add(self, amount, attributes):
            places.append(attributes["spanloom.place"])

    monkeypatch.setattr(_guard, "_counter", Counter)
    return places


def test_a_fault_stays_inside(kept, counted, caplog):
    """The block ends there, the code after it goes on, the fault is counted and logged."""
    with guard("somewhere"):
        raise ValueError("boo")
    assert counted == ["somewhere"]
    assert "somewhere (ValueError: boo)" in caplog.text
    assert "the application is not affected" in caplog.text


def test_no_fault_no_word(kept, counted, caplog):
    """The guard is silent where all is well."""
    with guard("somewhere"):
        pass
    assert guarded("somewhere")(lambda: 3)() == 3
    assert not counted
    assert not caplog.records


def test_under_our_tests_faults_raise(counted):
    """So that one that is kept from the application fails a test."""
    with pytest.raises(ValueError), guard("somewhere"):
        raise ValueError
    with pytest.raises(ZeroDivisionError):
        guarded("somewhere")(lambda: 1 / 0)()
    assert counted == ["somewhere"] * 2


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_base_exceptions_always_pass(error, kept, counted):
    """They are not faults of ours."""
    with pytest.raises(error), guard("somewhere"):
        raise error
    with pytest.raises(error):
        guarded("somewhere")(lambda: (_ for _ in ()).throw(error))()
    assert not counted


def test_named_exceptions_pass(kept, counted):
    """What a caller asked to get."""
    with pytest.raises(LookupError), guard("somewhere", passing=(LookupError,)):
        raise KeyError
    assert not counted


def test_a_guarded_function_gives_its_default(kept, counted):
    """And keeps its name and signature."""

    @guarded("somewhere", default=7)
    def function(x: int) -> int:
        """Doc."""
        return 1 // x

    assert (function(1), function(0)) == (1, 7)
    assert (function.__name__, function.__doc__) == ("function", "Doc.")
    assert counted == ["somewhere"]


def test_the_log_is_limited_to_a_line_a_minute_and_place(kept, counted, caplog, monkeypatch):
    """The counter counts all of them."""
    now = [1000.0]
    monkeypatch.setattr(_guard.time, "monotonic", lambda: now[0])
    for _ in range(100):
        report("a", ValueError())
        report("b", ValueError())
    assert len(caplog.records) == 2
    now[0] += 60.0
    report("a", ValueError())
    assert len(caplog.records) == 3
    assert len(counted) == 201


def test_the_number_of_places_is_bounded(kept, counted, caplog, monkeypatch):
    """A place made from data by mistake does not grow the table without end; it is still counted."""
    monkeypatch.setattr(_guard, "MAX_PLACES", 3)
    for number in range(10):
        report(f"place {number}", ValueError())
    assert len(_guard._last_logged) == len(caplog.records) == 3
    assert len(counted) == 10


def test_with_debug_the_log_has_the_traceback(kept, counted, caplog):
    """Otherwise it is one line."""
    caplog.set_level(logging.DEBUG, logger="spanloom")
    with guard("somewhere"):
        raise ValueError
    assert caplog.records[0].exc_info
    caplog.set_level(logging.INFO, logger="spanloom")
    with guard("elsewhere"):
        raise ValueError
    assert not caplog.records[1].exc_info


def test_a_broken_meter_or_log_handler_hurts_neither(kept, monkeypatch):
    """The last line of defence has nobody behind it."""

    class Broken:
        def add(self, *_):
            raise RuntimeError("meter")

    monkeypatch.setattr(_guard, "_counter", Broken)
    with guard("somewhere"):
        raise ValueError


def test_faults_are_a_metric_of_the_global_meter():
    """Name and unit as the table has them."""
    provider = Recorder().meter_provider
    _guard._counter().on_meter_set(provider.get_meter("spanloom.genai"))
    assert _guard._counter()._real_instrument.name == "spanloom.internal.errors"
    assert _guard._counter()._real_instrument.unit == "{error}"


def test_tolerance_is_for_the_applications_own_code(counted, caplog):
    """Its exceptions give the default, in silence; base exceptions pass."""
    assert tolerant(lambda: 1 // 0, -1) == -1
    assert tolerant(lambda: 5, -1) == 5
    with pytest.raises(KeyboardInterrupt):
        tolerant(lambda: (_ for _ in ()).throw(KeyboardInterrupt), -1)
    assert not counted
    assert not caplog.records


# Faults at each hook of an invocation: one span, ended, and the application goes on.


def boom(*_args, **_kwargs):
    """A fault."""
    raise RuntimeError("boom")


def test_a_finisher_that_raises_costs_its_own_part_only(kept, counted, recorder):
    """The next finisher runs, usage is there, and so are the roll-ups."""
    seen = []
    add_finisher(boom)
    add_finisher(lambda call: seen.append(call.usage.input_tokens))
    of = telemetry(recorder)
    workflow = KINDS["workflow"](of)
    with workflow:
        one = inference(of)
        one.usage = usage(3, 4)
        one.stop()
    workflow.stop()
    assert seen == [3]
    assert counted == ["genai.finisher"]
    assert recorder.named("chat m").attributes["gen_ai.usage.input_tokens"] == 3
    assert recorder.named("invoke_workflow Program").attributes["spanloom.subtree.input_tokens"] == 3


def test_an_impossible_cost_is_the_finishers_fault(kept, counted, recorder):
    """Tokens are counted all the same, and no amount is."""
    add_finisher(lambda call: call.add_cost(float("nan")))
    of = telemetry(recorder)
    workflow = KINDS["workflow"](of)
    with workflow:
        one = inference(of)
        one.usage = usage(3, 4)
        one.stop()
    workflow.stop()
    assert counted == ["genai.finisher"]
    attributes = recorder.named("invoke_workflow Program").attributes
    assert attributes["spanloom.subtree.input_tokens"] == 3
    assert "spanloom.subtree.cost" not in attributes


def test_content_that_cannot_be_built_costs_its_own_attribute(kept, counted, recorder, content):
    """The other content attributes are there."""
    one = inference(telemetry(recorder))
    one.input_content = {"gen_ai.input.messages": boom}
    one.output_content = {"gen_ai.output.messages": list}
    one.stop()
    assert counted == ["genai.content"]
    assert "gen_ai.input.messages" not in recorder.span.attributes
    assert recorder.span.attributes["gen_ai.output.messages"] == "[]"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("step", ["_finish", "_add_final", "_record"])
def test_each_step_of_the_end_may_fail(kind, step, kept, counted, recorder, monkeypatch):
    """The span ends all the same, once, with its status."""
    one = KINDS[kind](telemetry(recorder))
    monkeypatch.setattr(type(one), step, boom)
    one.fail(ValueError())
    assert len(counted) == 1
    assert recorder.span.status.status_code.name == "ERROR"


@pytest.mark.parametrize("method", ["set_attributes", "set_status", "end"])
def test_a_span_that_raises(method, kept, counted, recorder, monkeypatch):
    """Somebody else's SDK may be broken: the application goes on, metrics are recorded."""
    one = inference(telemetry(recorder))
    monkeypatch.setattr(one.span, method, boom)
    one.fail(ValueError())
    assert counted
    assert recorder.total("gen_ai.client.inference.duration") == 1
    monkeypatch.undo()
    one.span.end()
    recorder.clear()


def test_a_meter_that_raises(kept, counted, recorder):
    """The span is there as always."""
    one = inference(telemetry(recorder))

    class Broken:
        record = staticmethod(boom)

    one.telemetry.inference_duration = Broken()
    one.usage = usage(1, 1)
    one.stop()
    assert counted == ["genai.metrics"]
    assert recorder.span.attributes["gen_ai.usage.input_tokens"] == 1


def test_a_metaclass_that_hides_its_name(kept, counted, recorder):
    """Even the exception's class may raise; the span is ended as an error."""

    class Hidden(type):
        @property
        def __module__(cls):
            raise RuntimeError("no name")

    one = inference(telemetry(recorder))
    one.fail(Hidden("E", (Exception,), {})())
    assert one.ended
    assert len(recorder.spans) == 1
    recorder.clear()


def test_nothing_that_fails_keeps_an_invocation_open(kept, recorder):
    """Everything at once."""
    add_finisher(boom)
    with pytest.raises(ZeroDivisionError), inference(telemetry(recorder)):
        1 / 0  # noqa: B018
    assert recorder.span.status.status_code.name == "ERROR"


def test_the_fault_counter_is_not_of_the_recorders(recorder: Recorder):
    """Providers given to one instrumentor do not get the faults of all."""
    inference(telemetry(recorder)).stop()
    assert "spanloom.internal.errors" not in recorder.metrics()
