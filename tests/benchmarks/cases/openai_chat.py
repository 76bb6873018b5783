"""OpenAI chat completions over a transport in memory: the whole client runs, but no socket and no model."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tests.benchmarks.cases import Case

if TYPE_CHECKING:
    from tests.benchmarks._telemetry import Bench

CHUNKS = 100
ASYNC_BATCH = 10
USAGE = {
    "prompt_tokens": 42,
    "completion_tokens": 17,
    "total_tokens": 59,
    "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
}
REQUEST: dict[str, Any] = {
    "model": "gpt-4o-mini",
    "messages": [
        {"role": "system", "content": "You answer in one short sentence."},
        {"role": "user", "content": "Which river flows through Cologne, and where does it reach the sea?"},
    ],
    "temperature": 0.2,
    "max_tokens": 100,
}
HEAD = {"id": "chatcmpl-bench", "created": 1700000000, "model": "gpt-4o-mini-2024-07-18", "service_tier": "default"}
ANSWER = "The Rhine; it reaches the North Sea near Rotterdam."


def whole_answer() -> bytes:
    message = {"role": "assistant", "content": ANSWER, "refusal": None}
    choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}
    return json.dumps({**HEAD, "object": "chat.completion", "choices": [choice], "usage": USAGE}).encode()


def streamed_answer() -> bytes:
    def chunk(delta: dict[str, Any], reason: str | None = None, **more: Any) -> str:
        choice = {"index": 0, "delta": delta, "finish_reason": reason, "logprobs": None}
        return json.dumps({**HEAD, "object": "chat.completion.chunk", "choices": [choice], "usage": None, **more})

    chunks = [chunk({"role": "assistant", "content": ""})]
    chunks += [chunk({"content": "word "}) for _ in range(CHUNKS - 3)]
    chunks += [chunk({}, "stop"), chunk({}, choices=[], usage=USAGE)]
    return "".join(f"data: {one}\n\n" for one in (*chunks, "[DONE]")).encode()


def transport() -> Any:
    """Answers at once: plain or streamed, as the request asks."""
    import httpx2

    plain, streamed = whole_answer(), streamed_answer()

    def answer(request: httpx2.Request) -> httpx2.Response:
        if b'"stream":true' in request.content:
            return httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=streamed)
        return httpx2.Response(200, headers={"content-type": "application/json"}, content=plain)

    return httpx2.MockTransport(answer)


def client() -> Any:
    import httpx2
    import openai

    http = httpx2.Client(transport=transport())
    return openai.OpenAI(api_key="none", base_url="http://model.invalid/v1", http_client=http, max_retries=0)


def chat(bench: Bench) -> Callable[[], Any]:
    create = client().chat.completions.create

    def call() -> None:
        assert create(**REQUEST).choices[0].message.content == ANSWER

    return call


def chat_stream(bench: Bench) -> Callable[[], Any]:
    create = client().chat.completions.create

    def call() -> None:
        stream = create(**REQUEST, stream=True, stream_options={"include_usage": True})
        assert sum(1 for _ in stream) == CHUNKS

    return call


def chat_async(bench: Bench) -> Callable[[], Any]:
    import httpx2
    import openai

    http = httpx2.AsyncClient(transport=transport())
    made = openai.AsyncOpenAI(api_key="none", base_url="http://model.invalid/v1", http_client=http, max_retries=0)
    loop = asyncio.new_event_loop()

    async def calls() -> None:
        for _ in range(ASYNC_BATCH):
            answer = await made.chat.completions.create(**REQUEST)
            assert answer.choices[0].message.content == ANSWER

    return lambda: loop.run_until_complete(calls())


CASES = (
    Case("openai chat", "chat.completions.create", "openai", chat),
    Case("openai chat async", "the same with AsyncOpenAI", "openai", chat_async, batch=ASYNC_BATCH),
    Case("openai chat stream", f"{CHUNKS} chunks with usage", "openai", chat_stream),
)
