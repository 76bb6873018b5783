"""A `forward` that yields: one span until its end, children below it, and the generator's own manners."""

from __future__ import annotations

import asyncio
import gc
import inspect
import types

import dspy
import pytest
from dspy.utils.dummies import DummyLM
from opentelemetry import trace

from tests._support.spans import eventually, outline, stream_end

pytestmark = pytest.mark.usefixtures("plugin")


class Lines(dspy.Module):
    """Answers line by line."""

    def __init__(self):
        super().__init__()
        self.one = dspy.Predict("question -> answer")
        self.closed = False

    def forward(self, count, fails=None):
        try:
            for _ in range(count):
                sent = yield self.one(question="x").answer
                if sent:
                    yield f"got {sent}"
            if fails:
                raise fails
            return "all"
        finally:
            self.closed = True


class Later(dspy.Module):
    """The same, asynchronously."""

    def __init__(self):
        super().__init__()
        self.one = dspy.Predict("question -> answer")

    async def forward(self, count, fails=None):
        for _ in range(count):
            sent = yield (await self.one.acall(question="x")).answer
            if sent:
                yield f"got {sent}"
        if fails:
            raise fails


@pytest.fixture(autouse=True)
def dummy():
    """An LM that always says the same."""
    with dspy.context(lm=DummyLM([{"answer": "red"}] * 9)):
        yield


TREE = ["invoke_workflow Lines", *["  Predict one", "    chat dummy"] * 2]


def test_read_to_its_end(recorder):
    """The children are below it though they run while it is read, and nothing is attached between."""
    made = Lines()(count=2)
    assert isinstance(made, types.GeneratorType)
    assert made.__qualname__ == "Lines.forward"
    assert recorder.spans == []
    seen = []
    for line in made:
        assert trace.get_current_span() is trace.INVALID_SPAN
        seen.append(line)
    assert seen == ["red", "red"]
    assert outline(recorder.spans) == TREE
    root = recorder.named("invoke_workflow Lines")
    assert root.attributes["spanloom.subtree.llm_calls"] == 2
    assert stream_end(root) is None


def test_what_is_sent_thrown_and_returned_passes(recorder):
    """`send`, `throw` and the value of `return` are the inner generator's."""
    made = Lines()(count=1)
    assert next(made) == "red"
    assert made.send("hello") == "got hello"
    with pytest.raises(StopIteration) as stop:
        next(made)
    assert stop.value.value == "all"
    assert inspect.getgeneratorstate(made) == inspect.GEN_CLOSED
    thrown = Lines()(count=1)
    next(thrown)
    with pytest.raises(LookupError, match="mine"):
        thrown.throw(LookupError("mine"))
    roots = [span for span in recorder.spans if span.parent is None]
    assert [span.attributes.get("error.type") for span in roots] == [None, "LookupError"]


@pytest.mark.parametrize("how", ["closed", "dropped", "never begun"])
def test_left_early(how, recorder):
    """Closed, dropped in the middle, or never begun: one span, no error, and it is told."""
    program = Lines()
    made = program(count=2)
    if how != "never begun":
        next(made)
    if how == "closed":
        made.close()
    del made
    gc.collect()
    root = recorder.named("invoke_workflow Lines")
    assert stream_end(root) == ("closed" if how == "closed" else "dropped")
    assert root.status.status_code.name == "UNSET"
    assert program.closed == (how != "never begun")


def test_a_failure_of_its_own(recorder):
    """The exception is the same object, and the span tells it."""
    error = LookupError("mine")
    with pytest.raises(LookupError) as raised:
        list(Lines()(count=1, fails=error))
    assert raised.value is error
    assert recorder.named("invoke_workflow Lines").attributes["error.type"] == "LookupError"


def test_asynchronous(recorder):
    """Read to its end, sent to, and failing."""

    async def program():
        seen = [line async for line in Later()(count=2)]
        made = Later()(count=1)
        assert isinstance(made, types.AsyncGeneratorType)
        first, second = await made.asend(None), await made.asend("hello")
        with pytest.raises(LookupError):
            async for _ in Later()(count=0, fails=LookupError("mine")):
                pass
        await made.aclose()
        return seen, first, second

    assert asyncio.run(program()) == (["red", "red"], "red", "got hello")
    roots = [span for span in recorder.spans if span.parent is None]
    assert [span.attributes.get("error.type") for span in roots] == [None, None, "LookupError"]
    assert [stream_end(span) for span in roots] == [None, "closed", None]
    assert len(recorder.spans) == 3 + 2 * 3


def test_asynchronous_and_thrown_into(recorder):
    """`athrow` reaches the inner generator; a cancelled reader ends it."""

    async def thrown():
        made = Later()(count=2)
        await made.asend(None)
        with pytest.raises(LookupError):
            await made.athrow(LookupError("mine"))

    async def cancelled():
        async def read():
            async for _ in Later()(count=9):
                await asyncio.sleep(10)

        task = asyncio.create_task(read())
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(thrown())
    assert recorder.spans[0].attributes["error.type"] == "LookupError"
    recorder.clear()
    asyncio.run(cancelled())
    gc.collect()
    eventually(lambda: any(span.name == "invoke_workflow Later" for span in recorder.spans))
