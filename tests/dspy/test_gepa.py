"""GEPA: what is told of candidates equals its own result, for programs of several predictors and resumed runs."""

from __future__ import annotations

import hashlib
import inspect
import json
import random
import warnings

import dspy
import gepa
import pytest
from dspy.teleprompt import Teleprompter
from dspy.utils.dummies import DummyLM

from spanloom.dspy import DSPyInstrumentor, _gepa
from spanloom.dspy._candidates import program_hash
from spanloom.dspy._scopes import Compile
from spanloom.genai import Telemetry

TRAIN = [dspy.Example(question=f"q{at}", answer="red").with_inputs("question") for at in range(8)]
SAMPLED = pytest.mark.skipif(
    "sampling_strategy" not in inspect.signature(gepa.optimize).parameters, reason="GEPA 0.1.4 has it first"
)


class Two(dspy.Module):
    """A program of two predictors, which says which instructions they have."""

    def __init__(self):
        super().__init__()
        self.draft = dspy.Predict("question -> note")
        self.final = dspy.Predict("question, note -> answer")

    def forward(self, question):
        said = self.final(question=question, note=self.draft(question=question).note)
        said.instructions = [one.signature.instructions for one in (self.draft, self.final)]
        return said


def luck(*texts):
    """A number below 1, the same for the same texts."""
    return hashlib.sha256("|".join(texts).encode()).digest()[0] / 256


def metric(gold, pred, trace=None, pred_name=None, pred_trace=None):
    """Each predictor has its part in the score: proposals and merges are taken and refused."""
    draft, final = pred.instructions
    score = luck("draft", draft, gold.question) + luck("final", final, gold.question)
    return dspy.Prediction(score=score / 2, feedback="Say red.")


def optimizer(calls=60, **settings):
    """One GEPA with a proposer that never says the same thing twice."""
    proposals = [{"new_instruction": f"Say red {at}"} for at in range(999)]
    return dspy.GEPA(
        metric=metric, max_metric_calls=calls, track_stats=True, num_threads=1, warn_on_score_mismatch=False,
        reflection_lm=DummyLM(proposals, adapter=dspy.JSONAdapter()), **settings,
    )  # fmt: skip


def compiled(one, program=None, train=TRAIN):
    """What it makes of a program whose model always says the same."""
    with warnings.catch_warnings(), dspy.context(lm=DummyLM([{"note": "n", "answer": "red"}] * 9999)):
        warnings.simplefilter("ignore")
        return one.compile(program or Two(), trainset=train, valset=train)


def candidates(recorder, outcome):
    """What is told of candidates with this outcome, in order."""
    found = [span.attributes for span in recorder.spans if span.name == "dspy.candidate"]
    return [one for one in found if one["dspy.candidate.outcome"] == outcome]


def evaluated(recorder):
    """The versions of the program that were run over examples."""
    return {span.attributes.get("dspy.candidate.hash") for span in recorder.spans if "evaluate T" in span.name}


def summary(recorder):
    """Of the compilation."""
    told = recorder.named("dspy.compile GEPA").attributes
    return [told[f"dspy.compile.{name}"] for name in ("candidates", "best", "score", "metric_calls")]


def result_of(program):
    """The same of GEPA's result."""
    own = program.detailed_results
    return [len(own.candidates), own.best_idx, own.val_aggregate_scores[own.best_idx], own.total_metric_calls]


@pytest.mark.usefixtures("plugin")
def test_several_predictors(recorder):
    """A proposal changes one predictor of its parent: the whole of it is what ran, refused or taken, merges too."""
    program = compiled(optimizer(calls=500))
    result = program.detailed_results
    taken, refused = candidates(recorder, "accepted"), candidates(recorder, "rejected")
    assert [one["dspy.candidate.score"] for one in taken] == result.val_aggregate_scores
    parents = [[at for at in row if at is not None] for row in result.parents]
    assert [list(one.get("dspy.candidate.parents", ())) for one in taken] == parents
    assert any(len(row) == 2 for row in parents), "no merge was taken"
    merges = [one for one in refused if len(one.get("dspy.candidate.parents", ())) == 2]
    assert merges, "no merge was refused"
    assert all("worse than both parents" in one["dspy.candidate.reason"] for one in merges)
    assert {one["dspy.candidate.hash"] for one in taken + refused} <= evaluated(recorder)
    assert [one["dspy.candidate.hash"] for one in taken] == [program_hash(one) for one in result.candidates]
    assert summary(recorder) == result_of(program)


@pytest.mark.usefixtures("plugin_with_content")
def test_content(recorder):
    """Each candidate with the instructions of every predictor."""
    compiled(optimizer())
    for one in candidates(recorder, "accepted") + candidates(recorder, "rejected"):
        assert set(json.loads(one["dspy.candidate.instructions"])) == {"draft", "final"}


REASONS = [
    "New subsample score 0.5 not better than old score 1",
    "New subsample score -1e-07 not better than old score nan",
    "Merged score 0.5 worse than both parents [np.float64(0.75), 1.0]",
    "Candidate rejected by acceptance criterion (old_sum=1.0, new_sum=0)",
    "Passed acceptance (score 0.5 -> 0.75) but was not selected by the selection strategy (TopK)",
    "Duplicate of another candidate selected this iteration",
]
QUOTING = ["Which river flows through Dresden? is gone", f"{REASONS[0]}: Dresden", 7]


def told_reasons(recorder):
    """What is told of candidates that were refused for each of these reasons."""
    scope = Compile(Telemetry("spanloom.dspy", **recorder.providers), "dspy.compile GEPA", {}, optimizer())
    with scope:
        for reason in [*REASONS, *QUOTING]:
            _gepa._Watch(scope).on_candidate_rejected({"iteration": 1, "new_score": 0.5, "reason": reason})
    scope.stop()
    return [one.get("dspy.candidate.reason") for one in candidates(recorder, "rejected")]


def test_a_reason_in_words_of_the_applications_is_content(recorder):
    """What GEPA's engine says has numbers in it; anything else may quote a prompt."""
    assert told_reasons(recorder) == [*REASONS, None, None, None]


def test_any_reason_with_content(content, recorder):
    """It is told as it is, but for what is no text."""
    assert told_reasons(recorder) == [*REASONS, *QUOTING[:2], None]


@SAMPLED
@pytest.mark.usefixtures("plugin")
def test_a_criterion_of_the_applications_own(recorder):
    """Its reason goes nowhere with content off."""

    class Never:
        def should_accept(self, proposal, state):
            return False

        def reject_reason(self, proposal, state):
            return f"worse: {proposal.candidate}"

    compiled(optimizer(gepa_kwargs={"acceptance_criterion": Never()}, use_merge=False))
    refused = candidates(recorder, "rejected")
    assert refused
    assert not any("dspy.candidate.reason" in one for one in refused)


@SAMPLED
@pytest.mark.usefixtures("plugin_with_content")
def test_several_proposals_in_one_iteration(recorder):
    """GEPA doesn't say which of them it refused: neither do we. Those that were taken are known."""
    from gepa.strategies.proposal_sampling import SameParentSampling

    program = compiled(optimizer(gepa_kwargs={"sampling_strategy": SameParentSampling(3)}, use_merge=False))
    refused = candidates(recorder, "rejected")
    assert refused
    for one in refused:
        assert not {"dspy.candidate.hash", "dspy.candidate.instructions"} & one.keys()
    taken = candidates(recorder, "accepted")
    assert [one["dspy.candidate.score"] for one in taken] == program.detailed_results.val_aggregate_scores
    assert {one["dspy.candidate.hash"] for one in taken} <= evaluated(recorder)
    assert summary(recorder) == result_of(program)


@pytest.mark.usefixtures("plugin")
def test_a_resumed_run(recorder, tmp_path):
    """Its candidates, calls and winner are those of its folder and its own, as in GEPA's result."""
    compiled(optimizer(calls=60, log_dir=str(tmp_path)))
    recorder.clear()
    program = compiled(optimizer(calls=120, log_dir=str(tmp_path)))
    assert summary(recorder) == result_of(program)
    result = program.detailed_results
    taken = candidates(recorder, "accepted")
    assert 1 < len(taken) < len(result.candidates)
    for one in taken:
        assert one["dspy.candidate.score"] == result.val_aggregate_scores[one["dspy.candidate.index"]]


def outcome():
    """Everything that a user may compare of one run."""
    random.seed(3)
    seen = []

    class Theirs:
        def on_candidate_rejected(self, event):
            seen.append(event["iteration"])

        def on_budget_updated(self, event):
            seen.append(event["metric_calls_used"])

    program = compiled(optimizer(calls=80, gepa_kwargs={"callbacks": [Theirs()]}))
    told = [program.dump_state(), program.detailed_results.to_dict(), seen, random.getstate()]
    return json.dumps(told, default=lambda value: value.dump_state() if isinstance(value, dspy.Module) else str(value))


def test_the_same_with_and_without_us(recorder, caplog):
    """The program, every score, the user's callbacks, what is logged."""
    caplog.set_level("INFO")
    bare, said = outcome(), [one.getMessage() for one in caplog.records]
    caplog.clear()
    plugin = DSPyInstrumentor()
    plugin.instrument(**recorder.providers)
    try:
        assert outcome() == bare
    finally:
        plugin.uninstrument()
    assert [one.getMessage() for one in caplog.records] == said
    assert candidates(recorder, "rejected")


def test_the_engine_that_is_patched(recorder):
    """It is the original again afterwards."""
    before = gepa.optimize
    plugin = DSPyInstrumentor()
    plugin.instrument(**recorder.providers)
    during = gepa.optimize
    plugin.uninstrument()
    assert during is not before
    assert gepa.optimize is before


@pytest.mark.usefixtures("plugin")
def test_a_metric_that_raises_what_nobody_catches(recorder):
    """Ctrl-C in an evaluation ends the compilation as it would without us."""

    def interrupted(gold, pred, trace=None, pred_name=None, pred_trace=None):
        raise KeyboardInterrupt

    one = optimizer()
    one.metric_fn = interrupted
    with pytest.raises(KeyboardInterrupt):
        compiled(one)
    assert recorder.named("dspy.compile GEPA").attributes["error.type"] == "KeyboardInterrupt"


# An engine of another shape, or one that is called by an optimizer of the application's own.


class Own(Teleprompter):
    """It calls the engine as it likes."""

    def __init__(self, **settings):
        super().__init__()
        self.settings = settings

    def compile(self, student, **kwargs):
        self.got = gepa.optimize(**self.settings)
        return student


@pytest.fixture
def engine(monkeypatch):
    """An engine that gives back the callbacks it was given."""
    monkeypatch.setattr(gepa, "optimize", lambda seed=None, callbacks=None: callbacks)


def run(recorder, **settings):
    """The callbacks that the engine got."""
    plugin = DSPyInstrumentor()
    plugin.instrument(**recorder.providers)
    one = Own(**settings)
    try:
        one.compile(Two())
    finally:
        plugin.uninstrument()
    return one.got


@pytest.mark.usefixtures("engine")
def test_callbacks_that_are_no_list_are_the_engines_business(recorder):
    """It gets the very same object, and says itself what is wrong with it."""
    strange = object()
    assert run(recorder, callbacks=strange) is strange


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize("given", [None, [], (), [1], (1,)])
def test_ours_is_the_last_of_the_callbacks(given, recorder):
    """Behind the user's, whose list stays as it is."""
    *theirs, _ = run(recorder, callbacks=given)
    assert theirs == list(given or ())
    assert given in (None, [], (), [1], (1,))


@pytest.mark.usefixtures("engine")
def test_the_engine_outside_of_an_optimizer(recorder):
    """Nothing of ours is in it."""
    plugin = DSPyInstrumentor()
    plugin.instrument(**recorder.providers)
    assert gepa.optimize(callbacks=None) is None
    plugin.uninstrument()


def test_an_engine_without_callbacks(recorder, monkeypatch):
    """It is left alone."""
    monkeypatch.setattr(gepa, "optimize", lambda seed=None: seed)
    assert run(recorder, seed=3) == 3


def test_a_candidate_with_parts_that_are_no_instructions(recorder, monkeypatch):
    """The code of a `Flex` is no part of the hash: none is told. What the engine does not say is absent."""

    def engine(callbacks=None):
        (ours,) = callbacks
        ours.on_candidate_rejected({"iteration": 1, "old_score": 0.0, "new_score": 0.5, "reason": None})
        ours.on_valset_evaluated({"iteration": 1, "candidate_idx": None, "average_score": 1.0, "candidate": {}})
        shared = {"iteration": 1, "average_score": 0.5, "parent_ids": []}
        ours.on_valset_evaluated({**shared, "candidate_idx": 1, "candidate": {"draft": "a", "flex": "class A: ..."}})
        ours.on_valset_evaluated({**shared, "candidate_idx": 2, "candidate": {"draft": "a"}})

    monkeypatch.setattr(gepa, "optimize", engine)
    run(recorder)
    assert candidates(recorder, "rejected") == [
        {
            "dspy.candidate.outcome": "rejected",
            "dspy.candidate.evaluation": "minibatch",
            "dspy.candidate.score": 0.5,
            "dspy.iteration": 1,
        }
    ]
    first, second = candidates(recorder, "accepted")
    assert "dspy.candidate.hash" not in first
    assert second["dspy.candidate.hash"]
