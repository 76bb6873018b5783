"""The only door of the core for other rooms (cost, sampling, the workbench): see every call at its end.

A *finisher* is given each finished model call before its span ends, in the order of registration. It may write span
attributes and say what the call cost. It runs in the caller's thread, so it must be quick; a fault in it costs its own
contribution only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from spanloom.genai import _registry
from spanloom.genai._guard import guard, report
from spanloom.genai._stream import end_open_streams

__all__ = ["FinishedCall", "Finisher", "UsageView", "add_finisher", "end_open_streams", "guard", "report"]


class UsageView(Protocol):
    """Token counts as the provider reported them; ``None`` where it did not. Input includes cached tokens."""

    @property
    def input_tokens(self) -> int | None: ...
    @property
    def output_tokens(self) -> int | None: ...
    @property
    def cache_read_input_tokens(self) -> int | None: ...
    @property
    def cache_write_input_tokens(self) -> int | None: ...
    @property
    def reasoning_output_tokens(self) -> int | None: ...


class FinishedCall(Protocol):
    """A finished model call. ``attributes`` goes onto the span; the rest is to be read."""

    @property
    def operation(self) -> str: ...
    @property
    def provider(self) -> str | None: ...
    @property
    def request_model(self) -> str | None: ...
    @property
    def response_model(self) -> str | None: ...
    @property
    def server_address(self) -> str | None: ...
    @property
    def usage(self) -> UsageView | None: ...
    @property
    def cache_hit(self) -> bool: ...
    @property
    def attributes(self) -> dict[str, Any]: ...
    @property
    def metric_attributes(self) -> Mapping[str, Any]: ...

    def add_cost(self, usd: float) -> None:
        """Count this amount (USD) towards the spans above."""
        ...

    def add_unpriced(self) -> None:
        """Count this call as one without a known price towards the spans above."""
        ...


Finisher = Callable[[FinishedCall], None]


def add_finisher(finisher: Finisher) -> Callable[[], None]:
    """Register a finisher; the returned function takes it out again (twice is harmless)."""
    _registry.finishers = (*_registry.finishers, finisher)

    def remove() -> None:
        _registry.finishers = tuple(one for one in _registry.finishers if one is not finisher)

    return remove
