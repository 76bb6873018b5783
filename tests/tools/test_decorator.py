"""`@tool`: one span a call; the function keeps its signature, results, exceptions and kind."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import inspect
import json
import threading

import pytest
from opentelemetry import trace
from opentelemetry.instrumentation.utils import suppress_instrumentation
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

from spanloom.genai import _guard, current
from spanloom.tools import ToolsInstrumentor, _execution, tool
from tests._support.spans import Recorder, outline


@tool
def search(query: str, limit: int = 3, *rest: int, deep: bool = False, **more: object) -> list[str]:
    """Find pages.

    More about it.
    """
    if query == "fail":
        raise LookupError("nothing")
    return [query] * limit


def test_one_span_a_call(plugin, recorder):
    """Name, type, the first line of the docstring; nothing of arguments or results without content."""
    assert search("a", 1) == ["a"]
    span = recorder.span
    assert (span.name, span.kind.name, span.status.status_code.name) == ("execute_tool search", "INTERNAL", "UNSET")
    assert dict(span.attributes) == {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "search",
        "gen_ai.tool.type": "function",
        "gen_ai.tool.description": "Find pages.",
    }
    (point,) = recorder.points("gen_ai.execute_tool.duration")
    assert point.count == 1


def test_arguments_and_result_are_content(plugin_with_content, recorder):
    """By parameter name, as JSON."""
    search("a", 2, 7, deep=True, extra={1})
    attributes = recorder.span.attributes
    assert json.loads(attributes["gen_ai.tool.call.arguments"]) == {
        "query": "a",
        "limit": 2,
        "rest": [7],
        "deep": True,
        "more": {"extra": [1]},
    }
    assert json.loads(attributes["gen_ai.tool.call.result"]) == ["a", "a"]


def test_an_exception_is_the_same_and_marked(plugin_with_content, recorder):
    """The very object; ERROR with its type; with content on its text, and no result."""
    with pytest.raises(LookupError, match="nothing"):
        search("fail")
    span = recorder.span
    assert span.attributes["error.type"] == "LookupError"
    assert span.status.description == "nothing"
    assert "gen_ai.tool.call.result" not in span.attributes
    assert "gen_ai.tool.call.arguments" in span.attributes


def test_wrong_arguments_are_the_functions_own_error(plugin_with_content, recorder):
    """The text names the function as before, and reading the arguments for the span adds no fault."""

    def bare(query):
        return query

    with pytest.raises(TypeError) as expected:
        bare()
    with pytest.raises(TypeError) as caught:
        tool(bare)()
    assert str(caught.value) == str(expected.value)
    assert recorder.span.attributes["error.type"] == "TypeError"
    assert "gen_ai.tool.call.arguments" not in recorder.span.attributes


def test_it_looks_like_before():
    """Signature, name, doc, module, annotations, source; and pickles by its name."""
    assert str(inspect.signature(search)).startswith("(query: 'str', limit: 'int' = 3, *rest")
    assert (search.__name__, search.__module__) == ("search", __name__)
    assert inspect.getdoc(search).startswith("Find pages.")
    assert "def search" in inspect.getsource(search)
    assert inspect.isfunction(search)


def test_names_and_types(plugin, recorder):
    """`@tool(name=..., tool_type=...)`."""

    @tool(name="lookup", tool_type="datastore")
    def f(): ...

    @tool()
    def g(): ...

    f()
    g()
    assert [span.name for span in recorder.spans] == ["execute_tool lookup", "execute_tool g"]
    assert recorder.spans[0].attributes["gen_ai.tool.type"] == "datastore"
    assert "gen_ai.tool.description" not in recorder.spans[0].attributes


def test_what_it_calls_is_below_it(plugin, recorder):
    """Other tools and spans of others; recursion is one span a level."""

    @tool
    def factorial(n):
        return 1 if n == 0 else n * factorial(n - 1)

    assert factorial(2) == 2
    assert outline(recorder.spans) == [
        "execute_tool factorial",
        "  execute_tool factorial",
        "    execute_tool factorial",
    ]


# Methods.


class Shop:
    """Tools as methods of each kind."""

    @tool
    def add(self, item):
        """Adds."""
        return (self, item)

    @tool
    @staticmethod
    def above(item):
        return item

    @staticmethod
    @tool
    def below(item):
        return item

    @tool
    @classmethod
    def made(cls, item):
        return (cls, item)

    @classmethod
    @tool
    def built(cls, item):
        return (cls, item)

    @tool
    async def later(self, item):
        return item


def test_methods(plugin_with_content, recorder):
    """Of instances and of classes; `self` and `cls` are no arguments of a tool."""
    shop = Shop()
    assert shop.add(1) == (shop, 1)
    assert (Shop.above(2), shop.above(2), Shop.below(3), shop.below(3)) == (2, 2, 3, 3)
    assert (Shop.made(4), shop.made(4), Shop.built(5)) == ((Shop, 4), (Shop, 4), (Shop, 5))
    assert asyncio.run(shop.later(6)) == 6
    assert len(recorder.spans) == 9
    for span in recorder.spans:
        assert list(json.loads(span.attributes["gen_ai.tool.call.arguments"])) == ["item"]


def test_a_class_is_refused():
    """One line that says where to put it instead."""
    with pytest.raises(TypeError, match="put it on a method of Shop"):
        tool(Shop)


def test_callables_of_other_kinds(plugin, recorder):
    """Partials and callable objects."""

    class Callable:
        def __call__(self, x):
            return x

    assert tool(functools.partial(max, 1))(2) == 2
    assert tool(Callable())(3) == 3
    assert [span.name for span in recorder.spans] == ["execute_tool partial", "execute_tool Callable"]


def test_twice_is_once(plugin, recorder):
    """A decorated function decorated again is recorded once."""
    assert tool(search) is search
    tool(tool(lambda: 1))()
    assert len(recorder.spans) == 1


# Coroutines.


@tool
async def fetch(url):
    """Fetches."""
    await asyncio.sleep(0)
    if url == "fail":
        raise ConnectionError("down")
    around = current()
    return around and around.tool_name


def test_coroutine_functions(plugin_with_content, recorder):
    """Current while it runs, ended when it is done; still a coroutine function."""
    assert inspect.iscoroutinefunction(fetch)
    assert asyncio.run(fetch("x")) == "fetch"
    with pytest.raises(ConnectionError):
        asyncio.run(fetch("fail"))
    assert [span.status.status_code.name for span in recorder.spans] == ["UNSET", "ERROR"]
    assert recorder.spans[0].attributes["gen_ai.tool.call.result"] == '"fetch"'


def test_a_cancelled_tool(plugin, recorder):
    """ERROR with the cancellation's type; the cancellation passes."""

    @tool
    async def wait():
        await asyncio.Event().wait()

    async def program():
        await asyncio.wait_for(wait(), 0.01)

    with pytest.raises(asyncio.TimeoutError):
        asyncio.run(program())
    assert recorder.span.attributes["error.type"] == "asyncio.exceptions.CancelledError"


def test_concurrent_tools_do_not_mix(plugin, recorder):
    """Ten at once, each with its own child."""

    @tool
    async def outer(number):
        await asyncio.sleep(0.001 * (number % 3))
        return await fetch("x")

    async def program():
        return await asyncio.gather(*(outer(number) for number in range(10)))

    asyncio.run(program())
    assert outline(recorder.spans).count("execute_tool outer") == 10
    assert outline(recorder.spans).count("  execute_tool fetch") == 10


# Generators.


@tool
def count(to):
    """Counts."""
    total = 0
    try:
        for number in range(to):
            sent = yield number
            total += sent or 0
    except KeyError:
        yield "caught"
    if to == 5:
        raise ValueError("five")
    return total


def test_generator_functions(plugin, recorder):
    """The span covers the iteration; between two items nothing of it is current."""
    assert inspect.isgeneratorfunction(count)
    running = count(2)
    assert not recorder.spans
    assert next(running) == 0
    assert trace.get_current_span() is trace.INVALID_SPAN
    assert not recorder.spans
    assert list(running) == [1]
    assert recorder.span.status.status_code.name == "UNSET"


def test_generators_can_be_sent_and_thrown_to(plugin, recorder):
    """What is sent, thrown and returned passes unchanged."""
    running = count(2)
    next(running)
    running.send(5)
    with pytest.raises(StopIteration) as done:
        running.send(6)
    assert done.value.value == 11
    running = count(2)
    next(running)
    assert running.throw(KeyError()) == "caught"
    running.close()
    assert [span.status.status_code.name for span in recorder.spans] == ["UNSET", "UNSET"]


def test_a_generator_that_fails(plugin, recorder):
    """ERROR, and the exception."""
    with pytest.raises(ValueError, match="five"):
        list(count(5))
    assert recorder.span.attributes["error.type"] == "ValueError"


@pytest.mark.parametrize("how", ["close", "drop", "never"])
def test_a_generator_left_early(how, plugin, recorder):
    """Closing is no error; one that never began is no execution."""
    running = count(3)
    if how != "never":
        next(running)
    if how == "close":
        running.close()
    del running
    gc.collect()
    assert len(recorder.spans) == (how != "never")
    assert all(span.status.status_code.name == "UNSET" for span in recorder.spans)


@tool
async def stream(to):
    """Streams."""
    try:
        for number in range(to):
            got = yield number
            if got:
                yield got
    except KeyError:
        yield "caught"
    finally:
        stream_closed.append(to)
    if to == 5:
        raise ValueError("five")


stream_closed: list[int] = []


def test_async_generator_functions(plugin, recorder):
    """The span covers the iteration."""
    assert inspect.isasyncgenfunction(stream)

    async def program():
        running = stream(2)
        first = await running.__anext__()
        assert not recorder.spans
        return [first, *[number async for number in running]]

    assert asyncio.run(program()) == [0, 1]
    assert recorder.span.status.status_code.name == "UNSET"


def test_async_generators_can_be_sent_and_thrown_to(plugin, recorder):
    """As without us."""

    async def program(make):
        seen = []
        running = make(2)
        seen.append(await running.__anext__())
        seen.append(await running.asend("hello"))
        seen.append(await running.athrow(KeyError()))
        with contextlib.suppress(StopAsyncIteration):
            seen.append(await running.__anext__())
        running = make(3)
        seen.append(await running.__anext__())
        with pytest.raises(LookupError) as caught:
            await running.athrow(LookupError("mine"))
        seen.append(str(caught.value))
        return seen

    assert asyncio.run(program(stream)) == asyncio.run(program(stream.__wrapped__)) == [0, "hello", "caught", 0, "mine"]
    assert [span.status.status_code.name for span in recorder.spans] == ["UNSET", "ERROR"]


def test_an_async_generator_that_fails_or_is_left(plugin, recorder):
    """ERROR with the exception; closing it closes the application's own at once."""

    async def program():
        with pytest.raises(ValueError, match="five"):
            [number async for number in stream(5)]
        running = stream(7)
        await running.__anext__()
        await running.aclose()
        assert stream_closed[-1] == 7
        running = stream(8)
        await running.__anext__()
        del running
        await asyncio.sleep(0.01)

    asyncio.run(program())
    assert stream_closed[-1] == 8
    assert [span.status.status_code.name for span in recorder.spans] == ["ERROR", "UNSET", "UNSET"]


# When it records, and through whom.


def test_without_the_plugin_the_global_providers_are_used(recorder, monkeypatch):
    """Set before or after the decoration; made once."""
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", recorder.tracer_provider)
    search("a")
    search("b")
    assert len(recorder.spans) == 2


def test_with_the_plugin_its_providers_are_used_while_it_is_active(recorder):
    """Afterwards the global ones again."""
    plugin = ToolsInstrumentor()
    plugin.instrument(**recorder.providers)
    search("a")
    plugin.uninstrument()
    search("b")
    assert len(recorder.spans) == 1


def test_suppression(plugin, recorder):
    """Inside the official switch nothing is recorded, of any kind."""
    with suppress_instrumentation():
        search("a")
        asyncio.run(fetch("x"))
        list(count(2))
    assert recorder.spans == []


def test_unsampled_calls_look_at_no_argument(content, monkeypatch):
    """And are measured."""
    recorder = Recorder(ALWAYS_OFF)
    looked = []
    monkeypatch.setattr(_execution, "arguments_of", lambda *_: looked.append(1))
    plugin = ToolsInstrumentor()
    plugin.instrument(**recorder.providers)
    try:
        search("a")
    finally:
        plugin.uninstrument()
    assert looked == []
    assert recorder.total("gen_ai.execute_tool.duration") == 1


@pytest.mark.parametrize("place", ["ToolExecution", "arguments_of", "current"])
def test_faults_of_ours_stay_ours(place, plugin_with_content, recorder, monkeypatch):
    """The tool runs, once, and gives its result."""
    monkeypatch.setattr(_guard, "RERAISE", False)
    monkeypatch.setattr(_execution, place, lambda *_: 1 // 0)
    ran = []

    @tool
    def f(x):
        ran.append(x)
        return x

    assert f(1) == 1
    assert ran == [1]


def test_threads(plugin, recorder):
    """Two hundred calls over eight threads."""
    threads = [threading.Thread(target=lambda: [search("a") for _ in range(25)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(recorder.spans) == 200
    assert recorder.total("gen_ai.execute_tool.duration") == 200
