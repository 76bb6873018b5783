"""Modules that call others more than once, and modules that nobody expects."""

from __future__ import annotations

import asyncio
from typing import Any

import dspy
from dspy.utils.dummies import DummyLM

from tests.dspy._programs import Outer, Pipe
from tests.dspy.sections._stage import Engine, Stage, section

ASK = "question -> answer"
QUESTION = "Which river flows through Dresden?"


def never_good(args: Any, prediction: Any) -> float:
    """No answer is good enough."""
    return len(prediction.answer) % 7 / 7


@section()
def program_in_a_program(stage: Stage) -> Any:
    with dspy.context(lm=stage.lm()):
        return Outer()(question=QUESTION)


@section()
def refine(stage: Stage) -> Any:
    with dspy.context(lm=stage.lm(), trace=[]):
        return dspy.Refine(dspy.ChainOfThought(ASK), N=2, reward_fn=never_good, threshold=2.0)(question=QUESTION)


@section()
def best_of_n(stage: Stage) -> Any:
    with dspy.context(lm=stage.lm(), trace=[]):
        return dspy.BestOfN(dspy.ChainOfThought(ASK), N=3, reward_fn=never_good, threshold=2.0)(question=QUESTION)


@section()
def multi_chain_comparison(stage: Stage) -> Any:
    completions = [{"reasoning": f"think {word}", "answer": word} for word in ("red", "blue")]
    with dspy.context(lm=stage.lm()):
        return dspy.MultiChainComparison(ASK, M=2)(completions, question=QUESTION)


class Streaming(dspy.Module):
    """``forward`` is a generator, and asks a model between two values."""

    def __init__(self) -> None:
        super().__init__()
        self.one = dspy.Predict(ASK)

    def forward(self, question: str) -> Any:
        yield self.one(question=question).answer
        yield self.one(question=question + " And then?").answer


@section()
def generator_forward(stage: Stage) -> Any:
    with dspy.context(lm=stage.lm()):
        return list(Streaming()(question=QUESTION))


@section()
def generator_forward_that_is_left(stage: Stage) -> Any:
    with dspy.context(lm=stage.lm()):
        values = Streaming()(question=QUESTION)
        first = next(values)
        values.close()
        return first


class OtherName(dspy.Module):
    """``self`` has another name."""

    def __init__(s) -> None:
        super().__init__()
        s.one = dspy.Predict(ASK)

    def forward(s, question: str) -> Any:
        return s.one(question=question)


@section()
def self_under_another_name(stage: Stage) -> Any:
    with dspy.context(lm=stage.lm()):
        return OtherName()(question=QUESTION)


class Unprintable:
    """No text, no JSON, no comparison."""

    def __repr__(self) -> str:
        raise RuntimeError("no text")

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("no comparison")

    __hash__ = None  # type: ignore[assignment]


class Taking(dspy.Module):
    """Takes anything."""

    def __init__(self) -> None:
        super().__init__()
        self.one = dspy.Predict(ASK)

    def forward(self, *things: Any, question: str, more: Any) -> Any:
        return self.one(question=question)


@section()
def inputs_without_text(stage: Stage) -> Any:
    with dspy.context(lm=stage.lm()):
        return Taking()(Unprintable(), object(), question=QUESTION, more={1: Unprintable(), "s": {1, 2}})


class Overriding(dspy.Module):
    """Has a ``__call__`` of its own, which goes past DSPy's."""

    def __init__(self) -> None:
        super().__init__()
        self.one = dspy.Predict(ASK)

    def __call__(self, question: str) -> Any:
        return self.forward(question)

    def forward(self, question: str) -> Any:
        return self.one(question=question)


@section()
def call_overridden(stage: Stage) -> Any:
    with dspy.context(lm=stage.lm()):
        return Overriding()(QUESTION)


@section()
def forward_called_directly(stage: Stage) -> Any:
    with dspy.context(lm=stage.lm()):
        return Outer().forward(question=QUESTION)


@section(fails=True)
def positional_argument(stage: Stage) -> Any:
    with dspy.context(lm=stage.lm()):
        return dspy.Predict(ASK)(QUESTION)


class Stop(BaseException):
    """Of the application's own."""


class Stopping(dspy.Module):
    """A base exception from a tool, through an agent."""

    def __init__(self) -> None:
        super().__init__()
        self.agent = dspy.ReAct(ASK, tools=[self.stop])

    def stop(self) -> str:
        """Stops."""
        raise Stop("enough")

    def forward(self, question: str) -> Any:
        return self.agent(question=question)


@section(fails=True)
def base_exception(stage: Stage) -> Any:
    turn = {"next_thought": "t", "next_tool_name": "stop", "next_tool_args": {}}
    with dspy.context(lm=DummyLM([turn])):
        return Stopping()(question="x")


class Interrupting(Engine):
    """Ctrl-C while the model is asked."""

    def answer(self, request: Any) -> str:
        raise KeyboardInterrupt


@section(fails=True, newest=True)
def keyboard_interrupt(stage: Stage) -> Any:
    with dspy.context(lm=dspy.LM("house/one", engine=Interrupting(stage), cache=False)):
        return Outer()(question=QUESTION)


@section()
def cancelled(stage: Stage) -> Any:
    async def program() -> Any:
        with dspy.context(lm=stage.lm()):
            task = asyncio.create_task(Pipe().acall(question="Which river? [[delay:5]]"))
            await asyncio.sleep(0.1)
            task.cancel()
            return (await asyncio.gather(task, return_exceptions=True))[0]

    return asyncio.run(program())
