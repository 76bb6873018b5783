"""Watching a stream without holding it: chunks pass through, the invocation ends with the stream, once.

A stream ends by its last chunk, an exception, ``close()`` of the response underneath, or garbage collection. The
context is never attached across a ``yield``, and the caller keeps the SDK's own stream object.
"""

from __future__ import annotations

import functools
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from types import TracebackType
from typing import Any, Generic, TypeVar

from spanloom.genai._guard import guarded
from spanloom.genai._kinds import Inference
from spanloom.semconv import Spanloom

T = TypeVar("T")


class StreamWatch(Generic[T]):
    """Ends one inference with its stream. ``take`` reads a chunk; ``seal`` writes what was read to the inference.

    ``seal`` gets True where the stream was read to its end.
    """

    def __init__(self, call: Inference, take: Callable[[T], None], seal: Callable[[bool], None]) -> None:
        self._call = call
        self._take = guarded("genai.stream.chunk")(take)
        self._seal = guarded("genai.stream.seal")(seal)
        self._advancing = False
        self._finalizer: weakref.finalize[..., Any] | None = None

    def watch_owner(self, owner: object) -> None:
        """End the inference when ``owner`` (the stream) is garbage-collected without having been read or closed."""
        self._finalizer = weakref.finalize(owner, self.abandon, "dropped")

    def watch_body(self, response: Any) -> None:
        """End the inference with a body that the caller reads: when it is closed, or dropped."""
        self.watch_owner(response)
        self.watch_close(response, "close")
        self.watch_close(response, "aclose")

    def watch_close(self, response: Any, name: str) -> None:
        """End the inference when ``response.close`` (or ``aclose``) is called between two chunks."""
        original = getattr(response, name)
        wrapped = self._closing_async(original) if name == "aclose" else self._closing(original)
        setattr(response, name, wrapped)

    def iterate(self, inner: Iterator[T]) -> Iterator[T]:
        """The chunks of ``inner``, one by one."""
        with _Reading(self):
            for chunk in inner:
                self._pass(chunk)
                yield chunk
                self._advancing = True

    async def aiterate(self, inner: AsyncIterator[T]) -> AsyncIterator[T]:
        """The chunks of an asynchronous ``inner``, one by one."""
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
        self._end(lambda: self._seal(True), self._call.stop)

    def abandon(self, how: str) -> None:
        """Nobody reads on (``closed``, ``dropped``): not an error of the call, and marked as what it is."""
        self._end(lambda: self._leave(how), self._call.stop)

    def fail(self, error: BaseException) -> None:
        """The stream broke, or reading it was cancelled."""
        self._end(lambda: self._seal(False), lambda: self._call.fail(error))

    def _leave(self, how: str) -> None:
        self._call.attributes[Spanloom.STREAM_END] = how
        self._seal(False)

    def _end(self, seal: Callable[[], None], finish: Callable[[], None]) -> None:
        if self._call.ended:
            return
        if self._finalizer is not None:
            self._finalizer.detach()
        seal()
        finish()

    def _closed(self) -> None:
        # The SDK closes the response itself when the last chunk was read; the iterator then tells how it ended.
        if not self._advancing:
            self.abandon("closed")

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
    """One reading of a stream: its end, however it comes, ends the inference."""

    __slots__ = ("_watch",)

    def __init__(self, watch: StreamWatch[Any]) -> None:
        self._watch = watch

    def __enter__(self) -> None:
        self._watch._advancing = True  # pyright: ignore[reportPrivateUsage]

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self._watch.complete()
        elif isinstance(error, GeneratorExit):
            self._watch.abandon("dropped")
        else:
            self._watch.fail(error)
