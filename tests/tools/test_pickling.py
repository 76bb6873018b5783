"""A decorated function goes to another process by value, as Ray, Dask and loky send what stands in `__main__`."""

from __future__ import annotations

import asyncio
import inspect
import pickle
import subprocess
import sys

import cloudpickle
import pytest

from spanloom import trace
from spanloom.tools import tool


def functions(around):
    """One of each kind, made here so that nobody can import it."""

    @around
    def plain(x):
        return x + 1

    @around
    async def coroutine(x):
        return x + 1

    @around
    def generator(x):
        yield x + 1

    return plain, coroutine, generator


def came_out(result):
    """The one value of it."""
    if inspect.iscoroutine(result):
        return asyncio.run(result)
    return result if isinstance(result, int) else next(iter(result))


AROUND = {"tool": tool, "named tool": tool(name="x"), "agent": trace.agent("planner")}


@pytest.mark.parametrize("around", AROUND.values(), ids=AROUND)
def test_after_a_call(around, plugin, recorder):
    """What the first call makes (telemetry, with its locks) does not go along."""
    for function in functions(around):
        assert came_out(function(1)) == 2
        assert came_out(pickle.loads(cloudpickle.dumps(function))(2)) == 3


def test_inside_its_agent():
    """A run that is open stays here."""
    planner = trace.agent("planner")
    plain = functions(planner)[0]
    with planner:
        assert pickle.loads(cloudpickle.dumps(plain))(1) == 2


def test_what_arrives_is_recorded(plugin, recorder):
    """By the telemetry that is there."""
    pickle.loads(cloudpickle.dumps(functions(tool)[0]))(1)
    assert recorder.span.name == "execute_tool plain"


def test_in_another_process():
    """Which has loaded nothing of us before."""
    plain = functions(tool)[0]
    plain(1)
    sent = cloudpickle.dumps(plain)
    program = "import pickle, sys; print(pickle.load(sys.stdin.buffer)(1))"
    done = subprocess.run([sys.executable, "-c", program], input=sent, capture_output=True, check=True)
    assert done.stdout == b"2\n"
