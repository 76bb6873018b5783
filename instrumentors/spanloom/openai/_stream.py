"""Results by their shape, how each is read, and streams: where the span's end comes from."""

from __future__ import annotations

import enum
import functools
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from spanloom.genai import ClientCall, StreamWatch
from spanloom.genai._fields import get
from spanloom.openai._response import Failure


class Read(Protocol):
    """What a stream said so far; chunks are not kept. One may have ``is_over``: the server has told the end."""

    def take(self, chunk: Any, /) -> object:
        """Read one chunk."""
        ...

    def seal(self, whole: bool) -> Failure | None:
        """Write what was read to the call; ``whole`` where the stream was read to its end. Gives a failure it told."""
        ...


@dataclass(frozen=True)
class Reading:
    """How the answers of one endpoint are read: in chunks, or whole."""

    stream: Callable[[Any], Read]
    answer: Callable[[Any, Any], None] | None
    # What an answer tells of a failure that is no HTTP error.
    failure: Callable[[Any], Failure | None] | None = None
    # Raw bodies may be large, with little in them for us.
    large: bool = False

    def whole(self, call: ClientCall, answer: Any) -> None:
        """Read an answer: the SDK's object, or the same as plain dicts. A failure in it ends the call."""
        if self.answer is not None:
            self.answer(call, answer)
        failure = self.failure(answer) if self.failure is not None else None
        if failure is not None:
            call.fail_as(*failure)


class NoRead:
    """Chunks that say nothing to us: bytes of speech, pieces of an image."""

    def __init__(self, call: ClientCall) -> None:
        """As the others."""

    def take(self, chunk: Any) -> None:
        """Nothing."""

    def seal(self, whole: bool) -> None:
        """Nothing."""


class Shape(enum.Enum):
    """What a client gives back."""

    PLAIN = enum.auto()
    STREAM = enum.auto()
    RAW = enum.auto()


def shape_of(result: object) -> Shape:
    """What this is, by its class alone: we never import the SDK's, and asking an object of pydantic's is dear."""
    return _shape_of(type(result))


@functools.lru_cache(maxsize=256)
def _shape_of(kind: type) -> Shape:
    if hasattr(kind, "__stream__"):
        return Shape.STREAM
    return Shape.RAW if hasattr(kind, "http_request") and hasattr(kind, "parse") else Shape.PLAIN


def observe(call: ClientCall, reading: Reading, stream: Any, *, hides_usage: bool = False) -> None:
    """Let the call end with this stream. The object stays the SDK's own; only its inner iterator is followed."""
    watch = watching(call, reading)
    watch.watch_close(stream.response, "aclose" if hasattr(stream._iterator, "__anext__") else "close")
    watch.watch_owner(stream)
    follow(watch, stream, hides_usage=hides_usage)


def watching(call: ClientCall, reading: Reading) -> StreamWatch[Any]:
    """A watch that reads chunks as this endpoint has them."""
    read = reading.stream(call)
    return StreamWatch(call, read.take, read.seal, lambda: getattr(read, "is_over", False))


def follow(watch: StreamWatch[Any], stream: Any, *, hides_usage: bool = False) -> None:
    """Put ourselves between the SDK's inner iterator and its stream."""
    inner = stream._iterator
    if hasattr(inner, "__anext__"):
        outer = watch.aiterate(inner)
        stream._iterator = _awithout_usage(outer) if hides_usage else outer
    else:
        outer = watch.iterate(inner)
        stream._iterator = _without_usage(outer) if hides_usage else outer


def _without_usage(chunks: Iterator[Any]) -> Iterator[Any]:
    for chunk in chunks:
        if not _only_usage(chunk):
            yield chunk


async def _awithout_usage(chunks: AsyncIterator[Any]) -> AsyncIterator[Any]:
    async for chunk in chunks:
        if not _only_usage(chunk):
            yield chunk


def _only_usage(chunk: Any) -> bool:
    """The chunk that the server adds for ``include_usage``: no choices, and the usage of the whole."""
    choices = get(chunk, "choices")
    return isinstance(choices, (list, tuple)) and not choices and get(chunk, "usage") is not None
