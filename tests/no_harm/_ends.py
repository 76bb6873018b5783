"""Every way in which a stream ends, for every kind of stream: what the program does, and what the span must say."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

from tests.no_harm._compare import Case
from tests.no_harm._describe import describe
from tests.no_harm._stage import END, STOP, Stage
from tests.no_harm._streams import KINDS, ROWS, Kind, Row, begin, breaking, failing, flowing, garbled, paced, row

# Read to the end.


@row(paced, words=5)
async def read_to_the_end(stage: Stage, kind: Kind) -> None:
    """A loop over everything; the response is then as the SDK leaves it, and a second loop gives nothing."""
    stream = await begin(stage, kind)
    await stage.read(stream, 99)
    stage.mark("left on the response", sorted(vars(stream.response)))
    await stage.read(stream, 1)
    await stage.settle()


@row(flowing, words=5, flavours=("sync", "async", "looped"))
async def read_at_full_speed(stage: Stage, kind: Kind) -> None:
    """As ``list(stream)`` does it."""
    stream = await begin(stage, kind)
    reader = stage.reader(stream)
    while (chunk := await stage.next(reader)) is not END:
        stage.see("chunk", chunk)
    await stage.settle()


@row(paced, words=5)
async def read_without_a_loop(stage: Stage, kind: Kind) -> None:
    """``next(stream)`` until it is exhausted, and once more."""
    stream = await begin(stage, kind)
    number = 0
    while await stage.next(stream, number) is not END:
        number += 1
    stage.mark("chunks", number, await stage.next(stream) is END)
    await stage.settle()


@row(paced, words=5)
async def read_in_a_block(stage: Stage, kind: Kind) -> None:
    """``with stream:``, to the end, and closed twice more."""
    stream = await begin(stage, kind)
    entered = await stage.enter(stream)
    stage.mark("entered", entered is stream)
    await stage.read(stream, 99)
    await stage.leave(stream)
    await stage.close(stream)
    await stage.settle()


@row(paced, words=5)
async def read_in_two_loops(stage: Stage, kind: Kind) -> None:
    """A ``break`` leaves the stream open: the next loop goes on where the first one stopped."""
    stream = await begin(stage, kind)
    await stage.read(stream, kind.some)
    await stage.collect()
    await stage.read(stream, 99, kind.some)
    await stage.settle()


@row(flowing, words=5, flavours=("sync",))
async def read_in_another_thread(stage: Stage, kind: Kind) -> None:
    """Begun here, read there."""
    stream = await begin(stage, kind)
    thread = threading.Thread(target=lambda: stage.mark("chunks", len(list(stream))))
    thread.start()
    thread.join()
    await stage.settle()


@row(flowing, words=5, flavours=("async",))
async def read_in_another_task(stage: Stage, kind: Kind) -> None:
    """Begun here, read in a task of its own."""
    stream = await begin(stage, kind)

    async def rest() -> int:
        return len([chunk async for chunk in stream])

    stage.mark("chunks", await asyncio.create_task(rest()))
    await stage.settle()


# Left early.


@row(paced, end="closed")
async def break_and_close(stage: Stage, kind: Kind) -> None:
    """The span ends with ``close()``, not when the stream is collected."""
    stream = await begin(stage, kind)
    await stage.read(stream, kind.some)
    await stage.close(stream)
    await stage.settle()
    await stage.close(stream)


@row(paced, end="closed")
async def break_in_a_block(stage: Stage, kind: Kind) -> None:
    """``with stream:`` and ``break``."""
    stream = await begin(stage, kind)
    await stage.enter(stream)
    await stage.read(stream, kind.some)
    await stage.leave(stream)
    await stage.settle()


@row(paced, end="closed")
async def break_and_close_the_response(stage: Stage, kind: Kind) -> None:
    """The HTTP response is closed, not the stream."""
    stream = await begin(stage, kind)
    await stage.read(stream, kind.some)
    response = stream.response
    await stage.get(response.aclose() if stage.asynchronous else response.close())
    await stage.settle()


@row(paced, end="closed")
async def close_and_read_on(stage: Stage, kind: Kind) -> None:
    """Reading after ``close()`` gives what it gives."""
    stream = await begin(stage, kind)
    await stage.read(stream, kind.some)
    await stage.close(stream)
    await stage.settle()
    stage.mark("after", describe(await stage.next(stage.reader(stream))))


@row(paced, end="dropped", held=0)
async def break_and_drop(stage: Stage, kind: Kind) -> None:
    """Nothing ends while somebody holds the stream; then the collector ends it."""
    stream = await begin(stage, kind)
    await stage.read(stream, kind.some)
    await stage.collect()
    await stage.settle("held")
    del stream
    await stage.collect()


@row(paced, end="dropped", words=0)
async def never_read_and_dropped(stage: Stage, kind: Kind) -> None:
    """Begun and forgotten."""
    stream = await begin(stage, kind)
    del stream
    await stage.collect()


@row(paced, end="closed", words=0)
async def never_read_and_closed(stage: Stage, kind: Kind) -> None:
    """Begun and closed."""
    stream = await begin(stage, kind)
    await stage.close(stream)
    await stage.settle()


@row(paced, end="closed")
async def fault_in_a_block(stage: Stage, kind: Kind) -> None:
    """The application's own exception closes the stream: the call has not failed."""
    stream = await begin(stage, kind)
    await stage.enter(stream)
    error = ValueError("mine")
    try:
        await stage.read(stream, kind.some)
        raise error
    except ValueError:
        stage.mark("swallowed", bool(await stage.leave(stream, error)))
    await stage.settle()
    raise error


@row(paced, end="dropped")
async def fault_in_a_bare_loop(stage: Stage, kind: Kind) -> None:
    """The application's own exception, and nobody closes the stream."""
    stream = await begin(stage, kind)
    await stage.read(stream, kind.some)
    del stream
    await stage.collect()
    raise ValueError("mine")


@row(paced, end="closed", flavours=("sync",))
async def stopped_in_a_block(stage: Stage, kind: Kind) -> None:
    """Ctrl-C passes."""
    with await begin(stage, kind) as stream:
        await stage.read(stream, kind.some)
        raise STOP


@row(paced, end="closed", flavours=("async",))
async def generator_that_is_closed(stage: Stage, kind: Kind) -> None:
    """A web framework closes the generator that reads the stream."""
    client = stage.client()

    async def body() -> Any:
        async with await kind.begin(client) as stream:
            async for chunk in stream:
                yield chunk

    reader = body()
    for number in range(kind.some):
        await stage.next(reader, number)
    await reader.aclose()
    await stage.settle()


# What breaks.


@row(breaking("cut"), error="raised")
async def connection_ends(stage: Stage, kind: Kind) -> None:
    """The server goes away in the middle."""
    stream = await begin(stage, kind)
    await stage.read(stream, 99)


@row(breaking("reset"), error="raised")
async def connection_is_reset(stage: Stage, kind: Kind) -> None:
    """The network breaks in the middle."""
    await stage.read(await begin(stage, kind), 99)


@row(failing, error="raised")
async def server_reports_an_error(stage: Stage, kind: Kind) -> None:
    """An error event in the middle."""
    stream = await begin(stage, kind)
    await stage.read(stream, 99)


@row(garbled, error="raised")
async def server_sends_garbage(stage: Stage, kind: Kind) -> None:
    """What is no JSON in the middle."""
    stream = await begin(stage, kind)
    await stage.read(stream, 99)


@row(breaking("stall"), error="raised")
async def server_falls_silent(stage: Stage, kind: Kind) -> None:
    """The time to read is over."""
    client = stage.client(timeout=0.4)
    await stage.read(await stage.get(kind.begin(client)), 99)


@row(breaking("stall"), error="CancelledError", end="cancelled", flavours=("async",))
async def task_is_cancelled(stage: Stage, kind: Kind) -> None:
    """While it waits for the next chunk."""
    stream = await begin(stage, kind)
    await stage.read(stream, kind.some)
    task = asyncio.create_task(stage.read(stream, 1, kind.some))
    await asyncio.sleep(0.02)
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        stage.mark("cancelled")
    await stage.settle()


@row(breaking("stall"), error="CancelledError", end="cancelled", flavours=("async",))
async def reader_waits_no_longer(stage: Stage, kind: Kind) -> None:
    """``wait_for`` around the next chunk."""
    stream = await begin(stage, kind)
    await stage.read(stream, kind.some)
    try:
        await asyncio.wait_for(stream.__anext__(), 0.02)
    except asyncio.TimeoutError:
        stage.mark("timed out")
    await stage.settle()


def _case(kind: Kind, name: str, one: Row) -> Case:
    async def program(stage: Stage) -> None:
        await one.end(stage, kind)

    return Case(f"{kind.name}: {name}", program, (one.script(kind),), (one.told(kind),), one.flavours, one.at)


CASES = [_case(kind, name, one) for kind in KINDS for name, one in ROWS.items()]
