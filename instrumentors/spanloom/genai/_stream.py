"""Watching a stream without holding it: chunks pass through, the invocation ends with the stream, once.

A stream ends by its last chunk, an exception, ``close()`` of the response underneath, garbage collection, or with the
process. The context is never attached across a ``yield``, and the caller keeps the SDK's own stream object.
"""

from __future__ import annotations

import _thread
import asyncio
import atexit
import functools
import inspect
import os
import sys
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from time import perf_counter
from types import TracebackType
from typing import Any, Generic, TypeVar

from spanloom.genai._calls import ModelCall
from spanloom.genai._client import ClientCall
from spanloom.genai._guard import attempt, guard
from spanloom.genai._methods import AsyncResultMethods, BodyMethods, Pieces, Restore, ResultMethods, take_off
from spanloom.semconv import Spanloom

T = TypeVar("T")

# What a stream told of a failure that was not raised: ``error.type`` and a message.
Failure = tuple[str, "str | None"]

# Streams that have an owner and no end yet: what is left here when the process exits is ended then. Bounded by the
# application's open streams.
_open: set[StreamWatch[Any]] = set()


def end_open_streams() -> None:
    """End the call of every stream that is open, for a process that is about to end."""
    for watch in list(_open):
        watch.abandon("dropped")


@functools.cache
def _end_with_the_process() -> None:
    # Exit handlers run the last one first: registered at the first stream, this one comes before the SDK's shutdown.
    atexit.register(end_open_streams)


def _disown() -> None:
    """They are the parent's and end there, whatever becomes of their copies here."""
    for watch in list(_open):
        watch._end_right.clear()  # pyright: ignore[reportPrivateUsage]
    _open.clear()


if hasattr(os, "register_at_fork"):  # pragma: no branch - Windows has no fork
    os.register_at_fork(after_in_child=_disown)


class StreamWatch(Generic[T]):
    """Ends one call with its stream. ``take`` reads a chunk; ``seal`` writes what was read to the call.

    ``seal`` gets True where the stream was read to its end, and may return a failure that the chunks told. It is not
    called where the caller reads the body himself. ``is_over``: the chunks have told the end, so that who leaves now
    leaves nothing.
    """

    __slots__ = (
        "__weakref__",
        "_began",
        "_call",
        "_chunks",
        "_end_right",
        "_finalizer",
        "_handled",
        "_histogram",
        "_inner",
        "_is_over",
        "_last",
        "_least_s",
        "_most_s",
        "_outer",
        "_reading",
        "_replaced",
        "_seal",
        "_take",
        "_taking",
    )

    def __init__(
        self,
        call: ClientCall,
        take: Callable[[T], object],
        seal: Callable[[bool], Failure | None],
        is_over: Callable[[], bool] = lambda: False,
    ) -> None:
        self._call = call
        self._take = take
        self._seal = seal
        self._is_over = is_over
        # True while the body is read through us: as a whole, or in pieces.
        self._reading = False
        self._taking: Pieces | None = None
        # Weak: the SDK's generator holds the stream, whose collection is to be noticed.
        self._inner: weakref.ref[Any] | None = None
        self._outer: weakref.ref[Any] | None = None
        self._finalizer: weakref.finalize[..., Any] | None = None
        # Whoever takes the one item ends the call. No lock: the garbage collector may come at any point.
        self._end_right = [True]
        self._replaced: list[Restore] = []
        self._chunks = 0
        self._began = 0.0
        # Not a number: no comparison with the first interval holds.
        self._last = float("nan")
        self._least_s, self._most_s = float("inf"), 0.0
        self._histogram = call.telemetry.time_per_output_chunk
        # A cancellation that was being handled when the stream began is no end of it. Weak: it holds all frames.
        handled = sys.exc_info()[1]
        self._handled = weakref.ref(handled) if isinstance(handled, asyncio.CancelledError) else None

    @property
    def followed(self) -> bool:
        """True once the chunks of a stream are followed."""
        return self._outer is not None

    def watch_owner(self, owner: object) -> None:
        """End the call when ``owner`` (the stream) is garbage-collected without having been read or closed."""
        self._finalizer = weakref.finalize(owner, self.drop)
        self._finalizer.atexit = False
        _open.add(self)
        _end_with_the_process()

    def watch_close(self, response: Any, name: str) -> None:
        """End the call when ``response.close`` (or ``aclose``) is called between two chunks."""
        self._replaced += BodyMethods(self, response).put((name,))

    def watch_body(self, response: Any, then: Callable[[Any], None]) -> None:
        """End the call with the body that the caller reads: as a whole, which is given to ``then``, or in pieces."""
        self._replaced += BodyMethods(self, response, then).put()

    def watch_parse(self, result: Any, then: Callable[[Any], None]) -> None:
        """Give what ``result.parse()`` makes to ``then``."""
        awaited = inspect.iscoroutinefunction(result.parse)
        self._replaced += (AsyncResultMethods if awaited else ResultMethods)(self, result, then).put()

    def iterate(self, inner: Iterator[T]) -> Iterator[T]:
        """The chunks of ``inner`` (a generator), one by one."""
        return self._follow(inner, self._iterate(inner))

    def aiterate(self, inner: AsyncIterator[T]) -> AsyncIterator[T]:
        """The chunks of an asynchronous ``inner`` (a generator), one by one."""
        return self._follow(inner, self._aiterate(inner))

    def _follow(self, inner: Any, outer: Any) -> Any:
        self._inner, self._outer = weakref.ref(inner), weakref.ref(outer)
        return outer

    # The two loops run for every chunk of every stream: no call but the reader's, nothing made.

    def _iterate(self, inner: Iterator[T]) -> Iterator[T]:
        take, clock = self._take, perf_counter
        with _Reading(self):
            for chunk in inner:
                now = clock()
                gap = now - self._last
                if gap < self._least_s:
                    self._least_s = gap
                if gap > self._most_s:
                    self._most_s = gap
                self._last = now
                self._chunks += 1
                if self._began == 0.0 or self._histogram:
                    self._note(now, gap)
                attempt("genai.stream.chunk", take, chunk)
                yield chunk

    async def _aiterate(self, inner: AsyncIterator[T]) -> AsyncIterator[T]:
        take, clock = self._take, perf_counter
        with _Reading(self):
            async for chunk in inner:
                now = clock()
                gap = now - self._last
                if gap < self._least_s:
                    self._least_s = gap
                if gap > self._most_s:
                    self._most_s = gap
                self._last = now
                self._chunks += 1
                if self._began == 0.0 or self._histogram:
                    self._note(now, gap)
                attempt("genai.stream.chunk", take, chunk)
                yield chunk

    def _note(self, now: float, gap: float) -> None:
        """What is seldom: the first chunk, and the histogram of all others."""
        if self._began == 0.0:
            self._began = now
            if isinstance(self._call, ModelCall):
                self._call.first_chunk_s = self._call.elapsed_s()
        elif self._histogram:
            attempt("genai.stream.histogram", self._record_gap, gap)

    def _record_gap(self, gap: float) -> None:
        attributes = self._call.metric_attributes
        for one in self._histogram:
            one.record(gap, attributes)

    def complete(self) -> None:
        """The stream was read to its end."""
        if self._claim():
            self._finish(whole=True, how=None)

    def abandon(self, how: str) -> None:
        """Nobody reads on (``closed``, ``dropped``): not an error of the call, and marked as what it is."""
        if self._claim():
            self._finish(whole=False, how=how)

    def fail(self, error: BaseException) -> None:
        """The stream broke, or reading it was cancelled."""
        if self._claim():
            how = "cancelled" if isinstance(error, asyncio.CancelledError) else None
            self._finish(whole=False, how=how, error=error)

    def drop(self) -> None:
        """The collector took the stream, perhaps while this thread holds a lock of the SDK: end it in another one."""
        if self not in _open or not self._claim():
            return
        try:
            _thread.start_new_thread(self._finish, (False, "dropped"))
        except RuntimeError:  # no thread to be had
            self._finish(whole=False, how="dropped")

    def _claim(self) -> bool:
        try:
            self._end_right.pop()
        except IndexError:
            return False
        _open.discard(self)
        return True

    def _finish(self, whole: bool, how: str | None, error: BaseException | None = None) -> None:
        if self._finalizer is not None:
            self._finalizer.detach()
        attempt("genai.stream.restore", self._restore)
        if error is None and self.followed and self._is_over():
            whole, how = True, None
        attempt("genai.stream.figures", self._write, how)
        failure: Failure | None = None
        if self.followed:
            with guard("genai.stream.seal"):
                failure = self._seal(whole)
        if error is not None:
            self._call.fail(error)
        elif failure is not None:
            self._call.fail_as(*failure)
        else:
            self._call.stop()

    def _write(self, how: str | None) -> None:
        call, chunks = self._call, self._chunks
        if how is not None:
            call.attributes[Spanloom.STREAM_END] = how
        if isinstance(call, ModelCall):
            call.chunks = chunks
        elif chunks:
            call.attributes[Spanloom.STREAM_CHUNKS] = chunks
        if chunks > 1:
            call.attributes[Spanloom.STREAM_CHUNK_INTERVAL_MIN_S] = self._least_s
            call.attributes[Spanloom.STREAM_CHUNK_INTERVAL_MEAN_S] = (self._last - self._began) / (chunks - 1)
            call.attributes[Spanloom.STREAM_CHUNK_INTERVAL_MAX_S] = self._most_s

    def _restore(self) -> None:
        take_off(self._replaced)

    def note_close(self) -> None:
        """The response is about to be closed: the end, unless it is closed by what reads it."""
        # The SDK closes the response itself when the last chunk was read; the iterator then tells how it ended.
        taking = self._taking
        if self._reading or _runs(self._outer) or (taking is not None and not taking.waits):
            return
        error = sys.exc_info()[1]
        if _runs(self._inner):
            # It is being taken down itself (by the collector, by a loop that ends), and closes the response on the way.
            self.drop()
        elif isinstance(error, asyncio.CancelledError) and not self._was_handled(error) and not self._is_over():
            # The task was cancelled between two chunks, and leaves its block.
            self.fail(error)
        else:
            self.abandon("closed")

    def _was_handled(self, error: BaseException) -> bool:
        return self._handled is not None and self._handled() is error

    def whole_body(self) -> AbstractContextManager[None]:
        """The caller has the body read as a whole."""
        if self._taking is not None:
            # He has begun to take it in pieces, and is told so.
            return nullcontext()
        self._reading = True
        return _Reading(self)

    def pieces(self) -> _Taking | None:
        """The caller takes the body in pieces; ``None`` where it is read for him, or he has begun already."""
        if self._reading or self.followed or self._taking is not None:
            return None
        taking = self._taking = _Taking(self)
        return taking


def _runs(generator: weakref.ref[Any] | None) -> bool:
    """Whether a generator is between two of its yields, waiting included."""
    one = generator() if generator is not None else None
    return bool(getattr(one, "gi_running", False) or getattr(one, "ag_running", False))


class _Reading:
    """One reading of a stream or body: its end, however it comes, ends the call."""

    __slots__ = ("_watch",)

    def __init__(self, watch: StreamWatch[Any]) -> None:
        self._watch = watch

    def __enter__(self) -> None:
        """Nothing: who reads chunks waits between them, too."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self._watch.complete()
        elif isinstance(error, GeneratorExit):
            self._watch.drop()
        else:
            self._watch.fail(error)


class _Taking(Pieces):
    """One reading of a body in pieces. Who takes no more of them will close the response, or forget it."""

    __slots__ = ("_reading",)

    def __init__(self, watch: StreamWatch[Any]) -> None:
        super().__init__()
        self._reading = _Reading(watch)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not (isinstance(error, GeneratorExit) and self.waits):
            self._reading.__exit__(kind, error, trace)
