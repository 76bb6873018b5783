"""Short calls over every kind of end, over a transport in this process: what the soak repeats."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import suppress
from typing import Any

import openai

from tests.no_harm import _answers as answers
from tests.no_harm._stage import http
from tests.no_harm._streams import ASKED, ASKED_RESPONSES

_SSE = [("content-type", "text/event-stream")]
_JSON = [("content-type", "application/json")]
_OPTIONS: dict[str, Any] = {"api_key": "sk-1", "base_url": "http://soak.example/v1", "max_retries": 0}
End = Callable[[Any], Coroutine[Any, Any, None]]


class Line:
    """What the transport answers next; one call at a time."""

    def __init__(self) -> None:
        self.status = 200
        self.headers = _JSON
        self.pieces: list[bytes] = []
        self.then = "end"

    def whole(self, body: bytes, status: int = 200) -> None:
        """A whole body."""
        self.status, self.headers, self.pieces, self.then = status, _JSON, [body], "end"

    def stream(self, events: list[bytes], then: str = "end") -> None:
        """Events, and what comes after them."""
        self.status, self.headers, self.pieces, self.then = 200, _SSE, events, then

    def client(self) -> Any:
        """A sync client of this line."""
        return openai.OpenAI(**_OPTIONS, http_client=http.Client(transport=http.MockTransport(self._answer)))

    def aclient(self) -> Any:
        """An async client of this line."""
        transport = http.MockTransport(self._aanswer)
        return openai.AsyncOpenAI(**_OPTIONS, http_client=http.AsyncClient(transport=transport))

    def _answer(self, request: Any) -> Any:
        if self.then == "refuse":
            raise http.ConnectError("refused", request=request)
        return http.Response(self.status, headers=self.headers, content=self._bytes(request))

    async def _aanswer(self, request: Any) -> Any:
        if self.then == "hang":
            await asyncio.sleep(60)
        if self.then == "refuse":
            raise http.ConnectError("refused", request=request)
        return http.Response(self.status, headers=self.headers, content=self._abytes(request))

    def _bytes(self, request: Any) -> Iterator[bytes]:
        pieces, then = self.pieces, self.then
        yield from pieces
        if then == "cut":
            raise http.ReadError("cut", request=request)

    async def _abytes(self, request: Any) -> AsyncIterator[bytes]:
        pieces, then = self.pieces, self.then
        for one in pieces:
            yield one
        if then == "cut":
            raise http.ReadError("cut", request=request)
        if then == "stall":
            await asyncio.sleep(60)


async def got(value: Any) -> Any:
    """What a sync call gave, or what an async one will give."""
    return await value if hasattr(value, "__await__") else value


_OVER = object()


async def some(stream: Any, most: int = 1000) -> None:
    """So many chunks."""
    reader = aiter(stream) if hasattr(stream, "__aiter__") else iter(stream)
    for _ in range(most):
        chunk = await anext(reader, _OVER) if hasattr(reader, "__anext__") else next(reader, _OVER)
        if chunk is _OVER:
            return


def _chat(client: Any, **more: Any) -> Any:
    return client.chat.completions.create(**ASKED, **more)


def _responses(client: Any, **more: Any) -> Any:
    return client.responses.create(**ASKED_RESPONSES, **more)


async def _plain(client: Any, call: Any) -> None:
    await got(call(client))


async def _raised(client: Any, call: Any) -> None:
    with suppress(openai.OpenAIError, ValueError):
        await got(call(client))


async def _raw(client: Any, call: Any) -> None:
    await got((await got(call(client))).parse())


async def _read(client: Any, call: Any) -> None:
    await some(await got(call(client, stream=True)))


async def _read_and_raised(client: Any, call: Any) -> None:
    with suppress(openai.OpenAIError, http.ReadError, ValueError):
        await some(await got(call(client, stream=True)))


async def _closed(client: Any, call: Any) -> None:
    stream = await got(call(client, stream=True))
    await some(stream, 2)
    await got(stream.close())


async def _dropped(client: Any, call: Any) -> None:
    await some(await got(call(client, stream=True)), 2)


async def _never_read(client: Any, call: Any) -> None:
    await got(call(client, stream=True))


async def _fault(client: Any, call: Any) -> None:
    with suppress(LookupError):
        stream = await got(call(client, stream=True))
        try:
            await some(stream, 1)
            raise LookupError("mine")
        finally:
            await got(stream.close())


async def _block(manager: Any, most: int) -> None:
    stream = await manager.__aenter__() if hasattr(manager, "__aenter__") else manager.__enter__()
    await some(stream, most)
    await got(
        manager.__aexit__(None, None, None) if hasattr(manager, "__aexit__") else manager.__exit__(None, None, None)
    )


async def _cancelled(client: Any, call: Any) -> None:
    task = asyncio.create_task(_read(client, call))
    await asyncio.sleep(0.001)
    task.cancel()
    await asyncio.wait([task])


def table(line: Line) -> list[tuple[str, Callable[[], None], End, bool]]:
    """Name, what the line answers, the call, and whether it needs a loop."""
    chat, response = _bytes_of(answers.CHAT), _bytes_of(answers.response(output=[]))
    # Short: the first words, and the end.
    chunks = answers.CHAT_EVENTS[:2] + answers.CHAT_EVENTS[-3:]
    events = answers.response_events()[:4] + answers.response_events()[-1:]
    failing = [answers.event(answers.ERROR_ROW)]
    rows: list[tuple[str, Callable[[], None], End, bool]] = []

    def add(name: str, prepare: Callable[[], None], end: Any, *rest: Any, loop: bool = False) -> None:
        rows.append((name, prepare, lambda client: end(client, *rest), loop))

    for name, call, body, pieces in (("chat", _chat, chat, chunks), ("responses", _responses, response, events)):
        half = pieces[: len(pieces) // 2]
        add(f"{name} plain", lambda body=body: line.whole(body), _plain, call)
        add(f"{name} refused", lambda: line.whole(b'{"error": {"message": "no"}}', 429), _raised, call)
        add(f"{name} garbage", lambda: line.whole(b"{oops"), _raised, call)
        add(f"{name} offline", lambda: line.stream([], "refuse"), _raised, call)
        add(f"{name} read", lambda pieces=pieces: line.stream(pieces), _read, call)
        add(f"{name} closed", lambda pieces=pieces: line.stream(pieces), _closed, call)
        add(f"{name} dropped", lambda pieces=pieces: line.stream(pieces), _dropped, call)
        add(f"{name} never read", lambda pieces=pieces: line.stream(pieces), _never_read, call)
        add(f"{name} fault", lambda pieces=pieces: line.stream(pieces), _fault, call)
        add(f"{name} cut", lambda half=half: line.stream(half, "cut"), _read_and_raised, call)
        add(f"{name} failed", lambda half=half: line.stream(half + failing), _read_and_raised, call)
        add(f"{name} cancelled", lambda half=half: line.stream(half, "stall"), _cancelled, call, loop=True)
        add(f"{name} hung", lambda: line.stream([], "hang"), _cancelled, call, loop=True)
    _add_others(add, line, chat, chunks, events)
    return rows


def _add_others(add: Any, line: Line, chat: bytes, chunks: list[bytes], events: list[bytes]) -> None:
    def raw(client: Any, **more: Any) -> Any:
        return client.chat.completions.with_raw_response.create(**ASKED, **more)

    def embeddings(client: Any) -> Any:
        return client.embeddings.create(model="m", input=["a"], encoding_format="float")

    async def manager(client: Any, most: int) -> None:
        resource = client.chat.completions
        resource = resource if hasattr(resource, "stream") else client.beta.chat.completions
        await _block(resource.stream(**ASKED), most)

    async def responses_manager(client: Any, most: int) -> None:
        await _block(client.responses.stream(**ASKED_RESPONSES), most)

    async def raw_stream(client: Any, most: int) -> None:
        response = await got(raw(client, stream=True))
        await some(await got(response.parse()), most)

    add("raw", lambda: line.whole(chat), _raw, raw)
    add("embeddings", lambda: line.whole(_bytes_of(answers.EMBEDDINGS)), _plain, embeddings)
    add("models", lambda: line.whole(b'{"id": "m"}'), _plain, lambda client: client.models.retrieve("m"))
    for most in (2, 1000):
        add(f"manager {most}", lambda: line.stream(chunks), manager, most)
        add(f"responses manager {most}", lambda: line.stream(events), responses_manager, most)
        add(f"raw stream {most}", lambda: line.stream(chunks), raw_stream, most)


def _bytes_of(value: Any) -> bytes:
    return answers.json.dumps(value).encode()
