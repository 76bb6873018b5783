"""Calls of every kind with the installed version of the SDK, against the model server; prints what was recorded.

One JSON line: the version, and of each case its spans and what went wrong. It needs nothing but the SDKs.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

import openai
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from pydantic import BaseModel

from model_server import ModelServer
from spanloom.genai import _guard
from spanloom.openai import OpenAIInstrumentor
from tests.openai import _sources

MODEL = "gpt-4o-mini"
NOT_GIVEN: Any = getattr(openai, "omit", openai.NOT_GIVEN)
Case = Callable[[Any], Any]


class River(BaseModel):
    """A structured answer."""

    name: str


def asking(text: str = "Rivers?", **more: Any) -> dict[str, Any]:
    return {"model": MODEL, "messages": [{"role": "user", "content": text}], **more}


def parsing(client: Any) -> Any:
    """`parse` and `stream` moved from the beta resources."""
    return client.chat.completions if hasattr(client.chat.completions, "parse") else client.beta.chat.completions


def left(client: Any) -> None:
    with client.chat.completions.create(**asking("Rivers? [[words:40]]", stream=True)) as stream:
        next(stream)


def dropped(client: Any) -> None:
    stream = client.chat.completions.create(**asking("Rivers? [[words:40]]", stream=True))
    next(stream)
    del stream
    gc.collect()


def managed(client: Any) -> None:
    with parsing(client).stream(**asking()) as stream:
        for _ in stream:
            pass


def left_manager(client: Any) -> None:
    with parsing(client).stream(**asking("Rivers? [[words:40]]")) as stream:
        next(iter(stream))


def streaming(client: Any) -> None:
    with client.chat.completions.with_streaming_response.create(**asking()) as response:
        response.parse()


def refused(client: Any) -> None:
    try:
        client.with_options(api_key="bad-key").chat.completions.create(**asking())
    except openai.AuthenticationError:
        return
    raise AssertionError("it was not refused")


def cut(client: Any) -> None:
    try:
        list(client.chat.completions.create(**asking("Rivers? [[cut:3]]", stream=True)))
    except Exception:
        return
    raise AssertionError("it was not cut")


SYNC: dict[str, Case] = {
    "chat": lambda client: client.chat.completions.create(**asking(temperature=0.5, seed=NOT_GIVEN)),
    "generator": lambda client: client.chat.completions.create(
        model=MODEL, messages=(one for one in asking()["messages"])
    ),
    "stream": lambda client: list(
        client.chat.completions.create(**asking(stream=True, stream_options={"include_usage": True}))
    ),
    "left": left,
    "dropped": dropped,
    "cut": cut,
    "manager": managed,
    "left manager": left_manager,
    "parse": lambda client: parsing(client).parse(**asking("Which river?", response_format=River)),
    "raw": lambda client: client.chat.completions.with_raw_response.create(**asking()).parse(),
    "raw stream": lambda client: list(client.chat.completions.with_raw_response.create(**asking(stream=True)).parse()),
    "streaming": streaming,
    "refused": refused,
    "retried": lambda client: client.chat.completions.create(**asking("Hi [[error:429:times=1:retry_after=0.01]]")),
    "response": lambda client: client.responses.create(model=MODEL, input="Rivers?"),
    "response stream": lambda client: list(client.responses.create(model=MODEL, input="Rivers?", stream=True)),
    "embeddings": lambda client: client.embeddings.create(model="text-embedding-3-small", input="A river."),
    "endpoint": lambda client: list(client.models.list()),
}


async def astream(client: Any) -> None:
    async for _ in await client.chat.completions.create(**asking(stream=True)):
        pass


async def aleft(client: Any) -> None:
    stream = await client.chat.completions.create(**asking("Rivers? [[words:40]]", stream=True))
    async for _ in stream:
        break
    await stream.close()


async def apages(client: Any) -> None:
    async for _ in client.models.list():
        pass


ASYNC: dict[str, Case] = {
    "async chat": lambda client: client.chat.completions.create(**asking()),
    "async parse": lambda client: parsing(client).parse(**asking("Which river?", response_format=River)),
    "async stream": astream,
    "async left": aleft,
    "async raw": lambda client: client.chat.completions.with_raw_response.create(**asking()),
    "async response": lambda client: client.responses.create(model=MODEL, input="Rivers?"),
    "async embeddings": lambda client: client.embeddings.create(model="text-embedding-3-small", input="A river."),
    "async endpoint": apages,
}


def flat(span: ReadableSpan) -> dict[str, Any]:
    return {
        "name": span.name,
        "status": span.status.status_code.name,
        "attributes": dict(span.attributes or {}),
    }


def main() -> None:
    """Run every case, and print."""
    warnings.simplefilter("error")
    _guard.RERAISE = True
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    plugin = OpenAIInstrumentor()
    plugin.instrument(tracer_provider=provider)
    found: dict[str, list[dict[str, Any]]] = {}

    def note(name: str) -> None:
        limit = time.monotonic() + 5
        while not exporter.get_finished_spans() and time.monotonic() < limit:
            time.sleep(0.005)
        found[name] = [flat(span) for span in exporter.get_finished_spans()]
        exporter.clear()

    async def program(options: dict[str, Any]) -> None:
        async with openai.AsyncOpenAI(**options) as client:
            for name, case in ASYNC.items():
                await case(client)
                note(name)

    with ModelServer(port=0) as server:
        options: dict[str, Any] = {"base_url": server.openai_base_url, "api_key": "key", "max_retries": 1}
        with openai.OpenAI(**options) as client:
            for name, case in SYNC.items():
                case(client)
                note(name)
        asyncio.run(program(options))
        plugin.uninstrument()
        with openai.OpenAI(**options) as client:
            client.chat.completions.create(**asking())
            client.models.list()
    found["after"] = [flat(span) for span in exporter.get_finished_spans()]
    told = {
        "version": openai.VERSION,
        "httpx": sorted({"httpx", "httpx2"} & set(sys.modules)),
        "requests": _sources.requests(),
        "spans": found,
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main()
