"""What may be decorated beside functions: objects that are called, abstract methods, what was made of a tool."""

from __future__ import annotations

import abc
import asyncio
import functools
import inspect
import time

import pytest

from spanloom import trace
from spanloom.tools import tool


def test_what_an_object_can_be_asked_stays(plugin, recorder):
    """The cache of a function under `lru_cache`, the methods of what is called; each call is recorded."""

    @tool
    @functools.lru_cache(maxsize=5)
    def cached(x):
        return [x]

    assert cached(1) is cached(1)
    assert (cached.cache_info().hits, cached.cache_parameters()["maxsize"]) == (1, 5)
    cached.cache_clear()
    assert cached.cache_info().currsize == 0
    assert len(recorder.spans) == 2

    class Counter:
        """Counts."""

        def __init__(self):
            self.made = 0

        def __call__(self):
            self.made += 1

        def total(self):
            return self.made

        @property
        def never(self):
            pytest.fail("asked")

    counted = tool(Counter())
    counted()
    assert counted.total() == 1
    assert not hasattr(counted, "never")


def test_an_object_that_refuses_to_be_asked(plugin, recorder):
    """Is recorded without its methods."""

    class Hostile:
        def __call__(self):
            return 1

        def total(self):
            return 1

        def __getattribute__(self, name):
            return 1 // 0 if name == "total" else super().__getattribute__(name)

    recorded = tool(Hostile())
    assert recorded() == 1
    assert not hasattr(recorded, "total")


async def of_coroutine(self, x):
    """Fails, or gives what it is given."""
    await asyncio.sleep(0.002)
    return [x][x]


async def of_async_generator(self, x):
    """The same as items."""
    await asyncio.sleep(0.002)
    yield [x][x]


def of_generator(self, x):
    """The same without waiting."""
    time.sleep(0.002)
    yield [x][x]


def run_out(result):
    """Whatever came: its end is waited for."""
    if inspect.isasyncgen(result):
        result = collected(result)
    return asyncio.run(result) if inspect.iscoroutine(result) else list(result)


async def collected(items):
    return [item async for item in items]


@pytest.mark.parametrize("call", [of_coroutine, of_async_generator, of_generator])
@pytest.mark.parametrize("partial", [False, True])
def test_objects_that_are_called(call, partial, plugin, recorder):
    """Are followed to their end by what their `__call__` is, also inside of a partial."""
    one = type("Kind", (), {"__call__": call})()
    recorded = tool(name="x")(functools.partial(one) if partial else one)
    run_out(recorded(0))
    with pytest.raises(IndexError):
        run_out(recorded(1))
    good, bad = recorder.spans
    assert good.end_time - good.start_time >= 2_000_000
    assert [span.status.status_code.name for span in (good, bad)] == ["UNSET", "ERROR"]


def test_a_copy_of_the_mark_is_none(plugin, recorder):
    """What is made of a tool by `functools.wraps` is another function; a method of a recorded one is not."""
    inner = tool(name="a")(lambda: 1)

    @tool(name="b")
    @functools.wraps(inner)
    def outer():
        return inner() + 1

    assert outer() == 2
    assert [span.name for span in recorder.spans] == ["execute_tool b", "execute_tool a"]
    bound = type("Kind", (), {"add": inner})().add
    assert tool(bound) is bound


@pytest.mark.parametrize("kind", [abc.abstractclassmethod, abc.abstractstaticmethod])
@pytest.mark.parametrize("around", [tool, trace.agent("x")], ids=["tool", "agent"])
def test_abstract_methods_of_classes(kind, around):
    """Stay what they are: abstract, and of the class."""

    class Base(abc.ABC):  # noqa: B024 - it has, by a decorator that is not known
        made = around(kind(lambda *args: args))

    class Made(Base):
        made = classmethod(lambda cls: cls)

    assert type(vars(Base)["made"]) is kind
    assert Made().made() is Made
    with pytest.raises(TypeError, match="abstract"):
        Base()
