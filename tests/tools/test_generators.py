"""Generator tools: the span is current in each step and never between them, and what is yielded is the result."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import gc
import inspect
import json
import sys
import threading
import types
import weakref

import pytest
from opentelemetry import baggage, context, trace
from opentelemetry.instrumentation.utils import suppress_instrumentation
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

from spanloom.genai import _content, _generators, _guard, _yielded, current
from spanloom.tools import ToolsInstrumentor, _execution, tool
from tests._support.spans import Recorder, outline, stream_end


@tool
def inner(x):
    return x


@tool
def steps(count):
    """Calls a tool in each step, and when it is left."""
    try:
        for number in range(count):
            yield inner(number)
    finally:
        inner("end")


@tool
async def later(count):
    """The same, asynchronously."""
    try:
        for number in range(count):
            await asyncio.sleep(0)
            yield inner(number)
    finally:
        inner("end")


def below(name, children):
    return [f"execute_tool {name}", *["  execute_tool inner"] * children]


def test_what_each_step_calls_is_below_it(plugin, recorder):
    """And between two steps nothing of it is current."""
    for number in steps(3):
        assert trace.get_current_span() is trace.INVALID_SPAN
        assert current() is None
        if number == 1:
            inner("mine")
    assert outline(recorder.spans) == [*below("steps", 4), "execute_tool inner"]


def test_asynchronous_steps(plugin, recorder):
    """The same, also where each step is another task."""

    async def program():
        running = later(3)
        while True:
            try:
                await asyncio.create_task(anext_of(running))
            except StopAsyncIteration:
                return
            assert current() is None

    async def anext_of(running):
        return await running.__anext__()

    asyncio.run(program())
    assert outline(recorder.spans) == below("later", 4)


def test_interleaved_readers(plugin, recorder):
    """Two generators read in turn, by two threads, keep their own."""
    first, second = steps(2), steps(2)
    assert [next(first), next(second), next(first)] == [0, 0, 1]
    thread = threading.Thread(target=lambda: list(second))
    thread.start()
    thread.join()
    assert list(first) == []
    assert outline(recorder.spans) == below("steps", 3) * 2


def test_a_span_around_a_yield(plugin, recorder):
    """It is the parent of what runs inside of it at the next step, and not of the reader's."""
    tracer = recorder.tracer_provider.get_tracer("spanloom.test", "1", "https://opentelemetry.io/schemas/gen-ai/1.42.0")

    @tool
    def held():
        with tracer.start_as_current_span("around"):
            yield inner(1)
            yield inner(2)
        yield inner(3)

    for _ in held():
        assert current() is None
        assert trace.get_current_span() is trace.INVALID_SPAN
    tree = outline(recorder.spans)
    recorder.clear()
    assert tree == [
        "execute_tool held", "  around", "    execute_tool inner", "    execute_tool inner", "  execute_tool inner",
    ]  # fmt: skip


@pytest.mark.parametrize("how", ["close", "drop", "throw"])
def test_left_early(how, plugin, recorder):
    """No failure; the generator's own cleaning up is below it. (Dropped, Python closes it.)"""
    running = steps(3)
    next(running)
    if how == "close":
        running.close()
    elif how == "throw":
        with pytest.raises(GeneratorExit):
            running.throw(GeneratorExit())
    del running
    gc.collect()
    assert outline(recorder.spans) == below("steps", 2)
    span = recorder.named("execute_tool steps")
    assert (stream_end(span), span.status.status_code.name) == ("closed", "UNSET")


def test_left_early_asynchronously(plugin, recorder):
    """Closed, dropped in a running loop, or its reader cancelled inside of a step: that is a failure."""

    async def program():
        running = later(3)
        await running.__anext__()
        await running.aclose()
        running = later(3)
        await running.__anext__()
        del running
        await asyncio.sleep(0.01)

        @tool
        async def waits():
            yield 1
            await asyncio.Event().wait()

        running = waits()
        await running.__anext__()
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(running.__anext__(), 0.01)

    asyncio.run(program())
    assert outline(recorder.spans) == [*below("later", 2), *below("later", 2), "execute_tool waits!"]
    assert [stream_end(span) for span in recorder.spans if span.parent is None] == ["closed", "closed", None]


def test_the_end_of_a_loop(plugin, recorder, caplog):
    """A generator that nobody has read to its end is closed by its loop: once, with its cleanup waited for."""
    log = []

    @tool
    async def waits():
        try:
            yield 1
        finally:
            await asyncio.sleep(0.001)
            log.append("closed")

    async def program(keep):
        for _ in range(2):
            running = waits()
            assert await running.__anext__() == 1
            keep.append(running)

    kept = []
    asyncio.run(program(kept))
    assert log == ["closed"] * 2
    assert not caplog.records
    assert [stream_end(span) for span in recorder.spans] == ["closed"] * 2


def test_the_loops_hooks_stay(plugin, recorder):
    """Between the steps and after a failure, too; inside of the generator they are there."""
    seen = []

    @tool
    async def fails():
        seen.append(sys.get_asyncgen_hooks())
        yield 1
        raise LookupError

    async def program():
        seen.append(sys.get_asyncgen_hooks())
        with pytest.raises(LookupError):
            seen.extend([sys.get_asyncgen_hooks() async for _ in fails()])
        seen.append(sys.get_asyncgen_hooks())

    asyncio.run(program())
    assert len(set(seen)) == 1
    assert seen[0].firstiter is not None


def test_a_step_that_the_collector_ends(plugin, recorder, caplog):
    """What awaits a step is dropped, in another context: nothing is detached that is not there."""

    @tool
    async def waits():
        await pause()
        yield 1

    step = waits().__anext__()
    contextvars.Context().run(step.send, None)
    del step
    gc.collect()
    assert not caplog.records
    assert stream_end(recorder.span) == "closed"


@types.coroutine
def pause():
    """Waits without a loop."""
    yield


MANNERS = ["send", "throw", "throw_unknown", "close", "ignores_close", "returns_on_close", "stop_iteration", "fails"]


def plain(log):
    """A generator with opinions."""
    try:
        got = yield 1
        log.append(("got", got))
        yield 2
    except KeyError as error:
        log.append(("key", str(error)))
        yield "caught"
    except GeneratorExit:
        log.append("closing")
        if log[0] == "ignores_close":
            yield "no"
        if log[0] == "returns_on_close":
            return "returned"
        raise
    if log[0] == "fails":
        raise ValueError("mine")
    return "all"


def outcome(action):
    """What it gives back, or what it raises."""
    try:
        return action()
    except BaseException as error:
        return type(error), str(error), getattr(error, "value", None)


@pytest.mark.parametrize("manner", MANNERS)
def test_manners_are_the_generators_own(manner, plugin, recorder):
    """Whatever the reader does, it sees what it would see without us."""

    def play(make):
        log = [manner]
        running = make(log)
        actions = {
            "send": [lambda: next(running), lambda: running.send("x"), lambda: next(running)],
            "throw": [lambda: next(running), lambda: running.throw(KeyError("k")), lambda: next(running)],
            "throw_unknown": [lambda: next(running), lambda: running.throw(LookupError("mine"))],
            "stop_iteration": [lambda: next(running), lambda: running.throw(StopIteration(3))],
            "fails": [lambda: list(running)],
        }
        leave = [lambda: next(running), running.close, lambda: next(running, "none")]
        seen = [outcome(action) for action in actions.get(manner, leave)]
        running.close()
        return seen, log, inspect.getgeneratorstate(running)

    assert play(tool(plain)) == play(plain)


def test_nothing_that_was_read_is_held(plugin_with_content, recorder):
    """Neither an item, nor an exception that passed."""

    class Item:
        """Can be watched."""

    class Mine(LookupError):
        """Can be watched, too."""

    @tool
    def items():
        with contextlib.suppress(LookupError):
            yield Item()
        yield Item()

    running = items()
    first = weakref.ref(next(running))
    assert first() is None
    error = Mine()
    second = weakref.ref(running.throw(error))
    thrown = weakref.ref(error)
    gc.disable()
    try:
        del error
        assert thrown() is None
        assert second() is None
    finally:
        gc.enable()


def result(span):
    return json.loads(span.attributes["gen_ai.tool.call.result"])


def test_what_is_yielded_is_the_result(plugin_with_content, recorder):
    """Each item as it was when it was yielded, at every end: read, closed, failed."""

    @tool
    def rows(how):
        row = {"n": 0}
        for number in range(3):
            row["n"] = number
            yield row
        if how == "fail":
            raise ValueError("mine")

    list(rows("read"))
    running = rows("close")
    next(running)
    running.close()
    with pytest.raises(ValueError, match="mine"):
        list(rows("fail"))
    every = [{"n": 0}, {"n": 1}, {"n": 2}]
    assert [result(span) for span in recorder.spans] == [every, every[:1], every]


def test_a_generator_without_items(plugin_with_content, recorder):
    """An empty list; nothing where it failed."""

    @tool
    async def nothing(fails):
        if fails:
            raise ValueError("mine")
        return
        yield

    async def program():
        async for _ in nothing(False):
            pass
        async for _ in nothing(True):
            pass

    with pytest.raises(ValueError, match="mine"):
        asyncio.run(program())
    assert result(recorder.spans[0]) == []
    assert "gen_ai.tool.call.result" not in recorder.spans[1].attributes


@pytest.mark.parametrize("item", ["x" * 40, "é" * 40, {"a": ["\n" * 20]}])
@pytest.mark.parametrize("limit", [200, 1000])
def test_the_result_is_within_the_limit(limit, item, monkeypatch, content, recorder):
    """The beginning, and a last element that says how many are missing."""
    monkeypatch.setenv("SPANLOOM_CONTENT_MAX_BYTES", str(limit))
    plugin = ToolsInstrumentor()
    plugin.instrument(**recorder.providers)
    try:
        assert len(list(tool(many)(item))) == 1500
    finally:
        plugin.uninstrument()
    text = recorder.span.attributes["gen_ai.tool.call.result"]
    *kept, last = json.loads(text)
    assert len(text.encode()) <= limit
    assert last == f"[{1500 - len(kept):,} items cut]"
    assert kept
    assert all(one == item for one in kept)


def many(item):
    for _ in range(1500):
        yield item


def test_one_item_that_is_too_long(monkeypatch, content, recorder):
    """Its beginning is told."""
    monkeypatch.setenv("SPANLOOM_CONTENT_MAX_BYTES", "500")
    plugin = ToolsInstrumentor()
    plugin.instrument(**recorder.providers)
    try:
        list(tool(lambda: (yield "x" * 10_000))())
    finally:
        plugin.uninstrument()
    (only,) = result(recorder.span)
    assert only.startswith("xxx")
    assert only.endswith("bytes cut]")


def test_suppressed_and_unsampled(plugin, recorder, monkeypatch, content):
    """Suppressed there is no span; unsampled there is a context, a metric, and no work on content."""
    with suppress_instrumentation():
        assert list(steps(2)) == [0, 1]
        assert asyncio.run(collected(later(2))) == [0, 1]
    assert recorder.spans == []
    plugin.uninstrument()
    unsampled = Recorder(ALWAYS_OFF)
    monkeypatch.setattr(_generators, "Yielded", lambda *_: pytest.fail("content of an unsampled span"))
    plugin.instrument(**unsampled.providers)
    assert list(steps(2)) == [0, 1]
    assert unsampled.total("gen_ai.execute_tool.duration") == 4


async def collected(running):
    return [one async for one in running]


def test_the_readers_context_is_the_readers(plugin, recorder):
    """What the reader attaches between two steps is there afterwards."""
    running = steps(2)
    next(running)
    token = context.attach(baggage.set_baggage("k", "v"))
    try:
        next(running)
        assert baggage.get_baggage("k") == "v"
    finally:
        context.detach(token)
    running.close()


@pytest.mark.parametrize(
    "where",
    [(_execution, "ToolExecution"), (_content, "json_text"), (_execution, "arguments_of"), (_generators, "Yielded")],
    ids=lambda where: where[1],
)
def test_faults_of_ours_stay_ours(where, plugin_with_content, recorder, monkeypatch):
    """Items, their order and the end are the generator's."""
    monkeypatch.setattr(_guard, "RERAISE", False)
    monkeypatch.setattr(*where, lambda *_: 1 // 0)
    assert list(steps(2)) == [0, 1]
    assert asyncio.run(collected(later(2))) == [0, 1]


def test_a_fault_when_the_result_is_told(plugin_with_content, recorder, monkeypatch):
    """The span ends all the same."""
    monkeypatch.setattr(_guard, "RERAISE", False)
    monkeypatch.setattr(_yielded.Yielded, "items", lambda self: 1 // 0)
    assert list(steps(1)) == [0]
    assert "gen_ai.tool.call.result" not in recorder.named("execute_tool steps").attributes


def test_they_remain_generator_functions():
    """To `inspect`, and to whoever asks for their signature."""
    assert inspect.isgeneratorfunction(steps)
    assert inspect.isasyncgenfunction(later)
    assert list(inspect.signature(steps).parameters) == ["count"]
