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
from types import TracebackType
from typing import Any, Generic, TypeVar

from spanloom.genai._calls import Inference
from spanloom.genai._guard import guard, guarded
from spanloom.semconv import Spanloom

T = TypeVar("T")

# Streams that have an owner and no end yet: what is left here when the process exits is ended then. Bounded by the
# application's open streams.
_open: set[StreamWatch[Any]] = set()


def end_open_streams() -> None:
    """End the inference of every stream that is open, for a process that is about to end."""
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
    """Ends one inference with its stream. ``take`` reads a chunk; ``seal`` writes what was read to the inference.

    ``seal`` gets True where the stream was read to its end. It is not called where the caller reads the body himself.
    """

    def __init__(self, call: Inference, take: Callable[[T], None], seal: Callable[[bool], None]) -> None:
        self._call = call
        self._take = guarded("genai.stream.chunk")(take)
        self._seal = guarded("genai.stream.seal")(seal)
        self._advancing = False
        # Weak: the SDK's generator holds the stream, whose collection is to be noticed.
        self._inner: weakref.ref[Any] | None = None
        self._finalizer: weakref.finalize[..., Any] | None = None
        # Whoever takes the one item ends the inference. No lock: the garbage collector may come at any point.
        self._end_right = [True]
        self._replaced: list[tuple[weakref.ref[Any], str, int]] = []

    @property
    def followed(self) -> bool:
        """True once the chunks of a stream are followed."""
        return self._inner is not None

    def watch_owner(self, owner: object) -> None:
        """End the inference when ``owner`` (the stream) is garbage-collected without having been read or closed."""
        self._finalizer = weakref.finalize(owner, self._dropped)
        self._finalizer.atexit = False
        _open.add(self)
        _end_with_the_process()

    def watch_close(self, response: Any, name: str) -> None:
        """End the inference when ``response.close`` (or ``aclose``) is called between two chunks."""
        original = getattr(response, name)
        self._replace(response, name, self._closing_async(original) if name == "aclose" else self._closing(original))

    def watch_result(self, target: Any, name: str, then: Callable[[Any], None], *, reads: bool = False) -> None:
        """Give what ``target.name()`` returns to ``then``. With ``reads`` it reads the whole body: that is the end."""
        original = getattr(target, name)
        around: Callable[[], AbstractContextManager[None]] = _Reading.of(self) if reads else nullcontext
        safe = guarded("genai.stream.result")(then)
        wrap = _followed_by_async if inspect.iscoroutinefunction(original) else _followed_by
        self._replace(target, name, wrap(original, around, safe))

    def _replace(self, target: Any, name: str, replacement: Callable[..., Any]) -> None:
        setattr(target, name, replacement)
        self._replaced.append((weakref.ref(target), name, id(replacement)))

    def iterate(self, inner: Iterator[T]) -> Iterator[T]:
        """The chunks of ``inner`` (a generator), one by one."""
        self._inner = weakref.ref(inner)
        return self._iterate(inner)

    def aiterate(self, inner: AsyncIterator[T]) -> AsyncIterator[T]:
        """The chunks of an asynchronous ``inner`` (a generator), one by one."""
        self._inner = weakref.ref(inner)
        return self._aiterate(inner)

    def _iterate(self, inner: Iterator[T]) -> Iterator[T]:
        with _Reading(self):
            for chunk in inner:
                self._pass(chunk)
                yield chunk
                self._advancing = True

    async def _aiterate(self, inner: AsyncIterator[T]) -> AsyncIterator[T]:
        with _Reading(self):
            async for chunk in inner:
                self._pass(chunk)
                yield chunk
                self._advancing = True

    def _pass(self, chunk: T) -> None:
        self._advancing = False
        call = self._call
        if call.first_chunk_s is None:
            call.first_chunk_s = call.elapsed_s()
        call.chunks += 1
        self._take(chunk)

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
            self._finish(
                whole=False, how="cancelled" if isinstance(error, asyncio.CancelledError) else None, error=error
            )

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
        with guard("genai.stream.restore"):
            self._restore()
        if how is not None:
            self._call.attributes[Spanloom.STREAM_END] = how
        if self.followed:
            self._seal(whole)
        if error is None:
            self._call.stop()
        else:
            self._call.fail(error)

    def _restore(self) -> None:
        """Take our methods off the response: it can be pickled and copied as before."""
        for reference, name, replacement in self._replaced:
            target = reference()
            if target is not None and id(getattr(target, name, None)) == replacement:
                delattr(target, name)

    def _closed(self) -> None:
        # The SDK closes the response itself when the last chunk was read; the iterator then tells how it ended.
        if self._advancing:
            return
        if self._inner_runs():
            # It is being taken down itself (by the collector, by a loop that ends), and closes the response on the way.
            self._dropped()
        elif self.followed:
            self.abandon("closed")
        else:
            # A body that the caller read himself: to its end or not, we do not know.
            self.complete()

    def _inner_runs(self) -> bool:
        inner = self._inner() if self._inner is not None else None
        return bool(getattr(inner, "gi_running", False) or getattr(inner, "ag_running", False))

    def _closing(self, original: Callable[[], Any]) -> Callable[[], Any]:
        @functools.wraps(original)
        def close() -> Any:
            self._closed()
            return original()

        return close

    def _closing_async(self, original: Callable[[], Any]) -> Callable[[], Any]:
        @functools.wraps(original)
        async def aclose() -> Any:
            self._closed()
            return await original()

        return aclose


class _Reading:
    """One reading of a stream or body: its end, however it comes, ends the inference."""

    __slots__ = ("_watch",)

    def __init__(self, watch: StreamWatch[Any]) -> None:
        self._watch = watch

    @classmethod
    def of(cls, watch: StreamWatch[Any]) -> Callable[[], _Reading]:
        return functools.partial(cls, watch)

    def __enter__(self) -> None:
        self._watch._advancing = True  # pyright: ignore[reportPrivateUsage]

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
