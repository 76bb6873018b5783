"""A generator of the application's with an invocation around its work: the span ends when the generator does.

The context is attached while the generator's own code runs, never while it waits: whoever reads it has his own. What
that code attaches itself and keeps (a span around a ``yield``) is there again at its next step.
"""

from __future__ import annotations

import functools
import sys
import weakref
from collections.abc import AsyncGenerator, Callable, Generator
from types import AsyncGeneratorType, GeneratorType, TracebackType
from typing import TYPE_CHECKING, Any

from opentelemetry import context as otel

from spanloom.genai import _context
from spanloom.genai._guard import OnError, attempt, guarded
from spanloom.genai._yielded import Yielded
from spanloom.semconv import Spanloom

if TYPE_CHECKING:
    from contextvars import Token

    from opentelemetry.context import Context

    from spanloom.genai._invocation import Invocation


def is_generator(result: object) -> bool:
    """Whether a function gave back what still has its work to do."""
    return isinstance(result, (GeneratorType, AsyncGeneratorType))


def followed(invocation: Invocation, generator: Any) -> Any:
    """A generator of the same type, with the invocation around its work; whatever ends it ends the invocation."""
    steps = Steps(invocation)
    kind = generator_function if type(generator) is GeneratorType else async_generator_function
    outer: Any = kind(lambda: (steps, functools.partial(_same, generator)))()
    outer.__name__, outer.__qualname__ = generator.__name__, generator.__qualname__
    # One that is never begun runs no code when it is dropped.
    weakref.finalize(outer, leave, invocation, "dropped")
    return outer


def _same(generator: Any) -> Any:
    return generator


def leave(invocation: Invocation, how: str) -> None:
    """Nobody reads on: no failure of the program's."""
    if not invocation.ended:
        invocation.attributes[Spanloom.STREAM_END] = how
        invocation.stop()


class Steps:
    """The invocation around a generator's work: ``with steps:`` around each of its steps, and how they end.

    Without an invocation nothing is done. ``conclude`` is told the items that were yielded, where content is wanted.
    """

    __slots__ = ("_conclude", "_context", "_invocation", "_token", "_yielded", "closing")

    def __init__(self, invocation: Invocation | None, conclude: Callable[[Any], object] | None = None) -> None:
        self._invocation = invocation
        self._conclude = conclude
        self._context: Context | None = None if invocation is None else invocation.context
        self._token: Token[Context] | None = None
        self._yielded = None if conclude is None or invocation is None else _yielded(invocation)
        # True once the reader closes it.
        self.closing = False

    def __enter__(self) -> None:
        if self._context is not None:
            self._token = otel.attach(self._context)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        token, self._token = self._token, None
        if token is None or (isinstance(error, GeneratorExit) and self._is_elsewhere()):
            return
        self._context = otel.get_current()
        otel.detach(token)

    def _is_elsewhere(self) -> bool:
        """True where the collector closes what awaits a step, in another context: ours has gone with its own."""
        around = _context.current()
        while around is not None and around is not self._invocation:
            around = around.parent
        return around is None

    def keep(self, item: object) -> None:
        """An item is about to be handed to the reader."""
        if self._yielded is not None:
            attempt("genai.yielded", self._yielded.add, item)

    def answered(self, throws: bool, values: list[Any]) -> None:
        """The reader has sent or thrown something."""
        self.closing = throws and isinstance(values[0], GeneratorExit)

    def finish(self) -> None:
        """The generator has returned."""
        if self._invocation is None:
            return
        self._tell()
        if self.closing:
            leave(self._invocation, "closed")
        else:
            self._invocation.stop()

    def end_by(self, error: BaseException) -> None:
        """Something left the generator before its end."""
        if self._invocation is None:
            return
        closed = isinstance(error, GeneratorExit)
        self._tell(failed=not closed)
        if closed:
            leave(self._invocation, "closed")
        else:
            self._invocation.fail(error)

    @guarded("genai.yielded")
    def _tell(self, failed: bool = False) -> None:
        if self._conclude is None or self._yielded is None:
            return
        items = self._yielded.items()
        # What failed before its first item has no result.
        if items or not failed:
            self._conclude(items)


@guarded("genai.yielded")
def _yielded(invocation: Invocation) -> Yielded | None:
    return Yielded(invocation.telemetry.max_content_bytes) if invocation.captures_content else None


# Gives what is around the steps, and what makes the generator: wrong arguments are told there.
Start = Callable[..., tuple[Steps, Callable[[], Any]]]


class _Answer:
    """Takes what the reader throws in, which is the inner generator's to handle: closing it, too."""

    __slots__ = ("_values",)

    def __init__(self, values: list[Any]) -> None:
        self._values = values

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if error is not None:
            self._values.append(error)
        return error is not None


# In both loops ``items`` and ``values`` are emptied by whoever takes the value: an item or an exception that the reader
# has let go is held by nobody here.


def generator_function(start: Start) -> Callable[..., Generator[Any, Any, Any]]:
    """A generator function that begins with its first step, as any does."""

    def call(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        steps, make = start(*args, **kwargs)
        with OnError(steps.end_by):
            inner = make()
            items: list[Any] = []
            values: list[Any] = [None]
            throws = False
            while True:
                try:
                    items.append(_step(steps, inner, throws, values))
                except StopIteration as stop:
                    steps.finish()
                    return stop.value
                steps.keep(items[0])
                throws = True
                with _Answer(values):
                    values.append((yield items.pop()))
                    throws = False
                steps.answered(throws, values)

    return call


def _step(steps: Steps, inner: Any, throws: bool, values: list[Any]) -> Any:
    with steps:
        return inner.throw(values.pop()) if throws else inner.send(values.pop())


def async_generator_function(start: Start) -> Callable[..., AsyncGenerator[Any, Any]]:
    """The same for asynchronous ones."""

    async def call(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        steps, make = start(*args, **kwargs)
        with OnError(steps.end_by):
            inner = make()
            items: list[Any] = []
            values: list[Any] = [None]
            throws = False
            while True:
                try:
                    items.append(await _async_step(steps, inner, throws, values))
                except StopAsyncIteration:
                    steps.finish()
                    return
                steps.keep(items[0])
                throws = True
                with _Answer(values):
                    values.append((yield items.pop()))
                    throws = False
                steps.answered(throws, values)

    return call


async def _async_step(steps: Steps, inner: Any, throws: bool, values: list[Any]) -> Any:
    with steps:
        return await _next_of(inner, throws, values)


def _next_of(inner: Any, throws: bool, values: list[Any]) -> Any:
    """Without the loop's knowing of the inner generator (it learns of each at its first step).

    It would close both at once at its shutdown; the outer one closes the inner one itself.
    """
    hooks = sys.get_asyncgen_hooks()
    sys.set_asyncgen_hooks(None, None)
    try:
        return inner.athrow(values.pop()) if throws else inner.asend(values.pop())
    finally:
        sys.set_asyncgen_hooks(*hooks)
