"""What the messages of a request say of tool calls: which are asked for, answered, and not answered. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple, cast

from spanloom.genai._fields import Fields, fields, items_of

# The usual roles of messages that say nothing of tools.
_SAY_NOTHING: Final = ("user", "system", "developer")
# Of parts: the conventions' words, and DSPy's typed messages' for an answer.
_CALL: Final = "tool_call"
_ANSWERS: Final = ("tool_call_response", "tool_result")
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

    __slots__ = ("_fresh", "answers", "calls", "open", "unknown")

    def __init__(self) -> None:
        self._fresh: set[str] = set()
        # The calls that are here; nothing for one that the provider runs itself.
        self.calls: dict[str, AskedCall | None] = {}
        # Those that have no answer (yet), with their names.
        self.open: dict[str, str] = {}
        # The answers in their order, and those to a call that is not here.
        self.answers: dict[str, None] = {}
        self.unknown: dict[str, None] = {}

    def __bool__(self) -> bool:
        return bool(self.calls or self.answers)

    def turn(self) -> None:
        """The model speaks: what was answered before it was told to it before."""
        self._fresh.clear()

    def asked(self, call: AskedCall) -> None:
        """A call that the model asked for."""
        self.known(call.id, call)
        self.open[call.id] = call.name

    def known(self, call_id: str, call: AskedCall | None = None) -> None:
        """A call that nobody here has to answer."""
        self.calls[call_id] = call
        self.unknown.pop(call_id, None)

    def answered(self, call_id: str) -> None:
        """What a tool gave back."""
        if call_id not in self.calls:
            self.unknown[call_id] = None
        self.open.pop(call_id, None)
        self.answers[call_id] = None
        self._fresh.add(call_id)

    def is_fresh(self, call_id: str) -> bool:
        """Whether the model has not spoken since this answer."""
        return call_id in self._fresh

    @property
    def unanswered(self) -> list[tuple[str, str]]:
        """Ids and names of the calls without an answer, as far as they are told of."""
        return list(self.open.items())[:_MAX_TOLD]

    @property
    def unasked(self) -> list[str]:
        """Ids of answers to calls that are not here, as far as they are told of."""
        return list(self.unknown)[:_MAX_TOLD]


def tool_history(messages: Iterable[Any]) -> ToolHistory | None:
    """What chat messages say of tools, or messages in parts; ``None`` where that is nothing."""
    history: ToolHistory | None = None
    for message in messages:
        told = cast("Fields", message) if type(message) is dict else fields(message)
        role = told.get("role")
        if role in _SAY_NOTHING:
            continue
        calls, parts = told.get("tool_calls"), told.get("parts")
        if calls or parts or role == "tool" or history is not None:
            history = history or ToolHistory()
            _take(history, told, role, calls)
    return history or None


def _take(history: ToolHistory, told: Fields, role: Any, calls: Any) -> None:
    if role == "assistant":
        history.turn()
        for one in calls_of(calls):
            history.asked(one)
    elif role == "tool":
        _take_answer(history, told.get("tool_call_id"))
    for part in items_of(told, "parts"):
        given = fields(part)
        if given.get("type") in _ANSWERS:
            _take_answer(history, given.get("id") or given.get("call_id"))
        else:
            asked = call_in_part(given)
            if asked is not None:
                history.asked(asked)


def _take_answer(history: ToolHistory, call_id: Any) -> None:
    if isinstance(call_id, str) and call_id:
        history.answered(call_id)


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


def call_in_part(part: Fields, choice: int = 0) -> AskedCall | None:
    """The call that a part of a message asks for, if it is one with an id and a name."""
    call_id, name = part.get("id"), part.get("name")
    if part.get("type") != _CALL or not isinstance(call_id, str) or not call_id:
        return None
    if not isinstance(name, str) or not name:
        return None
    arguments = part.get("arguments")
    return AskedCall(call_id, name, part.get("args") if arguments is None else arguments, choice)
