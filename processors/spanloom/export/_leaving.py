"""How long a process that ends still waits for a Collector: a few seconds in all, not ten for every signal.

The SDK flushes one signal after the other at exit and tells an exporter to stop only when its flush is over. So the
exporters look here: from the moment the interpreter leaves they share one budget. Every answer that arrives renews it,
so a living Collector gets everything, and a dead one costs the budget once.
"""

from __future__ import annotations

import threading
import time

BUDGET_S = 4.0


class Leaving:
    """The end of the process. Plain attributes only: a lock could be held by another thread while a process forks."""

    def __init__(self) -> None:
        self._deadline: float | None = None
        self._dead: set[str] = set()

    @property
    def begun(self) -> bool:
        """Whether the interpreter leaves; the budget runs from the first time this was seen."""
        if self._deadline is None and _interpreter_leaves():
            self._deadline = time.monotonic() + BUDGET_S
        return self._deadline is not None

    def remaining_s(self, origin: str) -> float:
        """What is left for a request to ``origin``; infinite while the process lives on."""
        if not self.begun or self._deadline is None:
            return float("inf")
        return 0.0 if origin in self._dead else self._deadline - time.monotonic()

    def answered(self) -> None:
        """Somebody is there and takes things: go on."""
        if self.begun:
            self._deadline = time.monotonic() + BUDGET_S

    def unreachable(self, origin: str) -> None:
        """Nobody is there: the other signals need not try."""
        if self.begun:
            self._dead.add(origin)


def _interpreter_leaves() -> bool:
    """The main thread has ended and so have all threads it waits for: ``atexit`` functions run now.

    ``atexit`` itself is no help: its order is that of creation, and the SDK makes a MeterProvider after its exporters.
    """
    main = threading.main_thread()
    if main.is_alive():
        return False
    return all(thread.daemon or thread is main for thread in threading.enumerate())


leaving = Leaving()
