"""What a streamed response says, event by event. Events are not kept: pieces are taken, and the event let go.

A finished item becomes parts at once. What an item that never finished had said so far is put together at the end.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from spanloom.genai import FetchResponse, Inference
from spanloom.genai._fields import get, is_index, items_of, text_of
from spanloom.genai._parts import Part
from spanloom.openai import _items
from spanloom.openai._chat_stream import Room
from spanloom.openai._response import (
    Failure,
    failure,
    failure_of,
    read_fetched_end,
    read_head,
    read_responses_end,
    tell_tools,
)
from spanloom.openai._server_tools import count_searches
from spanloom.semconv import Error, FinishReason, GenAI

_MAX_ITEMS: Final = 1024
_MAX_PARTS: Final = 4096

# Kind of event → the field that tells the part within the item, if it may have several.
_DELTAS: Final[dict[str, str]] = {
    "response.output_text.delta": "content_index",
    "response.refusal.delta": "content_index",
    "response.reasoning_text.delta": "content_index",
    "response.reasoning_summary_text.delta": "summary_index",
    "response.function_call_arguments.delta": "",
    "response.custom_tool_call_input.delta": "",
    "response.mcp_call_arguments.delta": "",
    "response.code_interpreter_call_code.delta": "",
}
_NONE: Final[dict[str, str]] = {}
# Place of the item, kind of event, place of the part.
_Key = tuple[Any, str, Any]


class ResponsesRead:
    """Reads the events of one stream for one call. ``seal`` writes what they said, once, at the end."""

    __slots__ = (
        "_begun",
        "_call",
        "_deltas",
        "_failure",
        "_finished",
        "_pieces",
        "_room",
        "_searches",
        "_told",
        "is_over",
    )

    def __init__(self, call: Inference | FetchResponse) -> None:
        self._call = call
        # Without content there is nothing to take from them.
        self._deltas = _DELTAS if call.captures_content else _NONE
        self._room = Room()
        # Items by their place: what they are, until they are finished; then their parts.
        self._begun: dict[int, dict[str, Any]] = {}
        self._finished: dict[int, list[Part]] = {}
        self._pieces: dict[_Key, list[str]] = {}
        # Places of the items that have been told of by an event, where they are to be.
        self._told: set[int] = set()
        # The tools of the searches among them that are billed.
        self._searches: list[str] = []
        self._failure: Failure | None = None
        # True once the server has told the end, read to its last byte or not.
        self.is_over = False

    def take(self, event: Any) -> None:
        """Take what is new in an event. Nearly all are a piece of text."""
        try:
            fields = event.__dict__
            kind = fields["type"]
            part = self._deltas.get(kind)
            if part is not None:
                self._room.add(self._pieces[fields["output_index"], kind, fields.get(part)], fields["delta"])
                return
        except (AttributeError, KeyError, TypeError):
            kind = get(event, "type")
        step = _STEPS.get(kind) if isinstance(kind, str) else None
        if step is not None:
            step(self, event)

    def take_first(self, event: Any) -> None:
        """The first piece of a part, or one of an odd shape."""
        place = get(event, "output_index")
        if not self._deltas or not is_index(place) or len(self._pieces) >= _MAX_PARTS:
            return
        kind = get(event, "type")
        part = get(event, _DELTAS[kind])
        key = place, kind, part if is_index(part) else None
        self._room.add(self._pieces.setdefault(key, []), get(event, "delta"))

    def take_head(self, event: Any) -> None:
        """The response as it is before the end."""
        response = get(event, "response")
        if isinstance(self._call, FetchResponse):
            read_fetched_end(self._call, response)
        else:
            read_head(self._call, response)

    def take_begun(self, event: Any) -> None:
        """What an item will be."""
        place, item = get(event, "output_index"), get(event, "item")
        if self._deltas and is_index(place) and len(self._begun) < _MAX_ITEMS:
            names = ("type", "id", "call_id", "name", "server_label", "container_id")
            self._begun[place] = {name: told for name in names if (told := text_of(item, name)) is not None}

    def take_finished(self, event: Any) -> None:
        """An item as a whole: its pieces are not needed any more."""
        place = get(event, "output_index")
        if not is_index(place):
            return
        self._tell(place, get(event, "item"))
        if not self._deltas or len(self._finished) >= _MAX_ITEMS:
            return
        self._finished[place] = _items.parts_of(get(event, "item"))
        self._begun.pop(place, None)
        for key in [key for key in self._pieces if key[0] == place]:
            del self._pieces[key]

    def take_end(self, event: Any) -> None:
        """The response as it is at its end."""
        self.is_over = True
        response, call = get(event, "response"), self._call
        if isinstance(call, FetchResponse):
            # That the response failed is no failure of fetching it.
            read_fetched_end(call, response)
        else:
            read_responses_end(call, response)
            self._failure = failure_of(response)
        output = items_of(response, "output")
        for place, item in enumerate(output):
            self._tell(place, item)
        if isinstance(call, Inference):
            count_searches(call.usage, self._searches)
        if self._deltas and len(output) > len(self._finished):
            # The stream did not tell all of its items, or was joined late.
            self._finished = {place: _items.parts_of(item) for place, item in enumerate(output[:_MAX_ITEMS])}

    def _tell(self, place: int, item: Any) -> None:
        if place not in self._told and len(self._told) < _MAX_ITEMS:
            self._told.add(place)
            self._searches += tell_tools(self._call, (item,))

    def take_error(self, event: Any) -> None:
        """The server gives up. OpenAI's event is the error itself; others wrap one."""
        self.is_over = True
        error = get(event, "error")
        code, message = text_of(event, "code"), text_of(event, "message")
        told = failure(error) if error is not None else failure({"code": code, "message": message})
        self._failure = told or (Error.OTHER, None)

    def seal(self, whole: bool) -> Failure | None:
        """Write what was read. Gives the failure that the server told of, which no exception will tell."""
        del whole
        call = self._call
        if call.finish_reasons is None and isinstance(call, Inference):
            # As the conventions have it for an end that never came.
            call.finish_reasons = [FinishReason.ERROR]
        if self._finished or self._pieces:
            call.output_content = {GenAI.OUTPUT_MESSAGES: self._messages}
        return self._failure

    def _messages(self) -> list[dict[str, Any]] | None:
        found = dict(self._finished)
        for place in {key[0] for key in self._pieces} - found.keys():
            found[place] = _items.parts_of(self._unfinished(place))
        parts = [part for place in sorted(found) for part in found[place]] + self._room.mark()
        return [_items.assistant_message(parts)] if parts else None

    def _unfinished(self, place: int) -> dict[str, Any]:
        """An item as far as it came."""
        item: dict[str, Any] = {}
        for (where, kind, _), pieces in self._pieces.items():
            if where == place and pieces:
                _PUT[kind](item, "".join(pieces))
        return {**item, **self._begun.get(place, {})}


def _put_part(kind: str, field: str, part: str, name: str) -> Callable[[dict[str, Any], str], None]:
    def put(item: dict[str, Any], text: str) -> None:
        item.setdefault("type", kind)
        item.setdefault(field, []).append({"type": part, name: text})

    return put


def _put_text(kind: str, field: str) -> Callable[[dict[str, Any], str], None]:
    def put(item: dict[str, Any], text: str) -> None:
        item.setdefault("type", kind)
        item[field] = text

    return put


_PUT: Final = {
    "response.output_text.delta": _put_part("message", "content", "output_text", "text"),
    "response.refusal.delta": _put_part("message", "content", "refusal", "refusal"),
    "response.reasoning_text.delta": _put_part("reasoning", "content", "reasoning_text", "text"),
    "response.reasoning_summary_text.delta": _put_part("reasoning", "summary", "summary_text", "text"),
    "response.function_call_arguments.delta": _put_text("function_call", "arguments"),
    "response.custom_tool_call_input.delta": _put_text("custom_tool_call", "input"),
    "response.mcp_call_arguments.delta": _put_text("mcp_call", "arguments"),
    "response.code_interpreter_call_code.delta": _put_text("code_interpreter_call", "code"),
}
_STEPS: Final[dict[str, Callable[[ResponsesRead, Any], None]]] = {
    **dict.fromkeys(_DELTAS, ResponsesRead.take_first),
    "response.created": ResponsesRead.take_head,
    "response.queued": ResponsesRead.take_head,
    "response.in_progress": ResponsesRead.take_head,
    "response.output_item.added": ResponsesRead.take_begun,
    "response.output_item.done": ResponsesRead.take_finished,
    "response.completed": ResponsesRead.take_end,
    "response.incomplete": ResponsesRead.take_end,
    "response.failed": ResponsesRead.take_end,
    "response.cancelled": ResponsesRead.take_end,
    "error": ResponsesRead.take_error,
}
