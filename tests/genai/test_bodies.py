"""Bodies that the caller reads himself: as a whole, in pieces, or not at all; and what stands in for their methods."""

from __future__ import annotations

import asyncio
import copy
import gc
import inspect
import pickle

import pytest

from spanloom.genai import StreamWatch
from tests._support.spans import eventually
from tests.genai._make import inference, telemetry
from tests.genai.test_stream import Response, run, status


def body_watch(recorder, response, seen, seal=lambda whole: pytest.fail("nothing was followed")):
    """A watch of a response that nobody has read."""
    watch = StreamWatch(inference(telemetry(recorder)), lambda chunk: None, seal)
    watch.watch_body(response, seen.append)
    watch.watch_owner(response)
    return watch


def test_a_body_that_is_read_as_a_whole(recorder):
    """What it says is given on, and closing it on the way is not the end."""
    seen: list = []
    response = Response()
    body_watch(recorder, response, seen)
    assert response.read() == b"body"
    assert seen == [b"body"]
    assert status(recorder) == ("UNSET", None)
    assert not {"read", "aread", "close", "aclose"} & set(vars(response))


def test_an_async_body_that_is_read_as_a_whole(recorder):
    """As the sync one."""
    seen: list = []
    response = Response()
    body_watch(recorder, response, seen)
    assert run(response.aread()) == b"body"
    assert b"body" in seen
    assert status(recorder) == ("UNSET", None)


def test_a_body_that_breaks(recorder):
    """The exception passes, the span is an ERROR."""
    response = Response(ConnectionError())
    body_watch(recorder, response, [])
    with pytest.raises(ConnectionError):
        response.read()
    assert status(recorder) == ("ERROR", None)


def taken(response, count=None, size=1):
    """So many pieces of a body."""
    pieces = response.iter_raw(size)
    return [next(pieces) for _ in range(count)] if count is not None else list(pieces)


def test_a_body_that_is_closed_unread(recorder):
    """Nobody looked at it, and nothing is said of it."""
    response = Response()
    body_watch(recorder, response, [])
    response.close()
    assert status(recorder) == ("UNSET", "closed")


def test_an_async_body_that_is_closed(recorder):
    """The same."""
    response = Response()
    body_watch(recorder, response, [])
    run(response.aclose())
    assert status(recorder) == ("UNSET", "closed")


def test_a_body_that_the_caller_takes_in_pieces(recorder):
    """Read to its end it is complete, with the arguments that he gave; it is closed on the way."""
    response = Response()
    body_watch(recorder, response, [])
    assert taken(response, size=3) == [b"bod", b"y"]
    assert (status(recorder), response.closed) == (("UNSET", None), 1)
    assert not {"read", "iter_raw", "close"} & set(vars(response))


@pytest.mark.parametrize("forgets", [True, False], ids=["forgets", "holds"])
def test_a_body_of_which_some_is_taken(forgets, recorder):
    """Whoever takes no more of it closes the response: then, and not before, it ends."""
    response = Response()
    body_watch(recorder, response, [])
    pieces = response.iter_raw()
    next(pieces)
    if forgets:
        del pieces
    assert not recorder.spans
    response.close()
    assert status(recorder) == ("UNSET", "closed")


def test_a_body_of_which_some_is_taken_and_dropped(recorder):
    """Nor closes it: the collector does."""
    response = Response()
    body_watch(recorder, response, [])
    next(response.iter_raw())
    del response
    gc.collect()
    eventually(lambda: recorder.spans)
    assert status(recorder) == ("UNSET", "dropped")


def test_a_body_that_breaks_between_pieces(recorder):
    """The exception passes, the span is an ERROR."""
    response = Response(b"bo!dy")
    body_watch(recorder, response, [])
    with pytest.raises(ConnectionError):
        taken(response)
    assert status(recorder) == ("ERROR", None)
    assert recorder.span.attributes["error.type"] == "ConnectionError"


def test_an_async_body_in_pieces(recorder):
    """To its end."""

    async def program():
        response = Response()
        body_watch(recorder, response, [])
        assert [piece async for piece in response.aiter_raw(2)] == [b"bo", b"dy"]

    run(program())
    assert status(recorder) == ("UNSET", None)


@pytest.mark.parametrize("where", ["waiting", "in the loop"])
def test_an_async_body_whose_reader_is_cancelled(where, recorder):
    """While it waits for a piece, or between two of them: ERROR, and marked."""

    async def read(response, came):
        try:
            async for _ in response.aiter_raw():
                came.set()
                if where == "in the loop":
                    await asyncio.Event().wait()
        finally:
            await response.aclose()

    async def program():
        response, came = Response(b"b?"), asyncio.Event()
        body_watch(recorder, response, [])
        task = asyncio.create_task(read(response, came))
        await came.wait()
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(program())
    assert status(recorder) == ("ERROR", "cancelled")
    assert recorder.span.attributes["error.type"] == "asyncio.exceptions.CancelledError"


def test_an_async_body_left_early(recorder):
    """A break, and the block's end."""

    async def program():
        response = Response()
        body_watch(recorder, response, [])
        async for _ in response.aiter_raw():
            break
        await response.aclose()

    run(program())
    assert status(recorder) == ("UNSET", "closed")


def test_pieces_that_another_reading_takes_are_its_own(recorder):
    """Reading as a whole takes pieces; so does a stream that is followed."""
    seen: list = []
    response = Response()
    response.read = lambda: b"".join(response.iter_raw())
    body_watch(recorder, response, seen)
    assert response.read() == b"body"
    assert (seen, status(recorder)) == ([b"body"], ("UNSET", None))
    response = Response()
    watch = body_watch(recorder, response, seen, lambda whole: None)
    followed = watch.iterate(response.iter_raw())
    assert next(followed) == b"b"
    assert len(recorder.spans) == 1
    assert len(list(followed)) == 3
    assert len(recorder.spans) == 2


def test_a_watched_response_is_pickled_and_copied_as_what_it_is(recorder):
    """In mid-stream, too: the copy's methods are its own, and its end is nobody's."""
    response = Response()
    body_watch(recorder, response, [])
    next(response.iter_raw())
    pickled = [pickle.loads(pickle.dumps(response, protocol)) for protocol in range(pickle.HIGHEST_PROTOCOL + 1)]
    for one in [*pickled, copy.deepcopy(response)]:
        assert one.close.__self__ is not response
        assert list(one.iter_raw(4)) == [b"body"]
        assert run(collect_raw(one)) == [b"body"]
        assert (one.read(), run(one.aread())) == (b"body", b"body")
        one.close()
        run(one.aclose())
        assert response.closed == 0
        assert one.closed == 8
    assert not recorder.spans
    response.close()
    assert status(recorder) == ("UNSET", "closed")


async def collect_raw(response):
    """All pieces."""
    return [piece async for piece in response.aiter_raw(4)]


def test_the_methods_still_look_like_the_response_s_own(recorder):
    """Callers ask whether one is to be awaited, or gives a generator."""
    bare, response = Response(), Response()
    body_watch(recorder, response, [])
    for name in ("close", "aclose", "read", "aread", "iter_raw", "aiter_raw"):
        ours, own = getattr(response, name), getattr(bare, name)
        assert (ours.__name__, inspect.ismethod(ours)) == (name, True)
        for ask in (inspect.iscoroutinefunction, inspect.isgeneratorfunction, inspect.isasyncgenfunction):
            assert ask(ours) == ask(own)
    response.close()


def test_a_body_that_is_dropped(recorder):
    """Nobody read or closed it: its response is collected, which our methods do not prevent."""
    response = Response()
    body_watch(recorder, response, [])
    del response
    gc.collect()
    eventually(lambda: recorder.spans)
    assert status(recorder) == ("UNSET", "dropped")


class Result:
    """What a raw response offers."""

    def parse(self, to=None):
        return 1 // to


class AsyncResult:
    """The same, asynchronous."""

    async def parse(self, to):
        return 1 // to


@pytest.mark.parametrize("kind", [Result, AsyncResult])
def test_a_result_that_is_only_looked_at(kind, recorder):
    """An exception of the method is the caller's business and no end."""
    seen: list = []
    call = inference(telemetry(recorder))
    watch = StreamWatch(call, print, print)
    result = kind()
    assert pickle.loads(pickle.dumps(result))
    watch.watch_parse(result, seen.append)

    def parsed(to):
        made = result.parse(to=to)
        return run(made) if kind is AsyncResult else made

    with pytest.raises(ZeroDivisionError):
        parsed(0)
    assert parsed(1) == 1
    assert type(pickle.loads(pickle.dumps(result))) is kind
    assert seen == [1]
    assert not call.ended
    watch.complete()
    watch.abandon("closed")
    watch.fail(ValueError())
    assert status(recorder) == ("UNSET", None)
    assert "parse" not in vars(result)


def test_a_second_reading_is_told_so_and_ends_nothing(recorder):
    """The first one goes on to its end."""

    class Once(Response):
        """As httpx has it: who has begun is the only one."""

        def read(self):
            raise RuntimeError("consumed")

        aread = read

    response = Once()
    body_watch(recorder, response, [])
    pieces = response.iter_raw()
    next(pieces)
    with pytest.raises(RuntimeError, match="consumed"):
        response.read()
    assert not recorder.spans
    assert len(list(pieces)) == 3
    assert status(recorder) == ("UNSET", None)


def test_a_cancellation_that_was_over_when_the_call_began(recorder):
    """A fallback that is asked where another one was cancelled, and left early."""
    try:
        raise asyncio.CancelledError
    except asyncio.CancelledError:
        response = Response()
        body_watch(recorder, response, [])
        next(response.iter_raw())
        response.close()
    assert status(recorder) == ("UNSET", "closed")
