"""Threads, tasks, and programs run many times."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import dspy

from tests.dspy._programs import Pipe
from tests.dspy.sections._stage import Stage, by_letters, questions, section

ASK = "question -> answer"
ASKED = ["Which river flows through Dresden?", "Which city has the Louvre?", "Which sea is salty?"]


class Fan(dspy.Module):
    """Its predictor in three threads."""

    def __init__(self) -> None:
        super().__init__()
        self.one = dspy.Predict(ASK)

    def forward(self) -> Any:
        parallel = dspy.Parallel(num_threads=3, disable_progress_bar=True)
        return parallel([(self.one, {"question": asked}) for asked in ASKED])


@section(any_order=True)
def parallel(stage: Stage) -> Any:
    with dspy.context(lm=stage.lm()):
        return Fan()()


@section()
def parallel_in_one_thread_with_a_failure(stage: Stage) -> Any:
    asked = [*ASKED[:2], "Which river? [[error:400]]"]
    parallel = dspy.Parallel(
        num_threads=1, disable_progress_bar=True, provide_traceback=True, return_failed_examples=True
    )
    with dspy.context(lm=stage.lm()):
        return parallel([(dspy.Predict(ASK), {"question": one}) for one in asked])


@section(any_order=True)
def batch(stage: Stage) -> Any:
    with dspy.context(lm=stage.lm()):
        return Pipe().batch(questions(2), num_threads=2, disable_progress_bar=True)


@section(any_order=True)
def gather(stage: Stage) -> Any:
    async def program() -> Any:
        with dspy.context(lm=stage.lm()):
            pipe = Pipe()
            return await asyncio.gather(*(pipe.acall(question=asked) for asked in ASKED[:2]))

    return asyncio.run(program())


@section()
def asyncify(stage: Stage) -> Any:
    async def program() -> Any:
        with dspy.context(lm=stage.lm()):
            return await dspy.asyncify(dspy.ChainOfThought(ASK))(question=ASKED[0])

    return asyncio.run(program())


@section()
def syncify(stage: Stage) -> Any:
    with dspy.context(lm=stage.lm()):
        return [
            dspy.syncify(Pipe(), in_place=True)(question=ASKED[0]),
            dspy.syncify(Pipe(), in_place=False)(question=ASKED[0]),
        ]


@section(any_order=True)
def evaluate(stage: Stage) -> Any:
    evaluation = dspy.Evaluate(
        devset=questions(3, "Which river? [[error:400]]"),
        metric=by_letters,
        num_threads=2,
        display_progress=False,
        provide_traceback=True,
        save_as_json=str(stage.folder / "results.json"),
    )
    with dspy.context(lm=stage.lm()):
        result = evaluation(dspy.ChainOfThought(ASK))
    return [result, (stage.folder / "results.json").read_text()]


@section()
def metric_that_asks_a_model(stage: Stage) -> Any:
    judge = dspy.Predict("question, answer -> good: bool")

    def metric(example: dspy.Example, prediction: Any, trace: Any = None) -> Any:
        good = judge(question=example.question, answer=prediction.answer).good
        return dspy.Prediction(score=float(good), feedback="as the judge says")

    evaluation = dspy.Evaluate(devset=questions(1), metric=metric, num_threads=1, display_progress=False)
    with dspy.context(lm=stage.lm()):
        return evaluation(dspy.Predict(ASK))


class Own(dspy.Module):
    """Starts a thread and takes nothing along but the LM."""

    def __init__(self) -> None:
        super().__init__()
        self.one = dspy.Predict(ASK)

    def forward(self) -> Any:
        lm, found = dspy.settings.lm, []

        def work() -> None:
            with dspy.context(lm=lm):
                found.append(self.one(question=ASKED[0]))

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        return found[0]


@section(traces=2)
def bare_thread(stage: Stage) -> Any:
    with dspy.context(lm=stage.lm()):
        return Own()()


class Handing(dspy.Module):
    """Hands its settings to a thread of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.one = dspy.Predict(ASK)

    def forward(self) -> Any:
        settings = dspy.settings.copy()

        def work() -> None:
            with dspy.context(**settings):
                self.one(question=ASKED[0])

        thread = threading.Thread(target=work)
        thread.start()
        thread.join(20)


@section(traces=2)
def a_thread_with_the_settings(stage: Stage) -> Any:
    with dspy.context(lm=stage.lm()):
        return Handing()()
