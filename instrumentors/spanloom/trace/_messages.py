"""Messages as people have them: a text, OpenAI's chat messages, the conventions' own, or mixed -> the conventions'.

``builder`` is the one place where the messages of an input or an output come in; ``read`` makes them plain.
"""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, cast

from spanloom.genai import AskedCall, ToolHistory, call_in_part, calls_of, tolerant, tool_history
from spanloom.genai._fields import fields, items_of
from spanloom.genai._messages import Message, input_messages, output_message, tool_definitions
from spanloom.genai._parts import text_part
from spanloom.genai._reasons import finish_reason
from spanloom.semconv import FinishReason
from spanloom.trace._check import left_out
from spanloom.trace._parts import told_parts

Messages = str | Mapping[str, Any] | Sequence[Any]
Build = Callable[[], Any]

_LISTS: Final = (list, tuple, deque)


def builder(where: str, given: Messages, role: str) -> Build | None:
    """Makes the messages when they are wanted; ``None`` where there are none. ``role`` is that of a mere text.

    The caller may go on with the same list. A generator is his: read, it would be empty.
    """
    kept = _kept(given)
    if kept is None:
        left_out(where, f"{type(given).__name__} is neither a text nor messages")
    return functools.partial(read, kept, role) if kept else None


def _kept(given: Any) -> list[Any] | None:
    if isinstance(given, _LISTS):
        return list(cast("Iterable[Any]", given))
    if given is None or isinstance(given, str):
        return [given] if given else []
    # One message, as a dict or as an object of an SDK.
    return [given] if tolerant(_role, None, given) is not None else None


def _role(message: Any) -> str | None:
    role = fields(message).get("role")
    return role if isinstance(role, str) and role else None


def asked_in(given: Messages) -> list[AskedCall]:
    """The tool calls that an answer asks for; each message is a choice of its own."""
    nothing: list[AskedCall] = []
    return [call for place, one in enumerate(_kept(given) or ()) for call in tolerant(_asked_by, nothing, one, place)]


def _asked_by(message: Any, place: int) -> list[AskedCall]:
    told = fields(message)
    in_parts = (call_in_part(fields(part), place) for part in items_of(told, "parts"))
    return [*calls_of(told.get("tool_calls"), place), *(one for one in in_parts if one is not None)]


def history_in(given: Messages) -> ToolHistory | None:
    """What the messages of a request say of earlier tool calls; ``None`` where that is nothing."""
    return tolerant(tool_history, None, [one for one in _kept(given) or () if not isinstance(one, str)])


def read(given: Iterable[Any], role: str) -> list[Message]:
    """Each message in the conventions' words; what is none is left out."""
    return [found for one in given if (found := tolerant(_message, None, one, role)) is not None]


def _message(one: Any, role: str) -> Message | None:
    if isinstance(one, str):
        return {"role": role, "parts": [text_part(one)]} if one else None
    told = fields(one)
    parts = told.get("parts")
    if isinstance(parts, (list, tuple)):
        name = told.get("name")
        message: Message = {"role": _role(one) or role, "parts": told_parts(cast("Sequence[Any]", parts))}
        return {**message, "name": name} if isinstance(name, str) else message
    if role == "assistant" and _role(one) is None:
        answer = output_message(one)
        return answer if answer["parts"] else None
    return next(iter(input_messages([one])), None)


def system_builder(system: Any) -> Build | None:
    """Instructions beside the messages: a text, or parts of text."""
    if system is None:
        return None
    kept: list[Any] = list(cast("Iterable[Any]", system)) if isinstance(system, _LISTS) else [system]
    return functools.partial(_instructions, kept)


def _instructions(system: list[Any]) -> list[dict[str, Any]] | None:
    # The conventions have texts only.
    return [part for part in told_parts(system) if part["type"] == "text"] or None


def tools_builder(tools: Any) -> Build | None:
    """The tools that are offered."""
    if not isinstance(tools, _LISTS):
        return None
    kept = list(cast("Iterable[Any]", tools))
    return lambda: [found for one in kept for found in tolerant(tool_definitions, (), [one])] or None


def reasons_of(reasons: Any) -> list[str] | None:
    """One for each choice. An end that is not told never came: the conventions' word for it is ``error``."""
    told: Any = [reasons] if isinstance(reasons, str) and reasons else reasons
    if not isinstance(told, _LISTS):
        return None
    return [finish_reason(one) or FinishReason.ERROR for one in cast("Iterable[Any]", told)] or None
