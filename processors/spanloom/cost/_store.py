"""Where the sums of budgets are kept. One in memory; another one may share them between processes."""

from __future__ import annotations

import heapq
import os
import threading
import weakref
from collections import OrderedDict, deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Final, Protocol

from spanloom.cost._budget import Key
from spanloom.cost._window import Window

# Sums of one budget held at once; about 0.4 kB each.
MAX_KEYS: Final = 10_000


class BudgetStore(Protocol):
    """Sums by (budget, key, window), in billionths of a US dollar. Called in the application's threads: be quick.

    What ``add`` raises costs the count of one call, what ``spent`` raises lets the call through; both are reported.
    """

    def add(self, budget: str, key: Key, window: Window, nano_usd: int) -> int:
        """Add, in one step, and give the sum with it."""
        ...

    def spent(self, budget: str, key: Key, window: Window) -> int:
        """The sum; 0 where nothing was added."""
        ...

    def largest(self, budget: str, window: Window, count: int) -> Sequence[tuple[Key, int]]:
        """The ``count`` keys that spent the most, for the metric; fewer or none where that is not known."""
        ...

    def dropped(self) -> Mapping[str, int]:
        """By budget: keys that were forgotten before the end of their window."""
        ...


class _Sum:
    __slots__ = ("spent", "window")

    def __init__(self, window: Window) -> None:
        self.window = window
        self.spent = 0


class _Addition:
    __slots__ = ("budget", "key", "nano_usd", "total", "window")

    def __init__(self, budget: str, key: Key, window: Window, nano_usd: int) -> None:
        self.budget = budget
        self.key = key
        self.window = window
        self.nano_usd = nano_usd
        self.total: int | None = None


_Sums = OrderedDict[Key, _Sum]
_NONE: Final[_Sums] = OrderedDict()


class MemoryStore:
    """Sums of this process, exact under threads. Bounded: of too many keys those that nobody asked for longest go.

    A key that goes has spent nothing when it comes again; ``spanloom.budget.keys.dropped`` counts them.
    """

    def __init__(self, max_keys: int = MAX_KEYS) -> None:
        """``max_keys``: sums held at once, of each budget: one with many keys must not cost another one its sums."""
        self._max_keys = max_keys
        self._budgets: dict[str, _Sums] = {}
        self._dropped: dict[str, int] = {}
        # Reentrant, and with a queue: the garbage collector may end a stream, and so add, inside this very lock.
        self._lock = threading.RLock()
        self._waiting: deque[_Addition] = deque()
        self._adding = False
        _live.add(self)

    def add(self, budget: str, key: Key, window: Window, nano_usd: int) -> int:
        """See ``BudgetStore``."""
        one = _Addition(budget, key, window, nano_usd)
        self._waiting.append(one)
        with self._lock:
            if not self._adding:
                self._settle()
            # Else in the loop of this very thread, which adds it right after.
            return self.spent(budget, key, window) + nano_usd if one.total is None else one.total

    def _settle(self) -> None:
        self._adding = True
        try:
            while self._waiting:
                self._add(self._waiting.popleft())
        finally:
            self._adding = False

    def _add(self, one: _Addition) -> None:
        sums = self._budgets.setdefault(one.budget, OrderedDict())
        known = sums.get(one.key)
        if known is None or known.window.start_s < one.window.start_s:
            known = sums[one.key] = _Sum(one.window)
        # What belongs to a window that is over (it comes from another thread) is counted in the newer one.
        known.spent += one.nano_usd
        one.total = known.spent
        sums.move_to_end(one.key)
        if len(sums) > self._max_keys:
            _, gone = sums.popitem(last=False)
            # Of a window that is over nothing is lost.
            if gone.window.end_s > one.window.start_s:
                self._dropped[one.budget] = self._dropped.get(one.budget, 0) + 1

    def spent(self, budget: str, key: Key, window: Window) -> int:
        """See ``BudgetStore``."""
        sums = self._budgets.get(budget, _NONE)
        known = sums.get(key)
        if known is None or known.window.start_s < window.start_s:
            return 0
        # Who is refused adds nothing, and must not be forgotten for that. Another thread may just have dropped it.
        with suppress(KeyError):
            sums.move_to_end(key)
        return known.spent

    def largest(self, budget: str, window: Window, count: int) -> Sequence[tuple[Key, int]]:
        """See ``BudgetStore``."""
        with self._lock:
            rows = list(self._budgets.get(budget, _NONE).items())
        found = [(key, one.spent) for key, one in rows if one.window == window]
        return heapq.nlargest(count, found, key=lambda row: row[1])

    def dropped(self) -> Mapping[str, int]:
        """See ``BudgetStore``."""
        return self._dropped.copy()

    def after_fork(self) -> None:
        """Another thread may have held the lock. The sums go on: a worker must not begin with a fresh budget."""
        self._lock, self._adding = threading.RLock(), False
        self._waiting.clear()


_live: weakref.WeakSet[MemoryStore] = weakref.WeakSet()


def _after_fork() -> None:
    for one in list(_live):
        one.after_fork()


if hasattr(os, "register_at_fork"):  # pragma: no branch - Windows has no fork
    os.register_at_fork(after_in_child=_after_fork)
