"""Each kept span is handed on exactly once, whatever threads and the garbage collector do."""

from __future__ import annotations

import faulthandler
import gc
import random
import sys
import threading
from collections import Counter

import pytest
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import StatusCode

from spanloom.sampling import TailRule, TailRules
from tests._support.pipeline import KEEP, REASON, Service, remote, tail

THREADS = 16
EACH = 60
ASKED, ERRORS = TailRule("asked", "keep"), TailRule("errors", "error")


@pytest.fixture(autouse=True)
def watchdog():
    """A deadlock ends the process, with every thread's stack."""
    faulthandler.dump_traceback_later(60, exit=True)
    before = sys.getswitchinterval()
    # Threads meet more often.
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)
    faulthandler.cancel_dump_traceback_later()


def together(*steps):
    """All at once."""
    barrier = threading.Barrier(len(steps))
    faults = []

    def run(step):
        barrier.wait()
        try:
            step()
        except BaseException as error:
            faults.append(error)

    threads = [threading.Thread(target=run, args=(step,)) for step in steps]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert faults == []


class Load:
    """Traces in many threads, with children that end in other threads, some of them late. Knows what it has made."""

    def __init__(self, service: Service) -> None:
        self.service = service
        # (trace, span) -> whether its trace asks to be kept
        self.ended: dict[tuple[int, int], bool] = {}
        self.late: set[tuple[int, int]] = set()
        self._left: list[tuple] = []
        self.failed: set[tuple[int, int]] = set()

    def maker(self, seed: int):
        chance = random.Random(seed)

        def make() -> None:
            for at in range(EACH):
                asks = chance.random() < 0.4
                context = remote(seed * 1000 + at + 1) if chance.random() < 0.4 else Context()
                root = self.service.tracer.start_span("root", context)
                below = trace.set_span_in_context(root, Context())
                self._children(chance, root, below, asks)
                if asks:
                    root.set_attribute(KEEP, True)
                self._end(root, asks)

        return make

    def _children(self, chance, root, below, asks) -> None:
        others = []
        for _ in range(chance.randrange(5)):
            span = self.service.tracer.start_span("child", below)
            where = chance.random()
            if where < 0.6:
                self._end(span, asks)
            elif where < 0.8:
                others.append(threading.Thread(target=self._end, args=(span, asks)))
            else:
                self.late.add(_key(span))
                self._left.append((span, asks, chance.random() < 0.3))
        for one in others:
            one.start()
        for one in others:
            one.join()

    def _end(self, span, asks) -> None:
        self.ended[_key(span)] = asks
        span.end()

    def finish(self) -> None:
        """End what was left, some of it in failure."""
        for span, asks, fails in self._left:
            if fails:
                span.set_status(StatusCode.ERROR)
                self.failed.add(_key(span))
            self._end(span, asks)


def _key(span):
    context = span.get_span_context()
    return context.trace_id, context.span_id


@pytest.mark.parametrize("seed", [1, 2])
def test_exactly_once(seed):
    """16 threads: of traces that ask for it all spans come out once, of the others only failures and what follows."""
    service = Service(tail(ASKED, ERRORS, max_traces=10_000), seed=seed)
    load = Load(service)
    together(*(load.maker(seed * 100 + at) for at in range(THREADS)))
    load.finish()
    seen = Counter(map(_key, service.out.spans))
    assert set(seen.values()) == {1}
    assert {key for key, asks in load.ended.items() if asks} <= set(seen)
    failed = {trace_id for trace_id, _ in load.failed}
    for key in set(seen) - {key for key, asks in load.ended.items() if asks}:
        assert key[0] in failed
        assert key in load.late
    decided = service.processor.tail.traces
    assert sum(decided.values()) == THREADS * EACH
    assert service.processor.tail.held == (0, 0)


@pytest.mark.parametrize("rules", [{"max_traces": 3}, {"max_bytes": 60_000}, {"max_spans_per_trace": 2}, {}])
def test_exactly_once_with_early_decisions(rules):
    """With bounds that are always reached, and flushes between: nothing twice, nothing lost where all is kept."""
    service = Service(TailRules(baseline=1.0, **{"rules": (ASKED,), **rules}))
    load = Load(service)
    over = threading.Event()

    def flush() -> None:
        while not over.wait(0.001):
            service.provider.force_flush()

    flusher = threading.Thread(target=flush)
    flusher.start()
    together(*(load.maker(at) for at in range(THREADS)))
    over.set()
    flusher.join()
    load.finish()
    service.processor.force_flush()
    assert Counter(map(_key, service.out.spans)) == Counter(load.ended.keys())
    assert service.processor.tail.held == (0, 0)


def test_local_roots_of_one_trace():
    """Two requests of one trace at once: decided when both have ended, together."""
    service = Service(tail(ASKED))
    one = service.tracer.start_span("one", remote(5, span_id=1))
    two = service.tracer.start_span("two", remote(5, span_id=2))
    one.end()
    assert service.processor.tail.traces == {}
    two.set_attribute(KEEP, True)
    two.end()
    assert sorted(service.out.names) == ["one", "two"]


@pytest.mark.parametrize("is_kept", [True, False])
def test_local_roots_of_one_trace_after_each_other(is_kept):
    """The second follows where the first was kept; where it was dropped, the second has its own reasons."""
    service = Service(tail(ASKED))
    service.trace("one", remote(5), **{KEEP: is_kept})
    with service.root("two", remote(5)):
        service.child("below", **{KEEP: not is_kept})
    assert service.out.names == (["one", "below", "two"] if is_kept else ["below", "two"])
    assert service.processor.tail.held == (0, 0)


def test_a_root_from_before_a_flush_does_not_close_what_began_after_it():
    """The trace that waits is decided when its own root ends."""
    service = Service(tail(ERRORS))
    old = service.tracer.start_span("old", remote(5, span_id=1))
    service.processor.force_flush()
    with service.root("new", remote(5, span_id=2)):
        service.child("fine")
        old.end()
        assert service.processor.tail.traces == {(False, ""): 1}
        service.child("failed", StatusCode.ERROR)
    assert sorted(service.out.names) == ["failed", "fine", "new", "old"]


@pytest.mark.parametrize("is_kept", [True, False])
def test_a_root_that_begins_while_its_trace_is_decided(is_kept, monkeypatch):
    """It follows where the trace is kept; else it is a trace of its own, and its spans are decided together."""
    service = Service(tail(ASKED, ERRORS))
    judge = service.processor.tail._judge
    working, second = judge.by_rules, []

    def by_rules(*facts):
        verdict = working(*facts)
        if not second:
            second.append(service.tracer.start_span("second", remote(5, span_id=2)))
        return verdict

    monkeypatch.setattr(judge, "by_rules", by_rules)
    service.trace("first", remote(5, span_id=1), **{KEEP: is_kept})
    with trace.use_span(second[0], end_on_exit=True):
        service.child("fine")
        service.child("failed", None if is_kept else StatusCode.ERROR)
    assert service.out.names == [*(["first"] if is_kept else []), "fine", "failed", "second"]
    assert {span.attributes[REASON] for span in service.out.spans} == {"asked" if is_kept else "errors"}
    assert service.processor.tail.held == (0, 0)


class Ender:
    """Ends a span when it is collected: in a cycle, so that the garbage collector does it."""

    def __init__(self, span) -> None:
        self.span, self.me = span, self

    def __del__(self) -> None:
        self.span.end()


def _generator(span):
    try:
        yield
    finally:
        span.end()


def test_spans_that_end_inside_garbage_collections():
    """At any allocation, in the middle of a decision too: no deadlock, nothing lost, nothing twice."""
    service = Service(
        TailRules(baseline=1.0, rules=(ASKED, TailRule("n", "first_seen", 1), TailRule("u", "above_p99")))
    )
    made = []

    def make(tracer=service.tracer) -> None:
        for at in range(300):
            root = tracer.start_span("root", Context(), attributes={"gen_ai.operation.name": "chat"})
            below = trace.set_span_in_context(root, Context())
            made.append(_key(root))
            for kind in (Ender, _Suspended):
                span = tracer.start_span("child", below)
                made.append(_key(span))
                kind(span)
            if at % 3:
                root.end()
            else:
                Ender(root)

    before = gc.get_threshold()
    gc.set_threshold(7, 3, 3)
    try:
        together(*[make] * 4)
    finally:
        gc.set_threshold(*before)
    gc.collect()
    service.processor.force_flush()
    assert Counter(map(_key, service.out.spans)) == Counter(made)


class _Suspended:
    """A generator that is never finished, in a cycle."""

    def __init__(self, span) -> None:
        self.generator, self.me = _generator(span), self
        next(self.generator)


def test_locks_that_another_thread_held_at_a_fork():
    """The child does not wait for a thread that it has not."""
    rules = (TailRule("new", "first_seen", 3600.0), TailRule("slow", "above_p99"))
    service = Service(tail(*rules))
    sampler = service.processor.tail
    judge = sampler._judge
    held, over = threading.Event(), threading.Event()

    def hold() -> None:
        with sampler._lock, judge._durations._lock, judge._new[0][1]._lock:
            held.set()
            over.wait()

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait()
    # What runs in the child.
    sampler._clear()
    service.trace("child", **{"gen_ai.operation.name": "chat"})
    over.set()
    holder.join()
    assert service.out.names == ["child"]


class Interrupt(BaseException):
    """As Ctrl-C comes: anywhere."""


def test_an_interrupt_in_a_decision(monkeypatch):
    """It goes on its way; the trace does not stay in the way of others."""
    service = Service(tail(ASKED, max_traces=2))

    def interrupt(*_args) -> None:
        raise Interrupt

    judge = service.processor.tail._judge
    with monkeypatch.context() as patch:
        patch.setattr(judge, "by_rules", interrupt)
        with pytest.raises(Interrupt):
            service.trace()
    assert service.processor.tail.held == (0, 0)
    service.trace("after", **{KEEP: True})
    assert service.out.names == ["after"]
    assert service.out.spans[0].attributes[REASON] == "asked"
