"""Optimizers on a program of one predictor; what they made is what is compared."""

from __future__ import annotations

from typing import Any

import dspy

from tests.dspy.sections._stage import Stage, by_letters, questions, section, vectors

QUIET = {"num_threads": 1, "display_progress": False}


def student() -> dspy.Module:
    """What is to be made better."""
    return dspy.Predict("question -> answer")


def always(example: Any, prediction: Any, trace: Any = None) -> bool:
    """Every answer is good."""
    return True


@section()
def labeled_few_shot(stage: Stage) -> Any:
    with dspy.context(lm=stage.lm()):
        return dspy.LabeledFewShot(k=2).compile(student(), trainset=questions(3))


@section(newest=True)
def bootstrap_few_shot(stage: Stage) -> Any:
    optimizer = dspy.BootstrapFewShot(metric=always, max_bootstrapped_demos=2, max_labeled_demos=1)
    with dspy.context(lm=stage.guessing()):
        return optimizer.compile(student(), trainset=questions(3))


@section(any_order=True, newest=True)
def random_search(stage: Stage) -> Any:
    optimizer = dspy.BootstrapFewShotWithRandomSearch(
        metric=by_letters,
        max_bootstrapped_demos=1,
        max_labeled_demos=1,
        num_candidate_programs=1,
        num_threads=2,
    )
    with dspy.context(lm=stage.guessing()):
        return optimizer.compile(student(), trainset=questions(2))


@section(newest=True)
def copro(stage: Stage) -> Any:
    optimizer = dspy.COPRO(prompt_model=stage.lm(), metric=by_letters, breadth=2, depth=2)
    with dspy.context(lm=stage.guessing()):
        return optimizer.compile(student(), trainset=questions(2), eval_kwargs=QUIET)


@section(any_order=True, newest=True)
def mipro(stage: Stage) -> Any:
    with dspy.context(lm=stage.guessing()):
        optimizer = dspy.MIPROv2(
            metric=by_letters,
            prompt_model=stage.lm(),
            auto=None,
            num_candidates=2,
            max_bootstrapped_demos=1,
            max_labeled_demos=1,
            num_threads=2,
        )
        settings = {"num_trials": 2, "minibatch_size": 2, "minibatch_full_eval_steps": 2}
        return optimizer.compile(student(), trainset=questions(3), valset=questions(3), **settings)


@section(any_order=True, newest=True)
def simba(stage: Stage) -> Any:
    with dspy.context(lm=stage.guessing()):
        optimizer = dspy.SIMBA(
            metric=by_letters,
            prompt_model=stage.lm(),
            bsize=2,
            num_candidates=2,
            max_steps=1,
            max_demos=1,
            num_threads=2,
        )
        return optimizer.compile(student(), trainset=questions(3), seed=1)


def told(gold: Any, prediction: Any, trace: Any = None, name: Any = None, part: Any = None) -> Any:
    """A metric with words for GEPA."""
    return dspy.Prediction(score=by_letters(gold, prediction), feedback="longer or shorter")


@section(newest=True)
def gepa(stage: Stage) -> Any:
    optimizer = dspy.GEPA(
        metric=told,
        max_metric_calls=20,
        reflection_minibatch_size=2,
        reflection_lm=stage.lm(temperature=1.0),
        num_threads=1,
        track_stats=True,
    )
    with dspy.context(lm=stage.guessing()):
        return optimizer.compile(student(), trainset=questions(3), valset=questions(2))


@section(newest=True)
def knn_few_shot(stage: Stage) -> Any:
    optimizer = dspy.KNNFewShot(
        k=1, trainset=questions(3), vectorizer=dspy.Embedder(vectors, caching=False), metric=always
    )
    with dspy.context(lm=stage.guessing()):
        return optimizer.compile(student())(question="Which river is number 2?")
