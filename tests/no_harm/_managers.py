"""The SDK's own accumulating streams (``.stream()``): all ways to leave their block."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from tests.no_harm import _answers as answers
from tests.no_harm._answers import WORDS, sse
from tests.no_harm._calls import chat
from tests.no_harm._compare import Case, Told
from tests.no_harm._describe import describe
from tests.no_harm._stage import END, Stage
from tests.no_harm._streams import ASKED, ASKED_RESPONSES
from tests.no_harm._wire import Script


@dataclass(frozen=True)
class Kind:
    """One manager: how it is made, the raw events below, and how the whole is asked for."""

    name: str
    begin: Callable[[Any], Any]
    events: list[bytes]
    # How many raw events have the first word, and how many the manager makes of them.
    raw: int
    some: int
    final: str


KINDS = (
    Kind(
        "chat manager", lambda client: chat(client).stream(**ASKED), answers.CHAT_EVENTS, 1, 2, "get_final_completion"
    ),
    Kind(
        "responses manager",
        lambda client: client.responses.stream(**ASKED_RESPONSES),
        answers.response_events(),
        4,
        4,
        "get_final_response",
    ),
)
ENDS: list[tuple[Any, Callable[[Kind], Script], Told | None, dict[str, int]]] = []


def flowing(kind: Kind) -> Script:
    """All events at once."""
    return sse(kind.events, paced=False)


def stalling(kind: Kind) -> Script:
    """The first word, and then silence."""
    return sse(kind.events, paced=False, after=kind.raw, then="stall")


def silent(kind: Kind) -> Script:
    """The head, and then silence."""
    return sse(kind.events, paced=False, after=0, then="stall")


def cut(kind: Kind) -> Script:
    """The first word, and then the connection ends."""
    return sse(kind.events, paced=False, after=kind.raw, then="cut")


def row(script: Callable[[Kind], Script], told: Told | None, **at: int) -> Callable[[Any], Any]:
    """Put an end into the table."""

    def add(function: Callable[[Stage, Kind], Coroutine[Any, Any, None]]) -> Any:
        ENDS.append((function, script, told, at))
        return function

    return add


WHOLE = Told(kept=WORDS)
CLOSED = Told(end="closed", kept=WORDS[:1], missing=WORDS[1:])


async def some(stage: Stage, stream: Any, kind: Kind) -> None:
    """Events up to the first word."""
    reader = stage.reader(stream)
    for _ in range(kind.some):
        stage.mark("event", describe(await stage.next(reader)))


@row(flowing, WHOLE)
async def events_to_the_end(stage: Stage, kind: Kind) -> None:
    """All events, and the whole."""
    manager = kind.begin(stage.client())
    stage.look(manager)
    stream = await stage.enter(manager)
    stage.look(stream)
    reader = stage.reader(stream)
    while (seen := await stage.next(reader)) is not END:
        stage.mark("event", describe(seen))
    stage.see("whole", await stage.get(getattr(stream, kind.final)()))
    await stage.leave(manager)
    await stage.settle()


@row(flowing, WHOLE)
async def only_the_whole(stage: Stage, kind: Kind) -> None:
    """Without a look at the events."""
    manager = kind.begin(stage.client())
    stream = await stage.enter(manager)
    stage.see("whole", await stage.get(getattr(stream, kind.final)()))
    await stage.settle("before the block ends")
    await stage.leave(manager)


@row(flowing, WHOLE)
async def until_done(stage: Stage, kind: Kind) -> None:
    """``until_done()``."""
    manager = kind.begin(stage.client())
    stream = await stage.enter(manager)
    await stage.get(stream.until_done())
    await stage.leave(manager)
    await stage.settle()


@row(stalling, CLOSED)
async def left_early_and_held(stage: Stage, kind: Kind) -> None:
    """The manager closes the HTTP response, not the stream: the span ends with the block all the same."""
    manager = kind.begin(stage.client())
    stream = await stage.enter(manager)
    await some(stage, stream, kind)
    await stage.leave(manager)
    await stage.settle()
    stage.mark("still there", type(stream).__name__)


@row(stalling, Told(end="dropped", kept=WORDS[:1], missing=WORDS[1:]))
async def left_early_and_dropped(stage: Stage, kind: Kind) -> None:
    """Entered, and forgotten without being left."""
    manager = kind.begin(stage.client())
    stream = await stage.enter(manager)
    await some(stage, stream, kind)
    del manager, stream
    await stage.collect()


@row(stalling, CLOSED)
async def closed_by_hand(stage: Stage, kind: Kind) -> None:
    """``stream.close()`` within the block."""
    manager = kind.begin(stage.client())
    stream = await stage.enter(manager)
    await some(stage, stream, kind)
    await stage.close(stream)
    await stage.settle()
    await stage.leave(manager)


@row(stalling, CLOSED)
async def fault_in_the_block(stage: Stage, kind: Kind) -> None:
    """The application's own exception."""
    manager = kind.begin(stage.client())
    stream = await stage.enter(manager)
    error = ValueError("mine")
    try:
        await some(stage, stream, kind)
        raise error
    except ValueError:
        stage.mark("swallowed", bool(await stage.leave(manager, error)))
    await stage.settle()
    raise error


@row(silent, Told(end="closed", missing=WORDS))
async def nothing_read(stage: Stage, kind: Kind) -> None:
    """In and out."""
    manager = kind.begin(stage.client())
    await stage.enter(manager)
    await stage.leave(manager)
    await stage.settle()


@row(cut, Told(error="raised", kept=WORDS[:1], missing=WORDS[1:]))
async def connection_ends(stage: Stage, kind: Kind) -> None:
    """The server goes away."""
    manager = kind.begin(stage.client())
    stream = await stage.enter(manager)
    try:
        await stage.get(getattr(stream, kind.final)())
    finally:
        await stage.leave(manager)


@row(flowing, None)
async def never_entered(stage: Stage, kind: Kind) -> None:
    """Nothing is sent before the block is entered: no span; of a coroutine that waits inside, the warnings as ever."""
    manager = kind.begin(stage.client())
    stage.look(manager)
    del manager
    await stage.collect()


@row(lambda _: answers.refused(429), Told(error="raised"))
async def refused(stage: Stage, kind: Kind) -> None:
    """The server says no."""
    await stage.enter(kind.begin(stage.client()))


def _case(kind: Kind, end: Any, script: Any, told: Told | None, at: dict[str, int]) -> Case:
    async def program(stage: Stage) -> None:
        await end(stage, kind)

    return Case(f"{kind.name}: {end.__name__}", program, (script(kind),), (told,) if told else (), at=at)


CASES = [_case(kind, *one) for kind in KINDS for one in ENDS]
