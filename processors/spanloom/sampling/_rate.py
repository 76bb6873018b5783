"""A ratio that follows the traffic, so that no more than so many spans a second are kept. Pure, with a clock given.

It is a threshold like any other, and a trace's randomness is compared with it: never a coin, so that what is kept is
consistent and ``th`` tells how much it stands for. It is fixed before the trace that it decides on, so counts stay
unbiased whatever the traffic does.

Nothing is locked: two threads at once may lose a count, which is as good as a trace more or less in the window.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from spanloom.sampling._trace_state import threshold_of

WINDOW_NS: Final = 1_000_000_000
# Weight of the newest window in the averages: of how many traces begin, and of how many spans each brings. The latter
# is slow, since spans of a trace come for minutes after its root.
NEWEST: Final = 0.3
NEWEST_OF_SIZE: Final = 0.05
# Where traffic drops, the average is not believed beyond so many times the newest window's traces and a few more.
MAX_DROP: Final = 3.0
FEW: Final = 10.0
# From window to window the ratio grows to twice itself at most: after a burst it comes back smoothly.
MAX_GROWTH: Final = 2.0
# Of the limit: it may be used beyond it before the ratio halves once more.
STEP: Final = 0.25
# What remote parents ask for is always kept. However much that is, traces that begin here get this part of the limit.
LEAST_SHARE: Final = 0.1
MIN_RATIO: Final = 2.0**-32


class AdaptiveRate:
    """Counts traces and kept spans in windows of a second.

    ``ratio = limit / (traces that begin per second * kept spans per kept trace)``, from averages of past windows.
    Inside a window the ratio halves when the limit is used up, and again with each further quarter of it: what a sudden
    burst keeps beyond the limit is bounded by the logarithm of its size.
    """

    def __init__(self, spans_per_second: float, clock: Callable[[], int] = time.monotonic_ns) -> None:
        self._limit = spans_per_second
        self._clock = clock
        self._began = clock()
        self._windows = 0
        # Of the window: traces that begin here (as if all were kept at the ratio or above), those of them that are
        # kept, entries by remote parents, and kept spans.
        self._asked = self._roots = self._entries = self._spans = 0.0
        # The same per second, on average: what is asked, entries; and over a longer time kept traces and their spans.
        self._average = self._others = self._kept = self._sizes = 0.0
        self._spans_per_trace = 1.0
        self._halve_at = spans_per_second
        self._set(1.0)

    @property
    def ratio(self) -> float:
        """What is kept just now of traces that begin here."""
        return self._ratio

    def root(self, ratio: float) -> int:
        """Count a trace that begins here, of a rule that keeps ``ratio``; gives the threshold that holds just now."""
        now = self._clock()
        if now - self._began >= WINDOW_NS:
            self._turn(now)
        # A trace whose rule keeps less than this ratio does not feel it, and counts for as much as it brings.
        self._asked += 1.0 if ratio >= self._ratio else ratio / self._ratio
        return self._threshold

    def kept_root(self) -> None:
        """Count a trace that begins here and is kept."""
        self._roots += 1
        self._spans += 1
        if self._spans >= self._halve_at or self._roots * self._spans_per_trace >= self._halve_at:
            self._check()

    def kept_child(self, is_entry: bool) -> None:
        """Count a kept span below another one; ``is_entry``: below one of another process."""
        self._spans += 1
        if is_entry:
            self._entries += 1
        if self._spans >= self._halve_at:
            self._check()

    def _check(self) -> None:
        """Halve where the spans that are there, or that the kept traces will have, use up what is left."""
        traces = self._roots + self._entries
        seen = self._spans * self._roots / traces if traces else 0.0
        if max(seen, self._roots * self._spans_per_trace) >= self._halve_at:
            self._halve_at += self._limit * STEP
            self._set(self._ratio / 2)

    def _turn(self, now: int) -> None:
        """The next window, after one or after many in which nothing began."""
        seconds = (now - self._began) / 1e9
        self._windows += 1
        # Whatever was asked was asked in the first second: the next trace after it brings us here.
        asked = self._asked if seconds < 2 else 0.0
        newest = max(NEWEST, 1 / self._windows)
        self._average = _mixed(_mixed(self._average, self._asked, 1.0, newest), 0.0, seconds - 1, newest)
        self._others = _mixed(self._others, self._entries / seconds, seconds, newest)
        newest = max(NEWEST_OF_SIZE, 1 / self._windows)
        self._kept = _mixed(self._kept, (self._roots + self._entries) / seconds, seconds, newest)
        self._sizes = _mixed(self._sizes, self._spans / seconds, seconds, newest)
        self._began = now
        self._asked = self._roots = self._entries = self._spans = 0.0
        self._aim(asked, seconds)

    def _aim(self, asked: float, seconds: float) -> None:
        """The ratio that fits the averages, as near to it as it may go at once."""
        if self._kept > 1e-9:
            self._spans_per_trace = max(self._sizes / self._kept, 1.0)
        each = self._spans_per_trace
        self._halve_at = max(self._limit - self._others * each, self._limit * LEAST_SHARE)
        demand = min(self._average, MAX_DROP * asked + FEW) * each
        wanted = self._halve_at / demand if demand > self._halve_at else 1.0
        self._set(min(wanted, self._ratio * MAX_GROWTH ** min(seconds, 64.0)))

    def _set(self, ratio: float) -> None:
        self._ratio = max(ratio, MIN_RATIO)
        self._threshold = threshold_of(self._ratio)


def _mixed(average: float, new: float, seconds: float, newest: float) -> float:
    """An average, so many windows later."""
    return average + (1 - (1 - newest) ** seconds) * (new - average)
