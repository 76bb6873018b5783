"""DSPy 3.3, which knows no engine but LiteLLM: what is told of its calls; and its functions, as they are made there."""

from __future__ import annotations

import asyncio
from types import FunctionType, SimpleNamespace
from typing import Any

import dspy
import pytest

from spanloom.dspy import _attempts, _lm_stream
from spanloom.dspy._lm_call import LMCall
from spanloom.genai import Peer, Telemetry
from spanloom.semconv import DSpy, Operation, Spanloom
from tests._support.spans import eventually

IS_OLD = not hasattr(dspy, "lm15")
oldest = pytest.mark.skipif(not IS_OLD, reason="DSPy 3.4 tells it itself")
pytestmark = [
    # A loop that ends leaves LiteLLM's connections open, and what it does in the background undone.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    # Of some pairs of LiteLLM and Pydantic.
    pytest.mark.filterwarnings("ignore:Item .* on TypedDict class:UserWarning"),
]
ASYNC = pytest.mark.parametrize("asynchronous", [False, True])


def call(recorder: Any) -> Any:
    """The span of the only model call."""
    (span,) = eventually(lambda: [span for span in recorder.spans if span.name.startswith("chat")])
    return span


@pytest.fixture(autouse=True)
def clients() -> None:
    """LiteLLM keeps its connections, also those of a loop that has ended."""
    if IS_OLD:
        import litellm

        litellm.in_memory_llm_clients_cache.flush_cache()


@oldest
@ASYNC
@pytest.mark.usefixtures("plugin")
def test_the_engine(asynchronous, lm, recorder):
    """It is told of calls that ask a model."""
    if asynchronous:
        asyncio.run(lm.acall("Which river?"))
    else:
        lm("Which river?")
    assert call(recorder).attributes[DSpy.LM_ENGINE] == "litellm"


@oldest
@pytest.mark.usefixtures("plugin")
def test_an_answer_of_the_cache_has_no_engine(lm, recorder):
    """Nobody was asked."""
    one = lm.copy(cache=True)
    one("Which river is it?")
    recorder.clear()
    one("Which river is it?")
    assert call(recorder).attributes[DSpy.CACHE_HIT] is True
    assert DSpy.LM_ENGINE not in call(recorder).attributes


@oldest
@ASYNC
@pytest.mark.usefixtures("plugin")
def test_a_stream(asynchronous, lm, recorder):
    """The time to its first chunk, and the number of those that the application gets."""

    async def read() -> list[Any]:
        stream = dspy.streamify(dspy.Predict("question -> answer"), is_async_program=asynchronous)
        return [chunk async for chunk in stream(question="Which river? [[pause:0.02]]")]

    seen = asyncio.run(read())
    attributes = call(recorder).attributes
    assert attributes["gen_ai.request.stream"] is True
    assert attributes["gen_ai.response.time_to_first_chunk"] > 0
    assert attributes[Spanloom.STREAM_CHUNKS] == len([one for one in seen if not isinstance(one, dspy.Prediction)]) > 1


# The functions as DSPy 3.3 makes them, in whichever version this is.


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
