"""Fixtures of tests that ask the model server; ``running`` is each folder's own."""

from __future__ import annotations

from collections.abc import Iterator

import openai
import pytest

from model_server import ModelServer

__all__ = ["client", "server"]


@pytest.fixture
def server(running: ModelServer) -> ModelServer:
    """The server, which has seen nothing yet."""
    running.reset()
    return running


@pytest.fixture
def client(server: ModelServer) -> Iterator[openai.OpenAI]:
    """A client of it."""
    with openai.OpenAI(base_url=server.openai_base_url, api_key="key", max_retries=1) as one:
        yield one
