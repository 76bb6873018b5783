"""Tool calls in answers and in histories, told to the core, which links them with their executions. Pure reading."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, cast

from spanloom.genai import (
    AskedCall,
    ClientCall,
    ToolHistory,
    any_tool_call,
    calls_of,
    chat_history,
    tell_tool_history,
)
from spanloom.genai._fields import fields, get, text_of
from spanloom.openai._items import asks_for_tool, parts_of

_TEXTS: Final = ("custom_tool_call",)
_LISTS: Final = (list, tuple, deque)


def tell_chat_history(call: ClientCall, messages: Any) -> None:
    """Tell what a chat's messages say of earlier calls. A generator is the caller's: read, it would be empty."""
    history = chat_history(cast("Iterable[Any]", messages)) if _is_wanted(call, messages) else None
    if history is not None:
        tell_tool_history(call, history)


def tell_responses_history(call: ClientCall, kwargs: Mapping[str, Any]) -> None:
    """The same of a response's input; what stands before it may be stored at the server."""
    given, previous = kwargs.get("input"), kwargs.get("previous_response_id")
    history = responses_history(cast("Iterable[Any]", given)) if _is_wanted(call, given) else None
    previous_id = previous if isinstance(previous, str) and previous else None
    if history is None and previous_id is not None and any_tool_call():
        history = ToolHistory()
    if history is not None:
        tell_tool_history(call, history, previous_id, previous_id is None and kwargs.get("conversation") is None)


def _is_wanted(call: ClientCall, given: Any) -> bool:
    """What nobody keeps is read only for the calls that it answers."""
    return isinstance(given, _LISTS) and (call.recording or any_tool_call())


def calls_in(choices: Sequence[Any]) -> Iterator[AskedCall]:
    """The calls that the choices of an answer ask for."""
    for place, choice in enumerate(choices):
        calls = get(get(choice, "message"), "tool_calls")
        if calls:
            yield from calls_of(calls, place)


def responses_history(items: Iterable[Any]) -> ToolHistory | None:
    """What the items of an input say of tools; ``None`` where that is nothing."""
    history: ToolHistory | None = None
    for item in items:
        told = fields(item)
        kind = told.get("type")
        answered = told.get("call_id") if isinstance(kind, str) and kind.endswith("_output") else None
        asked = call_in(item)
        if history is None and asked is None and not isinstance(answered, str):
            continue
        history = history or ToolHistory()
        if asked is not None:
            history.asked(asked.id, asked.name)
        elif isinstance(answered, str) and answered:
            history.answered(answered)
        elif told.get("role") == "assistant" or kind == "reasoning":
            history.turn()
    return history


def call_in(item: Any) -> AskedCall | None:
    """The call that an item of the model's asks for. One without a call id is answered in another way."""
    if not asks_for_tool(item):
        return None
    call_id = text_of(item, "call_id")
    part = next((one for one in parts_of(item) if one["type"] == "tool_call"), None)
    if call_id is None or part is None or not part["name"]:
        return None
    return AskedCall(call_id, part["name"], part["arguments"], 0, get(item, "type") in _TEXTS)
