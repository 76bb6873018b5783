"""Responses as applications make them. Each gives back what the application saw, as plain data."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable
from typing import Any

import openai

from tests.openai._asking import MODEL, River, afailing, dumped, failing, listed

TOOLS = [
    {
        "type": "function",
        "name": "weather",
        "description": "The weather of a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
        "strict": False,
    }
]


def putting(text: str, **more: Any) -> dict[str, Any]:
    """The arguments of a response to one text."""
    return {"model": MODEL, "input": text, **more}


def responded(client: openai.OpenAI) -> Any:
    """One text."""
    return dumped(client.responses.create(**putting("Rivers?", instructions="Answer briefly.", temperature=0.5)))


def responded_tools(client: openai.OpenAI) -> Any:
    """The model asks for a tool."""
    return dumped(client.responses.create(**putting("The weather in Oslo?", tools=TOOLS)))


def responded_items(client: openai.OpenAI) -> Any:
    """A conversation of items, given once (a generator)."""
    items = [
        {"role": "user", "content": [{"type": "input_text", "text": "The weather in Oslo?"}]},
        {"type": "function_call", "call_id": "call_1", "name": "weather", "arguments": '{"city": "Oslo"}'},
        {"type": "function_call_output", "call_id": "call_1", "output": "rain"},
    ]
    return dumped(client.responses.create(model=MODEL, input=items, tools=TOOLS))


def responded_incomplete(client: openai.OpenAI) -> Any:
    """Cut off by its limit."""
    return dumped(client.responses.create(**putting("Rivers? [[words:60]]", max_output_tokens=16)))


def responses_parsed(client: openai.OpenAI) -> Any:
    """A schema as a class."""
    return dumped(client.responses.parse(**putting("Which river?", text_format=River)))


def responses_streamed(client: openai.OpenAI) -> Any:
    """Events to the end."""
    stream = client.responses.create(**putting("Rivers?", stream=True))
    assert isinstance(stream, openai.Stream)
    return dumped(list(stream))


def responses_streamed_tools(client: openai.OpenAI) -> Any:
    """A tool call in pieces."""
    return dumped(list(client.responses.create(**putting("The weather in Oslo?", tools=TOOLS, stream=True))))


def responses_stream_incomplete(client: openai.OpenAI) -> Any:
    """A stream that is cut off by its limit."""
    limit = {"max_output_tokens": 16, "stream": True}
    return [event.type for event in client.responses.create(**putting("Rivers? [[words:60]]", **limit))]


def responses_stream_closed(client: openai.OpenAI) -> Any:
    """The reader leaves the block."""
    seen = []
    with client.responses.create(**putting("Rivers? [[words:40]]", stream=True)) as stream:
        for event in stream:
            seen.append(event)
            if len(seen) == 6:
                break
    return dumped(seen)


def responses_stream_dropped(client: openai.OpenAI) -> Any:
    """The reader forgets it half-way."""
    stream = client.responses.create(**putting("Rivers? [[words:40]]", stream=True))
    first = next(iter(stream))
    del stream
    gc.collect()
    return dumped(first)


def responses_stream_cut(client: openai.OpenAI) -> Any:
    """The connection breaks in mid-stream."""
    return failing(lambda: list(client.responses.create(**putting("Rivers? [[cut:5]]", stream=True))))


def responses_stream_failed(client: openai.OpenAI) -> Any:
    """The server sends an error event."""
    return failing(lambda: list(client.responses.create(**putting("Rivers? [[fail:5]]", stream=True))))


def responses_manager(client: openai.OpenAI) -> Any:
    """The SDK's own accumulating stream."""
    with client.responses.stream(**putting("Rivers?")) as stream:
        kinds = [event.type for event in stream]
        return [kinds, dumped(stream.get_final_response())]


def responses_manager_left(client: openai.OpenAI) -> Any:
    """Left after the first event."""
    with client.responses.stream(**putting("Rivers? [[words:40]]")) as stream:
        return next(iter(stream)).type


def responses_raw(client: openai.OpenAI) -> Any:
    """The raw response of a plain call."""
    response = client.responses.with_raw_response.create(**putting("Rivers?"))
    return [type(response).__name__, response.text, dumped(response.parse())]


def responses_raw_stream(client: openai.OpenAI) -> Any:
    """The raw response of a stream."""
    return dumped(list(client.responses.with_raw_response.create(**putting("Rivers?", stream=True)).parse()))


def responses_streaming(client: openai.OpenAI) -> Any:
    """The body is read when the caller parses it."""
    with client.responses.with_streaming_response.create(**putting("Rivers?")) as response:
        assert not response.is_closed
        return dumped(response.parse())


def responses_refused(client: openai.OpenAI) -> Any:
    """400: the server keeps no conversations."""
    return failing(lambda: client.responses.create(**putting("Go on.", previous_response_id="resp_1")))


SYNC: dict[str, Callable[[openai.OpenAI], Any]] = {
    one.__name__: one
    for one in (
        responded, responded_tools, responded_items, responded_incomplete, responses_parsed, responses_streamed,
        responses_streamed_tools, responses_stream_incomplete, responses_stream_closed, responses_stream_dropped,
        responses_stream_cut, responses_stream_failed, responses_manager, responses_manager_left, responses_raw,
        responses_raw_stream, responses_streaming, responses_refused,
    )
}  # fmt: skip


# The same with the asynchronous client.


async def aresponded(client: openai.AsyncOpenAI) -> Any:
    """One text."""
    return dumped(await client.responses.create(**putting("Rivers?")))


async def aresponses_parsed(client: openai.AsyncOpenAI) -> Any:
    """A schema as a class."""
    return dumped(await client.responses.parse(**putting("Which river?", text_format=River)))


async def aresponses_streamed(client: openai.AsyncOpenAI) -> Any:
    """Events to the end."""
    return dumped(await listed(await client.responses.create(**putting("Rivers?", stream=True))))


async def aresponses_stream_cancelled(client: openai.AsyncOpenAI) -> Any:
    """The reading task is cancelled while it waits."""
    stream = await client.responses.create(**putting("Rivers? [[pause:0.2]]", stream=True))
    first = asyncio.Event()

    async def read() -> None:
        async for _ in stream:
            first.set()

    task = asyncio.create_task(read())
    await first.wait()
    task.cancel()
    seen = await afailing(lambda: task)
    await stream.close()
    return seen


async def aresponses_manager(client: openai.AsyncOpenAI) -> Any:
    """The SDK's own accumulating stream."""
    async with client.responses.stream(**putting("Rivers?")) as stream:
        kinds = [event.type async for event in stream]
        return [kinds, dumped(await stream.get_final_response())]


async def aresponses_raw(client: openai.AsyncOpenAI) -> Any:
    """The raw response of a plain call."""
    return dumped((await client.responses.with_raw_response.create(**putting("Rivers?"))).parse())


ASYNC: dict[str, Callable[[openai.AsyncOpenAI], Awaitable[Any]]] = {
    one.__name__: one
    for one in (
        aresponded, aresponses_parsed, aresponses_streamed, aresponses_stream_cancelled, aresponses_manager,
        aresponses_raw,
    )
}  # fmt: skip
