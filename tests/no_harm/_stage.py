"""What a case's program runs on: clients, one way to write sync and async calls, and the application's own log."""

from __future__ import annotations

import asyncio
import copy
import gc
import importlib
import inspect
import sys
import warnings
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import openai

from tests.no_harm._answers import SECRET
from tests.no_harm._describe import copied, describe, kind, outside
from tests.no_harm._wire import Session, Wire

http = importlib.import_module("httpx2" if int(openai.VERSION.partition(".")[0]) >= 3 else "httpx")
END = object()
# Sync outside of any event loop, async, and sync inside a running loop (as in a notebook).
FLAVOURS = ("sync", "async", "looped")


@dataclass
class Observed:
    """One run as the application and the server saw it."""

    application: list[Any]
    server: list[Any]
    notices: list[str]
    raised: BaseException | None = field(default=None, compare=False)
    # Outside of the comparison: how many spans there were at the points that a program names.
    checkpoints: dict[str, int] = field(default_factory=dict, compare=False)


class Stage:
    """Handed to the program of a case."""

    def __init__(self, session: Session, port: int, flavour: str, spans: Callable[[], int]) -> None:
        self.log: list[Any] = []
        self.checkpoints: dict[str, int] = {}
        self.session = session
        self.asynchronous = flavour == "async"
        self.root = f"http://127.0.0.1:{port}"
        self._spans = spans
        self._open: list[Any] = []

    # Clients.

    @property
    def options(self) -> dict[str, Any]:
        """Arguments of every client; secrets wherever one can be."""
        return {
            "api_key": f"sk-{SECRET}",
            "max_retries": 0,
            "default_headers": {"x-tenant-token": SECRET, "cookie": f"session={SECRET}", "api-key": SECRET},
            "default_query": {"signature": SECRET},
            "http_client": self.transport(),
        }

    def transport(self, **options: Any) -> Any:
        """An HTTP client that costs little to make."""
        return (http.AsyncClient if self.asynchronous else http.Client)(verify=False, **options)

    def client(self, name: str = "OpenAI", **options: Any) -> Any:
        """A client of a class by its name without ``Async``; closed when the program is over."""
        one = self.kind(name)(**{"base_url": f"{self.root}/v1", **self.options, **options})
        self._open.append(one)
        return one

    def kind(self, name: str) -> Any:
        """A class of the SDK, sync or async."""
        return getattr(openai, f"Async{name}" if self.asynchronous else name)

    # One text for sync and async.

    async def get(self, value: Any) -> Any:
        """What a sync call gave, or what an async one will give."""
        return await value if inspect.isawaitable(value) else value

    def reader(self, stream: Any) -> Any:
        """What a ``for`` loop makes of a stream."""
        return aiter(stream) if hasattr(stream, "__aiter__") else iter(stream)

    async def next(self, reader: Any, number: int | None = None) -> Any:
        """The next chunk, or `END`; with a number, the server is told that now it is wanted."""
        if number is not None:
            self.session.say(f"want {number}")
        try:
            chunk = await reader.__anext__() if hasattr(reader, "__anext__") else next(reader, END)
        except StopAsyncIteration:
            chunk = END
        return chunk

    async def read(self, stream: Any, count: int, first: int = 0) -> None:
        """So many chunks, each when the server may send it, into the log. The loop is left as by ``break``."""
        reader = self.reader(stream)
        for number in range(first, first + count):
            chunk = await self.next(reader, number)
            self.mark("end" if chunk is END else "chunk", describe(chunk) if chunk is not END else None)
            if chunk is END:
                break

    async def enter(self, manager: Any) -> Any:
        """``with`` or ``async with``: the entry."""
        return await manager.__aenter__() if hasattr(manager, "__aenter__") else manager.__enter__()

    async def leave(self, manager: Any, error: BaseException | None = None) -> Any:
        """``with`` or ``async with``: the exit, in the way Python calls it."""
        name = "__aexit__" if hasattr(manager, "__aexit__") else "__exit__"
        trace = error.__traceback__ if error else None
        return await self.get(getattr(manager, name)(type(error) if error else None, error, trace))

    async def close(self, thing: Any) -> None:
        """``close()``, awaited where it must be."""
        await self.get(thing.close())

    async def collect(self) -> None:
        """Let the garbage collector and the event loop take what was dropped."""
        for _ in range(2):
            gc.collect()
            await self.breathe()

    async def breathe(self) -> None:
        """Give the loop the turns that closing a connection takes."""
        if self.asynchronous:
            await asyncio.sleep(0.005)

    # The log.

    def mark(self, label: str, *details: Any) -> None:
        """Something that the application saw."""
        self.log.append((label, *details))

    def see(self, label: str, value: Any) -> None:
        """A whole result, its copies included."""
        self.mark(label, describe(value), copied(value))

    def look(self, stream: Any) -> None:
        """A stream or a raw response, from outside."""
        self.mark("outside", outside(stream))

    async def settle(self, label: str = "settled") -> None:
        """Note how the connections stand, and how many spans there are."""
        await self.breathe()
        self.mark(label, self.session.settled())
        self.checkpoints[label] = self._spans()

    async def call(self, method: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """A call whose arguments must be afterwards as they were before."""
        before = describe(kwargs)
        held = copy.copy(kwargs)
        try:
            return await self.get(method(*args, **kwargs))
        finally:
            same = all(kwargs.get(name) is one for name, one in held.items())
            self.mark("arguments", describe(kwargs) == before and same and len(kwargs) == len(held))

    async def finish(self) -> None:
        """Close the clients."""
        while self._open:
            await self.close(self._open.pop())


Program = Callable[[Stage], Coroutine[Any, Any, None]]


def observe(wire: Wire, scripts: Any, program: Program, flavour: str, spans: Callable[[], int] = int) -> Observed:
    """Run a program once."""
    session = wire.begin(scripts)
    stage = Stage(session, wire.port, flavour, spans)
    notices: list[str] = []
    try:
        with _noticed(notices):
            raised = _drive(stage, program, flavour, notices)
            gc.collect()
    finally:
        session.end()
    return Observed(stage.log, session.entries, notices, raised, stage.checkpoints)


def _drive(stage: Stage, program: Program, flavour: str, notices: list[str]) -> BaseException | None:
    if flavour == "sync":
        try:
            _whole(stage, program).send(None)
        except StopIteration as stop:
            return stop.value
        raise AssertionError("a sync program waited")

    async def main() -> BaseException | None:
        def note(_: Any, context: dict[str, Any]) -> None:
            notices.append(f"loop: {context['message']} {kind(context.get('exception'))}")

        asyncio.get_running_loop().set_exception_handler(note)
        return await _whole(stage, program)

    return asyncio.run(main())


async def _whole(stage: Stage, program: Program) -> BaseException | None:
    raised = None
    try:
        await program(stage)
    except (Exception, asyncio.CancelledError, _Stop) as error:
        raised = error
        stage.mark("raised", describe(error))
    await stage.finish()
    return raised


class _Stop(BaseException):
    """Stands for Ctrl-C."""


STOP = _Stop


@contextmanager
def _noticed(notices: list[str]) -> Iterator[None]:
    """Write down warnings and what could not be raised: there must not be more of them with us."""

    def unraisable(what: Any) -> None:
        notices.append(f"unraisable: {kind(what.exc_value)} {what.exc_value}")

    before, sys.unraisablehook = sys.unraisablehook, unraisable
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            yield
        notices.extend(sorted(one.category.__name__ for one in caught))
    finally:
        sys.unraisablehook = before
