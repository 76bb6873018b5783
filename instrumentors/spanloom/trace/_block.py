"""A block of code that is recorded. Nothing of the core is loaded before the first one begins."""

from __future__ import annotations

import sys
from contextvars import ContextVar
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from spanloom.trace._told import Told

T = TypeVar("T", bound="Told[Any]")
# The frame of a ``with``, and its code: the id of a frame may be used again, by another function's.
Place = tuple[int, int]


class _Entry(Generic[T]):
    """One time that a block was entered."""

    __slots__ = ("block", "place", "told")

    def __init__(self, block: Block[T], place: Place, told: T) -> None:
        self.block = block
        self.place = place
        # ``None`` once it is left: a context that was copied inside the block must not keep it.
        self.told: T | None = told


# What was entered in this context, the innermost last.
_here: ContextVar[tuple[_Entry[Any], ...]] = ContextVar("spanloom-blocks", default=())


class Block(Generic[T]):
    """What ``with`` begins and ends. One object may be used again, inside itself and in several threads, too."""

    def __init__(self) -> None:
        # By place, the innermost last. Nobody else writes what is at a frame's place while that frame runs: no lock,
        # for the garbage collector may leave a block at any point.
        self._open: dict[Place, tuple[_Entry[T], ...]] = {}

    def _begin(self) -> T:
        """What the block gives."""
        raise NotImplementedError

    def __enter__(self) -> T:
        told = self._begin()
        # A gate may refuse a call here: that is for the caller.
        told.enter_block()
        entry = _Entry(self, place_of(sys._getframe().f_back), told)  # pyright: ignore[reportPrivateUsage]
        self._open[entry.place] = (*self._open.get(entry.place, ()), entry)
        _here.set((*_without(_here.get(), entry), entry))
        return told

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        entry = self._innermost(place_of(sys._getframe().f_back))  # pyright: ignore[reportPrivateUsage]
        told = None if entry is None else self._taken(entry)
        if told is not None:
            told.leave_block(error)

    def _innermost(self, place: Place) -> _Entry[T] | None:
        """The one whose block ends here.

        A ``with`` ends in the frame in which it began, whatever thread or context that runs in by then, and whoever
        closes it. Others (``ExitStack``, calls by hand) end the innermost of their context, else the last one.
        """
        for entries in (self._open.get(place, ()), _here.get()):
            for entry in reversed(entries):
                if entry.block is self and entry.told is not None:
                    return entry
        everywhere = list(self._open.values())
        return everywhere[-1][-1] if everywhere else None

    def _taken(self, entry: _Entry[T]) -> T | None:
        told, entry.told = entry.told, None
        left = _without(self._open.get(entry.place, ()), entry)
        if left:
            self._open[entry.place] = left
        else:
            self._open.pop(entry.place, None)
        _here.set(_without(_here.get(), entry))
        return told

    def __getstate__(self) -> dict[str, Any]:
        """A copy, here or in another process, was entered by nobody."""
        return {**self.__dict__, "_open": {}}


def place_of(frame: FrameType | None) -> Place:
    return id(frame), 0 if frame is None else id(frame.f_code)


def _without(entries: tuple[_Entry[Any], ...], entry: _Entry[Any]) -> tuple[_Entry[Any], ...]:
    """Without those that were left elsewhere, too."""
    return tuple(one for one in entries if one is not entry and one.told is not None)
