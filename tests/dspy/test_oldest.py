"""DSPy 3.3 knows no engine but LiteLLM: its functions as it makes them (`dspy_versions` runs the real ones)."""

from __future__ import annotations

import asyncio
from types import FunctionType, SimpleNamespace
from typing import Any

import dspy
import pytest

from spanloom.dspy import _attempts, _lm_stream
from spanloom.dspy._lm_call import LMCall
from spanloom.genai import Peer, Telemetry
from spanloom.semconv import DSpy, Operation


def as_if(old: bool, function: Any, **names: Any) -> Any:
    """The function in a module of that version."""
    known = {} if old else {"stream_emitted": None}
    module = {"__name__": "dspy.clients.lm", **known, **names}
    return FunctionType(function.__code__, module, function.__name__, function.__defaults__)


@pytest.fixture
def model_call(recorder: Any) -> Any:
    """A call that runs."""
    one = LMCall(Telemetry("spanloom.dspy", **recorder.providers), Operation.CHAT, "gpt-4o-mini", Peer("openai"), None)
    with one:
        yield one
    one.stop()


def headers(given: Any = None) -> Any:
    """What DSPy puts into each request."""
    return {"User-Agent": "DSPy", **(given or {})}


def test_a_request_of_the_oldest(model_call):
    """The engine is on the call, if there is one; the newest is left as it is."""
    newest = as_if(False, headers)
    assert _attempts.wrap_request(newest) is newest
    assert _attempts.wrap_request(as_if(True, headers))({"a": "b"}) == {"User-Agent": "DSPy", "a": "b"}
    assert model_call.attributes[DSpy.LM_ENGINE] == "litellm"


def test_a_request_outside_of_a_call():
    """Nothing is said, nothing fails."""
    assert _attempts.wrap_request(as_if(True, headers))() == {"User-Agent": "DSPy"}


def completion(request: Any = None) -> Any:
    """Gives what sends to the stream of now."""
    return dspy.settings.send_stream


def test_a_stream_of_the_oldest(model_call):
    """The application's stream gets each chunk, and is what it was for everything else."""
    sent: list[Any] = []

    class Stream:
        async def send(self, item: Any) -> None:
            sent.append(item)

        closed = False

    get = _lm_stream.wrap_completion(as_if(True, completion, dspy=dspy))
    stream = Stream()
    with dspy.context(send_stream=stream):
        watched = get(request=SimpleNamespace(stream_options={"include_usage": True}))
        assert dspy.settings.send_stream is stream
    assert watched.closed is False
    asyncio.run(watched.send("a"))
    first = model_call.first_chunk_s
    asyncio.run(watched.send("b"))
    assert sent == ["a", "b"]
    assert model_call.chunks == 2
    assert model_call.first_chunk_s == first is not None


def test_no_stream_of_the_oldest(model_call):
    """The answer comes in one piece."""
    assert _lm_stream.wrap_completion(as_if(True, completion, dspy=dspy))() is None
    assert not model_call.streams


def test_a_stream_outside_of_a_call():
    """It is the application's own."""
    get = _lm_stream.wrap_completion(as_if(True, completion, dspy=dspy))
    with dspy.context(send_stream=7):
        assert get() == 7
