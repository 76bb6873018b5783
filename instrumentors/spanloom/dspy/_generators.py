"""A ``forward`` that yields: its span ends when the generator does, and its work has the span's context at each step.

The context is attached while the user's generator runs, never while it waits: whoever reads it has his own.
"""

from __future__ import annotations

import functools
import weakref
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from types import AsyncGeneratorType, GeneratorType, TracebackType
from typing import Any

from opentelemetry import context as otel

from spanloom.dspy._frames import OnError
from spanloom.genai import Step
from spanloom.semconv import Spanloom


def is_generator(result: object) -> bool:
    """Whether a module gave back what still has its work to do."""
    return isinstance(result, (GeneratorType, AsyncGeneratorType))


def followed(step: Step, generator: Any) -> Any:
    """A generator of the same type, with the step around its work; whatever ends it ends the step."""
    follow: Any = _sync if type(generator) is GeneratorType else _async
    outer = follow(step, generator)
    # One that is never begun runs no code when it is dropped.
    weakref.finalize(outer, _left, step, "dropped")
    return outer


def _left(step: Step, how: str) -> None:
    """Nobody reads on: no failure of the program's."""
    if not step.ended:
        step.attributes[Spanloom.STREAM_END] = how
        step.stop()


def _ended_by(step: Step, error: BaseException) -> None:
    """Something left the generator before its end."""
    if isinstance(error, GeneratorExit):
        _left(step, "closed")
    else:
        step.fail(error)


class _Thrown:
    """Takes what the reader throws in, which is the inner generator's to handle."""

    __slots__ = ("error",)

    def __init__(self) -> None:
        self.error: BaseException | None = None

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        self.error = error
        return error is not None and not isinstance(error, GeneratorExit)


def _sync(step: Step, inner: Generator[Any, Any, Any]) -> Generator[Any, Any, Any]:
    run: Callable[[], Any] = inner.__next__
    with OnError(functools.partial(_ended_by, step)):
        while True:
            try:
                item = _inside(step, run)
            except StopIteration as stop:
                step.stop()
                return stop.value
            thrown, sent = _Thrown(), None
            try:
                with thrown:
                    sent = yield item
            except GeneratorExit:
                _inside(step, inner.close)
                raise
            if thrown.error is not None:
                run = functools.partial(inner.throw, thrown.error)
            else:
                run = inner.__next__ if sent is None else functools.partial(inner.send, sent)


def _inside(step: Step, run: Callable[[], Any]) -> Any:
    token = otel.attach(step.context)
    try:
        return run()
    finally:
        otel.detach(token)


async def _async(step: Step, inner: AsyncGenerator[Any, Any]) -> AsyncGenerator[Any, Any]:
    following: Awaitable[Any] = inner.__anext__()
    with OnError(functools.partial(_ended_by, step)):
        while True:
            try:
                item = await _ainside(step, following)
            except StopAsyncIteration:
                step.stop()
                return
            thrown, sent = _Thrown(), None
            try:
                with thrown:
                    sent = yield item
            except GeneratorExit:
                await _ainside(step, inner.aclose())
                raise
            following = inner.asend(sent) if thrown.error is None else inner.athrow(thrown.error)


async def _ainside(step: Step, awaited: Awaitable[Any]) -> Any:
    token = otel.attach(step.context)
    try:
        return await awaited
    finally:
        otel.detach(token)
