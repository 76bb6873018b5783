"""Tail sampling in the process: a trace waits until its local root has ended, then all of it is kept or dropped.

No lock is held while spans are looked at or handed on. A span is put into its trace under the lock, or is found to be
late; whoever decides takes the spans out under the lock. So each is handed on exactly once, also where threads meet.
"""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from spanloom.genai import hooks
from spanloom.sampling._trace_state import parse, randomness
from spanloom.sampling._verdict import DROPPED, KEPT_BY_FAULT, SKELETON, Judge, Verdict, size_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.trace import TraceState

    from spanloom.sampling._rules import TailRules

# Verdicts that are remembered for spans that end after their trace was decided.
MAX_REMEMBERED: Final = 16_384
# Spans that wait without having been measured: most traces are over before their turn comes. Fewer where spans are so
# large that these would be more than a 16th of the bytes that may wait.
MAX_UNMEASURED: Final = 256
_FIRST_UNMEASURED: Final = 16
_UNMEASURED_SHARE: Final = 16
# Spans that are handed on in a flush before those behind are flushed themselves.
_SPANS_AT_ONCE: Final = 1_000
# A lock is held for microseconds. Who does not give it back within this time is stopped.
_LOCK_S: Final = 0.5
# What a trace takes by itself.
TRACE_BYTES: Final = 1_000
FULL, LARGE, LONG, OLD, FLUSHED = "traces", "bytes", "spans", "age", "flush"

# All attributes of a span that has ended, in a dict of the sampler's own, what was found out on the way included.
Prepare = Callable[["ReadableSpan"], "dict[str, Any]"]
# (span, those attributes, verdict, as a skeleton?)
Emit = Callable[["ReadableSpan", "dict[str, Any]", Verdict, bool], None]


class _Trace:
    """One trace that waits."""

    __slots__ = (
        "begun_s",
        "is_closing",
        "is_fresh",
        "mask",
        "measured",
        "open_roots",
        "size_bytes",
        "spans",
        "state",
        "trace_id",
        "verdict",
    )

    def __init__(self, trace_id: int, state: TraceState, begun_s: float) -> None:
        self.trace_id = trace_id
        self.state = state
        self.begun_s = begun_s
        # By their span ids: a root from before an early decision may end here, too.
        self.open_roots: set[int] = set()
        # Rules that hold by what came from elsewhere (log records).
        self.mask = 0
        # Of the first ``measured`` spans; the trace is fresh while there are others.
        self.size_bytes = TRACE_BYTES
        self.measured = 0
        self.is_fresh = False
        self.spans: list[ReadableSpan] = []
        self.is_closing = False
        self.verdict: Verdict | None = None


class TailSampler:
    """Holds spans back and hands the kept ones to ``emit``. Thread-safe, bounded, empty after a fork."""

    def __init__(
        self, rules: TailRules, prepare: Prepare, emit: Emit, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._rules = rules
        self._judge = Judge(rules)
        self._prepare = prepare
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
        self._fresh: list[_Trace] = []
        self._unmeasured = 0
        self._most_unmeasured = _FIRST_UNMEASURED
        self._bytes = 0
        self._judge.after_fork()

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
        """Traces that wait, and the bytes (an estimate) of what was measured of them."""
        return len(self._waiting), self._bytes

    @property
    def asks_for_evaluations(self) -> bool:
        """Whether evaluations that come as log records matter."""
        return self._judge.asks_for_evaluations

    def started(self, span: ReadableSpan) -> None:
        """A span has started. Only local roots matter: without a parent, or with one in another process."""
        parent = span.parent
        if parent is not None and not parent.is_remote:
            return
        context: Any = span.context
        trace_id = context.trace_id
        now_s = self._clock()
        with self._lock:
            trace = self._waiting.get(trace_id)
            # One that is being decided in another thread takes no more roots.
            if trace is None or trace.is_closing:
                known = self._remembered.get(trace_id)
                if known is not None and known.keep:
                    return
                trace = self._waiting[trace_id] = _Trace(trace_id, context.trace_state, now_s)
                self._waiting.move_to_end(trace_id)
                self._bytes += TRACE_BYTES
            trace.open_roots.add(context.span_id)
        self._make_room(now_s)

    def ended(self, span: ReadableSpan, trace_id: int) -> None:
        """A sampled span has ended."""
        trace = self._waiting.get(trace_id)
        if trace is None:
            self._late(span)
            return
        parent = span.parent
        is_over = False
        with self._lock:
            if parent is None or parent.is_remote:
                trace.open_roots.discard(span.context.span_id)  # pyright: ignore[reportOptionalMemberAccess]
                is_over = not trace.open_roots
            is_late = trace.verdict is not None
            if not is_late:
                trace.spans.append(span)
                # What is decided now need not be measured.
                if not is_over:
                    self._note_fresh(trace)
        if is_late:
            self._late(span)
        elif is_over:
            self._decide(trace, None)
        elif self._is_due(trace):
            self._bound(trace)

    def _note_fresh(self, trace: _Trace) -> None:
        self._unmeasured += 1
        if not trace.is_fresh:
            trace.is_fresh = True
            self._fresh.append(trace)

    def _is_due(self, trace: _Trace) -> bool:
        """Whether the bounds are to be looked at. A trace's own age, too: no other trace may begin for long."""
        return (
            self._unmeasured >= self._most_unmeasured
            or len(trace.spans) >= self._rules.max_spans_per_trace
            or self._clock() - trace.begun_s > self._rules.max_age_s
        )

    def evaluated(self, trace_id: int, attributes: Mapping[str, Any]) -> None:
        """An evaluation came as a log record."""
        trace = self._waiting.get(trace_id)
        if trace is not None:
            mask = self._judge.of_evaluation(attributes)
            with self._lock:
                trace.mask |= mask

    @property
    def max_spans_per_trace(self) -> int:
        """At most so many spans of a trace are handed on at once."""
        return self._rules.max_spans_per_trace

    def flush(self, between: Callable[[], None] | None = None) -> None:
        """Decide everything that waits, by what is known now.

        ``between`` is called now and then, so that whoever is given the spans can get rid of them.
        """
        self._free_locks()
        with self._lock:
            waiting = list(self._waiting.values())
        count = 0
        for trace in waiting:
            count += len(trace.spans)
            self._decide(trace, FLUSHED)
            if between is not None and count >= _SPANS_AT_ONCE:
                between()
                count = 0

    def _free_locks(self) -> None:
        """A signal's handler may stop the thread that holds a lock, and wait for us: then nobody else is in there."""
        if self._lock.acquire(timeout=_LOCK_S):
            self._lock.release()
        else:
            self._lock = threading.RLock()
        self._judge.free_locks(_LOCK_S)

    def _bound(self, trace: _Trace) -> None:
        """Look at every bound, now that some spans have come."""
        self._measure()
        if len(trace.spans) >= self._rules.max_spans_per_trace:
            self._decide(trace, LONG)
        self._make_room(self._clock())

    def _measure(self) -> None:
        """Measure what waits and was not measured: outside the lock, since there may be much to look at."""
        with self._lock:
            fresh, self._fresh, self._unmeasured = self._fresh, [], 0
            waiting = [(trace, trace.spans[trace.measured :]) for trace in fresh if not trace.is_closing]
            for trace, spans in waiting:
                trace.is_fresh = False
                trace.measured += len(spans)
        sizes = [(trace, sum(map(size_of, spans))) for trace, spans in waiting]
        count, total = sum(len(spans) for _, spans in waiting), sum(size for _, size in sizes)
        with self._lock:
            if count:
                share = self._rules.max_bytes // _UNMEASURED_SHARE * count // total
                self._most_unmeasured = max(1, min(MAX_UNMEASURED, share))
            for trace, size in sizes:
                if trace.verdict is None:
                    trace.size_bytes += size
                    self._bytes += size

    def _make_room(self, now_s: float) -> None:
        """Decide the oldest traces early while a bound is exceeded."""
        while True:
            with self._lock:
                oldest = next(iter(self._waiting.values()), None)
                reason = None if oldest is None else self._exceeded(oldest, now_s)
                if oldest is None or reason is None:
                    return
                if oldest.is_closing:
                    # Another thread is at it; it must not be found again meanwhile.
                    self._waiting.move_to_end(oldest.trace_id)
                    return
            self._decide(oldest, reason)

    def _exceeded(self, oldest: _Trace, now_s: float) -> str | None:
        if len(self._waiting) > self._rules.max_traces:
            return FULL
        if self._bytes > self._rules.max_bytes:
            return LARGE
        return OLD if now_s - oldest.begun_s > self._rules.max_age_s else None

    def _decide(self, trace: _Trace, early: str | None) -> None:
        with self._lock:
            if trace.is_closing:
                return
            trace.is_closing = True
            spans, trace.spans = trace.spans, []
        verdict = KEPT_BY_FAULT
        try:
            attributes = [self._prepared(span) for span in spans]
            verdict = hooks.attempted("sampling.decide", verdict, self._judged, trace, spans, attributes)
        finally:
            # Also where an interrupt comes: a trace that stays would be in the way of all others.
            with self._lock:
                self._close(trace, verdict, early)
                # They came while the rules were asked.
                rest, trace.spans = trace.spans, []
        if self._rules.skeleton:
            for span, rows in zip(spans, attributes, strict=True):
                hooks.attempt("sampling.emit", self._emit_one, span, rows, verdict)
        elif verdict.keep:
            for span, rows in zip(spans, attributes, strict=True):
                hooks.attempt("sampling.emit", self._emit, span, rows, verdict, False)
        for span in rest:
            hooks.attempt("sampling.late", self._late, span)

    def _judged(self, trace: _Trace, spans: list[ReadableSpan], attributes: list[dict[str, Any]]) -> Verdict:
        verdict = self._judge.by_rules(spans, attributes, trace.mask)
        known = self._remembered.get(trace.trace_id)
        if known is not None and known.keep:
            # What is kept of a trace is kept for one reason: its other part was decided as this one began.
            return known
        if verdict is None:
            verdict = self._judge.by_baseline(randomness(trace.trace_id, parse(trace.state)))
        return verdict

    def _prepared(self, span: ReadableSpan) -> dict[str, Any]:
        nothing: dict[str, Any] = {}
        return hooks.attempted("sampling.prepare", nothing, self._prepare, span)

    def _close(self, trace: _Trace, verdict: Verdict, early: str | None) -> None:
        """Under the lock: from now on spans of this trace are late."""
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

    def _emit_one(self, span: ReadableSpan, attributes: dict[str, Any], verdict: Verdict) -> None:
        if self._rules.skeleton:
            parent = span.parent
            if parent is None or parent.is_remote:
                # Every root is kept, so each of them stands for one.
                told = verdict if verdict.keep else Verdict(True, SKELETON)
                self._emit(span, attributes, told._replace(threshold=0), not verdict.keep)
                return
        if verdict.keep:
            self._emit(span, attributes, verdict, False)

    def _late(self, span: ReadableSpan) -> None:
        """The trace is decided, or nobody knows it (its root is in another process, or from before a fork)."""
        attributes = self._prepared(span)
        context: Any = span.context
        verdict = self._remembered.get(context.trace_id)
        if verdict is None or not verdict.keep:
            kept = hooks.attempted("sampling.decide", KEPT_BY_FAULT, self._judged_late, span, attributes, verdict)
            if kept is not None:
                verdict = kept
                with self._lock:
                    self._remember(context.trace_id, kept)
        self._emit_one(span, attributes, verdict or DROPPED)

    def _judged_late(self, span: ReadableSpan, attributes: dict[str, Any], known: Verdict | None) -> Verdict | None:
        """A failure is kept, though the rest of its trace has gone."""
        kept = self._judge.by_rules([span], [attributes], 0)
        if kept is None and known is None:
            context: Any = span.context
            kept = self._judge.by_baseline(randomness(context.trace_id, parse(context.trace_state)))
        return kept
