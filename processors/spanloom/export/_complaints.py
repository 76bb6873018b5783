"""What an exporter has to say to people: one line a minute at most, never a stack trace, never a header's value."""

from __future__ import annotations

import logging
import time

log = logging.getLogger("spanloom.export")

_EVERY_S = 60.0


class Complaints:
    """Limits one exporter's lines. The first is said at once; what is kept back shows in the next line's totals."""

    def __init__(self) -> None:
        self._next = 0.0

    def say(self, text: str, *args: object) -> None:
        """A warning, unless one was said within the last minute."""
        now = time.monotonic()
        if now >= self._next:
            self._next = now + _EVERY_S
            log.warning(text, *args)
