"""A model server, an LM of it, and the plugin over one recorder. DSPy's disk cache goes to a temporary folder."""

from __future__ import annotations

import atexit
import gc
import os
import shutil
import tempfile
from collections.abc import Iterator

_CACHE = tempfile.mkdtemp(prefix="spanloom-dspy-")
atexit.register(shutil.rmtree, _CACHE, ignore_errors=True)
# DSPy reads these when it is imported; without the second LiteLLM fetches a price list.
os.environ["DSPY_CACHEDIR"] = _CACHE
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"

import dspy  # noqa: E402
import pytest  # noqa: E402

from model_server import ModelServer  # noqa: E402
from spanloom.dspy import DSPyInstrumentor  # noqa: E402
from tests._support.plugins import clean, content, frozen, recorder  # noqa: E402
from tests._support.spans import Recorder  # noqa: E402

__all__ = ["clean", "content", "frozen", "recorder"]


@pytest.fixture(scope="session")
def running() -> Iterator[ModelServer]:
    """One server for all tests of a session; DSPy is loaded, too."""
    assert dspy.ReAct
    gc.collect()
    gc.freeze()
    with ModelServer(port=0) as one:
        yield one


@pytest.fixture
def server(running: ModelServer) -> ModelServer:
    """The server, which has seen nothing yet."""
    running.reset()
    return running


@pytest.fixture
def lm(server: ModelServer) -> Iterator[dspy.LM]:
    """DSPy's own LM over it, in use; nothing is cached."""
    one = dspy.LM("openai/gpt-4o-mini", api_base=server.openai_base_url, api_key="key", cache=False, num_retries=0)
    with dspy.context(lm=one):
        yield one


@pytest.fixture
def plugin(recorder: Recorder) -> Iterator[DSPyInstrumentor]:
    """The plugin, content off."""
    one = DSPyInstrumentor()
    one.instrument(**recorder.providers)
    yield one
    if one.is_instrumented_by_opentelemetry:
        one.uninstrument()


@pytest.fixture
def plugin_with_content(content: None, plugin: DSPyInstrumentor) -> DSPyInstrumentor:
    """The plugin, content on."""
    return plugin
