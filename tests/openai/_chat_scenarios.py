"""Chat completions as applications make them. Each gives back what the application saw, as plain data."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable
from typing import Any

import openai

from tests.openai._asking import (
    MODEL,
    QUESTION,
    SCHEMA,
    TALK,
    TOOLS,
    River,
    afailing,
    asking,
    dumped,
    failing,
    listed,
)


def everything(client: openai.OpenAI) -> Any:
    """All the parameters that we read."""
    return dumped(
        client.chat.completions.create(
            model=MODEL,
            messages=QUESTION,
            temperature=0.5,
            top_p=1,
            frequency_penalty=0.1,
            presence_penalty=0.2,
            max_completion_tokens=50,
            seed=7,
            stop=["END", "STOP"],
            n=1,
            reasoning_effort="low",
            service_tier="auto",
            response_format={"type": "text"},
            logprobs=openai.omit,
        )
    )


def plain(client: openai.OpenAI) -> Any:
    """One question."""
    return dumped(client.chat.completions.create(model=MODEL, messages=QUESTION))


def two_choices(client: openai.OpenAI) -> Any:
    """n=2."""
    return dumped(client.chat.completions.create(**asking("Name a river.", n=2, stop="END")))


def tools(client: openai.OpenAI) -> Any:
    """The model asks for a tool."""
    return dumped(client.chat.completions.create(**asking("What is the weather in Oslo?", tools=TOOLS)))


def talk(client: openai.OpenAI) -> Any:
    """A conversation with images, a tool call and its answer."""
    return dumped(client.chat.completions.create(model=MODEL, messages=TALK, tools=TOOLS))


def json_schema(client: openai.OpenAI) -> Any:
    """A schema as a dict."""
    return dumped(client.chat.completions.create(**asking("Which river?", response_format=SCHEMA)))


def parsed(client: openai.OpenAI) -> Any:
    """A schema as a class."""
    answer = client.chat.completions.parse(**asking("Which river?", response_format=River))
    assert isinstance(answer.choices[0].message.parsed, River)
    return dumped(answer)


def cut_short(client: openai.OpenAI) -> Any:
    """The limit of tokens is reached."""
    return dumped(client.chat.completions.create(**asking("Tell me more. [[words:50]]", max_tokens=5)))


def streamed(client: openai.OpenAI) -> Any:
    """Chunks without usage."""
    stream = client.chat.completions.create(model=MODEL, messages=QUESTION, stream=True)
    assert isinstance(stream, openai.Stream)
    return dumped(list(stream))


def streamed_usage(client: openai.OpenAI) -> Any:
    """Chunks, the last of which has the usage."""
    options = {"include_usage": True}
    stream = client.chat.completions.create(**asking("Two?", n=2, stream=True, stream_options=options))
    return dumped(list(stream))


def streamed_tools(client: openai.OpenAI) -> Any:
    """A tool call in pieces."""
    return dumped(list(client.chat.completions.create(**asking("The weather in Oslo?", tools=TOOLS, stream=True))))


def stream_with(client: openai.OpenAI) -> Any:
    """A stream as a context manager, read by next()."""
    with client.chat.completions.create(**asking("Rivers?", stream=True)) as stream:
        return dumped([next(stream), *stream])


def stream_break_close(client: openai.OpenAI) -> Any:
    """The reader stops and closes."""
    stream = client.chat.completions.create(**asking("Rivers? [[words:40]]", stream=True))
    seen = [next(stream), next(stream)]
    stream.close()
    return dumped(seen)


def stream_with_break(client: openai.OpenAI) -> Any:
    """The reader leaves the block."""
    seen = []
    with client.chat.completions.create(**asking("Rivers? [[words:40]]", stream=True)) as stream:
        for chunk in stream:
            seen.append(chunk)
            if len(seen) == 3:
                break
    return dumped(seen)


def stream_dropped(client: openai.OpenAI) -> Any:
    """The reader forgets it half-way."""
    stream = client.chat.completions.create(**asking("Rivers? [[words:40]]", stream=True))
    first = next(iter(stream))
    del stream
    gc.collect()
    return dumped(first)


def stream_never_read(client: openai.OpenAI) -> Any:
    """Nobody reads it."""
    stream = client.chat.completions.create(**asking("Rivers?", stream=True))
    kind = type(stream).__name__
    del stream
    gc.collect()
    return kind


def stream_fault_in_loop(client: openai.OpenAI) -> Any:
    """The reader's own code raises."""

    def read() -> None:
        with client.chat.completions.create(**asking("Rivers? [[words:40]]", stream=True)) as stream:
            for _ in stream:
                raise ValueError("the reader's own")

    return failing(read)


def stream_cut(client: openai.OpenAI) -> Any:
    """The connection breaks in mid-stream."""
    return failing(lambda: list(client.chat.completions.create(**asking("Rivers? [[cut:3]]", stream=True))))


def stream_failed(client: openai.OpenAI) -> Any:
    """The server sends an error event."""
    return failing(lambda: list(client.chat.completions.create(**asking("Rivers? [[fail:2]]", stream=True))))


def stream_malformed(client: openai.OpenAI) -> Any:
    """An event that is no JSON."""
    return failing(lambda: list(client.chat.completions.create(**asking("Rivers? [[malformed]]", stream=True))))


def manager(client: openai.OpenAI) -> Any:
    """The SDK's own accumulating stream."""
    with client.chat.completions.stream(**asking("Rivers?")) as stream:
        kinds = [event.type for event in stream]
        return [kinds, dumped(stream.get_final_completion())]


def manager_left_early(client: openai.OpenAI) -> Any:
    """Left after the first event."""
    with client.chat.completions.stream(**asking("Rivers? [[words:40]]")) as stream:
        return next(iter(stream)).type


def raw(client: openai.OpenAI) -> Any:
    """The raw response of a plain call."""
    response = client.chat.completions.with_raw_response.create(**asking("Rivers?"))
    return [type(response).__name__, response.http_response.status_code, response.text, dumped(response.parse())]


def raw_stream(client: openai.OpenAI) -> Any:
    """The raw response of a stream, parsed into the stream (as LangChain does)."""
    options = {"include_usage": True}
    response = client.chat.completions.with_raw_response.create(
        **asking("Rivers?", stream=True, stream_options=options)
    )
    stream = response.parse()
    assert isinstance(stream, openai.Stream)
    assert response.parse() is stream
    return [type(response).__name__, dumped(list(stream))]


def streaming_parse(client: openai.OpenAI) -> Any:
    """The body is read when the caller parses it."""
    with client.chat.completions.with_streaming_response.create(**asking("Rivers?")) as response:
        assert not response.is_closed
        return [type(response).__name__, dumped(response.parse()), response.json()["id"]]


def streaming_json(client: openai.OpenAI) -> Any:
    """The body is read when the caller asks for JSON."""
    with client.chat.completions.with_streaming_response.create(**asking("Rivers?")) as response:
        return response.json()


def streaming_bytes(client: openai.OpenAI) -> Any:
    """The caller takes the bytes himself."""
    with client.chat.completions.with_streaming_response.create(**asking("Rivers?")) as response:
        return b"".join(response.iter_bytes()).decode()


def streaming_lines(client: openai.OpenAI) -> Any:
    """The caller takes the events' lines himself."""
    with client.chat.completions.with_streaming_response.create(**asking("Rivers?", stream=True)) as response:
        return list(response.iter_lines())


def streaming_left(client: openai.OpenAI) -> Any:
    """The caller looks at the headers only."""
    with client.chat.completions.with_streaming_response.create(**asking("Rivers?")) as response:
        return response.headers["content-type"]


def streaming_cut(client: openai.OpenAI) -> Any:
    """The body breaks while it is read."""

    def read() -> None:
        with client.chat.completions.with_streaming_response.create(**asking("Rivers? [[cut:1]]")) as response:
            response.read()

    return failing(read)


def unauthorised(client: openai.OpenAI) -> Any:
    """401."""
    return failing(lambda: client.with_options(api_key="bad-key").chat.completions.create(**asking("Hi")))


def rate_limited(client: openai.OpenAI) -> Any:
    """429, the retry too."""
    text = "Hi [[error:429:retry_after=0.01]]"
    return failing(lambda: client.chat.completions.create(**asking(text)))


def retried(client: openai.OpenAI) -> Any:
    """429 once, then an answer."""
    return dumped(client.chat.completions.create(**asking("Hi [[error:429:times=1:retry_after=0.01]]")))


def server_error(client: openai.OpenAI) -> Any:
    """500 in a stream's place."""
    call = client.with_options(max_retries=0).chat.completions.create
    return failing(lambda: call(**asking("Hi [[error:500]]", stream=True)))


def malformed(client: openai.OpenAI) -> Any:
    """A body that is no JSON."""
    return failing(lambda: client.chat.completions.create(**asking("Hi [[malformed]]")))


def malformed_raw(client: openai.OpenAI) -> Any:
    """A raw body that is no JSON."""
    return client.chat.completions.with_raw_response.create(**asking("Hi [[malformed]]")).text


def timed_out(client: openai.OpenAI) -> Any:
    """The server takes too long."""
    call = client.with_options(max_retries=0, timeout=0.05).chat.completions.create
    return failing(lambda: call(**asking("Hi [[delay:0.2]]")))


def missing_arguments(client: openai.OpenAI) -> Any:
    """The SDK refuses the call."""
    return failing(lambda: client.chat.completions.create(model=MODEL))


def generator_messages(client: openai.OpenAI) -> Any:
    """Messages that can be read once."""
    messages = (message for message in QUESTION)
    answer = client.chat.completions.create(model=MODEL, messages=messages)
    return [dumped(answer), list(messages)]


def object_messages(client: openai.OpenAI) -> Any:
    """An answer put back into the conversation as the SDK's object."""
    first = client.chat.completions.create(**asking("What is the weather in Oslo?", tools=TOOLS))
    message = first.choices[0].message
    answer = {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": "snow"}
    question = {"role": "user", "content": "What is the weather in Oslo?"}
    return dumped(client.chat.completions.create(model=MODEL, messages=[question, message, answer], tools=TOOLS))


SYNC: dict[str, Callable[[openai.OpenAI], Any]] = {
    one.__name__: one
    for one in (
        plain, everything, two_choices, tools, talk, json_schema, parsed, cut_short,
        streamed, streamed_usage, streamed_tools, stream_with, stream_break_close, stream_with_break, stream_dropped,
        stream_never_read, stream_fault_in_loop, stream_cut, stream_failed, stream_malformed, manager,
        manager_left_early, raw, raw_stream, streaming_parse, streaming_json, streaming_bytes, streaming_lines,
        streaming_left, streaming_cut, unauthorised, rate_limited, retried, server_error, malformed, malformed_raw,
        timed_out, missing_arguments, generator_messages, object_messages,
    )
}  # fmt: skip


# The same with the asynchronous client.


async def aplain(client: openai.AsyncOpenAI) -> Any:
    """One question."""
    return dumped(await client.chat.completions.create(model=MODEL, messages=QUESTION))


async def agathered(client: openai.AsyncOpenAI) -> Any:
    """Three at once."""
    calls = [client.chat.completions.create(**asking(f"River {number}?")) for number in range(3)]
    return sorted((dumped(one) for one in await asyncio.gather(*calls)), key=str)


async def aparsed(client: openai.AsyncOpenAI) -> Any:
    """A schema as a class."""
    return dumped(await client.chat.completions.parse(**asking("Which river?", response_format=River)))


async def astreamed(client: openai.AsyncOpenAI) -> Any:
    """Chunks with usage."""
    options = {"include_usage": True}
    stream = await client.chat.completions.create(**asking("Rivers?", stream=True, stream_options=options))
    assert isinstance(stream, openai.AsyncStream)
    return dumped(await listed(stream))


async def astream_closed(client: openai.AsyncOpenAI) -> Any:
    """Break, then close."""
    stream = await client.chat.completions.create(**asking("Rivers? [[words:40]]", stream=True))
    async for chunk in stream:
        first = chunk
        break
    await stream.close()
    return dumped(first)


async def astream_with_break(client: openai.AsyncOpenAI) -> Any:
    """Break out of the block."""
    async with await client.chat.completions.create(**asking("Rivers? [[words:40]]", stream=True)) as stream:
        async for chunk in stream:
            first = chunk
            break
    return dumped(first)


async def astream_cut(client: openai.AsyncOpenAI) -> Any:
    """The connection breaks."""
    stream = await client.chat.completions.create(**asking("Rivers? [[cut:3]]", stream=True))
    return await afailing(lambda: listed(stream))


async def astream_cancelled(client: openai.AsyncOpenAI) -> Any:
    """The reading task is cancelled while it waits."""
    stream = await client.chat.completions.create(**asking("Rivers? [[pause:0.2]]", stream=True))
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


async def acancelled(client: openai.AsyncOpenAI) -> Any:
    """A call that takes longer than its caller waits."""
    call = client.chat.completions.create(**asking("Hi [[delay:0.2]]"))
    return await afailing(lambda: asyncio.wait_for(call, 0.05))


async def amanager(client: openai.AsyncOpenAI) -> Any:
    """The SDK's own accumulating stream."""
    async with client.chat.completions.stream(**asking("Rivers?")) as stream:
        kinds = [event.type async for event in stream]
        return [kinds, dumped(await stream.get_final_completion())]


async def araw(client: openai.AsyncOpenAI) -> Any:
    """The raw response of a plain call."""
    response = await client.chat.completions.with_raw_response.create(**asking("Rivers?"))
    return [type(response).__name__, dumped(response.parse())]


async def araw_stream(client: openai.AsyncOpenAI) -> Any:
    """The raw response of a stream."""
    response = await client.chat.completions.with_raw_response.create(**asking("Rivers?", stream=True))
    return dumped(await listed(response.parse()))


async def astreaming_parse(client: openai.AsyncOpenAI) -> Any:
    """The body is read when the caller parses it."""
    async with client.chat.completions.with_streaming_response.create(**asking("Rivers?")) as response:
        return [type(response).__name__, dumped(await response.parse())]


async def astreaming_stream(client: openai.AsyncOpenAI) -> Any:
    """A stream that the caller asks for."""
    async with client.chat.completions.with_streaming_response.create(**asking("Rivers?", stream=True)) as response:
        return dumped(await listed(await response.parse()))


async def aunauthorised(client: openai.AsyncOpenAI) -> Any:
    """401."""
    return await afailing(lambda: client.with_options(api_key="bad-key").chat.completions.create(**asking("Hi")))


async def amissing_arguments(client: openai.AsyncOpenAI) -> Any:
    """The SDK refuses the call before anything is awaited."""
    return failing(lambda: client.chat.completions.create(model=MODEL))


ASYNC: dict[str, Callable[[openai.AsyncOpenAI], Awaitable[Any]]] = {
    one.__name__: one
    for one in (
        aplain, agathered, aparsed, astreamed, astream_closed, astream_with_break, astream_cut, astream_cancelled,
        acancelled, amanager, araw, araw_stream, astreaming_parse, astreaming_stream, aunauthorised,
        amissing_arguments,
    )
}  # fmt: skip
