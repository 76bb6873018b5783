"""With and without the plugin: the same bytes go out, the same objects and exceptions come back."""

from __future__ import annotations

import asyncio
import contextvars
import copy
import gc
import importlib
import inspect
import pickle
import types
import warnings
from contextlib import suppress

import openai
import pytest

from spanloom.genai import Telemetry, _guard
from spanloom.openai import OpenAIInstrumentor
from spanloom.openai._targets import targets
from tests.openai import _canned, _scenarios
from tests.openai._http import http

ALL = [*_scenarios.SYNC, *_scenarios.ASYNC]


def sent(server):
    """What the server saw, but for the order of what ran at once."""
    return sorted(
        (one.endpoint, one.status, one.stream, one.raw_digest, one.body_bytes, str(one.traceparent))
        for one in server.ledger.entries
    )


@pytest.mark.parametrize("name", ALL)
def test_nothing_changes_for_the_application(name, server, recorder, content):
    """Request bytes, results with their types, exceptions with their text; no `traceparent` to the model's provider."""
    bare = _scenarios.run(name, server), sent(server)
    gc.collect()
    server.reset()
    plugin = OpenAIInstrumentor()
    plugin.instrument(**recorder.providers)
    try:
        observed = _scenarios.run(name, server), sent(server)
    finally:
        plugin.uninstrument()
    assert observed == bare


def patched():
    """Every method that the plugin replaces in the installed version: its class and its name."""
    for target in targets(Telemetry("spanloom.test")):
        owner, _, name = target.path.rpartition(".")
        with suppress(ModuleNotFoundError):  # of another version
            found = getattr(importlib.import_module(target.module), owner)
            yield pytest.param(found, name, id=target.path)


@pytest.mark.parametrize(("owner", "name"), list(patched()))
def test_the_methods_look_the_same(owner, name):
    """Signature, name, doc, module, source, and whether it is a coroutine function; undone, the same object."""
    before, own = inspect.getattr_static(owner, name), name in vars(owner)
    looks = (look(before), inspect.getsource(before))
    plugin = OpenAIInstrumentor()
    plugin.instrument()
    try:
        after = vars(owner)[name]
        assert after is not before
        assert (look(after), inspect.getsource(after)) == looks
    finally:
        plugin.uninstrument()
    assert inspect.getattr_static(owner, name) is before
    assert (name in vars(owner)) == own


def look(function):
    """What introspection tells of a function."""
    return (
        inspect.signature(function),
        function.__name__,
        function.__qualname__,
        function.__doc__,
        function.__module__,
        inspect.iscoroutinefunction(function),
        asyncio.iscoroutinefunction(function),
        inspect.isfunction(function),
    )


def test_messages_are_not_drained_or_kept(client, plugin_with_content, recorder):
    """A generator goes out whole; a list may be changed while a stream is read, and the span has what was sent."""
    messages = [{"role": "user", "content": "Rivers?"}]
    stream = client.chat.completions.create(model="gpt-4o-mini", messages=messages, stream=True)
    messages.append({"role": "user", "content": "later"})
    list(stream)
    assert "later" not in recorder.span.attributes["gen_ai.input.messages"]
    assert messages == [{"role": "user", "content": "Rivers?"}, {"role": "user", "content": "later"}]


def test_a_generator_is_read_once_and_recorded(client, server, plugin_with_content, recorder):
    """By the SDK; what it made of it is what we read."""
    read = []

    def messages():
        for message in _scenarios.QUESTION:
            read.append(message)
            yield message

    client.chat.completions.create(model="gpt-4o-mini", messages=messages())
    client.chat.completions.create(model="gpt-4o-mini", messages=_scenarios.QUESTION)
    assert read == _scenarios.QUESTION
    once, listed = recorder.spans
    assert once.attributes["gen_ai.input.messages"] == listed.attributes["gen_ai.input.messages"]
    assert len({one.raw_digest for one in server.ledger.entries}) == 1


def test_the_callers_dicts_stay_as_they_are(client, plugin_with_content):
    """Messages, tools, headers and bodies are only read."""
    arguments = {
        "model": "gpt-4o-mini",
        "messages": copy.deepcopy(_scenarios.TALK),
        "tools": copy.deepcopy(_scenarios.TOOLS),
        "extra_headers": {"x-a": "1"},
        "extra_query": {"q": "1"},
        "extra_body": {"top_k": 3},
        "metadata": {"m": "1"},
    }
    before = copy.deepcopy(arguments)
    client.chat.completions.create(**arguments)
    assert arguments == before


def test_a_stream_that_was_read_can_be_pickled_like_before(client, plugin):
    """Nothing of ours stays on the response."""
    stream = client.chat.completions.create(**_scenarios.asking("Rivers?", stream=True))
    list(stream)
    assert not {"close", "aclose", "read", "aread"} & set(vars(stream.response))
    assert pickle.loads(pickle.dumps(stream.response)).status_code == 200


def test_reading_is_as_lazy_as_before(client, plugin, server):
    """Nothing is read ahead: the response is open, and unread, until the caller reads."""
    stream = client.chat.completions.create(**_scenarios.asking("[[words:500]]", stream=True))
    assert not stream.response.is_stream_consumed
    next(stream)
    assert not stream.response.is_closed
    stream.close()
    with client.chat.completions.with_streaming_response.create(**_scenarios.asking("Hi")) as response:
        assert not response.http_response.is_stream_consumed


# A coroutine that is not awaited, or cancelled before it began.


def test_a_call_that_is_cancelled_before_it_starts_warns_of_nothing(server, plugin, recorder):
    """As without us."""

    async def program():
        async with openai.AsyncOpenAI(base_url=server.openai_base_url, api_key="key") as client:
            task = asyncio.create_task(client.chat.completions.create(**_scenarios.asking("Hi")))
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            del task
            gc.collect()

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        asyncio.run(program())
    assert [str(one.message) for one in caught if "never awaited" in str(one.message)] == []
    assert recorder.spans == []


def test_a_call_that_is_never_awaited_is_one_warning(server, plugin):
    """As without us: of the coroutine that the application forgot, not of two."""
    client = openai.AsyncOpenAI(base_url=server.openai_base_url, api_key="key")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        client.chat.completions.create(**_scenarios.asking("Hi"))
        gc.collect()
    assert len([one for one in caught if "never awaited" in str(one.message)]) == 1
    asyncio.run(client.close())


CALLS = {
    "chat": lambda one: one.chat.completions.create(**_scenarios.asking("Hi")),
    "endpoint": lambda one: one.models.retrieve("m"),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_call_that_is_closed_in_another_context(name, plugin, recorder, caplog):
    """The collector closes a forgotten coroutine wherever it runs: the span ends, and nobody hears of our contexts."""

    @types.coroutine
    def waiting(request):
        yield

    one = _canned.client(waiting, openai.AsyncOpenAI)
    one._platform = "Linux"  # it asks for it in a thread, which needs a loop

    async def call():
        await CALLS[name](one)

    coroutine = call()
    contextvars.copy_context().run(coroutine.send, None)
    contextvars.copy_context().run(coroutine.close)
    assert recorder.span.status.status_code.name == "ERROR"
    assert caplog.messages == []


def test_a_resource_that_gives_no_coroutine(plugin, monkeypatch):
    """Somebody replaced the method below us by one that gives a future: what it gives is awaited."""
    from spanloom.openai._targets import _Pending

    monkeypatch.setattr(_guard, "RERAISE", False)

    async def program():
        future = asyncio.get_running_loop().create_future()
        future.set_result(3)
        assert await _Pending(future).coroutine == 3

    asyncio.run(program())


# Answers that the SDK accepts and other instrumentors stumble over.


def answering(body, kind="application/json", status=200):
    """A client whose server always gives this body."""

    def answer(request):
        return http.Response(status, content=body.encode(), headers={"content-type": kind})

    mock = http.Client(transport=http.MockTransport(answer))
    return openai.OpenAI(api_key="key", base_url="http://odd.example/v1", http_client=mock, max_retries=0)


def events(*chunks):
    """A stream's body."""
    return "".join(f"data: {chunk}\n\n" for chunk in (*chunks, "[DONE]"))


ODD_CHUNKS = {
    "choices null": '{"id": "1", "choices": null}',
    "choices missing": '{"id": "1"}',
    "choices a number": '{"id": "1", "choices": 3}',
    "delta null": '{"id": "1", "choices": [{"index": 0, "delta": null}]}',
    "delta missing": '{"id": "1", "choices": [{"index": 0}]}',
    "index null": '{"id": "1", "choices": [{"index": null, "delta": {"content": "a"}}]}',
    "choice null": '{"id": "1", "choices": [null]}',
    "content a list": '{"id": "1", "choices": [{"index": 0, "delta": {"content": [{"type": "text", "text": "a"}]}}]}',
    "tool index null": '{"choices": [{"delta": {"tool_calls": [{"index": null, "function": {"name": "f"}}]}}]}',
    "tool index missing": '{"choices": [{"delta": {"tool_calls": [{"function": {"arguments": "{}"}}]}}]}',
    "tool calls a number": '{"choices": [{"delta": {"tool_calls": 5}}]}',
    "tool call null": '{"choices": [{"delta": {"tool_calls": [null]}}]}',
    "arguments an object": '{"choices": [{"delta": {"tool_calls": [{"index": 0, "function": {"arguments": {}}}]}}]}',
    "usage without choices": '{"usage": {"prompt_tokens": 3, "completion_tokens": 1}}',
    "usage odd": '{"choices": [], "usage": {"prompt_tokens": "3", "completion_tokens": -1}}',
    "usage empty": '{"choices": [], "usage": {}}',
    "usage a number": '{"choices": [], "usage": 7}',
    "usage huge": '{"choices": [], "usage": {"prompt_tokens": 99999999999999999999}}',
    "id a number": '{"id": 7, "model": 8, "choices": []}',
    "finish a number": '{"choices": [{"index": 0, "delta": {}, "finish_reason": 3}]}',
    "an empty object": "{}",
    "a list": "[]",
    "a number": "5",
    "a string": '"text"',
    "null": "null",
}


@pytest.mark.parametrize("name", ODD_CHUNKS)
def test_odd_chunks(name, recorder, content):
    """Chunk by chunk the same as without us; no fault of ours; one span."""
    body = events(ODD_CHUNKS[name], '{"id": "2", "choices": [{"index": 0, "delta": {"content": "z"}}]}')
    bare = streamed(answering(body, "text/event-stream"))
    plugin = OpenAIInstrumentor()
    plugin.instrument(**recorder.providers)
    try:
        observed = streamed(answering(body, "text/event-stream"))
    finally:
        plugin.uninstrument()
    assert observed == bare
    assert len(recorder.spans) == 1


def streamed(client):
    """Every chunk, or what was raised on the way."""
    try:
        stream = client.chat.completions.create(**_scenarios.asking("Hi", stream=True))
        return [repr(chunk) for chunk in stream]
    except Exception as error:
        return [type(error), str(error)]


ODD_ANSWERS = {
    **ODD_CHUNKS,
    "message null": '{"choices": [{"message": null, "finish_reason": "stop"}]}',
    "message without role": '{"choices": [{"message": {"content": "x"}, "finish_reason": "stop"}]}',
    "tool calls odd": '{"choices": [{"message": {"role": "assistant", "tool_calls": {"a": 1}}}]}',
    "function null": '{"choices": [{"message": {"role": "assistant", "tool_calls": [{"function": null}]}}]}',
    "no JSON": "oops",
    "nothing": "",
}


@pytest.mark.parametrize("kind", ["application/json", "text/plain"])
@pytest.mark.parametrize("name", ODD_ANSWERS)
def test_odd_answers(name, kind, recorder, content):
    """The same object or the same exception as without us; no fault of ours; one span."""
    body = ODD_ANSWERS[name]
    bare = answered(answering(body, kind))
    plugin = OpenAIInstrumentor()
    plugin.instrument(**recorder.providers)
    try:
        observed = answered(answering(body, kind))
    finally:
        plugin.uninstrument()
    assert observed == bare
    assert len(recorder.spans) == 1
    if "usage" not in body:
        assert "gen_ai.usage.input_tokens" not in recorder.span.attributes


def answered(client):
    """The answer, or what was raised."""
    try:
        return repr(client.chat.completions.create(**_scenarios.asking("Hi")))
    except Exception as error:
        return [type(error), str(error)]


# Faults of ours at every point of a call: the application gets what it would get, and there is one span.

PLACES = [
    ("_calls.Peers.of", 0),
    ("_calls.Inference", 0),
    ("_calls._body_of", 1),
    ("_calls._row_of", 1),
    ("_calls.shape_of", 1),
    ("_calls.observe", 1),
    ("_calls.observe_raw", 1),
    ("_stream.Reading.whole", 1),
    ("_stream.watching", 1),
    ("_stream.follow", 1),
    ("_raw._read_body", 1),
    ("_headers.Headers.note", 1),
]


@pytest.mark.parametrize("scenario", ["plain", "streamed", "aplain", "astreamed", "raw"])
@pytest.mark.parametrize(("place", "spans"), PLACES)
def test_faults_of_ours_stay_ours(place, spans, scenario, server, recorder, content, monkeypatch):
    """Every extraction point may fail."""
    bare = _scenarios.run(scenario, server)
    server.reset()
    monkeypatch.setattr(_guard, "RERAISE", False)
    monkeypatch.setattr(f"spanloom.openai.{place}", lambda *_, **__: 1 // 0)
    plugin = OpenAIInstrumentor()
    plugin.instrument(**recorder.providers)
    try:
        assert _scenarios.run(scenario, server) == bare
    finally:
        plugin.uninstrument()
    assert len(recorder.spans) == spans
