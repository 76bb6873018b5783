"""What the messages of a request say of tool calls: which are asked for, answered, and not answered. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple, cast

from spanloom.genai._fields import Fields, fields

# The usual roles of messages that say nothing of tools.
_SAY_NOTHING: Final = ("user", "system", "developer")
# DSPy's typed messages have a word of their own for an answer.
_IN_PARTS: Final = ("tool_call", "tool_call_response", "tool_result")
# What is told of one request; a history may hold anything.
_MAX_TOLD: Final = 32


class AskedCall(NamedTuple):
    """One tool call that an answer asks for. ``arguments``: JSON text, or the value that it stands for.

    ``is_text``: they are a text by themselves, which is a custom tool's only argument.
    """

    id: str
    name: str
    arguments: Any
    choice: int = 0
    is_text: bool = False


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


def chat_history(messages: Iterable[Any]) -> ToolHistory | None:
    """What they say of tools; ``None`` where that is nothing."""
    history: ToolHistory | None = None
    for message in messages:
        told = cast("Fields", message) if type(message) is dict else fields(message)
        role = told.get("role")
        if role in _SAY_NOTHING:
            continue
        calls = told.get("tool_calls") if role == "assistant" else None
        if not calls and role != "tool" and history is None:
            continue
        history = history or ToolHistory()
        _take(history, role, calls, told)
    return history


def _take(history: ToolHistory, role: Any, calls: Any, told: Fields) -> None:
    if role == "assistant":
        history.turn()
        for one in calls_of(calls):
            history.asked(one.id, one.name)
    elif role == "tool":
        answered = told.get("tool_call_id")
        if isinstance(answered, str) and answered:
            history.answered(answered)


def calls_of(calls: Any, choice: int = 0) -> Iterator[AskedCall]:
    """The ``tool_calls`` of a message that have an id and a name."""
    for call in cast("Sequence[Any]", calls) if isinstance(calls, (list, tuple)) else ():
        told = fields(call)
        function = told.get("function")
        asked = fields(told.get("custom") if function is None else function)
        call_id, name = told.get("id"), asked.get("name")
        if isinstance(call_id, str) and call_id and isinstance(name, str) and name:
            arguments = asked.get("input") if function is None else asked.get("arguments")
            yield AskedCall(call_id, name, arguments, choice, function is None)


def parts_history(messages: Iterable[Any]) -> ToolHistory | None:
    """The same of messages in parts: the conventions' own, or typed ones like them."""
    history: ToolHistory | None = None
    for message in messages:
        parts = fields(message).get("parts")
        told = [fields(part) for part in cast("Sequence[Any]", parts)] if isinstance(parts, (list, tuple)) else []
        calls = [part for part in told if part.get("type") in _IN_PARTS]
        if not calls and history is None:
            continue
        history = history or ToolHistory()
        if fields(message).get("role") == "assistant":
            history.turn()
        for part in calls:
            _take_part(history, part)
    return history


def _take_part(history: ToolHistory, part: Fields) -> None:
    call_id, name = part.get("id") or part.get("call_id"), part.get("name")
    if not isinstance(call_id, str) or not call_id:
        return
    if part.get("type") == "tool_call":
        history.asked(call_id, name if isinstance(name, str) else None)
    else:
        history.answered(call_id)
