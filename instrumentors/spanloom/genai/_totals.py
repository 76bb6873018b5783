"""Roll-ups: what happened below a span, added up while it is open. O(depth) a call, nothing kept after the end."""

from __future__ import annotations

import itertools
import os
import threading
import weakref
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from spanloom.semconv import Spanloom

if TYPE_CHECKING:
    from opentelemetry.trace import Span

T = TypeVar("T")

# Every finite float is a whole number of these: their sums are exact in any order, and those of floats are not.
_UNIT_BITS = 1074
_UNIT = 1 << _UNIT_BITS

# Reentrant, because the garbage collector may run inside a block and end a dropped generator's span, which adds or
# reads in the same thread. Such an addition waits in ``_waiting`` until the block below it has finished its own.
_lock = threading.RLock()
_waiting: deque[tuple[Totals, Contribution, int]] = deque()
# What was added inside that block, and is published after it.
_late: deque[Totals] = deque()
_adding = False
# The numbers of calls that are open. What has one below ``_first`` was begun before a fork, and ends in the parent.
_tickets = itertools.count(1)
_first = 0


def _after_fork() -> None:
    """Another thread may have held the lock when the process was forked; nobody would ever release it in the child."""
    global _lock, _adding, _first
    _lock, _adding, _first = threading.RLock(), False, next(_tickets)
    _waiting.clear()
    _late.clear()


if hasattr(os, "register_at_fork"):  # pragma: no branch - Windows has no fork
    os.register_at_fork(after_in_child=_after_fork)


class Contribution:
    """What one call adds to everything above it. Unknown tokens add nothing; an unknown price is counted."""

    __slots__ = ("cache_hits", "cost_usd", "input_tokens", "llm_calls", "output_tokens", "tool_calls", "unpriced")

    def __init__(
        self,
        input_tokens: int | None = None,
        output_tokens: int | None = None,
        cache_hits: int = 0,
        cost_usd: float | None = None,
        unpriced: bool = False,
        *,
        llm_calls: int = 1,
        tool_calls: int = 0,
    ) -> None:
        """``llm_calls`` is 0 for what is no LLM call, but has tokens or a price (embeddings)."""
        self.input_tokens = input_tokens
        self.output_tokens = output_tokens
        self.cache_hits = cache_hits
        self.cost_usd = cost_usd
        self.unpriced = unpriced
        self.llm_calls = llm_calls
        self.tool_calls = tool_calls


class Totals:
    """Sums of the calls below one span. Exact under threads: one short lock, never held while calling out."""

    __slots__ = (
        "_cost",
        "_is_closed",
        "_is_incomplete",
        "_open",
        "_parent",
        "_version",
        "cache_hits",
        "input_tokens",
        "llm_calls",
        "output_tokens",
        "tool_calls",
        "unpriced_calls",
    )

    def __init__(self, parent: Totals | None) -> None:
        self._parent = parent
        # How often something was added.
        self._version = 0
        # Tickets of the calls below that have not ended. Nothing but single steps of C: no lock where a call begins.
        self._open: set[int] = set()
        # Whether its span has ended, and whether a call came too late for it or for a span below.
        self._is_closed = False
        self._is_incomplete = False
        # In units of 2**-1074 USD.
        self._cost: int | None = None
        # None until a call below has told its tokens: a sum of nothing known is not 0.
        self.input_tokens: int | None = None
        self.output_tokens: int | None = None
        self.llm_calls = 0
        self.tool_calls = 0
        self.cache_hits = 0
        self.unpriced_calls = 0

    def begin(self) -> int:
        """A call begins below. Its ticket is for ``end``."""
        ticket = next(_tickets)
        level: Totals | None = self
        while level is not None:
            level._open.add(ticket)
            level = level._parent
        return ticket

    def end(self, ticket: int, one: Contribution | None) -> None:
        """The call has ended, with what it adds: ``None`` where it was never made."""
        if one is not None:
            self.add(one, ticket)
            return
        level: Totals | None = self
        while level is not None:
            level._open.discard(ticket)
            level = level._parent

    def add(self, one: Contribution, ticket: int = 0) -> None:
        """Add to this level and to every level above it; the call with this ticket has ended."""
        _waiting.append((self, one, ticket))
        if not _settle():
            # In the loop of this very thread, which adds what was left: it is published after that.
            _late.append(self)
            return
        # Each thread publishes its own: another one would write to spans that have ended meanwhile.
        self.top().publish()

    def top(self) -> Totals:
        """The outermost level."""
        top = self
        while top._parent is not None:
            top = top._parent
        return top

    def publish(self) -> None:
        """Write the sums where nobody else will. Our own spans get them at their end."""

    def take_through(self, one: Contribution, ticket: int) -> None:
        """Add to this level and those above; only for ``_settle``, under the lock."""
        cost = None if one.cost_usd is None else _exact(one.cost_usd)
        level, is_late = self, False
        while True:
            level._take(one, cost)
            level._open.discard(ticket)
            # A tool's is in no sum of the spans.
            is_late = is_late or (level._is_closed and not one.tool_calls)
            level._is_incomplete = level._is_incomplete or is_late
            if level._parent is None:
                return
            level = level._parent

    def _take(self, one: Contribution, cost: int | None) -> None:
        self._version += 1
        self.llm_calls += one.llm_calls
        self.tool_calls += one.tool_calls
        if one.input_tokens is not None:
            self.input_tokens = (self.input_tokens or 0) + one.input_tokens
        if one.output_tokens is not None:
            self.output_tokens = (self.output_tokens or 0) + one.output_tokens
        self.cache_hits += one.cache_hits
        self.unpriced_calls += one.unpriced
        if cost is not None:
            self._cost = cost if self._cost is None else self._cost + cost

    def calls(self) -> tuple[int, int]:
        """LLM calls and tool calls below."""
        return _quietly(self._calls)

    def attributes(self) -> dict[str, int | float]:
        """``spanloom.subtree.*``; empty where no model was called below. What nobody told is left out.

        Tools are counted for the agents' metrics alone: a tool below is seen in the tree.
        """
        return _quietly(self._rows)

    def last_attributes(self) -> dict[str, int | float]:
        """The same for the end of its span. What comes later is missing there, and those above say so."""
        return _quietly(self._last_rows)

    def _calls(self) -> tuple[int, int]:
        return self.llm_calls, self.tool_calls

    def _last_rows(self) -> dict[str, int | float]:
        self._is_closed = True
        # In one step with the sums: a call has either been added, or is open.
        # The newest of the open ones tells: those from before a fork are the parent's.
        self._is_incomplete = self._is_incomplete or bool(self._open and max(tuple(self._open)) >= _first)
        return self._rows()

    def _rows(self) -> dict[str, int | float]:
        rows: dict[str, int | float] = {}
        if self.llm_calls:
            rows[Spanloom.SUBTREE_LLM_CALLS] = self.llm_calls
        if self.input_tokens is not None:
            rows[Spanloom.SUBTREE_INPUT_TOKENS] = self.input_tokens
        if self.output_tokens is not None:
            rows[Spanloom.SUBTREE_OUTPUT_TOKENS] = self.output_tokens
        if self.cache_hits:
            rows[Spanloom.SUBTREE_CACHE_HITS] = self.cache_hits
        if self._cost is not None:
            rows[Spanloom.SUBTREE_COST] = self._cost / _UNIT
        if self.unpriced_calls:
            rows[Spanloom.SUBTREE_UNPRICED_CALLS] = self.unpriced_calls
        if self._is_incomplete:
            rows[Spanloom.SUBTREE_INCOMPLETE] = True
        return rows


def _exact(usd: float) -> int:
    numerator, denominator = usd.as_integer_ratio()
    return numerator << (_UNIT_BITS + 1 - denominator.bit_length())


class RootTotals(Totals):
    """Sums for a span that is not ours: its end is not ours to see, so they are written as they change."""

    __slots__ = ("__weakref__", "_span")

    def __init__(self, span: Span) -> None:
        super().__init__(None)
        # Weak: the totals are kept by the span.
        self._span = weakref.ref(span)

    def publish(self) -> None:
        """Write the sums onto the span, unless it has ended. The last one to write has the newest sums."""
        span = self._span()
        written = -1
        while span is not None and written != self._version and span.is_recording():
            written = self._version
            span.set_attributes(self.attributes())


def _quietly(read: Callable[[], T]) -> T:
    """What ``read`` gives while nothing is added: not by this thread either, in which the collector may end a call."""
    global _adding
    if _waiting:
        _settle()
    with _lock:
        # In the middle of an addition already, where it is that collector's.
        outer, _adding = _adding, True
        try:
            found = read()
        finally:
            _adding = outer
    if _waiting:
        _settle()
    return found


def _settle() -> bool:
    """Add what waits, one by one: somebody else's, too, that came while this thread was at it.

    False where this thread is doing just that: the collector may end a call anywhere.
    """
    global _adding
    with _lock:
        if _adding:
            return False
        _adding = True
        try:
            while _waiting:
                totals, one, ticket = _waiting.popleft()
                totals.take_through(one, ticket)
        finally:
            _adding = False
    while _late:
        _late.popleft().top().publish()
    return True
