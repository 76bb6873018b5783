"""Embeddings, and endpoints that are no model's. Each gives back what the application saw, as plain data."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import openai

from tests.openai._asking import afailing, dumped, failing

EMBEDDER = "text-embedding-3-small"


def embedded(client: openai.OpenAI) -> Any:
    """One text."""
    return dumped(client.embeddings.create(model=EMBEDDER, input="A river."))


def embedded_several(client: openai.OpenAI) -> Any:
    """Several texts, short vectors, in a format of the caller's."""
    texts = ["A river.", "A lake."]
    return dumped(client.embeddings.create(model=EMBEDDER, input=texts, dimensions=8, encoding_format="float"))


def embedded_raw(client: openai.OpenAI) -> Any:
    """The raw response, which is longer than what we parse."""
    response = client.embeddings.with_raw_response.create(model=EMBEDDER, input=[f"River {n}." for n in range(20)])
    return [len(response.content), dumped(response.parse())]


def embedded_streaming(client: openai.OpenAI) -> Any:
    """The body is read when the caller parses it."""
    with client.embeddings.with_streaming_response.create(model=EMBEDDER, input="A river.") as response:
        return dumped(response.parse())


def embedded_refused(client: openai.OpenAI) -> Any:
    """500, the retry too."""
    return failing(lambda: client.embeddings.create(model=EMBEDDER, input="A river. [[error:500]]"))


def models_listed(client: openai.OpenAI) -> Any:
    """An endpoint that is no model's."""
    return dumped(list(client.models.list()))


def models_missing(client: openai.OpenAI) -> Any:
    """404, with an id in the path."""
    return failing(lambda: client.models.retrieve("river-1"))


def files_missing(client: openai.OpenAI) -> Any:
    """An endpoint that the server does not have."""
    return failing(lambda: client.files.content("file-1"))


SYNC: dict[str, Callable[[openai.OpenAI], Any]] = {
    one.__name__: one
    for one in (
        embedded, embedded_several, embedded_raw, embedded_streaming, embedded_refused, models_listed,
        models_missing, files_missing,
    )
}  # fmt: skip


async def aembedded(client: openai.AsyncOpenAI) -> Any:
    """One text."""
    return dumped(await client.embeddings.create(model=EMBEDDER, input="A river."))


async def amodels_listed(client: openai.AsyncOpenAI) -> Any:
    """A page that is asked for when it is iterated."""
    return [dumped(one) async for one in client.models.list()]


async def amodels_missing(client: openai.AsyncOpenAI) -> Any:
    """404."""
    return await afailing(lambda: client.models.retrieve("river-1"))


ASYNC: dict[str, Callable[[openai.AsyncOpenAI], Awaitable[Any]]] = {
    one.__name__: one for one in (aembedded, amodels_listed, amodels_missing)
}
