"""``with_raw_response`` and ``with_streaming_response``: the body is the caller's, untouched and unread by us."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from tests.no_harm import _answers as answers
from tests.no_harm import _streams
from tests.no_harm._answers import WORDS, paced_body, sse, whole
from tests.no_harm._compare import Case, Told
from tests.no_harm._describe import describe
from tests.no_harm._stage import END, Stage
from tests.no_harm._streams import ASKED, ASKED_RESPONSES
from tests.no_harm._wire import Cut, Script


@dataclass(frozen=True)
class Endpoint:
    """A method that gives a whole body: how it is reached, and what it answers."""

    name: str
    resource: Callable[[Any], Any]
    arguments: dict[str, Any]
    answer: dict[str, Any]
    told: str | None
    words: bool = True

    @property
    def body(self) -> bytes:
        """What the server sends."""
        return json.dumps(self.answer).encode()


ENDPOINTS = (
    Endpoint("chat", lambda client: client.chat.completions, ASKED, answers.CHAT, "chat"),
    Endpoint("responses", lambda client: client.responses, ASKED_RESPONSES, answers.response(), "chat"),
    Endpoint(
        "embeddings", lambda client: client.embeddings, {"model": "m", "input": "a"}, answers.EMBEDDINGS, "embeddings",
        False,
    ),
    Endpoint(
        "completions", lambda client: client.completions, {"model": "m", "prompt": "a"}, answers.COMPLETION, None, False
    ),
)  # fmt: skip
RAW: list[tuple[Any, Callable[[Endpoint], Script], str | None, bool]] = []
STREAMS: list[tuple[Any, Callable[[_streams.Kind], Script], Told]] = []
Program = Callable[[Stage, Any], Coroutine[Any, Any, None]]


def at_once(one: Endpoint) -> Script:
    """The whole answer."""
    return whole(one.answer)


def when_wanted(one: Endpoint) -> Script:
    """The body when the application reads it."""
    return paced_body(one.body)


def body(
    script: Callable[[Endpoint], Script], end: str | None = None, seen: bool = True
) -> Callable[[Program], Program]:
    """Put a way to take a whole body into the table; ``seen``: the SDK parsed it, so that we can know what it says."""

    def add(function: Program) -> Program:
        RAW.append((function, script, end, seen))
        return function

    return add


def streamed(script: Callable[[_streams.Kind], Script], told: Told) -> Callable[[Program], Program]:
    """Put a way to take a stream into the table."""

    def add(function: Program) -> Program:
        STREAMS.append((function, script, told))
        return function

    return add


def show(stage: Stage, response: Any) -> None:
    """What can be seen of a raw response without reading."""
    stage.look(response)
    rows = sorted((key, one) for key, one in response.headers.items())
    stage.mark("head", response.status_code, rows, response.request_id, response.retries_taken, response.is_closed)
    stage.mark("http", describe(response.http_response), response.method, str(response.url))


@body(at_once)
async def raw_parsed(stage: Stage, one: Endpoint) -> None:
    """``with_raw_response``: head, text, object; the same object twice."""
    create = one.resource(stage.client()).with_raw_response.create
    response = await stage.call(create, **one.arguments)
    show(stage, response)
    stage.mark("text", await stage.get(response.text() if callable(response.text) else response.text))
    parsed = await stage.get(response.parse())
    stage.see("parsed", parsed)
    stage.mark("again", await stage.get(response.parse()) is parsed)
    await stage.settle()


@body(at_once)
async def raw_unparsed(stage: Stage, one: Endpoint) -> None:
    """``with_raw_response``: nobody asks for the object."""
    create = one.resource(stage.client()).with_raw_response.create
    response = await stage.call(create, **one.arguments)
    stage.mark("content", describe(response.http_response.content))
    await stage.settle()


async def enter(stage: Stage, one: Any, *, wanted: bool = True, **more: Any) -> tuple[Any, Any]:
    """The manager of a streaming response, and the response; ``wanted``: the body may come."""
    manager = one.resource(stage.client()).with_streaming_response.create(**one.arguments, **more)
    stage.look(manager)
    response = await stage.enter(manager)
    show(stage, response)
    if wanted:
        stage.session.say("want body")
    return manager, response


@body(when_wanted)
async def streaming_parsed(stage: Stage, one: Endpoint) -> None:
    """The body is read when the caller parses it."""
    manager, response = await enter(stage, one)
    stage.see("parsed", await stage.get(response.parse()))
    await stage.leave(manager)
    await stage.settle()


@body(when_wanted)
async def streaming_read(stage: Stage, one: Endpoint) -> None:
    """``read()``, ``text()``, ``json()``."""
    manager, response = await enter(stage, one)
    stage.mark("read", await stage.get(response.read()))
    stage.mark("text", await stage.get(response.text()), describe(await stage.get(response.json())))
    await stage.leave(manager)
    await stage.settle()


@body(when_wanted, seen=False)
async def streaming_bytes(stage: Stage, one: Endpoint) -> None:
    """The caller takes the bytes himself, as they come."""
    manager, response = await enter(stage, one)
    reader, taken = stage.reader(response.iter_bytes()), b""
    while (data := await stage.next(reader)) is not END:
        taken += data
    stage.mark("bytes", taken)
    await stage.leave(manager)
    await stage.settle()


@body(when_wanted, seen=False)
async def streaming_text(stage: Stage, one: Endpoint) -> None:
    """The caller takes lines."""
    manager, response = await enter(stage, one)
    reader = stage.reader(response.iter_lines())
    while (line := await stage.next(reader)) is not END:
        stage.mark("line", line)
    await stage.leave(manager)
    await stage.settle()


@body(when_wanted, end="closed", seen=False)
async def streaming_left(stage: Stage, one: Endpoint) -> None:
    """The caller looks at the head only; nobody reads the body."""
    manager, _ = await enter(stage, one, wanted=False)
    await stage.leave(manager)
    await stage.settle()


@body(when_wanted, end="closed", seen=False)
async def streaming_closed_and_read(stage: Stage, one: Endpoint) -> None:
    """Reading after ``close()`` raises what it raises."""
    manager, response = await enter(stage, one, wanted=False)
    await stage.close(response)
    await stage.settle()
    try:
        await stage.get(response.read())
    finally:
        await stage.leave(manager)


@body(lambda one: (*paced_body(one.body)[:3], Cut()), seen=False)
async def streaming_cut(stage: Stage, one: Endpoint) -> None:
    """The body breaks in the middle: what the caller gets, and that the call has failed."""
    manager, response = await enter(stage, one)
    try:
        await stage.get(response.read())
    finally:
        await stage.leave(manager)


@body(when_wanted, end="closed", seen=False)
async def streaming_bytes_left(stage: Stage, one: Endpoint) -> None:
    """The caller takes two pieces, and leaves."""
    manager, response = await enter(stage, one)
    reader = stage.reader(response.iter_bytes(8))
    for _ in range(2):
        stage.mark("piece", await stage.next(reader))
    await stage.leave(manager)
    await stage.settle()


@body(lambda one: (*paced_body(one.body)[:3], Cut()), seen=False)
async def streaming_bytes_cut(stage: Stage, one: Endpoint) -> None:
    """The body breaks in the middle, and the caller takes it in pieces."""
    manager, response = await enter(stage, one)
    reader = stage.reader(response.iter_bytes())
    try:
        while (piece := await stage.next(reader)) is not END:
            stage.mark("piece", piece)
    finally:
        await stage.leave(manager)


# Streams below raw and streaming responses.


async def parsed(stage: Stage, response: Any) -> Any:
    """The stream of a raw response; a second ``parse()`` gives what it gives."""
    stream = await stage.get(response.parse())
    stage.look(stream)
    stage.mark("same", await stage.get(response.parse()) is stream)
    return stream


@streamed(_streams.paced, Told(kept=WORDS))
async def raw_stream(stage: Stage, kind: Any) -> None:
    """As LangChain and LiteLLM do it."""
    response = await stage.call(kind.resource(stage.client()).with_raw_response.create, **kind.arguments, stream=True)
    show(stage, response)
    await stage.read(await parsed(stage, response), 99)
    await stage.settle()


@streamed(_streams.paced, Told(end="closed", kept=WORDS[:2], missing=WORDS[2:]))
async def raw_stream_closed(stage: Stage, kind: Any) -> None:
    """Left after two words."""
    response = await stage.call(kind.resource(stage.client()).with_raw_response.create, **kind.arguments, stream=True)
    stream = await parsed(stage, response)
    await stage.read(stream, kind.some)
    await stage.close(stream)
    await stage.settle()


@streamed(_streams.paced, Told(end="dropped", kept=WORDS[:2], missing=WORDS[2:]))
async def raw_stream_dropped(stage: Stage, kind: Any) -> None:
    """Forgotten after two words."""
    response = await stage.call(kind.resource(stage.client()).with_raw_response.create, **kind.arguments, stream=True)
    stream = await parsed(stage, response)
    await stage.read(stream, kind.some)
    del stream, response
    await stage.collect()


@streamed(_streams.paced, Told(end="dropped", missing=WORDS))
async def raw_stream_unparsed(stage: Stage, kind: Any) -> None:
    """Nobody asks for the stream."""
    response = await stage.call(kind.resource(stage.client()).with_raw_response.create, **kind.arguments, stream=True)
    show(stage, response)
    del response
    await stage.collect()


@streamed(_streams.breaking("cut"), Told(error="raised", kept=WORDS[:2], missing=WORDS[2:]))
async def raw_stream_cut(stage: Stage, kind: Any) -> None:
    """The connection ends."""
    response = await stage.call(kind.resource(stage.client()).with_raw_response.create, **kind.arguments, stream=True)
    await stage.read(await parsed(stage, response), 99)


@streamed(_streams.paced, Told(kept=WORDS))
async def streaming_stream(stage: Stage, kind: Any) -> None:
    """The stream of a streaming response."""
    manager, response = await enter(stage, kind, stream=True)
    await stage.read(await parsed(stage, response), 99)
    await stage.leave(manager)
    await stage.settle()


@streamed(_streams.paced, Told(end="closed", kept=WORDS[:2], missing=WORDS[2:]))
async def streaming_stream_left(stage: Stage, kind: Any) -> None:
    """The block is left after two words."""
    manager, response = await enter(stage, kind, stream=True)
    await stage.read(await parsed(stage, response), kind.some)
    await stage.leave(manager)
    await stage.settle()


@streamed(lambda kind: sse(kind.events, paced=False), Told(missing=WORDS))
async def streaming_stream_as_lines(stage: Stage, kind: Any) -> None:
    """The caller takes the lines of the events himself."""
    manager, response = await enter(stage, kind, stream=True)
    reader = stage.reader(response.iter_lines())
    while (line := await stage.next(reader)) is not END:
        stage.mark("line", line)
    await stage.leave(manager)
    await stage.settle()


@dataclass(frozen=True)
class Stream:
    """A streaming method, reached by its resource."""

    name: str
    resource: Callable[[Any], Any]
    arguments: dict[str, Any]
    events: list[bytes]
    some: int


RESOURCES = (
    Stream("chat", lambda client: client.chat.completions, ASKED, answers.CHAT_EVENTS, 2),
    Stream("responses", lambda client: client.responses, ASKED_RESPONSES, answers.response_events(), 5),
)


def _body_case(one: Endpoint, function: Any, script: Any, end: str | None, seen: bool) -> Case:
    async def program(stage: Stage) -> None:
        await function(stage, one)

    failed = "raised" if function in (streaming_cut, streaming_bytes_cut) else None
    told = Told(one.told, failed, end, WORDS if seen and one.words else (), () if seen else WORDS)
    return Case(f"{one.name}: {function.__name__}", program, (script(one),), (told,))


def _stream_case(one: Stream, function: Any, script: Any, told: Told) -> Case:
    async def program(stage: Stage) -> None:
        await function(stage, one)

    return Case(f"{one.name}: {function.__name__}", program, (script(one),), (told,))


CASES = [_body_case(one, *rest) for one in ENDPOINTS for rest in RAW]
CASES += [_stream_case(one, *rest) for one in RESOURCES for rest in STREAMS]
