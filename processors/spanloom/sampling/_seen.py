"""What the tail sampler remembers beyond a trace: durations by operation, kinds of calls. Bounded, thread-safe."""

from __future__ import annotations

import math
import threading
from collections import OrderedDict, deque
from collections.abc import Hashable
from typing import Final

MAX_OPERATIONS: Final = 256
WINDOW: Final = 1_000
LEAST: Final = 200
MAX_KINDS: Final = 4_096
# A percentile of a thousand values hardly moves between two sorts.
_SORT_EVERY: Final = 25
_PERCENTILE: Final = 0.99


class _Recent:
    """The newest durations of one operation."""

    __slots__ = ("limit_ns", "since", "values")

    def __init__(self) -> None:
        self.values: deque[int] = deque(maxlen=WINDOW)
        self.since = 0
        self.limit_ns = math.inf

    def add(self, duration_ns: int) -> None:
        self.values.append(duration_ns)
        self.since += 1
        if len(self.values) >= LEAST and (self.since >= _SORT_EVERY or math.isinf(self.limit_ns)):
            ordered = sorted(self.values)
            self.limit_ns = ordered[math.ceil(_PERCENTILE * len(ordered)) - 1]
            self.since = 0


class Memory:
    """What has a lock of its own."""

    def __init__(self) -> None:
        self.after_fork()

    def after_fork(self) -> None:
        """A lock that nobody holds."""
        # Reentrant: the garbage collector may end a span anywhere, here too.
        self._lock = threading.RLock()

    def free_lock(self, timeout_s: float) -> None:
        """A new lock where this one is not given back in time: its holder is stopped."""
        if self._lock.acquire(timeout=timeout_s):
            self._lock.release()
        else:
            self.after_fork()


class Durations(Memory):
    """The 99th percentile of each operation's newest 1,000 durations, from its 200th on.

    At most 256 operations; the one that was not seen for longest goes first.
    """

    def __init__(self) -> None:
        super().__init__()
        self._recent: OrderedDict[str, _Recent] = OrderedDict()

    def is_unusual(self, operation: str, duration_ns: int) -> bool:
        """Whether it took longer than the 99th percentile of those before it; it counts for those that come."""
        with self._lock:
            recent = self._recent.get(operation)
            if recent is None:
                recent = self._recent[operation] = _Recent()
                if len(self._recent) > MAX_OPERATIONS:
                    self._recent.popitem(last=False)
            else:
                self._recent.move_to_end(operation)
            unusual = duration_ns > recent.limit_ns
            recent.add(duration_ns)
        return unusual


class Kinds(Memory):
    """When each kind of call was seen last. At most 4,096; the one that was not seen for longest goes first."""

    def __init__(self, within_s: float) -> None:
        super().__init__()
        self._within_s = within_s
        self._last: OrderedDict[Hashable, float] = OrderedDict()

    def is_new(self, kind: Hashable, now_s: float) -> bool:
        """Whether it was not seen within the time; it is seen now."""
        with self._lock:
            last = self._last.get(kind)
            self._last[kind] = now_s
            if last is None:
                if len(self._last) > MAX_KINDS:
                    self._last.popitem(last=False)
                return True
            self._last.move_to_end(kind)
        return now_s - last >= self._within_s
