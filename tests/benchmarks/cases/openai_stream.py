"""Streamed OpenAI chat completions, long and short: the difference is what a chunk costs."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from tests.benchmarks._openai import SSE, async_client, client, sse
from tests.benchmarks.cases import FLOOR, OFFICIAL, OURS, Case
from tests.benchmarks.cases.openai_chat import HEAD, REQUEST, USAGE

if TYPE_CHECKING:
    from tests.benchmarks._telemetry import Bench

LONG, SHORT = 200, 2
SHORT_BATCH = 10
STREAMED: dict[str, Any] = {**REQUEST, "stream": True, "stream_options": {"include_usage": True}}


def streamed(count: int) -> bytes:
    """``count`` chunks: words, of which the last ends the answer, then the usage."""

    def chunk(delta: dict[str, Any], reason: str | None = None, **more: Any) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "finish_reason": reason, "logprobs": None}
        return {**HEAD, "object": "chat.completion.chunk", "choices": [choice], "usage": None, **more}

    words = [chunk({"content": "word "}) for _ in range(count - 2)]
    last = chunk({"role": "assistant", "content": "end"}, "stop")
    return sse([*words, last, chunk({}, choices=[], usage=USAGE)], "data: [DONE]\n\n")


def stream(chunks: int, bench: Bench) -> Callable[[], Any]:
    completions = client(streamed(chunks), SSE).chat.completions

    def call() -> None:
        assert sum(1 for _ in completions.create(**STREAMED)) == chunks

    return call


def stream_async(chunks: int, calls: int, bench: Bench) -> Callable[[], Any]:
    completions = async_client(streamed(chunks), SSE).chat.completions

    async def read() -> None:
        for _ in range(calls):
            seen = 0
            async for _ in await completions.create(**STREAMED):
                seen += 1
            assert seen == chunks

    return lambda: bench.run(read())


def pair(name: str, long: Callable[[Bench], Any], short: Callable[[Bench], Any], batch: int = 1) -> tuple[Case, Case]:
    """A long stream and its short one. Pricing is left out: it comes once, at the end, as for any call."""
    less = f"{name}, short"
    taken = (OFFICIAL, OURS, FLOOR)
    return (
        Case(name, f"{LONG} chunks", "openai", long, taken, chunks=LONG, shorter=less),
        Case(less, f"{SHORT} chunks", "openai", short, taken, batch=batch, chunks=SHORT),
    )


CASES = (
    *pair("openai stream", partial(stream, LONG), partial(stream, SHORT)),
    *pair(
        "openai stream async",
        partial(stream_async, LONG, 1),
        partial(stream_async, SHORT, SHORT_BATCH),
        SHORT_BATCH,
    ),
)
