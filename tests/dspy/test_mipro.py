"""MIPROv2: every evaluation, in the words of the program that it returns."""

from __future__ import annotations

import itertools
import json
from collections import Counter

import dspy
import pytest

from spanloom.dspy._candidates import program_hash
from tests.dspy.test_optimizers import TRAIN, answers

pytest.importorskip("optuna")
pytestmark = [pytest.mark.filterwarnings("ignore::UserWarning"), pytest.mark.filterwarnings("ignore::FutureWarning")]


class Varying:
    """No two evaluations have the same score."""

    def __init__(self):
        self.calls = itertools.count()

    def __call__(self, example, prediction, trace=None):
        return (next(self.calls) * 37 % 101) / 101


def compiled(minibatch, metric=None, trials=7, program=None, **settings):
    """The program, with two sets of demos and two instructions to choose from."""
    models = {"prompt_model": answers(), "task_model": answers()}
    one = dspy.MIPROv2(metric=metric or Varying(), auto=None, num_candidates=2, num_threads=1, **models, **settings)
    with dspy.context(lm=answers()):
        return one.compile(
            program or dspy.Predict("question -> answer"),
            trainset=TRAIN, valset=TRAIN, num_trials=trials, minibatch=minibatch,
            minibatch_size=2, minibatch_full_eval_steps=3, max_bootstrapped_demos=1, max_labeled_demos=1,
            program_aware_proposer=False, data_aware_proposer=False, tip_aware_proposer=False,
        )  # fmt: skip


def candidates(recorder, evaluation):
    """What is told of this kind of evaluation, in order."""
    found = [span.attributes for span in recorder.spans if span.name == "dspy.candidate"]
    return [one for one in found if one["dspy.candidate.evaluation"] == evaluation]


def listed(rows):
    """Score and version of each, in any order."""
    return Counter((one["dspy.candidate.score"], one["dspy.candidate.hash"]) for one in rows)


def stated(programs):
    """The same of the optimizer's own lists."""
    return Counter((one["score"], program_hash(one["program"])) for one in programs)


@pytest.mark.usefixtures("plugin")
@pytest.mark.parametrize("minibatch", [False, True])
def test_every_evaluation(minibatch, recorder):
    """Scores and versions are those of `candidate_programs` and `mb_candidate_programs`; the winner is the best one."""
    program = compiled(minibatch)
    full, part = candidates(recorder, "full"), candidates(recorder, "minibatch")
    assert listed(full) == stated(program.candidate_programs)
    assert listed(part) == stated(program.mb_candidate_programs)
    assert bool(part) == minibatch
    told = recorder.named("dspy.compile MIPROv2").attributes
    assert told["dspy.compile.candidates"] == len(full) + len(part)
    (winner,) = [one for one in full if one["dspy.candidate.index"] == told["dspy.compile.best"]]
    assert winner["dspy.candidate.score"] == told["dspy.compile.score"] == program.score
    assert winner["dspy.candidate.hash"] == told["dspy.candidate.hash"] == program_hash(program)


@pytest.mark.usefixtures("plugin")
@pytest.mark.parametrize("minibatch", [False, True])
def test_what_was_chosen(minibatch, recorder):
    """Each trial with the instruction and the demos that its log has."""
    program = compiled(minibatch)
    rows = candidates(recorder, "full") + candidates(recorder, "minibatch")
    told = {
        one["dspy.candidate.index"]: json.loads(one["dspy.candidate.parameters"])
        for one in rows
        if "dspy.candidate.parameters" in one
    }
    logs = program.trial_logs
    chosen = {at: {key: value for key, value in log.items() if "_predictor_" in key} for at, log in logs.items()}
    assert told == {at: one for at, one in chosen.items() if one}


@pytest.mark.usefixtures("plugin")
def test_an_end_in_the_middle(recorder):
    """Ctrl-C in a trial: the same exception, ERROR, and nothing is made up."""

    def interrupted(example, prediction, trace=None):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        compiled(False, interrupted)
    told = recorder.named("dspy.compile MIPROv2").attributes
    assert told["error.type"] == "KeyboardInterrupt"
    assert not {"dspy.compile.score", "dspy.compile.best", "dspy.compile.candidates"} & told.keys()


def test_a_run_without_statistics(recorder, plugin):
    """It attaches nothing: what the program has of an earlier run is not told as this one's."""
    plugin.uninstrument()
    earlier = compiled(False)
    plugin.instrument(**recorder.providers)
    program = compiled(False, program=earlier, track_stats=False)
    assert program.trial_logs.keys() == earlier.trial_logs.keys()
    assert candidates(recorder, "full") == []
    told = recorder.named("dspy.compile MIPROv2").attributes
    assert not {"dspy.compile.score", "dspy.compile.best", "dspy.compile.candidates"} & told.keys()
