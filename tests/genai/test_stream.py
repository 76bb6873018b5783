"""Streams by shape alone: every way in which one can end is one span's end."""

from __future__ import annotations

import _thread
import asyncio
import gc
import os
import pickle
import subprocess
import sys
import threading
import weakref

import pytest

from spanloom.genai import Endpoint, Peer, StreamWatch, _guard, _stream
from tests._support.spans import eventually, stream_end
from tests.genai._make import inference, telemetry


class Response:
    """What an HTTP client gives: it can be closed, sync or async, and its body read."""

    def __init__(self, body=b"body"):
        self.closed = 0
        self.body = body

    def close(self):
        self.closed += 1

    async def aclose(self):
        self.closed += 1

    def read(self):
        self.close()
        if isinstance(self.body, BaseException):
            raise self.body
        return self.body

    async def aread(self):
        await self.aclose()
        return self.read()

    def iter_raw(self, size=1):
        for place in range(0, len(self.body), size):
            if self.body[place : place + size] == b"!":
                raise ConnectionError
            yield self.body[place : place + size]
        self.close()

    async def aiter_raw(self, size=1):
        for piece in self.iter_raw(size):
            if piece == b"?":
                await asyncio.Event().wait()
            yield piece
        await self.aclose()


class Stream:
    """As the SDK's: an inner generator that closes the response at its end, and an object around it."""

    def __init__(self, chunks, response=None):
        self.response = response or Response()
        self.chunks = chunks
        self._iterator = self.__stream__()

    def __stream__(self):
        try:
            for chunk in self.chunks:
                if isinstance(chunk, BaseException):
                    raise chunk
                yield chunk
        finally:
            self.response.close()

    def __iter__(self):
        yield from self._iterator

    def close(self):
        self.response.close()


class AsyncStream(Stream):
    """The same, asynchronous; ``None`` among the chunks waits for ever."""

    async def __stream__(self):
        try:
            for chunk in self.chunks:
                if isinstance(chunk, BaseException):
                    raise chunk
                if chunk is None:
                    await asyncio.Event().wait()
                yield chunk
        finally:
            await self.response.aclose()

    async def __aiter__(self):
        async for chunk in self._iterator:
            yield chunk

    async def close(self):
        await self.response.aclose()


class Watched:
    """A watched stream, and what was taken and sealed."""

    def __init__(self, recorder, stream):
        self.taken: list = []
        self.sealed: list = []
        self.call = inference(telemetry(recorder))
        self.watch = StreamWatch(self.call, self.taken.append, self.sealed.append)
        asynchronous = isinstance(stream, AsyncStream)
        self.watch.watch_close(stream.response, "aclose" if asynchronous else "close")
        self.watch.watch_owner(stream)
        wrap = self.watch.aiterate if asynchronous else self.watch.iterate
        stream._iterator = wrap(stream._iterator)


def status(recorder):
    """Status and stream end of the only span."""
    span = recorder.span
    return span.status.status_code.name, stream_end(span)


def test_read_to_the_end(recorder):
    """Every chunk once, sealed as whole, nothing marked."""
    stream = Stream([1, 2, 3])
    watched = Watched(recorder, stream)
    assert list(stream) == [1, 2, 3]
    assert (watched.taken, watched.sealed) == ([1, 2, 3], [True])
    assert status(recorder) == ("UNSET", None)
    assert recorder.span.attributes["spanloom.stream.chunks"] == 3
    assert recorder.span.attributes["gen_ai.response.time_to_first_chunk"] > 0
    assert stream.response.closed == 1


def test_an_empty_stream(recorder):
    """It has an end too, and no first chunk."""
    stream = Stream([])
    Watched(recorder, stream)
    assert list(stream) == []
    assert status(recorder) == ("UNSET", None)
    assert "gen_ai.response.time_to_first_chunk" not in recorder.span.attributes
    assert "spanloom.stream.chunks" not in recorder.span.attributes


def test_the_span_ends_before_the_last_next_returns(recorder):
    """Whoever has seen the end finds the span."""
    stream = Stream([1])
    Watched(recorder, stream)
    next(stream._iterator)
    assert not recorder.spans
    assert next(stream._iterator, "end") == "end"
    assert len(recorder.spans) == 1


def test_chunks_are_not_held(recorder):
    """Each is let go."""

    class Chunk:
        """Something with a weak reference."""

    stream = Stream(Chunk() for _ in range(2))
    call = inference(telemetry(recorder))
    watch = StreamWatch(call, lambda chunk: None, lambda whole: None)
    stream._iterator = watch.iterate(stream._iterator)
    gone = weakref.ref(next(stream._iterator))
    assert next(stream._iterator) is not None
    assert gone() is None
    watch.complete()


def test_the_context_is_never_attached_across_a_yield(recorder):
    """Between two chunks the application's own context is there (the fixture checks it at the end, too)."""
    from spanloom.genai import current

    stream = Stream([1, 2])
    Watched(recorder, stream)
    for _ in stream:
        assert current() is None


def test_closed_early(recorder):
    """Not an error of the call, and marked."""
    stream = Stream([1, 2, 3])
    watched = Watched(recorder, stream)
    next(stream._iterator)
    stream.close()
    assert status(recorder) == ("UNSET", "closed")
    assert watched.sealed == [False]
    assert watched.taken == [1]
    assert stream.response.closed == 1


def test_closed_before_the_first_chunk(recorder):
    """The same."""
    stream = Stream([1])
    Watched(recorder, stream)
    stream.close()
    stream.close()
    assert status(recorder) == ("UNSET", "closed")
    assert stream.response.closed == 2


def test_reading_on_after_close_gives_what_the_stream_gives(recorder):
    """The span has ended; the caller's reading is not our business."""
    stream = Stream([1, 2])
    Watched(recorder, stream)
    next(stream._iterator)
    stream.close()
    assert list(stream) == [2]
    assert len(recorder.spans) == 1


def test_the_stream_breaks(recorder):
    """The very exception, and an ERROR with its type; what came before is kept."""
    error = ConnectionError("cut")
    stream = Stream([1, error])
    watched = Watched(recorder, stream)
    with pytest.raises(ConnectionError) as caught:
        list(stream)
    assert caught.value is error
    assert status(recorder) == ("ERROR", None)
    assert recorder.span.attributes["error.type"] == "ConnectionError"
    assert (watched.taken, watched.sealed) == ([1], [False])


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit()])
def test_base_exceptions_end_it(error, recorder):
    """Ctrl-C while waiting for a chunk."""
    stream = Stream([error])
    Watched(recorder, stream)
    with pytest.raises(type(error)):
        list(stream)
    assert status(recorder) == ("ERROR", None)


def test_dropped_half_way(recorder):
    """Break, and nobody refers to it any more: the collector is the end."""
    stream = Stream([1, 2])
    watched = Watched(recorder, stream)
    next(stream._iterator)
    del stream
    gc.collect()
    eventually(lambda: recorder.spans)
    assert status(recorder) == ("UNSET", "dropped")
    assert watched.sealed == [False]


def test_dropped_without_being_read(recorder):
    """Never started."""
    stream = Stream([1])
    Watched(recorder, stream)
    del stream
    gc.collect()
    eventually(lambda: recorder.spans)
    assert status(recorder) == ("UNSET", "dropped")


def test_the_inner_generator_closed_by_hand(recorder):
    """As if it were dropped."""
    stream = Stream([1, 2])
    Watched(recorder, stream)
    next(stream._iterator)
    stream._iterator.close()
    eventually(lambda: recorder.spans)
    assert status(recorder) == ("UNSET", "dropped")


def test_dropping_never_ends_a_span_in_the_collectors_thread(recorder):
    """The collector may run while this thread holds a lock that a span processor needs: no deadlock."""
    lock = threading.Lock()
    ended_by = []

    class Processor:
        """Takes a lock, as exporters do."""

        def on_start(self, span, parent_context=None):
            pass

        def _on_ending(self, span):
            pass

        def on_end(self, span):
            with lock:
                ended_by.append(threading.get_ident())

        def shutdown(self):
            pass

    recorder.tracer_provider.add_span_processor(Processor())
    stream = Stream([1])
    Watched(recorder, stream)
    with lock:
        del stream
        gc.collect()
    eventually(lambda: ended_by)
    assert ended_by != [threading.get_ident()]


def test_without_a_thread_to_be_had_it_ends_here(recorder, monkeypatch):
    """When the process is out of threads, or going down."""

    def refuse(*_):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(_thread, "start_new_thread", refuse)
    stream = Stream([1])
    Watched(recorder, stream)
    del stream
    gc.collect()
    assert status(recorder) == ("UNSET", "dropped")


def test_what_is_open_ends_with_the_process(recorder):
    """Never read and still referred to when the process exits."""
    stream = Stream([1])
    Watched(recorder, stream)
    _stream.end_open_streams()
    assert status(recorder) == ("UNSET", "dropped")
    assert not _stream._open


def test_a_process_that_exits_with_an_open_stream():
    """In a process of its own, with the real exit."""
    code = """
import sys
sys.path.insert(0, '.')
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter
from spanloom.genai import Telemetry
from tests.genai.test_stream import Stream, StreamWatch, inference
provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(ConsoleSpanExporter(formatter=lambda span: span.name + ' ' + str(dict(span.attributes)))))
stream = Stream([1, 2])
watch = StreamWatch(inference(Telemetry('spanloom.test', provider)), print, print)
watch.watch_owner(stream)
stream._iterator = watch.iterate(stream._iterator)
next(stream._iterator)
"""  # noqa: E501
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("chat m") == 1
    assert "'spanloom.stream.end': 'dropped'" in done.stdout


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_does_not_end_its_parents_streams(recorder):
    """The child has a copy of the open stream; it is the parent's to end."""
    stream = Stream([1])
    watched = Watched(recorder, stream)
    child = os.fork()
    if child == 0:
        _stream.end_open_streams()
        del stream
        gc.collect()
        os._exit(1 if watched.call.ended else 0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert list(stream) == [1]
    assert status(recorder) == ("UNSET", None)


def test_a_stream_that_nobody_can_refer_to_weakly(recorder):
    """Then it is not watched for being dropped, and nothing of it stays."""
    call = inference(telemetry(recorder))
    watch = StreamWatch(call, print, print)
    with pytest.raises(TypeError):
        watch.watch_owner(3)
    assert watch not in _stream._open
    call.stop()


# What is told of the chunks, and what they tell.


def test_intervals(recorder, monkeypatch):
    """The least, the mean and the greatest time between two chunks; the time of the first one is another figure."""
    times = iter([10.0, 10.5, 10.75, 13.0])
    monkeypatch.setattr(_stream, "perf_counter", lambda: next(times))
    stream = Stream([1, 2, 3, 4])
    Watched(recorder, stream)
    list(stream)
    told = recorder.span.attributes
    assert told["spanloom.stream.chunk_interval_min_s"] == 0.25
    assert told["spanloom.stream.chunk_interval_mean_s"] == 1.0
    assert told["spanloom.stream.chunk_interval_max_s"] == 2.25
    assert recorder.points("gen_ai.client.inference.time_per_output_chunk") == []


def test_one_chunk_has_no_interval(recorder):
    """There is nothing between it."""
    stream = Stream([1])
    Watched(recorder, stream)
    list(stream)
    assert not [name for name in recorder.span.attributes if "interval" in name]


@pytest.mark.parametrize("kind", [Stream, AsyncStream])
def test_every_interval_in_a_histogram_if_asked_for(kind, recorder, monkeypatch):
    """SPANLOOM_CHUNK_HISTOGRAM: one record a chunk but the first."""
    monkeypatch.setenv("SPANLOOM_CHUNK_HISTOGRAM", "1")
    stream = kind([1, 2, 3])
    Watched(recorder, stream)
    assert (run(collect(stream)) if kind is AsyncStream else list(stream)) == [1, 2, 3]
    assert recorder.total("gen_ai.client.inference.time_per_output_chunk") == 2


def test_a_stream_of_a_call_without_a_model(recorder):
    """Its chunks are counted as well."""
    call = Endpoint(telemetry(recorder), "images.generate", Peer("openai"))
    stream = Stream([1, 2])
    watch = StreamWatch(call, lambda chunk: None, lambda whole: None)
    stream._iterator = watch.iterate(stream._iterator)
    list(stream)
    assert recorder.span.attributes["spanloom.stream.chunks"] == 2
    assert "gen_ai.response.time_to_first_chunk" not in recorder.span.attributes


def told_by(recorder, chunks, failure=None, is_over=lambda: False):
    """A stream whose chunks tell a failure, or its end."""
    stream = Stream(chunks)
    watch = StreamWatch(inference(telemetry(recorder)), lambda chunk: None, lambda whole: failure, is_over)
    watch.watch_close(stream.response, "close")
    stream._iterator = watch.iterate(stream._iterator)
    return stream


def test_a_failure_that_the_chunks_tell(recorder):
    """Nothing is raised, and the call failed."""
    assert list(told_by(recorder, [1, 2], failure=("server_error", "It broke."))) == [1, 2]
    assert status(recorder) == ("ERROR", None)
    assert recorder.span.attributes["error.type"] == "server_error"


def test_an_exception_wins_over_a_failure_that_was_told(recorder):
    """The caller saw the exception."""
    with pytest.raises(ConnectionError):
        list(told_by(recorder, [1, ConnectionError()], failure=("server_error", None)))
    assert recorder.span.attributes["error.type"] == "ConnectionError"


@pytest.mark.parametrize(("over", "end"), [(True, None), (False, "closed")])
def test_leaving_after_the_end_is_not_leaving_early(over, end, recorder):
    """The chunks had told the end."""
    stream = told_by(recorder, [1, 2], is_over=lambda: over)
    next(stream._iterator)
    stream.close()
    assert status(recorder) == ("UNSET", end)


@pytest.mark.parametrize("at", ["take", "seal"])
def test_a_fault_of_ours_does_not_reach_the_reader(at, recorder, monkeypatch):
    """Every chunk arrives, the span ends."""
    monkeypatch.setattr(_guard, "RERAISE", False)
    fault, fine = (lambda _: 1 // 0), (lambda _: None)
    stream = Stream([1, 2, 3])
    call = inference(telemetry(recorder))
    watch = StreamWatch(call, *(fault if name == at else fine for name in ("take", "seal")))
    watch.watch_close(stream.response, "close")
    stream._iterator = watch.iterate(stream._iterator)
    assert list(stream) == [1, 2, 3]
    assert status(recorder) == ("UNSET", None)


def test_the_response_is_as_before_after_the_end(recorder):
    """Our methods are gone from it: it can be pickled again."""
    stream = Stream([1])
    Watched(recorder, stream)
    assert "close" in vars(stream.response)
    assert pickle.loads(pickle.dumps(stream.response)).closed == 0
    list(stream)
    assert "close" not in vars(stream.response)
    assert pickle.loads(pickle.dumps(stream.response)).closed == 1


def test_somebody_elses_method_on_the_response_stays(recorder):
    """Only ours is taken off."""
    stream = Stream([1])
    Watched(recorder, stream)
    ours = stream.response.close
    stream.response.close = theirs = lambda: ours()
    list(stream)
    assert stream.response.close is theirs


def test_two_threads_at_the_end(recorder):
    """One closes while the other reads: one span."""
    for _ in range(30):
        stream = Stream(range(50))
        Watched(recorder, stream)
        thread = threading.Thread(target=lambda stream=stream: list(stream))
        thread.start()
        stream.close()
        thread.join()
    assert len(recorder.spans) == 30


# Asynchronous streams.


def run(program):
    """An event loop of its own, asynchronous generators closed."""
    return asyncio.run(program)


async def collect(stream):
    """All chunks."""
    return [chunk async for chunk in stream]


def test_async_read_to_the_end(recorder):
    """As the sync one."""
    stream = AsyncStream([1, 2])
    watched = Watched(recorder, stream)
    assert run(collect(stream)) == [1, 2]
    assert (watched.taken, watched.sealed) == ([1, 2], [True])
    assert status(recorder) == ("UNSET", None)
    assert "aclose" not in vars(stream.response)


def test_async_closed_early(recorder):
    """`await stream.close()` after a break."""

    async def program():
        stream = AsyncStream([1, 2])
        Watched(recorder, stream)
        async for _ in stream:
            break
        await stream.close()
        assert stream.response.closed

    run(program())
    assert status(recorder) == ("UNSET", "closed")


def test_async_break_and_dropped(recorder):
    """The loop closes what the collector found."""

    async def program():
        stream = AsyncStream([1, 2])
        Watched(recorder, stream)
        async for _ in stream:
            break
        del stream
        gc.collect()
        await asyncio.sleep(0.01)

    run(program())
    eventually(lambda: recorder.spans)
    assert status(recorder) == ("UNSET", "dropped")


def test_async_cancelled_while_waiting(recorder):
    """ERROR with the cancellation's type, marked; the cancellation goes on."""

    async def program():
        stream = AsyncStream([1, None])
        watched = Watched(recorder, stream)
        task = asyncio.create_task(collect(stream))
        while not watched.taken:
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert task.cancelled()

    run(program())
    assert status(recorder) == ("ERROR", "cancelled")
    assert recorder.span.attributes["error.type"] == "asyncio.exceptions.CancelledError"


def test_async_broken(recorder):
    """The exception passes."""
    stream = AsyncStream([1, ConnectionError()])
    Watched(recorder, stream)
    with pytest.raises(ConnectionError):
        run(collect(stream))
    assert status(recorder) == ("ERROR", None)


@pytest.mark.parametrize("over", [True, False])
def test_async_cancelled_in_the_body_of_the_loop(over, recorder):
    """Between two chunks: as one that waits for a chunk, unless the chunks had told the end."""

    async def read(stream, came):
        try:
            async for _ in stream:
                came.set()
                await asyncio.Event().wait()
        finally:
            await stream.close()

    async def program():
        stream, came = AsyncStream([1, 2]), asyncio.Event()
        watch = StreamWatch(inference(telemetry(recorder)), print, lambda whole: None, lambda: over)
        watch.watch_close(stream.response, "aclose")
        stream._iterator = watch.aiterate(stream._iterator)
        task = asyncio.create_task(read(stream, came))
        await came.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(program())
    assert status(recorder) == (("UNSET", None) if over else ("ERROR", "cancelled"))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows has no fork")
def test_a_stream_that_is_open_at_a_fork(recorder):
    """It is the parent's: whatever the child does with its copy ends nothing."""
    stream = Stream([1, 2])
    Watched(recorder, stream)
    next(stream._iterator)
    child = os.fork()
    if child == 0:
        list(stream)
        stream.close()
        os._exit(len(recorder.spans))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert not recorder.spans
    stream.close()
    assert status(recorder) == ("UNSET", "closed")


def test_a_histogram_of_chunks_does_not_fix_what_is_known_later(recorder, monkeypatch):
    """A stream that fails has its error on the duration, whether chunks are measured or not."""
    monkeypatch.setenv("SPANLOOM_CHUNK_HISTOGRAM", "1")
    call = inference(telemetry(recorder))
    watch = StreamWatch(call, lambda chunk: None, lambda whole: None)

    def chunks():
        yield from (1, 2)
        raise TimeoutError

    with pytest.raises(TimeoutError):
        list(watch.iterate(chunks()))
    (point,) = recorder.points("gen_ai.client.inference.duration")
    assert point.attributes["error.type"] == "TimeoutError"
