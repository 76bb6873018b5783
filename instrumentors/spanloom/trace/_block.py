"""A block of code that is recorded. Nothing of the core is loaded before the first one begins."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from spanloom.trace._told import Told

T = TypeVar("T", bound="Told[Any]")


class Block(Generic[T]):
    """What ``with`` begins and ends. One object may be used again, inside itself and in several threads, too."""

    def __init__(self) -> None:
        self._entered: list[T] = []

    def _begin(self) -> T:
        """What the block gives."""
        raise NotImplementedError

    def __enter__(self) -> T:
        told = self._begin()
        # A gate may refuse a call here: that is for the caller.
        told.enter_block()
        self._entered.append(told)
        return told

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._left().leave_block(error)

    def _left(self) -> T:
        """The one whose block ends here: of several that are open, the one that this code runs in."""
        for told in reversed(self._entered) if len(self._entered) > 1 else ():
            if told.is_current():
                self._entered.remove(told)
                return told
        return self._entered.pop()
