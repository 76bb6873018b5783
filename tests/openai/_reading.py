"""Calls to read onto, and payloads with one thing wrong in them."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any
from weakref import WeakKeyDictionary

from spanloom.genai import Embeddings, FetchResponse, Inference, Peer, Telemetry, json_text
from spanloom.semconv import GenAI
from tests._support.message_rules import span_content_problems
from tests._support.spans import Recorder
from tests.genai._make import telemetry

PEER = Peer("openai", "api.openai.com", 443)
# What a server may send, or a caller give, where something else belongs.
ODD: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    2.5,
    10**30,
    "",
    "x",
    "data:image/png;base64,%%%",
    b"raw",
    [],
    [None],
    [[[]]],
    ["x", 1, {}],
    {},
    {"type": "x"},
    {"id": {}, "type": []},
    SimpleNamespace(),
)


_telemetry: WeakKeyDictionary[Recorder, Telemetry] = WeakKeyDictionary()


def _of(recorder: Recorder) -> Telemetry:
    """One for all calls of a test: making it takes longer than many calls."""
    if recorder not in _telemetry:
        _telemetry[recorder] = telemetry(recorder)
    return _telemetry[recorder]


def chat(recorder: Recorder) -> Inference:
    """A chat call that has started."""
    return Inference(_of(recorder), "chat", "m", PEER)


def embeddings(recorder: Recorder) -> Embeddings:
    """An embeddings call that has started."""
    return Embeddings(_of(recorder), "m", PEER)


def fetch(recorder: Recorder) -> FetchResponse:
    """A stored response that is being fetched."""
    return FetchResponse(_of(recorder), "resp_1", PEER)


def given(call: Any, name: str = GenAI.INPUT_MESSAGES) -> Any:
    """What the call would write of its input."""
    return _checked(call.input_content, name)


def made(call: Any, name: str = GenAI.OUTPUT_MESSAGES) -> Any:
    """What the call would write of its output."""
    return _checked(call.output_content, name)


def _checked(content: Any, name: str) -> Any:
    """One content attribute as JSON gives it back; valid against its schema."""
    if name not in content:
        return None
    text = json_text(content[name]())
    value = json.loads(text)
    if value is not None:
        assert not list(span_content_problems({name: text}))
    return value


def parts(call: Any) -> list[dict[str, Any]]:
    """The parts of the one message of an answer."""
    (message,) = made(call)
    assert message["role"] == "assistant"
    return message["parts"]


def check_all(call: Any) -> None:
    """Every content attribute can be made, and is what its schema asks for."""
    for name, build in {**call.input_content, **call.output_content}.items():
        value = json.loads(json_text(build()))
        if name in (GenAI.INPUT_MESSAGES, GenAI.OUTPUT_MESSAGES):
            check_messages(value)
        elif value is not None and name in (GenAI.SYSTEM_INSTRUCTIONS, GenAI.TOOL_DEFINITIONS):
            assert all(isinstance(one["type"], str) for one in value)


# What the schemas ask of each kind; checking with them takes a hundred times as long.
_ASKED = {
    "text": {"content": str},
    "reasoning": {"content": str},
    "tool_call": {"name": str, "arguments": object},
    "tool_call_response": {"response": object},
    "server_tool_call": {"name": str, "server_tool_call": dict},
    "server_tool_call_response": {"server_tool_call_response": dict},
    "blob": {"modality": str, "content": str, "sha256": str},
    "file": {"modality": str, "file_id": str},
    "uri": {"modality": str, "uri": str},
}


def check_messages(messages: Any) -> None:
    """Roles are texts, parts have what their kind needs, ids are texts or nothing."""
    for message in messages or ():
        assert isinstance(message["role"], str)
        for part in message["parts"]:
            assert isinstance(part.get("id"), (str, type(None)))
            for key, kind in _ASKED.get(part["type"], {}).items():
                assert isinstance(part[key], kind), part


def wrong(payload: Any) -> Iterator[Any]:
    """Copies of the payload, each with one value that is odd, or missing."""
    for path in list(_paths(payload, ())):
        for odd in ODD:
            yield _with(payload, path, lambda holder, key, odd=odd: holder.__setitem__(key, odd))
        yield _with(payload, path, lambda holder, key: holder.__delitem__(key))


def wrong_streams(events: list[Any], form: Callable[[list[Any]], list[Any]]) -> Iterator[list[Any]]:
    """The stream, each time with one event that has one thing wrong."""
    good = form(events)
    for place, event in enumerate(events):
        for odd in wrong(event):
            yield [*good[:place], *form([odd]), *good[place + 1 :]]
    for odd in ODD:
        yield [odd, *good]


def _paths(value: Any, path: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield (*path, key)
        yield from _paths(item, (*path, key))


def _with(payload: Any, path: tuple[Any, ...], change: Callable[[Any, Any], None]) -> Any:
    changed = holder = copy.deepcopy(payload)
    for key in path[:-1]:
        holder = holder[key]
    change(holder, path[-1])
    return changed
