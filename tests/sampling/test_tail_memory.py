"""What waits is bounded in traces, bytes, spans and age; what a bound has decided is counted."""

from __future__ import annotations

import gc
import sys

import pytest
from opentelemetry.context import Context
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult
from opentelemetry.trace import StatusCode

from spanloom.sampling import TailRule, TailRules, TailSampler
from spanloom.sampling._tail import MAX_REMEMBERED, MAX_UNMEASURED
from spanloom.sampling._verdict import size_of
from tests._support.pipeline import KEEP, NO_RULES, REASON, Service, remote, tail
from tests.sampling.soak import Soak, problems, run, stand

MIB = 1024 * 1024
ERRORS = TailRule("errors", "error")


def test_a_hundred_thousand_traces_that_never_end():
    """Beyond the most that may wait the oldest are decided, by the baseline; each is counted."""
    soak = Soak(TailRules(max_traces=2_000, baseline=0.1, rules=()))
    soak.roots(20_000)
    before = stand(0)
    soak.roots(80_000)
    after = stand(95_000)
    assert soak.processor.tail.early == {"traces": 98_000}
    decided = soak.processor.tail.traces
    assert sum(decided.values()) == 98_000
    assert abs(decided[True, "baseline"] - 9_800) < 400
    assert soak.processor.tail.held[0] == 2_000
    assert after.rss_kib - before.rss_kib < 8 * 1024
    assert after.objects - before.objects < 12_000


@pytest.mark.parametrize("span_bytes", [20_000, 200_000])
def test_large_spans_of_traces_that_never_end(span_bytes):
    """Resident memory stays within the rule's bytes and a constant."""
    soak = Soak(TailRules(max_bytes=8 * MIB, baseline=0.1, rules=()), span_bytes)
    memory = run(soak, 1_500, 5)
    assert problems(memory, 8 * MIB) == []
    assert set(soak.processor.tail.early) == {"bytes"}
    assert soak.processor.tail.held[1] < 9 * MIB


@pytest.mark.parametrize("is_kept", [True, False])
def test_a_trace_of_a_hundred_thousand_spans(is_kept):
    """It is decided at its 5,000th span, by what is known then; what comes later follows and is not held back."""
    service = Service(tail(TailRule("asked", "keep")))
    with service.root("root"):
        service.child("child")
        service.child("asks", **{KEEP: True})
    child, asks, root = service.out.spans
    emitted = []
    sampler = TailSampler(
        tail(TailRule("asked", "keep")),
        lambda span: {KEEP: True} if span is asks and is_kept else {},
        lambda *told: emitted.append(told[0]),
    )
    sampler.started(root)
    held = 0
    for span in (asks, *([child] * 100_000), root):
        sampler.ended(span, root.context.trace_id)
        held = max(held, sampler.held[1])
    assert len(emitted) == (100_002 if is_kept else 0)
    assert sampler.early == {"spans": 1}
    assert sampler.held == (0, 0)
    assert held < 5_000 * 3_000


def test_a_bound_of_spans_is_kept_to_by_every_trace():
    """Also where another trace's spans come between in a steady rhythm."""
    service = Service(tail(max_spans_per_trace=600))
    with service.root("long"):
        for _ in range(10):
            for _ in range(MAX_UNMEASURED - 1):
                service.child()
            with service.root("short"):
                service.child()
    assert service.processor.tail.early == {"spans": 1}


def test_traces_of_one_span_leave_nothing():
    """A service whose spans have no children keeps no object of those that are over but their verdicts."""
    service = Service(NO_RULES)

    def made(count: int) -> int:
        for _ in range(count):
            service.trace()
        gc.collect()
        return len(gc.get_objects())

    made(MAX_REMEMBERED)
    first = made(500)
    assert made(3_000) - first < 100
    assert service.processor.tail.held == (0, 0)


class RecordOnly(Sampler):
    """Spans that live and are not exported."""

    def should_sample(self, *args, **kwargs):
        return SamplingResult(Decision.RECORD_ONLY)

    def get_description(self):
        return "record only"


def test_spans_that_are_only_recorded_do_not_wait():
    """They take no room and are no decisions."""
    service = Service(tail(max_traces=10), sampler=RecordOnly())
    for _ in range(100):
        service.trace()
    assert service.processor.tail.held == (0, 0)
    assert (service.processor.tail.traces, service.processor.tail.early) == ({}, {})
    assert len(service.out.spans) == 100


class Clock:
    now_s = 0.0

    def __call__(self):
        return self.now_s


@pytest.fixture
def aged(monkeypatch):
    """A service whose tail has a clock of ours."""
    clock = Clock()
    service = Service(tail(ERRORS, max_age_s=60.0))
    service.clock = clock
    monkeypatch.setattr(service.processor.tail, "_clock", clock)
    return service


def test_a_long_running_trace_is_flushed_by_age(aged):
    """When a span of it ends, though no other trace begins; later ones follow the decision."""
    with aged.root("long"):
        aged.child("failed", StatusCode.ERROR)
        aged.clock.now_s = 59.0
        aged.child("before")
        assert aged.out.spans == []
        aged.clock.now_s = 61.0
        aged.child("at")
        assert aged.out.names == ["failed", "before", "at"]
        aged.child("after")
    assert aged.out.names == ["failed", "before", "at", "after", "long"]
    assert {span.attributes[REASON] for span in aged.out.spans} == {"errors"}
    assert aged.processor.tail.early == {"age": 1}
    assert aged.processor.tail.traces == {(True, "errors"): 1}


def test_old_traces_are_decided_as_others_begin(aged):
    """Those that are too old, and not the others."""
    aged.tracer.start_span("old", Context())
    aged.clock.now_s = 30.0
    aged.tracer.start_span("younger", Context())
    aged.clock.now_s = 61.0
    aged.trace("new")
    assert aged.processor.tail.early == {"age": 1}
    assert aged.processor.tail.held[0] == 1


def test_a_failure_after_the_decision():
    """Of a dropped trace the failed span is kept, and what ends after it."""
    service = Service(tail(ERRORS))
    with service.root("root"):
        late, later = service.tracer.start_span("late"), service.tracer.start_span("later")
        fine = service.tracer.start_span("fine")
    fine.end()
    assert service.out.spans == []
    late.set_status(StatusCode.ERROR)
    late.end()
    later.end()
    assert service.out.names == ["late", "later"]


def test_verdicts_are_forgotten_in_their_order():
    """16,384 are remembered; a late span of an older trace is judged by itself."""
    service = Service(tail(TailRule("asked", "keep")))
    with service.root("root", attributes={"spanloom.keep": True}):
        late = [service.tracer.start_span("late") for _ in range(2)]
    late[0].end()
    for at in range(MAX_REMEMBERED):
        service.trace(context=remote(at + 10))
    late[1].end()
    assert service.out.names == ["root", "late"]
    assert len(service.processor.tail._remembered) == MAX_REMEMBERED


@pytest.mark.parametrize(
    "value", ["x" * 10_000, "ж" * 10_000, "🎈" * 10_000, ("x" * 100,) * 100, (0.5,) * 1536, b"x" * 10_000]
)
def test_what_a_span_takes_is_not_estimated_low(value):
    """Whatever stands on it, on the span, its events and its links."""
    service = Service(None)
    link = service.tracer.start_span("other")
    span = service.tracer.start_span("span", attributes={"value": value})
    span.add_event("event", {"value": value})
    span.add_link(link.get_span_context(), {"value": value})
    span.end()
    one = sys.getsizeof(value) + (sum(map(sys.getsizeof, value)) if isinstance(value, tuple) else 0)
    assert size_of(service.out.named("span")) > 3 * one


def test_a_sampler_without_anybody_is_collected():
    """What is registered for forks does not keep it."""
    one = TailSampler(NO_RULES, dict, print)
    count = sum(isinstance(other, TailSampler) for other in gc.get_objects())
    del one
    gc.collect()
    assert sum(isinstance(other, TailSampler) for other in gc.get_objects()) < count
