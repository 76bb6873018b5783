"""One block object, entered many times: in threads, inside itself, in contexts that are not those it is left in."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import copy
import gc
import sys
import threading

import pytest
from opentelemetry.instrumentation.utils import suppress_instrumentation

from spanloom import trace
from spanloom.genai import current
from spanloom.trace import _block


@pytest.fixture(autouse=True)
def nothing_is_left_open():
    """After each test this context has no entry that anybody could still leave."""
    yield
    assert not [one for one in _block._here.get() if one.told is not None]


def tokens(span):
    return span.attributes.get("gen_ai.usage.input_tokens")


def test_threads_at_once(by_hand):
    """None loses its own, and none is told of a fault, however often they take turns."""
    shared, faults = trace.agent("planner"), []

    def work():
        try:
            with suppress_instrumentation():
                for _ in range(8000):
                    with shared:
                        pass
        except Exception as error:
            faults.append(error)

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=work) for _ in range(4)]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
    finally:
        sys.setswitchinterval(before)
    assert not faults
    assert not shared._open


def test_each_thread_ends_its_own(by_hand):
    """The first to enter is the first to leave."""
    shared, entered, may_leave = trace.agent("planner"), threading.Event(), threading.Event()

    def slow():
        with shared:
            entered.set()
            may_leave.wait(10)

    with shared as mine:
        thread = threading.Thread(target=slow)
        thread.start()
        entered.wait(10)
    assert mine._invocation.ended
    assert len(by_hand.spans) == 1
    may_leave.set()
    thread.join()
    assert len(by_hand.spans) == 2


def test_inside_itself_where_the_inner_one_records_nothing(by_hand):
    """A model call inside the same model call is the outer one's: that goes on to be told."""
    shared = trace.inference(model="m", provider="openai")
    with shared as outer:
        with shared:
            pass
        outer.usage(input_tokens=1)
    assert tokens(by_hand.span) == 1


def test_inside_itself_suppressed(by_hand):
    """The same where instrumentation is off for the inner one."""
    shared = trace.agent("planner")
    with shared as outer:
        with suppress_instrumentation(), shared as inner:
            assert inner._invocation is None
        assert not outer._invocation.ended
        assert current() is outer._invocation
    assert len(by_hand.spans) == 1


def test_inside_itself_by_recursion(by_hand):
    """Each level ends its own."""
    shared, ended = trace.agent("planner"), []

    def level(depth):
        with shared as run:
            if depth:
                level(depth - 1)
            ended.append(run._invocation.ended)

    level(3)
    assert ended == [False] * 4
    assert len(by_hand.spans) == 4


def test_a_coroutine_that_the_collector_closes(by_hand):
    """In whichever context that is, and though the same block is open there: each one ends by its own exit."""
    shared, runs = trace.agent("planner"), []

    async def wait():
        with shared as run:
            runs.append(run)
            await asyncio.sleep(0)

    waiting = wait()
    contextvars.copy_context().run(waiting.send, None)
    with shared as mine:
        del waiting
        gc.collect()
        assert runs[0]._invocation.ended
        assert not mine._invocation.ended
        assert current() is mine._invocation
    assert len(by_hand.spans) == 2


def test_a_generator_that_moves_between_contexts(by_hand):
    """The same block twice in it, entered in two contexts and left in a third: the inner one ends first."""
    shared, runs = trace.inference(model="m", provider="openai"), []

    def steps():
        with shared as outer:
            runs.append(outer)
            yield
            with shared as inner:
                runs.append(inner)
                yield
            yield

    moving = steps()
    first = contextvars.copy_context()
    first.run(next, moving)
    contextvars.copy_context().run(next, moving)
    outer, inner = runs
    first.run(next, moving)
    assert not outer._invocation.ended
    assert inner._invocation is None or inner._invocation.ended
    first.run(list, moving)
    assert outer._invocation.ended
    assert not shared._open


def test_an_exit_stack(by_hand):
    """What was entered by a stack ends with it, the innermost first."""
    shared = trace.agent("planner")
    with contextlib.ExitStack() as stack:
        outer = stack.enter_context(shared)
        with contextlib.ExitStack() as below:
            inner = below.enter_context(shared)
            with shared:
                pass
        assert inner._invocation.ended
        assert not outer._invocation.ended
    assert outer._invocation.ended
    assert len(by_hand.spans) == 3


def test_an_exit_stack_that_is_closed_in_another_context(by_hand):
    """What is open there was not entered there: it ends, and nothing is raised."""
    shared, stack = trace.agent("planner"), contextlib.ExitStack()
    contextvars.copy_context().run(stack.enter_context, shared)
    thread = threading.Thread(target=stack.close)
    thread.start()
    thread.join()
    assert len(by_hand.spans) == 1
    assert not shared._open


def test_tasks_that_share_a_block(by_hand):
    """A task inside the block has its own of it, whichever ends first."""
    shared = trace.agent("planner")

    async def child(pause):
        with shared as run:
            await asyncio.sleep(pause)
            assert not run._invocation.ended

    async def main():
        with shared:
            tasks = [asyncio.create_task(child(pause / 1000)) for pause in (3, 1, 2, 5)]
            await asyncio.sleep(0.002)
        await asyncio.gather(*tasks)

    asyncio.run(main())
    assert len(by_hand.spans) == 5


def test_left_more_often_than_entered(by_hand):
    """By hand that can be done: nothing is raised, and nothing ends."""
    trace.agent("planner").__exit__(None, None, None)
    shared = trace.agent("planner")
    with shared as run:
        pass
    shared.__exit__(None, None, None)
    assert run._invocation.ended
    assert len(by_hand.spans) == 1


def test_a_copy_of_a_block_that_is_open(by_hand):
    """It was entered by nobody."""
    shared = trace.agent("planner")
    with shared:
        other = copy.copy(shared)
        assert not other._open
        with other:
            pass
    assert len(by_hand.spans) == 2


def test_a_context_that_lives_on_keeps_nothing(by_hand):
    """What a task inherited of a block is let go when the block is left."""
    with trace.agent("planner"):
        kept = contextvars.copy_context()
    assert [one.told for one in kept[_block._here]] == [None]
    kept.run(trace.agent("other").__enter__)
    assert len(kept[_block._here]) == 1
