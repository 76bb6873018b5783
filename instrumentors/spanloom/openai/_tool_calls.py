"""Tool calls in answers and in histories, told to the core, which links them with their executions."""

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
    tell_tool_history,
    tool_history,
)
from spanloom.genai._fields import fields, get, text_of
from spanloom.openai._items import asks_for_tool

# A local shell's output has no call id, but an id that is the call's.
_ANSWERED_BY_ID: Final = ("local_shell_call_output",)
_LISTS: Final = (list, tuple, deque)


def tell_chat_history(call: ClientCall, messages: Any) -> None:
    """Tell what a chat's messages say of earlier calls. A generator is the caller's: read, it would be empty."""
    history = tool_history(cast("Iterable[Any]", messages)) if _is_wanted(call, messages) else None
    if history is not None:
        tell_tool_history(call, history)


def tell_responses_history(call: ClientCall, kwargs: Mapping[str, Any]) -> None:
    """The same of a response's input; what stands before it may be stored at the server."""
    given, previous = kwargs.get("input"), kwargs.get("previous_response_id")
    items = cast("Iterable[Any]", given) if _is_wanted(call, given) else ()
    history = responses_history(items)
    previous_id = previous if isinstance(previous, str) and previous else None
    if history or (previous_id is not None and any_tool_call()):
        whole = previous_id is None and kwargs.get("conversation") is None and not any(map(_stands_for_more, items))
        tell_tool_history(call, history, previous_id, whole)


def _stands_for_more(item: Any) -> bool:
    """An item in the place of others, which the server has."""
    return get(item, "type") in ("item_reference", "compaction")


def _is_wanted(call: ClientCall, given: Any) -> bool:
    """What nobody keeps is read only for the calls that it answers."""
    return isinstance(given, _LISTS) and (call.recording or any_tool_call())


def calls_in(choices: Sequence[Any]) -> Iterator[AskedCall]:
    """The calls that the choices of an answer ask for."""
    for place, choice in enumerate(choices):
        calls = get(get(choice, "message"), "tool_calls")
        if calls:
            yield from calls_of(calls, place)


def responses_history(items: Iterable[Any]) -> ToolHistory:
    """What the items of an input say of tools."""
    history, after_answer = ToolHistory(), False
    for item in items:
        told = fields(item)
        kind = told.get("type")
        is_answer = isinstance(kind, str) and kind.endswith("_output")
        if (after_answer and not is_answer) or told.get("role") == "assistant":
            # What the model says after an answer is a turn of its own.
            history.turn()
        after_answer = is_answer
        call_id = told.get("call_id") or (told.get("id") if kind in _ANSWERED_BY_ID else None)
        if isinstance(call_id, str) and call_id:
            _take(history, item, call_id, is_answer)
    return history


def _take(history: ToolHistory, item: Any, call_id: str, is_answer: bool) -> None:
    asked = None if is_answer else call_in(item)
    if is_answer:
        history.answered(call_id)
    elif asked is not None:
        history.asked(asked)
    else:
        history.known(call_id)


def call_in(item: Any) -> AskedCall | None:
    """The call that an item of the model's asks for. One without a call id is answered in another way."""
    call_id, kind = text_of(item, "call_id"), get(item, "type")
    if call_id is None or not asks_for_tool(item):
        return None
    if kind == "function_call":
        name = text_of(item, "name")
        return None if name is None else AskedCall(call_id, name, get(item, "arguments"))
    if kind == "custom_tool_call":
        name = text_of(item, "name")
        return None if name is None else AskedCall(call_id, name, get(item, "input"), 0, True)
    # Tools of OpenAI's own make: whatever executes them has another name.
    return AskedCall(call_id, kind.removesuffix("_call"), None)
