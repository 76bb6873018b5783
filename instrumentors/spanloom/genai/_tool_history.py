"""What the messages of a request say of tool calls: which are asked for, answered, and not answered. Pure."""

from __future__ import annotations

from typing import Final

# What is told of one request; a history may hold anything.
_MAX_TOLD: Final = 32


class ToolHistory:
    """Read from the first message to the last: ``turn`` at the model's, ``asked`` and ``answered`` for calls."""

    __slots__ = ("_asked", "_fresh", "answers", "open", "unknown")

    def __init__(self) -> None:
        self._asked: set[str] = set()
        self._fresh: set[str] = set()
        # The calls that have no answer (yet), with their names.
        self.open: dict[str, str | None] = {}
        # The answers in their order, and those to a call that is not here.
        self.answers: dict[str, None] = {}
        self.unknown: dict[str, None] = {}

    def turn(self) -> None:
        """The model speaks: what was answered before it was told to it before."""
        self._fresh.clear()

    def asked(self, call_id: str, name: str | None) -> None:
        """A call that the model asked for."""
        self._asked.add(call_id)
        self.unknown.pop(call_id, None)
        self.open[call_id] = name

    def answered(self, call_id: str) -> None:
        """What a tool gave back."""
        if call_id not in self._asked:
            self.unknown[call_id] = None
        self.open.pop(call_id, None)
        self.answers[call_id] = None
        self._fresh.add(call_id)

    def is_fresh(self, call_id: str) -> bool:
        """Whether the model has not spoken since this answer."""
        return call_id in self._fresh

    @property
    def unanswered(self) -> list[tuple[str, str | None]]:
        """Ids and names of the calls without an answer, as far as they are told of."""
        return list(self.open.items())[:_MAX_TOLD]

    @property
    def unasked(self) -> list[str]:
        """Ids of answers to calls that are not here, as far as they are told of."""
        return list(self.unknown)[:_MAX_TOLD]
