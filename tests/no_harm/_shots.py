"""One shot of the fuzzer: a call, an answer with some changes made to it, and what the application saw."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

from tests.no_harm import _answers as answers
from tests.no_harm import _mutate as mutate
from tests.no_harm._calls import TALK, TOOLS, River
from tests.no_harm._streams import ASKED_RESPONSES, MODEL

# More than the plain answers have: every kind of part and item that can be read.
_LOUD = copy.deepcopy(answers.CHAT)
_LOUD["choices"][0]["message"] |= {
    "reasoning_content": "hm",
    "audio": {"id": "audio_1", "data": "aGk=", "expires_at": 1, "transcript": "hi"},
    "function_call": {"name": "f", "arguments": "{}"},
}
_LOUD["choices"][0]["logprobs"] = {"content": [{"token": "a", "logprob": -0.1, "top_logprobs": []}], "refusal": None}
_ITEMS = [
    {"type": "file_search_call", "id": "fs", "queries": ["q"], "status": "completed", "results": None},
    {
        "type": "code_interpreter_call",
        "id": "ci",
        "code": "1",
        "container_id": "c",
        "outputs": [],
        "status": "completed",
    },
    {"type": "mcp_call", "id": "m", "name": "f", "server_label": "s", "arguments": "{}", "output": "o"},
    {"type": "image_generation_call", "id": "ig", "result": "aGk=", "status": "completed"},
    {"type": "custom_tool_call", "call_id": "c", "name": "f", "input": "x"},
    {"type": "something_new", "value": 1},
]
_RESPONSE = answers.response()
_RESPONSE["output"] = [*_RESPONSE["output"], *_ITEMS]
_PIECES = [
    {"role": "assistant", "content": "", "reasoning_content": "hm"},
    {"tool_calls": [{"index": 0, "id": "call_1", "type": "function", "function": {"name": "f", "arguments": ""}}]},
    {"tool_calls": [{"index": 0, "function": {"arguments": '{"a":'}}, {"index": 1, "function": {"arguments": "1"}}]},
    {"refusal": "no"},
]


def _events(rows: list[bytes]) -> list[Any]:
    """Events back as values: the data of each."""
    every = [one.decode().rpartition("data: ")[2].strip() for one in rows]
    return [one if one == "[DONE]" else json.loads(one) for one in every]


_CHUNKS = _events(answers.CHAT_EVENTS)
_CHUNKS[2:2] = [{**_CHUNKS[0], "choices": [{"index": 0, "delta": one, "finish_reason": None}]} for one in _PIECES]
_RESPONSE_ROWS = _events(answers.response_events())
_EMBEDDED = {"model": "m", "input": ["a", "b"], "encoding_format": "float"}
# What is asked where only the answer is odd: the SDK takes long to look through the rest.
_SLIM = {"messages": TALK[:1], "input": "Hi", "tools": None, "n": None, "stop": None}
_CHAT = {"model": MODEL, "messages": TALK, "tools": TOOLS, "temperature": 0.5, "stop": ["a"], "n": 2, "seed": 3}
# Tools that are not strict cannot be parsed: the SDK would refuse every call.
_UNTOOLED = {name: value for name, value in _CHAT.items() if name != "tools"}
_ASKED = {
    **ASKED_RESPONSES,
    "instructions": "Be brief.",
    "input": [
        {"role": "user", "content": [{"type": "input_text", "text": "Hi"}]},
        {"type": "item_reference", "id": "i"},
    ],
    "tools": [{"type": "function", "name": "f", "parameters": {}}, {"type": "web_search_preview"}],
    "reasoning": {"effort": "low"},
}
_UNTOOLED_ASKED = {name: value for name, value in _ASKED.items() if name != "tools"}


@dataclass(frozen=True)
class Gun:
    """A call that is shot at: where it is, how it is taken, its arguments, and the sensible answer (or events)."""

    path: str
    method: str
    taken: str
    arguments: dict[str, Any]
    answer: Any

    @property
    def streams(self) -> bool:
        """Whether the answer is a list of events."""
        return isinstance(self.answer, list)


_PLAIN = ("plain", "raw", "streaming read", "streaming parse", "streaming lines")
_STREAM = ("stream", "some", "raw stream", "streaming lines", "streaming parse stream")
GUNS = (
    *(Gun("chat.completions", "create", taken, _CHAT, _LOUD) for taken in _PLAIN),
    *(Gun("chat.completions", "create", taken, _CHAT, answers.CHAT_TOOLS) for taken in _PLAIN[:2]),
    *(Gun("chat.completions", "create", taken, {**_CHAT, "stream": True}, _CHUNKS) for taken in _STREAM),
    Gun("chat.completions", "parse", "plain", {**_UNTOOLED, "response_format": River}, answers.CHAT_JSON),
    Gun("chat.completions", "stream", "manager", _UNTOOLED, _CHUNKS),
    *(Gun("responses", "create", taken, _ASKED, _RESPONSE) for taken in _PLAIN),
    *(Gun("responses", "create", taken, {**_ASKED, "stream": True}, _RESPONSE_ROWS) for taken in _STREAM),
    Gun("responses", "create", "plain", _ASKED, answers.FAILED),
    Gun("responses", "parse", "plain", {**_UNTOOLED_ASKED, "text_format": River}, answers.RESPONSE_JSON),
    Gun("responses", "stream", "manager", _UNTOOLED_ASKED, _RESPONSE_ROWS),
    Gun("responses", "retrieve", "plain", {"response_id": "resp_1"}, _RESPONSE),
    *(Gun("embeddings", "create", taken, _EMBEDDED, answers.EMBEDDINGS) for taken in _PLAIN[:3]),
)


@dataclass(frozen=True)
class Shot:
    """One call and its answer, made from a seed and a number."""

    gun: Gun
    asynchronous: bool
    arguments: dict[str, Any]
    status: int
    headers: list[tuple[str, str]]
    body: list[bytes]
    # What the network does: nothing, no connection, or an end in the middle.
    network: str
    changes: tuple[str, ...]

    @property
    def hostile(self) -> bool:
        """Whether an object of the application fails us: then a fault is caught, and logged."""
        return any("awkwardly" in one for one in self.changes)


@dataclass
class _Draft:
    """What the changes are made to."""

    arguments: dict[str, Any]
    answer: Any
    status: int
    headers: dict[str, str]
    network: str
    hurt: list[Callable[[bytes], bytes]]


def make(seed: int, number: int, without: frozenset[int] = frozenset()) -> Shot:
    """The shot of this number; ``without`` leaves some of its changes away, to find the one that matters."""
    random = Random(f"{seed}/{number}")
    gun = random.choice(GUNS)
    asynchronous = random.random() < 0.2
    kind = "text/event-stream" if gun.streams else "application/json"
    headers = {"content-type": kind, "x-request-id": "req_1", "openai-processing-ms": "12"}
    steps = [(place, Random(f"{seed}/{number}/{place}")) for place in range(random.choice((1, 1, 1, 2, 2, 3, 6)))]
    taken = [(place, own, own.choice(_STEPS)) for place, own in steps]
    asked = any(step in (_ask, _ask_awkwardly) for _, _, step in taken)
    draft = _Draft(_arguments(gun, asked), copy.deepcopy(gun.answer), 200, headers, "fine", [])
    made: list[str] = []
    for place, own, step in taken:
        if place not in without:
            step(own, draft)
            made.append(f"{place}: {step.__name__.strip('_')}")
    body = _body(random, draft, gun.streams)
    return Shot(
        gun, asynchronous, draft.arguments, draft.status, list(draft.headers.items()), body, draft.network, tuple(made)
    )


def _arguments(gun: Gun, whole: bool) -> dict[str, Any]:
    if whole:
        return copy.deepcopy(gun.arguments)
    every = {
        name: _SLIM.get(name, value) if gun.path != "embeddings" else value for name, value in gun.arguments.items()
    }
    return {name: value for name, value in every.items() if value is not None}


def _body(random: Random, draft: _Draft, streams: bool) -> list[bytes]:
    if streams and isinstance(draft.answer, list):
        body = b"".join(_written(random, one) for one in draft.answer)
    else:
        body = mutate.written(random, draft.answer)
    for hurt in draft.hurt:
        body = hurt(body)
    return mutate.pieces(random, body)


def _written(random: Random, one: Any) -> bytes:
    name = one.get("type") if isinstance(one, dict) else None
    head = f"event: {name}\n".encode("utf-8", "replace") if isinstance(name, str) and "\n" not in name else b""
    said = one.encode("utf-8", "surrogatepass") if isinstance(one, str) else mutate.written(random, one)
    return head + b"data: " + said + b"\n\n"


def _answer(random: Random, draft: _Draft) -> None:
    if isinstance(draft.answer, list) and draft.answer and random.random() < 0.9:
        place = random.randrange(len(draft.answer))
        draft.answer[place] = mutate.change(random, draft.answer[place])
    else:
        draft.answer = mutate.change(random, draft.answer)


def _order(random: Random, draft: _Draft) -> None:
    if isinstance(draft.answer, list):
        draft.answer = mutate.shuffle(random, draft.answer)
    else:
        _answer(random, draft)


def _bytes(random: Random, draft: _Draft) -> None:
    draft.hurt.append(lambda body: mutate.damage(random, body))


def _head(random: Random, draft: _Draft) -> None:
    name = random.choice(
        ("content-type", "x-request-id", "openai-processing-ms", "x-ratelimit-remaining-tokens", "x-odd")
    )
    odd = ("", "-1", "nan", "1e400", "9" * 40, "text/plain", "application/json", "text/event-stream", "\xe9")
    draft.headers[name] = random.choice(odd)


def _status(random: Random, draft: _Draft) -> None:
    draft.status = random.choice((201, 204, 302, 400, 401, 404, 409, 422, 429, 500, 503, 599))


def _network(random: Random, draft: _Draft) -> None:
    draft.network = random.choice(("refused", "cut", "cut"))


def _ask(random: Random, draft: _Draft) -> None:
    draft.arguments = mutate.change(random, draft.arguments)
    if not isinstance(draft.arguments, dict):
        draft.arguments = {}


def _ask_awkwardly(random: Random, draft: _Draft) -> None:
    found = list(mutate.places(draft.arguments))
    if found:
        owner, key = random.choice(found)
        owner[key] = random.choice((mutate.Awkward(), b"bytes", {1, 2}, object, lambda: 1, iter([{"role": "user"}])))


_STEPS = (*[_answer] * 10, *[_order] * 3, *[_bytes] * 2, _head, _status, _network, *[_ask] * 3, _ask_awkwardly)
