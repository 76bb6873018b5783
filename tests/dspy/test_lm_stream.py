"""Streamed answers: how soon, how many chunks, and how a stream ends that nobody reads to its end."""

from __future__ import annotations

import asyncio
import concurrent.futures
import time

import anyio
import dspy
import pytest

from spanloom.dspy import _lm_call, _lm_stream
from spanloom.semconv import Spanloom
from tests._support.spans import eventually
from tests.dspy.test_lm import LITELLM_ENDS, answer, lm15, made, tokens, told

pytestmark = [
    pytest.mark.usefixtures("plugin"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings(LITELLM_ENDS),
]
ENGINES = pytest.mark.parametrize("engine", ["auto", "litellm"])
ASYNC = pytest.mark.parametrize("asynchronous", [False, True])
QUESTION = "Which river? [[pause:0.02]]"


def program(asynchronous):
    """A predictor whose answer is streamed."""
    return dspy.streamify(dspy.Predict("question -> answer"), is_async_program=asynchronous)


async def read(stream, until=None):
    """Every chunk, or some."""
    seen = []
    async for chunk in stream:
        seen.append(chunk)
        if len(seen) == until:
            break
    return seen


def call(recorder):
    """The span of the only model call; it may end after its reader has."""

    def ended():
        return [span for span in recorder.spans if span.name.startswith("chat")]

    (span,) = eventually(ended)
    return span


@ENGINES
@ASYNC
def test_a_stream_that_is_read(engine, asynchronous, server, recorder):
    """Marked as one, with the time to its first chunk and the number of those that were shown."""
    with dspy.context(lm=made(server, engine=engine), track_usage=True):
        seen = asyncio.run(read(program(asynchronous)(question=QUESTION)))
    attributes = call(recorder).attributes
    assert attributes["gen_ai.request.stream"] is True
    assert attributes[Spanloom.STREAM_CHUNKS] == len([one for one in seen if not isinstance(one, dspy.Prediction)])
    assert attributes["gen_ai.response.time_to_first_chunk"] > 0
    assert Spanloom.STREAM_END not in attributes
    assert tokens(call(recorder)) == told(server)
    assert recorder.total("gen_ai.client.inference.time_to_first_chunk") == 1


def test_tokens_that_litellm_counts_itself_are_not_the_providers(server, recorder):
    """Where the provider is not asked for them, LiteLLM makes them up."""
    with dspy.context(lm=made(server, engine="litellm")):
        asyncio.run(read(program(False)(question=QUESTION)))
    assert told(server) == (0, 0)
    assert tokens(call(recorder)) == (None, None)


def test_a_program_that_does_not_stream(server, recorder):
    """A call in one piece is none."""
    with dspy.context(lm=made(server)):
        dspy.Predict("question -> answer")(question="Which river?")
    attributes = call(recorder).attributes
    assert not {"gen_ai.request.stream", "gen_ai.response.time_to_first_chunk", Spanloom.STREAM_CHUNKS} & set(
        attributes
    )


@ENGINES
@ASYNC
def test_a_stream_that_fails(engine, asynchronous, server, recorder):
    """The provider's error is the call's."""
    with dspy.context(lm=made(server, engine=engine)), pytest.raises(Exception):  # noqa: B017 - of many kinds
        asyncio.run(read(program(asynchronous)(question="Which river? [[fail:3]]")))
    for span in (one for one in recorder.spans if one.name.startswith("chat")):
        assert span.attributes["error.type"].startswith("dspy.utils.exceptions.")
        assert Spanloom.STREAM_END not in span.attributes
        assert span.attributes["gen_ai.request.stream"] is True
        assert [event.name for event in span.events] == ["dspy.lm.attempt_failed"]


@ENGINES
@ASYNC
def test_a_reader_who_is_cancelled(engine, asynchronous, server, recorder):
    """Marked as what it is; no attempt has failed."""

    async def run():
        task = asyncio.create_task(read(program(asynchronous)(question=QUESTION)))
        await asyncio.sleep(0.15)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        # DSPy's worker may be about to hand a chunk to this loop: were it over, the worker would wait for ever.
        for _ in range(500):
            if any(span.name.startswith("chat") for span in recorder.spans):
                break
            await asyncio.sleep(0.01)

    with dspy.context(lm=made(server, engine=engine)):
        asyncio.run(run())
    span = call(recorder)
    assert span.attributes[Spanloom.STREAM_END] in ("cancelled", "closed")
    assert span.attributes.get("error.type") in (None, "asyncio.exceptions.CancelledError")
    assert not span.events


class Slow:
    """An engine that streams slowly."""

    def complete(self, request):
        return answer()

    def stream(self, request):
        yield lm15.StreamStartEvent(id="r", model="m")
        for at in range(20):
            time.sleep(0.01)
            yield lm15.StreamDeltaEvent(lm15.TextDelta(f"{at} "))
        yield lm15.StreamEndEvent("stop", lm15.Usage(input_tokens=1, output_tokens=20))


def test_a_reader_who_leaves(recorder):
    """DSPy meets a stream without a reader and calls that unexpected: it is no error of the model's."""
    lm = dspy.LM("house/x", engine=Slow(), cache=False)
    failed = []

    async def run():
        send, receive = anyio.create_memory_object_stream(1)

        def work():
            with dspy.context(send_stream=send):
                lm("Hi")

        async def program():
            try:
                await anyio.to_thread.run_sync(work)
            except dspy.LMError as error:
                failed.append(error)

        async with anyio.create_task_group() as group, send:
            group.start_soon(program)
            async with receive:
                await receive.receive()

    asyncio.run(run())
    span = call(recorder)
    assert type(failed[0]).__name__ == "LMUnexpectedError"
    assert span.attributes[Spanloom.STREAM_END] == "closed"
    assert span.attributes[Spanloom.STREAM_CHUNKS] >= 1
    assert span.status.status_code.name == "UNSET"
    assert not span.events


class Unread(Exception):
    """Named by nobody."""


Unread.__name__ = "RunFinishedError"
Unread.__module__ = "anyio._core._exceptions"


def caused(error, *causes):
    """An exception with its causes, outermost first."""
    for outer, inner in zip((error, *causes), causes, strict=False):
        outer.__cause__ = inner
    return error


@pytest.mark.parametrize(
    ("error", "how"),
    [
        (anyio.BrokenResourceError(), "closed"),
        (anyio.ClosedResourceError(), "closed"),
        (caused(ValueError(), Unread()), "closed"),
        (asyncio.CancelledError(), "cancelled"),
        (caused(ValueError(), concurrent.futures.CancelledError()), "cancelled"),
        (ValueError(), None),
        (caused(*[ValueError() for _ in range(9)], Unread()), None),
        (type("BrokenResourceError", (Exception,), {})(), None),
    ],
)
def test_how_a_reader_left(error, how):
    """By what the exception says, and what it came from; bounded."""
    assert _lm_call.left(error) == how


def test_chunks_of_nobody(recorder):
    """Outside of a call of ours everything is only passed on."""

    class Bridge:
        def __init__(self, model):
            self.model = model

        def chunk(self, event):
            return event

    init, chunk = _lm_stream.wrap_bridge(Bridge.__init__), _lm_stream.wrap_chunk(Bridge.chunk)
    one = Bridge("m")
    init(one, "n")
    assert (one.model, chunk(one, 5)) == ("n", 5)
    assert _lm_stream.wrap_completion(lambda request: request)(5) == 5
    assert _lm_stream.wrap_completion(lambda request: None)({}) is None
    assert _lm_stream.wrap_emitted(lambda: None)() is None
    assert not recorder.spans
