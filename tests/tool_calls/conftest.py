"""The OpenAI plugin and the tools' over one recorder, and the model server."""

from __future__ import annotations

from collections.abc import Iterator

import openai
import pytest

from model_server import ModelServer
from spanloom.openai import OpenAIInstrumentor
from spanloom.tools import ToolsInstrumentor
from tests._support.plugins import clean, content, frozen, recorder
from tests._support.spans import Recorder

__all__ = ["clean", "content", "frozen", "recorder"]


@pytest.fixture
def plugins(recorder: Recorder) -> Iterator[None]:
    """Both plugins, content as it is set."""
    started = [OpenAIInstrumentor(), ToolsInstrumentor()]
    for one in started:
        one.instrument(**recorder.providers)
    yield
    for one in started:
        one.uninstrument()


@pytest.fixture
def plugins_with_content(content: None, plugins: None) -> None:
    """Both plugins, content on."""


@pytest.fixture(scope="session")
def running() -> Iterator[ModelServer]:
    """One server for all tests of a session."""
    with ModelServer(port=0) as one:
        yield one


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
