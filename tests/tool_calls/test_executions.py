"""Executions of what a model asked for: the id, and a link to the span that asked."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import contextvars
import json
import threading
from unittest.mock import Mock

import openai
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

from spanloom.genai import _guard, _tool_calls
from spanloom.genai._prints import Unknown
from spanloom.openai import OpenAIInstrumentor
from spanloom.tools import ToolsInstrumentor, tool
from tests._support.spans import Recorder
from tests.tool_calls._script import (
    MODEL,
    USER,
    app,
    asked,
    asking,
    call_item,
    chunk,
    ids,
    items,
    links,
    scripted,
    sse,
    streamed,
)

pytestmark = pytest.mark.usefixtures("plugins")


@tool
def search(q: str = "", limit: int = 3, **more: object) -> str:
    """Finds."""
    if q == "fail":
        raise LookupError(q)
    return q


@tool
async def fetch(q: str) -> str:
    """Fetches."""
    await asyncio.sleep(0)
    return q


@tool
def numbers(to: int):
    """Counts."""
    yield from range(to)


def create(client, **more):
    return client.chat.completions.create(model=MODEL, messages=[USER], **more)


def run(answer, functions=None):
    """As an application does."""
    for call in answer.choices[0].message.tool_calls:
        function = (functions or {"search": search, "numbers": numbers})[call.function.name]
        with contextlib.suppress(LookupError):
            function(**json.loads(call.function.arguments))


def test_a_loop_without_any_span_around_it(recorder):
    """Each execution has the id of its call and a link to who asked, in whichever order they run."""
    answer = create(scripted(asking(asked("a", q="x"), asked("b", q="y"))))
    search("y")
    search(q="x")
    assert answer.choices[0].finish_reason == "tool_calls"
    assert ids(recorder) == ["b", "a"]
    assert [links(span) for span in recorder.spans] == [[], [(1, "asked_by", "b")], [(1, "asked_by", "a")]]


def test_inside_a_span(recorder):
    """In its trace, and below other spans of it."""
    tracer = app(recorder)
    with tracer.start_as_current_span("request"):
        create(scripted(asking(asked("a", q="x"))))
        with tracer.start_as_current_span("tools"):
            search(q="x")
    assert ids(recorder) == ["a"]


def test_another_request_has_nothing_to_do_with_it(recorder):
    """Another trace in the same thread: what it calls by itself is nobody's call."""
    tracer = app(recorder)
    with tracer.start_as_current_span("request"):
        create(scripted(asking(asked("a", q="x"))))
    with tracer.start_as_current_span("another"):
        search(q="x")
    assert ids(recorder) == [None]


def test_what_was_asked_outside_and_runs_in_a_span(recorder):
    """A program without spans opens one around its tools."""
    create(scripted(asking(asked("a", q="x"))))
    with app(recorder).start_as_current_span("tools"):
        search(q="x")
    assert ids(recorder) == ["a"]


@pytest.mark.parametrize("around", [True, False])
def test_streamed(around, recorder):
    """The call is known when its choice has ended, before the stream is closed."""
    tracer = app(recorder)
    with tracer.start_as_current_span("request") if around else contextlib.nullcontext():
        stream = create(scripted(streamed(asked("a", q="x"), asked("b", q="y"))), stream=True)
        for chunk in stream:
            if chunk.choices and chunk.choices[0].finish_reason:
                search(q="x")
        search(q="y")
    assert ids(recorder) == ["a", "b"]


def test_a_stream_that_broke_asked_for_nothing(recorder):
    """Half a call is none."""
    whole = streamed(asked("a", q="x"))
    stream = create(scripted(whole[: whole.rindex(b'"arguments"')]), stream=True)
    with contextlib.suppress(ValueError):
        list(stream)
    search(q="x")
    assert ids(recorder) == [None]


def test_equal_calls_in_their_order(recorder):
    """In the flow that asked for them."""
    answer = create(scripted(asking(asked("a", q="x"), asked("b", q="x"), asked("c", q="x"))))
    run(answer)
    assert ids(recorder) == ["a", "b", "c"]


def test_a_failure_and_another_try(recorder):
    """Both have the id; the next execution belongs to nothing."""
    create(scripted(asking(asked("a", q="fail"))))
    for _ in range(2):
        with pytest.raises(LookupError):
            search(q="fail")
    assert ids(recorder) == ["a", "a"]
    assert recorder.spans[1].status.status_code.name == "ERROR"


def test_generators(recorder):
    """At their first step."""
    create(scripted(asking(asked("a", "numbers", to=2))))
    assert list(numbers(2)) == [0, 1]
    assert ids(recorder) == ["a"]


def test_two_choices_that_ask_for_the_same(recorder):
    """Nobody knows which one the application takes."""
    message = asking(asked("a", q="x"), asked("b", q="y"))["choices"][0]
    other = {**message, "index": 1, "message": {**message["message"], "tool_calls": [asked("c", q="x")]}}
    create(scripted({**asking(), "choices": [message, other]}))
    search(q="x")
    search(q="y")
    assert ids(recorder) == [None, "b"]


def test_defaults_and_more(recorder):
    """Arguments by position, by name, as defaults, and beyond the parameters."""
    create(
        scripted(
            asking(asked("a", q="1"), asked("b", q="2", limit=3), asked("c", q="3", z=[1]), asked("d", limit=4)),
        )
    )
    search("1", 3)
    search("2")
    search("3", z=(1,))
    search(limit=4)
    assert ids(recorder) == ["a", "b", "c", "d"]


def test_arguments_that_are_no_json(recorder):
    """It may have been asked for anything."""
    call = {"id": "a", "type": "function", "function": {"name": "search", "arguments": '{"q": "x"'}}
    create(scripted(asking(call)))
    search(q="x")
    assert ids(recorder) == [None]


def test_no_arguments_at_all(recorder):
    """An empty text is how some servers say it."""
    call = {"id": "a", "type": "function", "function": {"name": "search", "arguments": ""}}
    create(scripted(asking(call)))
    search()
    assert ids(recorder) == ["a"]


def test_a_custom_tool(recorder):
    """Its text is the only argument, be it JSON or not."""
    call = {"id": "a", "type": "custom", "custom": {"name": "search", "input": '{"q": 1}'}}
    create(scripted(asking(call)))
    search('{"q": 1}')
    assert ids(recorder) == ["a"]


def test_responses(recorder):
    """Whole ones."""
    client = scripted(items("resp_1", call_item("a", q="x"), call_item("b", q="y")))
    client.responses.create(model=MODEL, input="Which one?")
    search(q="y")
    assert ids(recorder) == ["b"]


def test_raw_responses(recorder):
    """When they are parsed."""
    raw = scripted(asking(asked("a", q="x"))).chat.completions.with_raw_response.create(model=MODEL, messages=[USER])
    assert raw.parse().choices
    search(q="x")
    assert ids(recorder) == ["a"]


# Tasks and threads.


def test_tasks(recorder):
    """They have the context of who made them."""

    async def program():
        client = scripted(asking(asked("a", "fetch", q="x"), asked("b", "fetch", q="y")), kind=openai.AsyncOpenAI)
        await create(client)
        await asyncio.gather(fetch("y"), fetch("x"))

    asyncio.run(program())
    assert sorted(zip(ids(recorder), ("b", "a"), strict=True)) == [("a", "a"), ("b", "b")]


def test_equal_calls_in_tasks_are_not_told_apart(recorder):
    """They may start in any order."""

    async def program():
        client = scripted(asking(asked("a", "fetch", q="x"), asked("b", "fetch", q="x")), kind=openai.AsyncOpenAI)
        await create(client)
        await asyncio.gather(fetch("x"), fetch("x"))

    asyncio.run(program())
    assert ids(recorder) == [None, None]


def test_a_task_that_asks_inside_a_span(recorder):
    """The call is made in a task of its own, and the tools run outside."""

    async def program():
        client = scripted(asking(asked("a", "fetch", q="x")), kind=openai.AsyncOpenAI)
        with app(recorder).start_as_current_span("request"):
            await asyncio.create_task(create(client))
            await fetch("x")

    asyncio.run(program())
    assert ids(recorder) == ["a"]


@pytest.mark.parametrize("around", [True, False])
def test_threads_without_a_context(around, recorder):
    """Where it is the only such call of the process."""
    tracer = app(recorder)
    with tracer.start_as_current_span("request") if around else contextlib.nullcontext():
        create(scripted(asking(asked("a", q="x"), asked("b", q="y"), asked("c", q="same"), asked("d", q="same"))))
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            list(pool.map(search, ["x", "y", "same", "same"]))
    found = {span.attributes.get("gen_ai.tool.call.id") for span in recorder.spans if "tool" in span.name}
    assert found == {"a", "b", None}


def test_threads_with_a_context(recorder):
    """The context says which conversation it is."""

    def converse(call_id):
        create(scripted(asking(asked(call_id, q="x"))))
        inside = threading.Thread(target=contextvars.copy_context().run, args=(search, "x"))
        inside.start()
        inside.join()

    threads = [threading.Thread(target=converse, args=(call_id,)) for call_id in ("a", "b")]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    executions = [span for span in recorder.spans if "tool" in span.name]
    asks = {span.context.span_id: span.context for span in recorder.spans if "chat" in span.name}
    assert sorted(ids(recorder)) == ["a", "b"]
    assert len({span.links[0].context.span_id for span in executions} & set(asks)) == 2


def test_the_same_call_of_two_conversations(recorder):
    """A thread without a context may be either's: then it is nobody's."""
    for call_id in ("a", "b"):
        contextvars.copy_context().run(create, scripted(asking(asked(call_id, q="x"))))
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        pool.submit(search, "x").result()
    assert ids(recorder) == [None]


# Sampling, settings, faults.


def test_unsampled(monkeypatch):
    """Nothing is read of a call that nobody keeps; it goes on as ever."""
    recorder = Recorder(ALWAYS_OFF)
    plugins = [OpenAIInstrumentor(), ToolsInstrumentor()]
    for one in plugins:
        one.uninstrument()
        one.instrument(**recorder.providers)
    run(create(scripted(asking(asked("a", q="x")))))
    (kept,) = _tool_calls.asked_calls()._everywhere.calls
    assert isinstance(kept.arguments, Unknown)
    for one in plugins:
        one.uninstrument()
    recorder.close()


def test_what_was_dropped_is_counted(monkeypatch, recorder):
    """By its reason."""
    monkeypatch.setenv("SPANLOOM_TOOL_CALLS_MAX", "2")
    counted = []
    monkeypatch.setattr(_tool_calls, "_dropped", lambda: Mock(add=lambda *given: counted.append(given)))
    create(scripted(asking(*(asked(str(number), q=number) for number in range(5)))))
    assert counted == [(3, {"spanloom.drop.reason": "full"})]


def test_a_fault_of_ours_costs_the_link_only(monkeypatch, recorder):
    """The call, the tool and their spans go on."""
    monkeypatch.setattr(_guard, "RERAISE", False)
    monkeypatch.setattr(_tool_calls, "_runner", lambda: 1 / 0)
    run(create(scripted(asking(asked("a", q="x")))))
    assert ids(recorder) == [None]
    assert trace.get_current_span() is trace.INVALID_SPAN


# Inside other tools, and servers with ways of their own.


@tool
def report(q: str) -> str:
    """Looks something up, and tells."""
    return search(q=q)


def test_what_a_tool_calls_by_itself(recorder):
    """The model's call is left to the one that it asked for."""
    create(scripted(asking(asked("r", "report", q="x"), asked("s", q="x"))))
    report("x")
    search("x")
    assert ids(recorder) == ["r", None, "s"]


def test_a_model_that_is_asked_inside_a_tool(recorder):
    """Its calls are executed there; not those of the model outside."""
    client = scripted(asking(asked("outer", q="x"), asked("agent_1", "agent")), asking(asked("inner", q="x")))

    @tool
    def agent():
        create(client)
        search("x")

    create(client)
    agent()
    search("x")
    assert ids(recorder) == ["agent_1", "inner", "outer"]


def test_numbers_that_hash_alike(recorder):
    """Python's hash is the same of -1 and -2."""
    create(scripted(asking(asked("a", limit=-1), asked("b", limit=-2))))
    search(limit=-2)
    search(limit=-1)
    assert ids(recorder) == ["b", "a"]


def test_a_call_without_arguments_in_a_thread_without_a_context(recorder):
    """Anybody may make it: it is left to who has the context."""
    create(scripted(asking(asked("a"))))
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        pool.submit(search).result()
    search()
    assert ids(recorder) == [None, "a"]


def test_a_reason_with_each_call(recorder):
    """Some servers send the reason more than once."""
    chunks = []
    for place, call in enumerate((asked("a", q="x"), asked("b", q="y"))):
        delta = {"tool_calls": [{**call, "index": place}]}
        chunks.append(chunk(choices=[{"index": 0, "delta": delta, "finish_reason": "tool_calls"}]))
    stream = create(scripted(sse(*chunks)), stream=True)
    list(stream)
    search("x")
    search("y")
    assert ids(recorder) == ["a", "b"]


def test_a_response_that_is_read_on_by_another_request(recorder):
    """Made in the background: the beginning was told to one stream, the rest to another."""
    done = [
        {"type": "response.output_item.done", "output_index": place, "item": item, "sequence_number": 1}
        for place, item in enumerate((call_item("a", q="a"), call_item("b", q="b")))
    ]
    created = {"type": "response.created", "response": items("resp_1"), "sequence_number": 0}
    client = scripted(sse(created, done[0]), sse(done[1]))
    stream = client.responses.create(model=MODEL, input="x", stream=True, background=True)
    for event in stream:
        if event.type == "response.output_item.done":
            break
    stream.close()
    list(client.responses.retrieve("resp_1", stream=True, starting_after=1))
    search("a")
    search("b")
    assert ids(recorder) == ["a", "b"]
    assert [one.links[0].context.span_id for one in recorder.spans[2:]] == [1, 1]


def test_nothing_of_the_arguments_is_looked_at_without_need(recorder):
    """Lazy lists and objects are the application's."""

    class Lazy(list):
        def __iter__(self):
            raise AssertionError("read")

    create(scripted(asking(asked("a", q=[]))))
    search(Lazy())
    assert ids(recorder) == [None]
