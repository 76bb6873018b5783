"""What an exporter that hands on to another one leaves to that one."""

from __future__ import annotations

import inspect
from typing import Any


class Passing:
    """A base for exporters around an exporter: all but ``export`` is the inner one's."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def shutdown(self, timeout_millis: float = 30_000) -> None:
        """With the time that is left, where the inner one asks for it; the SDK looks at the signature as well."""
        takes_time = "timeout_millis" in inspect.getfullargspec(self.inner.shutdown).args
        self.inner.shutdown(**({"timeout_millis": timeout_millis} if takes_time else {}))

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Where the inner one has it: the interface of log exporters does not ask for it."""
        flush = getattr(self.inner, "force_flush", None)
        return True if flush is None else bool(flush(timeout_millis))

    def __getattr__(self, name: str) -> Any:
        """Figures and settings that are the inner one's own."""
        if name == "inner":
            raise AttributeError(name)
        return getattr(self.inner, name)
