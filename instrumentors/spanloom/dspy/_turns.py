"""Which item of a fan-out a worker has in hand: DSPy hands out the item, not its place."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast


def size_of(data: object) -> int | None:
    """The length of a plain list or tuple. Another sequence may make its items when it is asked: that is for DSPy."""
    return len(cast("list[Any]", data)) if type(data) in (list, tuple) else None


class Turns:
    """The places of each object in the data, taken in their order, from any thread.

    A slow item is handed out once more: a run beyond an object's last place is such a one.
    """

    __slots__ = ("_places",)

    def __init__(self, data: object) -> None:
        self._places: dict[int, tuple[list[int], Iterator[int]]] = {}
        if size_of(data) is None:
            return
        for place, item in enumerate(cast("list[Any]", data)):
            known = self._places.get(id(item))
            if known is not None:
                known[0].append(place)
            else:
                places = [place]
                # Goes on with what is appended later; each step is one of the interpreter's.
                self._places[id(item)] = (places, iter(places))

    def take(self, item: object) -> tuple[int | None, bool]:
        """The item's place, ``None`` where it isn't known; and whether this is one run more than there are places."""
        known = self._places.get(id(item))
        if known is None:
            return None, False
        places, waiting = known
        place = next(waiting, None)
        if place is not None:
            return place, False
        return (places[0] if len(places) == 1 else None), True
