"""A streamed answer that is handed out of its block: the call ends with it, however it ends, once."""

from __future__ import annotations

import asyncio
import gc

import pytest

from spanloom import trace
from spanloom.genai import current
from spanloom.genai.hooks import end_open_streams
from spanloom.tools import tool
from tests._support.spans import eventually, outline, stream_end


def chunks_of(items, call=None):
    """What a client streams; what is known at the end is told after the last chunk."""
    for item in items:
        if isinstance(item, BaseException):
            raise item
        yield item
    if call is not None:
        call.output("".join(items), finish_reasons=["stop"])
        call.usage(input_tokens=3, output_tokens=len(items))


def asked(items=("a", "b", "c"), told=True):
    """An answer as a program hands it out."""
    with trace.inference(model="m", provider="vllm") as call:
        call.input("Hi")
        return call.stream(chunks_of(items, call if told else None))


async def aasked(items=("a", "b", "c")):
    """The same, asynchronously."""

    async def achunks():
        for item in chunks_of(items):
            await asyncio.sleep(0)
            yield item

    with trace.inference(model="m", provider="vllm") as call:
        call.input("Hi")
        return call.stream(achunks())


@tool
def beside():
    """What the reader does between two chunks."""
    assert current() is not None


def test_read_to_its_end(with_content):
    """The same chunks; one span, with what was told after the last one."""
    assert "".join(asked()) == "abc"
    attributes = with_content.span.attributes
    assert attributes["gen_ai.request.stream"] is True
    assert attributes["spanloom.stream.chunks"] == 3
    assert attributes["gen_ai.usage.output_tokens"] == 3
    assert attributes["gen_ai.response.finish_reasons"] == ("stop",)
    assert "abc" in attributes["gen_ai.output.messages"]
    assert 0 < attributes["gen_ai.response.time_to_first_chunk"] < 1
    assert stream_end(with_content.span) is None


def test_the_block_is_over_while_it_is_read(by_hand):
    """The span is open, and not current: what the reader does is beside it, not below."""
    stream = asked()
    assert current() is None
    assert next(stream) == "a"
    beside()
    assert [span.name for span in by_hand.spans] == ["execute_tool beside"]
    assert list(stream) == ["b", "c"]
    assert outline(by_hand.spans) == ["chat m", "execute_tool beside"]


def test_an_asynchronous_one(by_hand):
    """As a whole, and cancelled by its reader."""

    async def read():
        return [chunk async for chunk in await aasked()]

    async def cancelled():
        stream = await aasked()
        await anext(stream)
        await stream.athrow(asyncio.CancelledError())

    assert asyncio.run(read()) == ["a", "b", "c"]
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(cancelled())
    whole, half = by_hand.spans
    assert (whole.status.status_code.name, half.status.status_code.name) == ("UNSET", "ERROR")
    assert half.attributes["gen_ai.response.finish_reasons"] == ("error",)


def test_it_breaks(by_hand):
    """The client's own exception, and the conventions' reason for an answer whose end never came."""
    error = ConnectionError("gone")
    stream = asked(("a", error), told=False)
    with pytest.raises(ConnectionError) as caught:
        list(stream)
    assert caught.value is error
    attributes = by_hand.span.attributes
    assert attributes["error.type"] == "ConnectionError"
    assert attributes["gen_ai.response.finish_reasons"] == ("error",)


@pytest.mark.parametrize("read", [0, 1], ids=["unread", "begun"])
@pytest.mark.parametrize("how", ["close", "forget", "process"])
def test_its_reader_leaves(how, read, by_hand):
    """No failure of the call; marked as what it is."""
    stream = asked(told=False)
    for _ in range(read):
        next(stream)
    if how == "close":
        stream.close()
    if how == "process":
        end_open_streams()
    del stream
    gc.collect()
    eventually(lambda: by_hand.spans)
    span = by_hand.span
    assert span.status.status_code.name == "UNSET"
    assert stream_end(span) == "dropped"
    assert span.attributes["gen_ai.response.finish_reasons"] == ("error",)


def test_a_block_that_fails_after_it(by_hand):
    """The call fails with the block; the stream's end comes too late."""
    kept = []
    with pytest.raises(ValueError), trace.inference(model="m", provider="vllm") as call:
        kept.append(call.stream(chunks_of("ab")))
        raise ValueError
    assert list(kept[0]) == ["a", "b"]
    assert by_hand.span.attributes["error.type"] == "ValueError"


def test_the_second_stream_of_a_call(by_hand):
    """One is watched; another one is the caller's own."""
    with trace.inference(model="m", provider="vllm") as call:
        first, second = call.stream("ab"), call.stream("cd")
    assert list(second) == ["c", "d"]
    assert not by_hand.spans
    assert list(first) == ["a", "b"]
    assert by_hand.span.attributes["spanloom.stream.chunks"] == 2


def test_what_is_no_stream():
    """As `for` has it."""
    with pytest.raises(TypeError, match="not iterable"), trace.inference(model="m") as call:
        call.stream(5)
