"""Calls that fail: what the server, the network, the loop or the application itself can do to them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from tests.no_harm import _answers as answers
from tests.no_harm._answers import SECRET, refused, sse, whole
from tests.no_harm._calls import FAILED, SAID
from tests.no_harm._compare import Case, Told
from tests.no_harm._stage import Stage
from tests.no_harm._streams import ASKED, ASKED_RESPONSES, MODEL
from tests.no_harm._wire import Cut, Script, Stall

CASES: list[Case] = []


def case(*scripts: Script, told: tuple[Told, ...] = (SAID,), **more: Any) -> Callable[[Any], Any]:
    """Put a program into the table."""

    def add(program: Any) -> Any:
        CASES.append(Case(program.__name__, program, scripts, told, **more))
        return program

    return add


@case(refused(401, f"Incorrect API key provided: sk-{SECRET}"), told=(FAILED,))
async def unauthorised(stage: Stage) -> None:
    """The server repeats the key."""
    await stage.call(stage.client().chat.completions.create, **ASKED)


def _refusals(*statuses: int) -> None:
    for status in statuses:

        async def program(stage: Stage) -> None:
            await stage.call(stage.client().responses.create, **ASKED_RESPONSES)

        CASES.append(Case(f"refused with {status}", program, (refused(status),), (FAILED,)))


_refusals(400, 403, 404, 409, 422, 429, 500, 503)


@case(refused(429, retry_after_ms="1"), refused(500, retry_after_ms="1"), whole(answers.CHAT))
async def retried(stage: Stage) -> None:
    """Two failures that the SDK gets over: one call, one span."""
    stage.see("answer", await stage.call(stage.client(max_retries=2).chat.completions.create, **ASKED))


@case(*[refused(429, retry_after_ms="1")] * 3, told=(FAILED,))
async def retried_in_vain(stage: Stage) -> None:
    """One failure too many."""
    await stage.call(stage.client(max_retries=2).chat.completions.create, **ASKED)


@case((Cut(),), told=(FAILED,))
async def hung_up_on(stage: Stage) -> None:
    """No answer at all."""
    await stage.call(stage.client().chat.completions.create, **ASKED)


@case(told=(FAILED,))
async def nobody_there(stage: Stage) -> None:
    """The port is closed."""
    await stage.call(stage.client(base_url="http://127.0.0.1:1/v1").chat.completions.create, **ASKED)


@case((Stall(),), told=(FAILED,))
async def timed_out(stage: Stage) -> None:
    """The server takes too long."""
    await stage.call(stage.client(timeout=0.4).chat.completions.create, **ASKED)


@case((Stall(),), told=(Told(error="CancelledError"),), flavours=("async",))
async def cancelled(stage: Stage) -> None:
    """While the request runs."""
    task = asyncio.create_task(stage.client().chat.completions.create(**ASKED))
    while not stage.session.entries:
        await asyncio.sleep(0.005)
    task.cancel()
    await asyncio.wait([task])
    stage.mark("cancelled", task.cancelled())
    await stage.settle()


@case((Stall(),), told=(Told(error="CancelledError"),), flavours=("async",))
async def waited_for(stage: Stage) -> None:
    """``wait_for`` around the call."""
    await asyncio.wait_for(stage.client().responses.create(**ASKED_RESPONSES), 0.4)


@case(told=(), flavours=("async",))
async def cancelled_before_it_began(stage: Stage) -> None:
    """Nothing was sent: no span, and no warning of a coroutine that nobody awaited."""
    task = asyncio.create_task(stage.client().chat.completions.create(**ASKED))
    task.cancel()
    await asyncio.wait([task])
    await stage.collect()


@case(told=(), flavours=("async",))
async def never_awaited(stage: Stage) -> None:
    """As many warnings as without us."""
    stage.client().chat.completions.create(**ASKED)
    stage.client().responses.create(**ASKED_RESPONSES)
    await stage.collect()


@case(told=(FAILED,), optional=True)
async def arguments_missing(stage: Stage) -> None:
    """The SDK refuses the call itself."""
    await stage.call(stage.client().chat.completions.create, model=MODEL)


@case(told=(FAILED,), optional=True)
async def arguments_unknown(stage: Stage) -> None:
    """A misspelt argument is a TypeError."""
    await stage.call(stage.client().responses.create, modle=MODEL)


@case(told=(FAILED,), optional=True)
async def messages_that_raise(stage: Stage) -> None:
    """A generator with a fault in it: the fault is the caller's, and reaches him."""

    def messages() -> Any:
        yield {"role": "user", "content": "Hi"}
        raise LookupError("mine")

    await stage.call(stage.client().chat.completions.create, model=MODEL, messages=messages())


# Streamed Responses that say themselves that they went wrong.


async def _streamed(stage: Stage) -> None:
    stream = await stage.call(stage.client().responses.create, **ASKED_RESPONSES, stream=True)
    await stage.read(stream, 99)
    await stage.settle()


_BROKE = {"code": "server_error", "message": "it broke"}
_CUT_SHORT = {"reason": "max_output_tokens"}
_ERROR_ROW = {"type": "error", **_BROKE, "param": None, "sequence_number": 5}
_ROWS = (
    ("stream that reports its failure", answers.response_events("failed", error=_BROKE), "server_error"),
    ("stream that is incomplete", answers.response_events("incomplete", incomplete_details=_CUT_SHORT), None),
    (
        "stream with an error event",
        [*answers.response_events()[:5], answers.event(_ERROR_ROW, "error")],
        "server_error",
    ),
)
CASES += [Case(name, _streamed, (sse(events),), (Told(error=error),)) for name, events, error in _ROWS]
