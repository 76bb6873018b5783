"""Tail sampling in the process: a trace waits until its local root has ended, then all of it is kept or dropped.

No lock is held while spans are handed on. A span is put into its trace's queue first; whoever finds the trace decided
takes spans out of the queue again, so that each is handed on exactly once, also when threads meet here, and when the
garbage collector ends a span in the middle of all this.
"""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from spanloom.sampling._trace_state import parse, randomness
from spanloom.sampling._verdict import DROPPED, SKELETON, Facts, Judge, Verdict

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

    from spanloom.sampling._rules import TailRules

# Verdicts that are remembered for spans that end after their trace was decided.
MAX_REMEMBERED: Final = 16_384
# What a trace takes by itself.
_TRACE_BYTES: Final = 1_000
FULL, LARGE, LONG, OLD, FLUSHED = "traces", "bytes", "spans", "age", "flush"


class Waiting(NamedTuple):
    """A span that has ended, and what was found out about it on the way (``None`` where nothing was added)."""

    span: ReadableSpan
    added: Mapping[str, Any] | None


# (span, what was added, verdict, as a skeleton?)
Emit = Callable[["ReadableSpan", "Mapping[str, Any] | None", Verdict, bool], None]


class _Trace:
    """One trace that waits."""

    __slots__ = ("begun_s", "cost_usd", "mask", "open_roots", "size_bytes", "spans", "tokens", "trace_id", "verdict")

    def __init__(self, trace_id: int, begun_s: float) -> None:
        self.trace_id = trace_id
        self.begun_s = begun_s
        self.open_roots = 0
        self.mask = 0
        self.size_bytes = _TRACE_BYTES
        self.cost_usd = 0.0
        self.tokens = 0
        self.spans: deque[Waiting] = deque()
        self.verdict: Verdict | None = None

    def add(self, facts: Facts) -> None:
        """Add what a span tells. Under the sampler's lock."""
        self.mask |= facts.mask
        self.size_bytes += facts.size_bytes
        self.cost_usd += facts.cost_usd
        self.tokens += facts.tokens


class TailSampler:
    """Holds spans back and hands the kept ones to ``emit``. Thread-safe, bounded, empty after a fork."""

    def __init__(self, rules: TailRules, emit: Emit, clock: Callable[[], float] = time.monotonic) -> None:
        self._rules = rules
        self._judge = Judge(rules)
        self._emit = emit
        self._clock = clock
        self._clear()
        self._counts: dict[tuple[bool, str], int] = {}
        self._early: dict[str, int] = {}
        if hasattr(os, "register_at_fork"):  # pragma: no branch - Windows has no fork
            me = weakref.WeakMethod(self._clear)
            os.register_at_fork(after_in_child=lambda: (clear := me()) and clear())

    def _clear(self) -> None:
        """Also in a forked child: what waits belongs to the parent, which will hand it on."""
        # Reentrant: the garbage collector may end a span while this thread holds it.
        self._lock = threading.RLock()
        self._waiting: OrderedDict[int, _Trace] = OrderedDict()
        self._remembered: OrderedDict[int, Verdict] = OrderedDict()
        self._bytes = 0

    @property
    def traces(self) -> dict[tuple[bool, str], int]:
        """Traces decided so far, by (kept, reason)."""
        return dict(self._counts)

    @property
    def early(self) -> dict[str, int]:
        """Traces decided before their local root had ended, by the bound that was reached."""
        return dict(self._early)

    @property
    def held(self) -> tuple[int, int]:
        """Traces that wait, and their bytes (an estimate)."""
        return len(self._waiting), self._bytes

    @property
    def asks_for_evaluations(self) -> bool:
        """Whether evaluations that come as log records matter."""
        return self._judge.asks_for_evaluations

    def started(self, span: ReadableSpan) -> None:
        """A span has started. Only local roots matter: without a parent, or with one in another process."""
        if not _is_local_root(span):
            return
        trace_id = span.context.trace_id  # pyright: ignore[reportOptionalMemberAccess]
        now_s = self._clock()
        with self._lock:
            trace = self._waiting.get(trace_id)
            if trace is None:
                known = self._remembered.get(trace_id)
                if known is not None and known.keep:
                    return
                trace = self._waiting[trace_id] = _Trace(trace_id, now_s)
                self._bytes += _TRACE_BYTES
            trace.open_roots += 1
        self._make_room(now_s)

    def ended(self, span: ReadableSpan, attributes: Mapping[str, Any], added: Mapping[str, Any] | None) -> None:
        """A sampled span has ended. ``attributes``: all of it, ``added`` included."""
        trace = self._waiting.get(span.context.trace_id)  # pyright: ignore[reportOptionalMemberAccess]
        if trace is None:
            self._late(span, attributes, added)
            return
        facts = self._judge.see(span, attributes)
        is_root = _is_local_root(span)
        mask = self._judge.of_root(span) if is_root else 0
        trace.spans.append(Waiting(span, added))
        with self._lock:
            if trace.verdict is None:
                trace.add(facts)
                trace.mask |= mask
                self._bytes += facts.size_bytes
            trace.open_roots -= is_root
            done = is_root and trace.open_roots <= 0
        if done:
            self._decide(trace, None)
        elif trace.verdict is not None:
            self._hand_on(trace, trace.verdict)
        elif len(trace.spans) >= self._rules.max_spans_per_trace:
            self._decide(trace, LONG)
        elif self._bytes > self._rules.max_bytes:
            self._make_room(self._clock())

    def evaluated(self, trace_id: int, attributes: Mapping[str, Any]) -> None:
        """An evaluation came as a log record."""
        trace = self._waiting.get(trace_id)
        if trace is not None:
            mask = self._judge.of_evaluation(attributes)
            with self._lock:
                trace.mask |= mask

    def flush(self) -> None:
        """Decide everything that waits, by what is known now."""
        for trace in list(self._waiting.values()):
            self._decide(trace, FLUSHED)

    def _make_room(self, now_s: float) -> None:
        """Decide the oldest traces early while a bound is exceeded."""
        while True:
            with self._lock:
                oldest = next(iter(self._waiting.values()), None)
                reason = None if oldest is None else self._exceeded(oldest, now_s)
            if oldest is None or reason is None:
                return
            self._decide(oldest, reason)

    def _exceeded(self, oldest: _Trace, now_s: float) -> str | None:
        if len(self._waiting) > self._rules.max_traces:
            return FULL
        if self._bytes > self._rules.max_bytes:
            return LARGE
        return OLD if now_s - oldest.begun_s > self._rules.max_age_s else None

    def _decide(self, trace: _Trace, early: str | None) -> None:
        verdict = self._judge.by_rules(trace.mask, trace.cost_usd, trace.tokens)
        if verdict is None:
            # Not from a first span: the queue may be empty by now.
            verdict = self._by_baseline(trace)
        with self._lock:
            if trace.verdict is None:
                self._close(trace, verdict, early)
        self._hand_on(trace, trace.verdict or verdict)

    def _by_baseline(self, trace: _Trace) -> Verdict:
        try:
            state = trace.spans[0].span.context.trace_state  # pyright: ignore[reportOptionalMemberAccess]
        except IndexError:
            state = None
        return self._judge.by_baseline(randomness(trace.trace_id, parse(state)))

    def _close(self, trace: _Trace, verdict: Verdict, early: str | None) -> None:
        """Under the lock: no span is put into this trace any more but by those who have it in hand."""
        trace.verdict = verdict
        if self._waiting.get(trace.trace_id) is trace:
            del self._waiting[trace.trace_id]
            self._bytes -= trace.size_bytes
        self._remember(trace.trace_id, verdict)
        key = (verdict.keep, verdict.reason)
        self._counts[key] = self._counts.get(key, 0) + 1
        if early is not None:
            self._early[early] = self._early.get(early, 0) + 1

    def _remember(self, trace_id: int, verdict: Verdict) -> None:
        self._remembered[trace_id] = verdict
        if len(self._remembered) > MAX_REMEMBERED:
            self._remembered.popitem(last=False)

    def _hand_on(self, trace: _Trace, verdict: Verdict) -> None:
        """Empty the queue; several threads may be at it, and each span is taken by one of them."""
        spans = trace.spans
        while True:
            try:
                span, added = spans.popleft()
            except IndexError:
                return
            self._emit_one(span, added, verdict)

    def _emit_one(self, span: ReadableSpan, added: Mapping[str, Any] | None, verdict: Verdict) -> None:
        if not self._rules.skeleton:
            if verdict.keep:
                self._emit(span, added, verdict, False)
            return
        if _is_local_root(span):
            # Every root is kept, so each of them stands for one.
            told = verdict if verdict.keep else Verdict(True, SKELETON)
            self._emit(span, added, told._replace(threshold=0), not verdict.keep)
        elif verdict.keep:
            self._emit(span, added, verdict, False)

    def _late(self, span: ReadableSpan, attributes: Mapping[str, Any], added: Mapping[str, Any] | None) -> None:
        """The trace is decided, or nobody knows it (its root is in another process, or from before a fork)."""
        context = span.context
        trace_id = context.trace_id  # pyright: ignore[reportOptionalMemberAccess]
        verdict = self._remembered.get(trace_id)
        if verdict is None or not verdict.keep:
            # A failure is kept, though the rest of its trace has gone.
            facts = self._judge.see(span, attributes)
            mask = facts.mask | (self._judge.of_root(span) if _is_local_root(span) else 0)
            kept = self._judge.by_rules(mask, facts.cost_usd, facts.tokens)
            if kept is None and verdict is None:
                state = context.trace_state  # pyright: ignore[reportOptionalMemberAccess]
                kept = self._judge.by_baseline(randomness(trace_id, parse(state)))
            if kept is not None:
                verdict = kept
                with self._lock:
                    self._remember(trace_id, kept)
        self._emit_one(span, added, verdict or DROPPED)


def _is_local_root(span: ReadableSpan) -> bool:
    """Without a parent, or with one in another process."""
    parent = span.parent
    return parent is None or parent.is_remote
