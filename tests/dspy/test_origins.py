"""Threads that the application starts inside a module: what is known there, and the link to the call behind it."""

from __future__ import annotations

import contextvars
import functools
import gc
import threading
import weakref
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import dspy
import pytest
from dspy.dsp.utils.settings import thread_local_overrides
from dspy.utils.callback import BaseCallback
from dspy.utils.callback_context import ACTIVE_CALL_ID, _bind_active_call_id
from dspy.utils.dummies import DummyLM
from opentelemetry import trace

from spanloom.dspy import _origins
from tests._support.spans import outline

LINKED = "invoke_workflow Predict"


def lm() -> DummyLM:
    """As many answers as a test needs."""
    return DummyLM([{"answer": "the Elbe"}] * 20)


def in_thread(call: Callable[[], Any]) -> None:
    """Run it in a thread that has nothing of this one."""
    thread = threading.Thread(target=contextvars.Context().run, args=(call,))
    thread.start()
    thread.join(20)
    assert not thread.is_alive()


class Program(dspy.Module):
    """Runs something in its ``forward``."""

    def __init__(self, work: Callable[[Program], Any]) -> None:
        super().__init__()
        self.predict = dspy.Predict("question -> answer")
        self.work = work

    def forward(self) -> Any:
        return self.work(self)


def ask(program: Program) -> Any:
    """One question."""
    return program.predict(question="Which river?")


def with_settings(call: Callable[[], Any], settings: Any) -> Callable[[], Any]:
    """As applications hand settings to a thread."""

    def work() -> None:
        with dspy.context(**settings):
            call()

    return work


def by_name(recorder: Any, name: str) -> list[Any]:
    """The spans of this name."""
    return [span for span in recorder.spans if span.name == name]


def link_of(recorder: Any, name: str = LINKED) -> Any:
    """Where the span leads to; ``None`` without a link."""
    (span,) = by_name(recorder, name)
    assert span.parent is None
    return span.links[0].context.span_id if span.links else None


# What a thread may know: DSPy's own call id, the modules around it, our span.
NOTHING, MODULES, CALL_ID, SPAN = "nothing", "modules", "call id", "span"


def known() -> set[str]:
    """What can be known of the caller here."""
    found = {
        MODULES: dspy.settings.caller_modules,
        CALL_ID: ACTIVE_CALL_ID.get(),
        SPAN: trace.get_current_span().get_span_context().is_valid,
    }
    return {name for name, value in found.items() if value}


def with_overrides(call: Callable[[], Any]) -> Callable[[], Any]:
    """As ``ParallelExecutor`` and programs modelled on it do."""
    overrides = thread_local_overrides.get().copy()

    def work() -> None:
        thread_local_overrides.set(overrides)
        call()

    return work


WAYS = {
    "bare": (lambda call: call, set(), set()),
    "an LM only": (lambda call: with_settings(call, {"lm": lm()}), set(), set()),
    "settings.copy": (lambda call: with_settings(call, dspy.settings.copy()), {MODULES}, {MODULES}),
    "settings.config": (lambda call: with_settings(call, dspy.settings.config), {MODULES}, {MODULES}),
    "overrides": (with_overrides, {MODULES}, {MODULES}),
    "the call id": (_bind_active_call_id, set(), {CALL_ID}),
    "the context": (
        lambda call: functools.partial(contextvars.copy_context().run, call),
        {MODULES, SPAN},
        {MODULES, CALL_ID, SPAN},
    ),
}


@pytest.mark.usefixtures("plugin")
@pytest.mark.parametrize("way", WAYS)
def test_what_a_thread_knows_of_its_caller(way, recorder):
    """A call id is there only with callbacks of the application's, and alone only through a private function."""
    carry, plain, with_callbacks = WAYS[way]
    for callbacks, expected in (([], plain), ([BaseCallback()], with_callbacks)):
        seen: list[set[str]] = []
        with dspy.context(lm=lm(), callbacks=callbacks):
            Program(lambda _, seen=seen: in_thread(carry(lambda: seen.append(known()))))()
        assert seen == [expected]


@pytest.mark.usefixtures("plugin")
@pytest.mark.parametrize("copy", [lambda: dspy.settings.copy(), lambda: dspy.settings.config], ids=["copy", "config"])
def test_a_link_to_the_call_whose_settings_a_thread_has(copy, recorder):
    """The thread's span stays a root of its own trace."""
    with dspy.context(lm=lm()):
        Program(lambda program: in_thread(with_settings(lambda: ask(program), copy())))()
    (outer,) = by_name(recorder, "invoke_workflow Program")
    assert link_of(recorder) == outer.context.span_id
    assert len({span.context.trace_id for span in recorder.spans}) == 2


@pytest.mark.usefixtures("plugin")
def test_a_model_call_and_a_tool_in_such_a_thread(recorder):
    """They have no module around them there."""
    tool = dspy.Tool(lambda a: a, name="echo", desc="")

    def work(_: Program) -> None:
        settings = dspy.settings.copy()
        in_thread(with_settings(lambda: dspy.settings.lm("hello"), settings))
        in_thread(with_settings(lambda: tool(a=1), settings))

    with dspy.context(lm=lm()):
        Program(work)()
    (outer,) = by_name(recorder, "invoke_workflow Program")
    assert link_of(recorder, "chat dummy") == outer.context.span_id
    assert link_of(recorder, "execute_tool echo") == outer.context.span_id


@pytest.mark.usefixtures("plugin")
def test_two_calls_of_one_program_are_told_apart(recorder):
    """Each thread leads to its own call, though the program is the same object."""
    meeting = threading.Barrier(2, timeout=20)

    def work(program: Program) -> None:
        settings = dspy.settings.copy()
        meeting.wait()
        in_thread(with_settings(lambda: ask(program), settings))
        meeting.wait()

    program = Program(work)
    calls = [threading.Thread(target=with_settings(program, {"lm": lm()})) for _ in range(2)]
    for one in calls:
        one.start()
    for one in calls:
        one.join(20)
    outer = {span.context.span_id for span in by_name(recorder, "invoke_workflow Program")}
    assert len(outer) == 2
    assert {span.links[0].context.span_id for span in by_name(recorder, LINKED)} == outer


@pytest.mark.usefixtures("plugin")
def test_the_innermost_call_is_linked(recorder):
    """Not the program around it."""
    inner = Program(lambda program: in_thread(with_settings(lambda: ask(program), dspy.settings.copy())))

    class Outer(dspy.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = inner

        def forward(self) -> Any:
            dspy.settings.copy()
            return self.inner()

    with dspy.context(lm=lm()):
        Outer()()
    (span,) = by_name(recorder, "Program inner")
    assert link_of(recorder) == span.context.span_id


@pytest.mark.usefixtures("plugin")
@pytest.mark.parametrize("carry", [lambda call: call, with_overrides], ids=["bare", "overrides"])
def test_no_link_where_the_call_is_not_known(carry, recorder):
    """Without a copy of the settings that we saw there is none."""

    def work(program: Program) -> None:
        call = with_settings(lambda: ask(program), {"lm": dspy.settings.lm})
        in_thread(carry(call))

    with dspy.context(lm=lm()):
        Program(work)()
    assert link_of(recorder) is None


@pytest.mark.usefixtures("plugin")
def test_no_link_to_a_call_that_is_over(recorder):
    """What runs when the call has returned may have the settings of it still."""
    kept: list[Any] = []
    with dspy.context(lm=lm()):
        program = Program(lambda _: kept.append(dspy.settings.copy()))
        program()
        in_thread(with_settings(lambda: ask(program), kept[0]))
    assert link_of(recorder) is None


@pytest.mark.usefixtures("plugin")
def test_no_second_way_to_the_parent(recorder):
    """Where the application hands on the span itself, the span is a child and needs no link."""

    def work(program: Program) -> None:
        settings, span = dspy.settings.copy(), trace.get_current_span()

        def call() -> None:
            with trace.use_span(span):
                ask(program)

        in_thread(with_settings(call, settings))

    with dspy.context(lm=lm()):
        Program(work)()
    assert outline(recorder.spans)[:2] == ["invoke_workflow Program", f"  {LINKED}"]
    assert not any(span.links for span in recorder.spans)


@pytest.mark.usefixtures("plugin")
def test_settings_that_are_copied_elsewhere():
    """Outside of a module there is nothing to note, and other modules than ours are not this call's."""
    assert dspy.settings.copy().caller_modules is None
    with dspy.context(lm=lm()):
        Program(lambda _: with_settings(dspy.settings.copy, {"caller_modules": [object()]})())()
    assert not _origins._copied


@pytest.mark.usefixtures("plugin")
def test_what_is_noted_goes_with_the_call_and_is_bounded(monkeypatch):
    """No program is kept alive, and there is a most."""
    monkeypatch.setattr(_origins, "_MAX_CALLS", 1)
    sizes: list[int] = []

    def work(_: Program) -> None:
        dspy.settings.copy()
        sizes.append(len(_origins._copied))

    inner = Program(work)
    program = Program(lambda one: (work(one), inner()))
    program()
    assert sizes == [1, 1]
    gone = weakref.ref(program)
    del program
    gc.collect()
    assert gone() is None
    assert not _origins._copied


def test_the_copy_is_dspys_own(plugin):
    """The same type and values, and the method looks as before."""
    copied = dspy.settings.copy()
    assert type(copied).__name__ == "dotdict"
    assert copied == {**dspy.settings.config}
    assert dspy.settings.copy.__doc__ == type(dspy.settings).copy.__wrapped__.__doc__
    plugin.uninstrument()
    assert not hasattr(type(dspy.settings).copy, "__wrapped__")


def test_nothing_is_asked_where_nothing_was_copied():
    """Every program that starts comes here."""
    _origins.link_back(SimpleNamespace())
