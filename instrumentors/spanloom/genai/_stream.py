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
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from time import perf_counter
from types import TracebackType
from typing import Any, Generic, TypeVar

from spanloom.genai._calls import ClientCall, ModelCall
from spanloom.genai._guard import attempt, guard, guarded
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


if hasattr(os, "register_at_fork"):  # pragma: no branch - Windows has no fork
    # They are the parent's, and end there.
    os.register_at_fork(after_in_child=_open.clear)


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
        # True while the caller reads the whole body through us.
        self._reading = False
        # Weak: the SDK's generator holds the stream, whose collection is to be noticed.
        self._inner: weakref.ref[Any] | None = None
        self._outer: weakref.ref[Any] | None = None
        self._finalizer: weakref.finalize[..., Any] | None = None
        # Whoever takes the one item ends the call. No lock: the garbage collector may come at any point.
        self._end_right = [True]
        self._replaced: list[tuple[weakref.ref[Any], str, int]] = []
        self._chunks = 0
        self._began = 0.0
        # Not a number: no comparison with the first interval holds.
        self._last = float("nan")
        self._least_s, self._most_s = float("inf"), 0.0
        self._histogram = call.telemetry.time_per_output_chunk

    @property
    def followed(self) -> bool:
        """True once the chunks of a stream are followed."""
        return self._outer is not None

    def watch_owner(self, owner: object) -> None:
        """End the call when ``owner`` (the stream) is garbage-collected without having been read or closed."""
        self._finalizer = weakref.finalize(owner, self._dropped)
        self._finalizer.atexit = False
        _open.add(self)
        _end_with_the_process()

    def watch_close(self, response: Any, name: str) -> None:
        """End the call when ``response.close`` (or ``aclose``) is called between two chunks."""
        original = getattr(response, name)
        self._replace(response, name, self._closing_async(original) if name == "aclose" else self._closing(original))

    def watch_result(self, target: Any, name: str, then: Callable[[Any], None], *, reads: bool = False) -> None:
        """Give what ``target.name()`` returns to ``then``. With ``reads`` it reads the whole body: that is the end."""
        original = getattr(target, name)
        around: Callable[[], AbstractContextManager[None]] = nullcontext
        if reads:
            around = functools.partial(_Reading, self, body=True)
        safe = guarded("genai.stream.result")(then)
        wrap = _followed_by_async if inspect.iscoroutinefunction(original) else _followed_by
        self._replace(target, name, wrap(original, around, safe))

    def _replace(self, target: Any, name: str, replacement: Callable[..., Any]) -> None:
        setattr(target, name, replacement)
        self._replaced.append((weakref.ref(target), name, id(replacement)))

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

    def _dropped(self) -> None:
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
        """Take our methods off the response: it can be pickled and copied as before."""
        for reference, name, replacement in self._replaced:
            target = reference()
            if target is not None and id(getattr(target, name, None)) == replacement:
                delattr(target, name)

    def _closed(self) -> None:
        # The SDK closes the response itself when the last chunk was read; the iterator then tells how it ended.
        if self._reading or _runs(self._outer):
            return
        if _runs(self._inner):
            # It is being taken down itself (by the collector, by a loop that ends), and closes the response on the way.
            self._dropped()
        elif self.followed:
            self.abandon("closed")
        else:
            # A body that the caller read himself: to its end or not, we do not know.
            self.complete()

    def _closing(self, original: Callable[[], Any]) -> Callable[[], Any]:
        def close() -> Any:
            self._closed()
            return original()

        return close

    def _closing_async(self, original: Callable[[], Any]) -> Callable[[], Any]:
        async def aclose() -> Any:
            self._closed()
            return await original()

        return aclose


def _runs(generator: weakref.ref[Any] | None) -> bool:
    """Whether a generator is between two of its yields, waiting included."""
    one = generator() if generator is not None else None
    return bool(getattr(one, "gi_running", False) or getattr(one, "ag_running", False))


class _Reading:
    """One reading of a stream or body: its end, however it comes, ends the call."""

    __slots__ = ("_body", "_watch")

    def __init__(self, watch: StreamWatch[Any], *, body: bool = False) -> None:
        self._watch = watch
        self._body = body

    def __enter__(self) -> None:
        if self._body:
            self._watch._reading = True  # pyright: ignore[reportPrivateUsage]

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self._watch.complete()
        elif isinstance(error, GeneratorExit):
            self._watch._dropped()  # pyright: ignore[reportPrivateUsage]
        else:
            self._watch.fail(error)


def _followed_by(
    original: Callable[..., Any], around: Callable[[], AbstractContextManager[None]], then: Callable[[Any], None]
) -> Callable[..., Any]:
    @functools.wraps(original)
    def call(*args: Any, **kwargs: Any) -> Any:
        with around():
            result = original(*args, **kwargs)
            then(result)
            return result

    return call


def _followed_by_async(
    original: Callable[..., Any], around: Callable[[], AbstractContextManager[None]], then: Callable[[Any], None]
) -> Callable[..., Any]:
    @functools.wraps(original)
    async def call(*args: Any, **kwargs: Any) -> Any:
        with around():
            result = await original(*args, **kwargs)
            then(result)
            return result

    return call
