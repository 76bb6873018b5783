"""The OpenAI plugin and the tools' over one recorder, and the model server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from model_server import ModelServer
from spanloom.openai import OpenAIInstrumentor
from spanloom.tools import ToolsInstrumentor
from tests._support.model import client, server
from tests._support.plugins import clean, content, frozen, recorder
from tests._support.spans import Recorder

__all__ = ["clean", "client", "content", "frozen", "recorder", "server"]


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
