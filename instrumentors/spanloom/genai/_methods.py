"""Standing in for methods of a response: each tells the watch of its stream, and then does what the method does.

They are bound methods of objects that are pickled and copied as what they stand in, so that a response is still the one
that its client made. They hold the response, and it them: whoever keeps ``response.close`` to call it later keeps both.
"""

from __future__ import annotations

import copy
import functools
import operator
import weakref
from collections.abc import AsyncGenerator, Callable, Generator, Iterable
from contextlib import AbstractContextManager, aclosing, nullcontext
from typing import Any, ClassVar, Protocol

from spanloom.genai._guard import attempt


class Watch(Protocol):
    """What is told. Each block is one reading: its end, however it comes, ends the call."""

    def note_close(self) -> None:
        """The response is about to be closed."""
        ...

    def whole_body(self) -> AbstractContextManager[Any]:
        """The caller has the body read as a whole."""
        ...

    def pieces(self) -> Pieces | None:
        """The caller takes the body piece by piece; ``None`` where somebody follows it further out."""
        ...


class Pieces(AbstractContextManager["Pieces"]):
    """One reading in pieces."""

    __slots__ = ("waits",)

    def __init__(self) -> None:
        # True while a piece is with the caller: closing the response then is his doing.
        self.waits = False


Restore = tuple["weakref.ref[Any]", str, int]


class Methods:
    """Some methods of ``target``. ``then`` is given what the reading ones return."""

    __slots__ = ("_originals", "_target", "_then", "_watch")

    names: ClassVar[tuple[str, ...]] = ()

    def __init__(self, watch: Watch | None, target: Any, then: Callable[[Any], None] | None = None) -> None:
        self._watch = watch
        self._target = target
        self._then = then
        self._originals: dict[str, Callable[..., Any]] = {}

    def put(self, names: Iterable[str] = ()) -> list[Restore]:
        """Stand in for these; gives what `take_off` needs."""
        done: list[Restore] = []
        for name in names or self.names:
            ours = getattr(self, name)
            self._originals[name] = getattr(self._target, name)
            setattr(self._target, name, ours)
            done.append((weakref.ref(self._target), name, id(ours)))
        return done

    def __reduce__(self) -> Any:
        # Pickled inside its target: there it is the target, and the method its own.
        return operator.getitem, ((self._target,), 0)

    def __deepcopy__(self, memo: dict[int, Any]) -> Methods:
        target = copy.deepcopy(self._target, memo)
        kind: type = target.__class__
        own = type(self)(None, target)
        for name, original in self._originals.items():
            plain: Any = getattr(kind, name, None)
            own._originals[name] = original if plain is None else functools.partial(plain, target)
        return own

    def _note_close(self) -> None:
        if self._watch is not None:
            self._watch.note_close()

    def _reading(self) -> AbstractContextManager[Any]:
        return nullcontext() if self._watch is None else self._watch.whole_body()

    def _tell(self, result: Any) -> None:
        if self._then is not None:
            attempt("genai.stream.result", self._then, result)


def take_off(done: Iterable[Restore]) -> None:
    """Take them off again, where nobody has put something over them."""
    for reference, name, ours in done:
        target: Any = reference()
        if target is not None and id(target.__dict__.get(name)) == ours:
            delattr(target, name)


class BodyMethods(Methods):
    """Of an HTTP response: how its body is read and closed."""

    __slots__ = ()

    names = ("close", "aclose", "read", "aread", "iter_raw", "aiter_raw")

    def close(self) -> Any:
        """Close it."""
        self._note_close()
        return self._originals["close"]()

    async def aclose(self) -> Any:
        """Close it."""
        self._note_close()
        return await self._originals["aclose"]()

    def read(self, *args: Any, **kwargs: Any) -> Any:
        """Read it as a whole."""
        with self._reading():
            body = self._originals["read"](*args, **kwargs)
            self._tell(body)
            return body

    async def aread(self, *args: Any, **kwargs: Any) -> Any:
        """Read it as a whole."""
        with self._reading():
            body = await self._originals["aread"](*args, **kwargs)
            self._tell(body)
            return body

    # All that gives lines, text or bytes takes them from here.

    def iter_raw(self, *args: Any, **kwargs: Any) -> Generator[Any, None, None]:
        """Read it piece by piece."""
        given = self._originals["iter_raw"](*args, **kwargs)
        reading = self._watch.pieces() if self._watch is not None else None
        if reading is None:
            yield from given
            return
        with reading:
            for piece in given:
                reading.waits = True
                yield piece
                reading.waits = False

    async def aiter_raw(self, *args: Any, **kwargs: Any) -> AsyncGenerator[Any, None]:
        """Read it piece by piece."""
        reading = self._watch.pieces() if self._watch is not None else None
        async with aclosing(self._originals["aiter_raw"](*args, **kwargs)) as given:
            if reading is None:
                async for piece in given:
                    yield piece
                return
            with reading:
                async for piece in given:
                    reading.waits = True
                    yield piece
                    reading.waits = False


class ResultMethods(Methods):
    """Of the SDK's raw response: what it is made into."""

    __slots__ = ()

    names = ("parse",)

    def parse(self, *args: Any, **kwargs: Any) -> Any:
        """Make it into what was asked for."""
        made = self._originals["parse"](*args, **kwargs)
        self._tell(made)
        return made


class AsyncResultMethods(Methods):
    """The same where that has to be awaited."""

    __slots__ = ()

    names = ("parse",)

    async def parse(self, *args: Any, **kwargs: Any) -> Any:
        """Make it into what was asked for."""
        made = await self._originals["parse"](*args, **kwargs)
        self._tell(made)
        return made
