"""A model server, clients, and the plugin over one recorder."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import openai
import pytest

from model_server import ModelServer
from spanloom.openai import OpenAIInstrumentor
from tests._support.model import client, server
from tests._support.plugins import clean, content, frozen, recorder
from tests._support.spans import Recorder

__all__ = ["clean", "client", "content", "frozen", "recorder", "server"]


@pytest.fixture(scope="session")
def running() -> Iterator[ModelServer]:
    """One server for all tests of a session; the SDK's resources are loaded, too."""
    assert openai.resources.chat.completions.Completions
    gc.collect()
    gc.freeze()
    with ModelServer(port=0) as one:
        yield one


@pytest.fixture
def plugin(recorder: Recorder) -> Iterator[OpenAIInstrumentor]:
    """The plugin, content off."""
    one = OpenAIInstrumentor()
    one.instrument(**recorder.providers)
    yield one
    if one.is_instrumented_by_opentelemetry:
        one.uninstrument()


@pytest.fixture
def plugin_with_content(content: None, plugin: OpenAIInstrumentor) -> OpenAIInstrumentor:
    """The plugin, content on."""
    return plugin
