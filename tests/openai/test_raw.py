"""Raw and streaming responses: the body is the caller's, read by nobody else, and the span ends with it."""

from __future__ import annotations

import asyncio
import gc
import json
import pickle

import openai
import pytest

from spanloom.openai import _raw
from tests._support.spans import eventually, stream_end
from tests.openai import _canned
from tests.openai._canned import Wire, client
from tests.openai._http import http

ASKED = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hi"}]}


class Body:
    """A body that is sent piece by piece, and knows what was taken."""

    def __init__(self, data, pieces=4):
        size = max(1, len(data) // pieces)
        self.left = [data[place : place + size] for place in range(0, len(data), size)]
        self.taken = 0

    def __iter__(self):
        while self.left:
            self.taken += 1
            yield self.left.pop(0)


class AsyncBody:
    """The same for an asynchronous client."""

    def __init__(self, data):
        self.data = data

    async def __aiter__(self):
        for piece in Body(self.data):
            yield piece


def answering(body, kind="application/json"):
    """A client that is sent this body."""
    return client(Wire(lambda _: http.Response(200, headers={"content-type": kind}, content=body)))


def whole():
    """A chat completion as a lazy body."""
    return Body(json.dumps(_canned.chat()).encode())


def test_nothing_is_read_before_the_caller_reads(plugin, recorder):
    """Not a byte; and then each byte once."""
    body = whole()
    with answering(body).chat.completions.with_streaming_response.create(**ASKED) as response:
        assert body.taken == 0
        pieces = iter(response.iter_bytes())
        next(pieces)
        assert body.taken == 1
        assert not recorder.spans
        list(pieces)
        assert len(recorder.spans) == 1
    assert "gen_ai.usage.input_tokens" not in recorder.span.attributes


@pytest.mark.parametrize("how", ["read", "json", "text", "parse"])
def test_a_body_that_is_read_as_a_whole_is_looked_at(how, plugin, recorder):
    """By each of the methods that do."""
    with answering(whole()).chat.completions.with_streaming_response.create(**ASKED) as response:
        assert getattr(response, how)()
        assert len(recorder.spans) == 1
    assert recorder.span.attributes["gen_ai.usage.output_tokens"] == 2


@pytest.mark.asyncio
@pytest.mark.parametrize("how", ["read", "json", "text", "parse"])
async def test_an_asynchronous_body(how, plugin, recorder):
    """The same."""
    body = AsyncBody(json.dumps(_canned.chat()).encode())
    wire = Wire(lambda _: http.Response(200, headers={"content-type": "application/json"}, content=body))
    chat = client(wire, openai.AsyncOpenAI).chat.completions
    async with chat.with_streaming_response.create(**ASKED) as response:
        assert await getattr(response, how)()
        assert len(recorder.spans) == 1
    assert recorder.span.attributes["gen_ai.usage.output_tokens"] == 2


def test_a_body_that_nobody_reads(plugin, recorder):
    """The block's end closes it."""
    body = whole()
    with answering(body).chat.completions.with_streaming_response.create(**ASKED) as response:
        assert response.headers["content-type"] == "application/json"
    assert body.taken == 0
    assert recorder.span.status.status_code.name == "UNSET"


@pytest.mark.parametrize("how", ["iter_lines", "iter_bytes", "iter_text"])
@pytest.mark.parametrize("end", [None, "closed"])
def test_a_body_in_lines_or_bytes(how, end, plugin, recorder):
    """Read to its end, or left."""
    body = Body(b"one\ntwo\nthree\nfour\n")
    with answering(body).chat.completions.with_streaming_response.create(**ASKED) as response:
        for _ in getattr(response, how)():
            if end == "closed":
                break
        # httpx2 closes the response with the loop, httpx with the block.
        assert recorder.spans or end
    assert (recorder.span.status.status_code.name, stream_end(recorder.span)) == ("UNSET", end)


@pytest.mark.parametrize("how", ["iter_lines", "iter_bytes", "iter_text"])
def test_a_body_that_breaks_between_lines(how, plugin, recorder):
    """The caller gets the very exception, and the call failed."""

    def broken():
        yield b"one\ntwo\n"
        raise http.ReadError("cut")

    streaming = answering(broken()).chat.completions.with_streaming_response
    with streaming.create(**ASKED) as response, pytest.raises(http.ReadError, match="cut"):
        list(getattr(response, how)())
    assert recorder.span.status.status_code.name == "ERROR"
    assert recorder.span.attributes["error.type"].endswith("ReadError")


@pytest.mark.asyncio
async def test_a_reader_of_lines_who_is_cancelled(plugin, recorder):
    """In the loop's body, between two lines."""
    body = AsyncBody(b"one\ntwo\nthree\nfour\n")
    wire = Wire(lambda _: http.Response(200, headers={"content-type": "text/plain"}, content=body))
    chat = client(wire, openai.AsyncOpenAI).chat.completions
    came = asyncio.Event()

    async def read():
        async with chat.with_streaming_response.create(**ASKED) as response:
            async for _ in response.iter_lines():
                came.set()
                await asyncio.sleep(60)

    task = asyncio.create_task(read())
    await came.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (recorder.span.status.status_code.name, stream_end(recorder.span)) == ("ERROR", "cancelled")


def test_a_response_in_mid_stream_is_pickled(plugin, recorder):
    """As it is without us, and whoever reads the copy ends nothing."""
    stream = answering(_canned.sse(_canned.chunk("a"), _canned.chunk("b")), "text/event-stream")
    with stream.chat.completions.create(**ASKED, stream=True) as chunks:
        next(chunks)
        again = pickle.loads(pickle.dumps(chunks.response))
        assert (again.status_code, again.close.__self__) == (200, again)
        assert not recorder.spans
    assert stream_end(recorder.span) == "closed"


def test_a_body_that_breaks(plugin, recorder):
    """The caller gets the very exception."""

    def broken():
        yield b"{"
        raise http.ReadError("cut")

    streaming = answering(broken()).chat.completions.with_streaming_response
    with streaming.create(**ASKED) as response, pytest.raises(http.ReadError, match="cut"):
        response.read()
    assert recorder.span.status.status_code.name == "ERROR"
    assert recorder.span.attributes["error.type"].endswith("ReadError")


def test_a_response_that_is_dropped(plugin, recorder):
    """Never closed, never read."""
    manager = answering(whole()).chat.completions.with_streaming_response.create(**ASKED)
    response = manager.__enter__()
    del response, manager
    gc.collect()
    eventually(lambda: recorder.spans)
    assert stream_end(recorder.span) == "dropped"


def test_parse_twice(plugin, recorder):
    """One stream, one span; a second parse gives the same one."""
    body = _canned.sse(_canned.chunk("a"), _canned.chunk("b"))
    raw = answering(body, "text/event-stream").chat.completions.with_raw_response.create(**ASKED, stream=True)
    first, second = raw.parse(), raw.parse()
    assert first is second
    assert len(list(first)) == 2
    assert recorder.span.attributes["spanloom.stream.chunks"] == 2


def test_nothing_of_ours_stays_on_a_finished_response(plugin):
    """Its methods are its own again."""
    raw = answering(whole()).chat.completions.with_raw_response.create(**ASKED)
    assert not {"parse", "close", "read"} & set(vars(raw)) | {"close", "read"} & set(vars(raw.http_response))
    with answering(whole()).chat.completions.with_streaming_response.create(**ASKED) as response:
        response.read()
        assert not {"parse"} & set(vars(response)) | {"close", "read"} & set(vars(response.http_response))


@pytest.mark.parametrize("body", [b"oops", b"", b"[]", b"3", b'"text"', b"null", b"\xff\xfe", b'{"usage": 7}'])
def test_a_body_that_is_no_answer(body, plugin, recorder):
    """It tells nothing, and the caller gets it."""
    raw = answering(body).chat.completions.with_raw_response.create(**ASKED)
    assert raw.content == body
    assert recorder.span.status.status_code.name == "UNSET"
    assert "gen_ai.usage.input_tokens" not in recorder.span.attributes


# Vectors are not parsed.


def vectors(count, **more):
    """A large answer."""
    data = [{"object": "embedding", "index": place, "embedding": "AAAA" * 1000} for place in range(count)]
    return {**_canned.EMBEDDED, "data": data, **more}


def test_a_large_body_is_not_parsed(plugin, recorder, monkeypatch):
    """The few fields are picked out of it."""
    monkeypatch.setattr(_raw, "_parsed", lambda body: pytest.fail("parsed"))
    with client(Wire(vectors(20))) as one:
        one.embeddings.with_raw_response.create(model="text-embedding-3-small", input="Hi")
    assert recorder.span.attributes["gen_ai.usage.input_tokens"] == 2
    assert recorder.span.attributes["gen_ai.response.model"] == "text-embedding-3-small"


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ('{"data": [1], "model": "m", "usage": {"prompt_tokens": 3}}', {"model": "m", "usage": {"prompt_tokens": 3}}),
        ('{ "usage" : {"prompt_tokens": 3} , "data": [1] }', {"usage": {"prompt_tokens": 3}}),
        ('{"data": [1], "model": "m\\n"', {"model": "m\n"}),
        ('{"data": [1], "model": ', None),
        ('{"data": [1], "model": oops}', None),
        ('{"data": [1]}', None),
        ("", None),
    ],
)
def test_fields_of_a_long_body(body, found):
    """Whatever stands around them; nothing where they are cut."""
    assert _raw._some_fields(body.encode()) == found
