"""A fault in one stage costs what that stage would have done: the span arrives, the application never hears of it."""

from __future__ import annotations

import logging

import pytest
from opentelemetry import trace
from opentelemetry.context import Context, set_value
from opentelemetry.sdk.trace import SpanProcessor
from opentelemetry.trace import StatusCode

from spanloom.genai import hooks
from spanloom.genai._context import INFERENCE_SPAN_KEY
from spanloom.sampling import TailRule, TailRules
from tests._support.pipeline import KEEP, OP, REASON, Caught, Faults, Nothing, Service, tail

ALL = TailRules(baseline=1.0, rules=())
ASKED, ERRORS = TailRule("asked", "keep"), TailRule("errors", "error")
STATUS = "spanloom.cost.status"


@pytest.fixture
def faults(monkeypatch):
    """They are caught, as in an application, and counted."""
    return Faults(monkeypatch)


@pytest.fixture
def logged(caplog):
    """The faults that were logged, by place; that a model has no price is none."""

    def lines():
        told = [record.getMessage().split(" (")[0] for record in caplog.records if record.name == "spanloom"]
        return [line for line in told if not line.startswith("no cost for model")]

    caplog.set_level(logging.WARNING)
    return lines


def broken(*_args, **_named):
    raise RuntimeError("broken")


@pytest.mark.parametrize("rules", [None, ALL])
def test_an_enricher(rules, faults, logged):
    """The other enrichers, the cost and the span are there."""
    service = Service(rules, enrichers=[broken, lambda rows: {"extra": 1}])
    for _ in range(3):
        service.trace("span", **{OP: "chat"})
    assert [span.attributes["extra"] for span in service.out.spans] == [1, 1, 1]
    assert all(STATUS in span.attributes for span in service.out.spans)
    assert faults.counts == {"pipeline.enrich": 3}
    assert logged() == ["spanloom: internal fault in pipeline.enrich"]


@pytest.mark.parametrize("rules", [None, ALL])
def test_the_price(rules, faults, logged, monkeypatch):
    """The span arrives without one."""
    service = Service(rules)
    monkeypatch.setattr(service.processor._costs, "attributes", broken)
    for _ in range(2):
        service.trace("span", **{OP: "chat"})
    assert [STATUS in span.attributes for span in service.out.spans] == [False, False]
    assert faults.counts == {"pipeline.cost": 2}
    assert logged() == ["spanloom: internal fault in pipeline.cost"]


@pytest.mark.parametrize("rules", [None, ALL])
def test_what_is_spent(rules, faults, logged, monkeypatch):
    """The span arrives with its price, which metrics and budgets miss."""
    service = Service(rules)
    monkeypatch.setattr(service.processor._costs, "ended", broken)
    for _ in range(2):
        service.trace("span", **{OP: "chat"})
    assert [STATUS in span.attributes for span in service.out.spans] == [True, True]
    assert faults.counts == {"cost.spent": 2}
    assert logged() == ["spanloom: internal fault in cost.spent"]


@pytest.mark.parametrize("rules", [None, ALL])
def test_the_start_inside_an_inference(rules, faults, monkeypatch):
    """The span arrives; elsewhere nothing is asked."""
    service = Service(rules)
    monkeypatch.setattr(service.processor._costs, "started_inside", broken)
    service.trace("outside")
    assert faults.counts == {}
    service.trace("inside", set_value(INFERENCE_SPAN_KEY, True, Context()))
    assert service.out.names == ["outside", "inside"]
    assert faults.counts == {"cost.start": 1}


class Fails(Nothing):
    """A redactor that fails at one of its questions."""

    def __init__(self, question) -> None:
        setattr(self, question, broken)


@pytest.mark.parametrize("rules", [None, ALL])
@pytest.mark.parametrize("question", ["attributes", "text"])
def test_the_redactor(question, rules, faults, logged):
    """What could not be redacted is not shown: the span arrives with its ids, times and status alone."""
    service = Service(rules, redaction=Fails(question))
    for _ in range(2):
        with service.root("name of somebody", attributes={"key": "something"}) as span:
            span.add_event("event", {"key": "something"})
            span.set_status(StatusCode.ERROR, "something")
    assert service.out.names == ["[redaction failed]"] * 2
    for one in service.out.spans:
        assert "something" not in one.to_json()
        assert one.status.status_code is StatusCode.ERROR
        assert one.end_time > one.start_time
    assert faults.counts == {"pipeline.redact": 2}
    assert logged() == ["spanloom: internal fault in pipeline.redact"]


def test_the_limit(faults, logged, monkeypatch):
    """The span arrives whole."""
    service = Service(None)
    monkeypatch.setattr(service.processor._finisher._limit, "apply", broken)
    service.trace("span", key="something")
    assert dict(service.out.spans[0].attributes) == {"key": "something"}
    assert faults.counts == {"pipeline.limit": 1}


def test_the_skeleton(faults, monkeypatch):
    """What could not be taken out is not shown."""
    monkeypatch.setattr("spanloom.pipeline._finish.without_content", broken)
    service = Service(tail(ASKED, skeleton=True))
    service.trace("span", key="something")
    assert "something" not in service.out.spans[0].to_json()
    assert faults.counts == {"pipeline.skeleton": 1}


class Broken(SpanProcessor):
    """A processor behind that raises at one of its calls."""

    def __init__(self, call) -> None:
        setattr(self, call, broken)

    def on_start(self, span, parent_context=None):
        pass

    def _on_ending(self, span):
        pass


@pytest.mark.parametrize("rules", [None, ALL])
@pytest.mark.parametrize("call", ["on_start", "_on_ending", "on_end"])
def test_a_processor_behind(call, rules, faults, logged):
    """Those before and after it get everything."""
    after = Caught()
    service = Service(rules, Broken(call), after)
    with service.root("root"):
        service.child()
    assert service.out.names == after.names == ["child", "root"]
    assert faults.counts == {"pipeline.behind": 2}
    assert logged() == ["spanloom: internal fault in pipeline.behind"]


def test_flush_and_shutdown_of_a_processor_behind(faults):
    """The others are flushed and shut down; the flush says that it failed."""
    calls = []

    class Noting(SpanProcessor):
        def shutdown(self):
            calls.append("shutdown")

        def force_flush(self, timeout_millis=30_000):
            calls.append("flush")
            return True

    service = Service(None, Broken("force_flush"), Broken("shutdown"), Noting())
    assert service.provider.force_flush() is False
    service.provider.shutdown()
    assert calls == ["flush", "shutdown"]
    assert faults.counts == {"pipeline.behind": 1}


@pytest.mark.parametrize("step", ["by_rules", "by_baseline"])
@pytest.mark.parametrize("skeleton", [False, True])
def test_the_judge(step, skeleton, faults, logged, monkeypatch):
    """No decision is no reason to lose a trace: all of it arrives, and says why."""
    service = Service(tail(ERRORS, skeleton=skeleton))
    monkeypatch.setattr(service.processor.tail._judge, step, broken)
    for _ in range(2):
        with service.root("root"):
            service.child()
            late = service.tracer.start_span("late")
        late.end()
    assert service.out.names == ["child", "root", "late"] * 2
    assert {span.attributes[REASON] for span in service.out.spans} == {"fault"}
    assert {span.context.trace_state.get("ot") for span in service.out.spans} == {"th:0"}
    assert faults.counts == {"sampling.decide": 2}
    assert logged() == ["spanloom: internal fault in sampling.decide"]
    assert service.processor.tail.traces == {(True, "fault"): 2}


def test_the_judge_of_a_late_span(faults, monkeypatch):
    """It arrives."""
    service = Service(tail(ERRORS))
    with service.root("root"):
        late = service.tracer.start_span("late")
    monkeypatch.setattr(service.processor.tail._judge, "by_rules", broken)
    late.end()
    assert service.out.names == ["late"]
    assert faults.counts == {"sampling.decide": 1}


@pytest.mark.parametrize("rules", [None, tail(ASKED)])
def test_the_context(rules, faults, logged, monkeypatch):
    """Spans start without what it carries; the tail still knows which trace they belong to."""
    monkeypatch.setattr(hooks, "context_attributes", broken)
    service = Service(rules)
    with service.root("root"):
        service.child()
        service.child("asks", **{KEEP: True})
    assert service.out.names == ["child", "asks", "root"]
    assert faults.counts == {"pipeline.start": 3}
    assert logged() == ["spanloom: internal fault in pipeline.start"]


def test_the_start_of_a_trace(faults, monkeypatch):
    """A trace that could not be noted is judged span by span."""
    service = Service(tail(ASKED))
    monkeypatch.setattr(service.processor.tail, "started", broken)
    with service.root("root"):
        service.child("asks", **{KEEP: True})
    assert service.out.names == ["asks", "root"]
    assert faults.counts == {"sampling.start": 1}


@pytest.mark.parametrize("step", ["_prepared", "_emit"])
def test_the_tail_s_own_steps(step, faults, monkeypatch):
    """One span's fault does not cost the others of its trace."""
    service = Service(ALL)
    working, name = getattr(service.processor, step), step.replace("_prepared", "_prepare")

    def once(span, *rest):
        return broken() if span.name == "odd" else working(span, *rest)

    monkeypatch.setattr(service.processor.tail, name, once)
    with service.root("root"):
        service.child("odd", key="something")
        service.child("even", key="something")
    wanted = ["even", "root"] if step == "_emit" else ["odd", "even", "root"]
    assert service.out.names == wanted
    assert sum(faults.counts.values()) == 1


def test_the_threshold(faults, monkeypatch):
    """The span arrives without one."""
    service = Service(ALL)
    monkeypatch.setattr(service.processor._thresholds, "told", broken)
    service.trace("span")
    assert service.out.names == ["span"]
    assert service.out.spans[0].context.trace_state.get("ot") is None
    assert faults.counts == {"pipeline.threshold": 1}


def test_the_application_s_own_exception_is_its_own(faults):
    """It passes through as it was, with its span."""
    service = Service(ALL, Broken("on_end"), enrichers=[broken])
    error = KeyError("theirs")
    with pytest.raises(KeyError) as raised, service.root("root"):
        raise error
    assert raised.value is error
    assert service.out.spans[0].status.status_code is StatusCode.ERROR
    assert trace.get_current_span() is trace.INVALID_SPAN
