"""`around_calls`: an invocation around each call of a function of any kind, for rooms that decorate functions."""

from __future__ import annotations

import asyncio
import inspect

import pytest

from spanloom.genai import Agent, _guard, around_calls, current
from tests.genai import _make


@pytest.fixture
def kept():
    """What `conclude` was told."""
    return []


@pytest.fixture
def around(recorder, kept):
    """Decorates a function with an agent around each call."""
    telemetry = _make.telemetry(recorder)

    def decorate(function, begin=None, conclude=None):
        def start(args, kwargs):
            return None if kwargs.get("pass_by") else Agent(telemetry, function.__name__, None, {})

        def tell(agent, result):
            kept.append((agent.ended, result))

        return around_calls(function, begin or start, conclude or tell, "test")

    return decorate


def plain(x, pass_by=False):
    """Plain."""
    return x, current() is not None


async def coroutine(x, pass_by=False):
    """Coroutine."""
    await asyncio.sleep(0)
    return x, current() is not None


def generator(x, pass_by=False):
    """Generator."""
    yield x, current() is not None


async def async_generator(x, pass_by=False):
    """Async generator."""
    yield x, current() is not None


def run(function, *args, **kwargs):
    """Its result, or its only item."""
    made = function(*args, **kwargs)
    if inspect.isgenerator(made):
        return next(iter(list(made)))
    if inspect.isasyncgen(made):
        return asyncio.run(only(made))
    return asyncio.run(made) if inspect.iscoroutine(made) else made


async def only(made):
    (one,) = [one async for one in made]
    return one


KINDS = [plain, coroutine, generator, async_generator]


@pytest.mark.parametrize("function", KINDS, ids=lambda one: one.__name__)
def test_each_kind(function, around, recorder, kept):
    """Stays what it is, and has the invocation around its code; nothing is told where nothing is captured."""
    decorated = around(function)
    for ask in (
        inspect.iscoroutinefunction,
        inspect.isgeneratorfunction,
        inspect.isasyncgenfunction,
        inspect.signature,
    ):
        assert ask(decorated) == ask(function)
    assert (decorated.__wrapped__, decorated.__doc__) == (function, function.__doc__)
    assert run(decorated, 1) == (1, True)
    assert [span.name for span in recorder.spans] == [f"invoke_agent {function.__name__}"]
    assert kept == []


@pytest.mark.parametrize("function", KINDS, ids=lambda one: one.__name__)
def test_none_lets_it_pass(function, around, recorder, kept):
    """No span, nothing told."""
    assert run(around(function), 1, pass_by=True) == (1, False)
    assert (recorder.spans, kept) == ([], [])


@pytest.mark.parametrize("function", KINDS, ids=lambda one: one.__name__)
def test_with_content_a_generators_items_are_told(function, content, around, recorder, kept):
    """As a list in JSON's terms; of others the result itself."""
    run(around(function), 1)
    assert kept == [(False, [[1, True]] if "generator" in function.__name__ else (1, True))]


@pytest.mark.parametrize("function", KINDS, ids=lambda one: one.__name__)
@pytest.mark.parametrize("which", ["begin", "conclude"])
def test_their_faults_stay_ours(which, function, content, around, recorder, monkeypatch):
    """The function runs, once, and gives its result; the span, if there is one, ends."""
    monkeypatch.setattr(_guard, "RERAISE", False)
    decorated = around(function, **{which: lambda *_: 1 // 0})
    assert run(decorated, 1) == (1, which == "conclude")
    assert len(recorder.spans) == (which == "conclude")


@pytest.mark.parametrize("function", KINDS, ids=lambda one: one.__name__)
def test_wrong_arguments(function, around, recorder):
    """The function's own error, and a failed span."""
    with pytest.raises(TypeError) as expected:
        run(function, wrong=1)
    with pytest.raises(TypeError) as raised:
        run(around(function), wrong=1)
    assert str(raised.value) == str(expected.value)
    assert recorder.span.attributes["error.type"] == "TypeError"


def test_arguments_by_any_name(around):
    """None of ours is in the way."""

    def f(self, function, begin, conclude, place, args, kwargs):
        yield self, function, begin, conclude, place, args, kwargs

    names = ("self", "function", "begin", "conclude", "place", "args", "kwargs")
    assert list(around(f)(**dict.fromkeys(names, 1))) == [(1,) * 7]
