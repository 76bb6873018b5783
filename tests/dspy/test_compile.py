"""Optimizers: one span each with its configuration; candidates and scores equal what the optimizer itself tells."""

from __future__ import annotations

import gc
import json
import weakref
from types import SimpleNamespace

import dspy
import pytest
from dspy.teleprompt import Teleprompter
from dspy.utils.dummies import DummyLM

from spanloom.dspy import DSPyInstrumentor, _compile, _outcomes
from spanloom.dspy._scopes import Compile
from spanloom.genai import Telemetry
from tests._support.spans import outline

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]
TRAIN = [dspy.Example(question=f"q{at}", answer="red").with_inputs("question") for at in range(4)]


def metric(example, prediction, trace=None):
    """Whether it is right."""
    return float(example.answer == prediction.answer)


def feedback(gold, pred, trace=None, pred_name=None, pred_trace=None):
    """GEPA's kind of metric."""
    return dspy.Prediction(score=metric(gold, pred), feedback="Say red.")


def lm(answer="red", count=400):
    """Every field that an optimizer's own programs ask for."""
    said = {
        "answer": answer,
        "reasoning": "r",
        "proposed_instruction": "Say red!",
        "observations": "o",
        "summary": "s",
        "program_description": "p",
        "module_description": "m",
        "new_instruction": "Say red!!",
        "improved_instruction": "Say red!!!",
        "basic_instruction": "b",
        "discussion": "d",
        "module_advice": "{}",
    }
    return DummyLM([said] * count)


def student():
    """A program with one predictor."""
    return dspy.Predict("question -> answer")


def compiled(recorder, name):
    """The span of the only compilation of a class."""
    return recorder.named(f"dspy.compile {name}").attributes


def candidates(recorder):
    """What is told of candidates, in order."""
    return [span.attributes for span in recorder.spans if span.name == "dspy.candidate"]


@pytest.mark.usefixtures("plugin")
def test_bootstrap_few_shot(recorder):
    """Nested optimizers, the program below them, sizes, settings, and how many demos were made."""
    with dspy.context(lm=lm()):
        optimizer = dspy.BootstrapFewShot(metric=metric, max_bootstrapped_demos=2, max_labeled_demos=3)
        program = optimizer.compile(student(), trainset=TRAIN)
    assert outline(recorder.spans) == [
        "dspy.compile BootstrapFewShot",
        "  dspy.compile LabeledFewShot",
        *["  invoke_workflow Predict", "    chat dummy"] * 2,
    ]
    told = compiled(recorder, "BootstrapFewShot")
    assert told["dspy.compile.trainset.size"] == 4
    assert told["dspy.compile.bootstrapped_demos"] == 2
    config = json.loads(told["dspy.compile.config"])
    assert (config["metric"], config["max_bootstrapped_demos"]) == ("metric", 2)
    assert "error_lock" not in config
    assert told["spanloom.subtree.llm_calls"] == 2
    assert len([demo for demo in program.demos if demo.get("augmented")]) == 2


@pytest.mark.usefixtures("plugin")
def test_random_search(recorder):
    """Every candidate with seed and score, the winner; the evaluations have the same hashes."""
    with dspy.context(lm=lm()):
        optimizer = dspy.BootstrapFewShotWithRandomSearch(
            metric=metric, max_bootstrapped_demos=1, max_labeled_demos=2, num_candidate_programs=1, num_threads=1
        )
        program = optimizer.compile(student(), trainset=TRAIN)
    found = [(one["dspy.candidate.seed"], one["dspy.candidate.score"]) for one in candidates(recorder)]
    assert found == [(one["seed"], one["score"]) for one in program.candidate_programs]
    told = compiled(recorder, "BootstrapFewShotWithRandomSearch")
    assert told["dspy.compile.candidates"] == 4
    assert told["dspy.compile.score"] == 100.0
    assert told["dspy.compile.best"] == 0
    hashes = {one["dspy.candidate.hash"] for one in candidates(recorder)}
    evaluated = {span.attributes.get("dspy.candidate.hash") for span in recorder.spans if "evaluate P" in span.name}
    assert hashes == evaluated
    assert told["dspy.candidate.hash"] in hashes


@pytest.mark.usefixtures("plugin")
@pytest.mark.parametrize("minibatch", [False, True])
def test_mipro(minibatch, recorder):
    """Each trial as the optimizer logs it: its score, of what, and what was chosen."""
    with dspy.context(lm=lm()):
        optimizer = dspy.MIPROv2(
            metric=metric, prompt_model=lm(), task_model=lm(), auto=None, num_candidates=2, num_threads=1
        )
        program = optimizer.compile(
            student(), trainset=TRAIN, valset=TRAIN, num_trials=3, max_bootstrapped_demos=1, max_labeled_demos=1,
            minibatch=minibatch, minibatch_size=2, minibatch_full_eval_steps=2,
            program_aware_proposer=False, data_aware_proposer=False, tip_aware_proposer=False,
        )  # fmt: skip
    rows = candidates(recorder)
    expected = {
        (trial, kind, log[name])
        for trial, log in program.trial_logs.items()
        for kind, name in (("minibatch", "mb_score"), ("full", "full_eval_score"))
        if name in log
    }
    keys = ("dspy.candidate.index", "dspy.candidate.evaluation", "dspy.candidate.score")
    assert {tuple(row[key] for key in keys) for row in rows} == expected
    assert len(rows) == len(expected)
    chosen = [json.loads(row["dspy.candidate.parameters"]) for row in rows if "dspy.candidate.parameters" in row]
    assert {"0_predictor_instruction", "0_predictor_demos"} == set(chosen[0])
    told = compiled(recorder, "MIPROv2")
    assert told["dspy.compile.score"] == program.score
    calls = max(log["total_eval_calls_so_far"] for log in program.trial_logs.values())
    assert told["dspy.compile.metric_calls"] == calls


@pytest.mark.usefixtures("plugin")
def test_simba(recorder):
    """The candidates of its last round, the best first."""
    with dspy.context(lm=lm()):
        optimizer = dspy.SIMBA(metric=metric, bsize=2, num_candidates=2, max_steps=1, max_demos=1, num_threads=1)
        program = optimizer.compile(student(), trainset=TRAIN)
    assert [one["dspy.candidate.score"] for one in candidates(recorder)] == [
        one["score"] for one in program.candidate_programs
    ]
    told = compiled(recorder, "SIMBA")
    assert told["dspy.compile.score"] == max(one["score"] for one in program.candidate_programs)
    assert told["dspy.compile.trials"] == len(program.trial_logs) == 1
    scores = {str(key): log["train_score"] for key, log in program.trial_logs.items()}
    assert json.loads(told["dspy.compile.trial_scores"]) == scores
    assert any(span.name == "dspy.parallel" for span in recorder.spans)


class Naming(Teleprompter):
    """Gives a program other instructions, or fails."""

    def __init__(self, words):
        super().__init__()
        self.words = words

    def compile(self, student, *, trainset, **kwargs):
        if not self.words:
            raise LookupError("no words")
        made = student.deepcopy()
        made.signature = made.signature.with_instructions(self.words)
        return made


class Local(DummyLM):
    """A model that is started and stopped."""

    def launch(self):
        pass

    def kill(self):
        pass


def together(strategy, **settings):
    """The result of optimizers one after the other."""
    program = student()
    program.set_lm(Local([{"reasoning": "r", "answer": "red"}] * 99))
    optimizer = dspy.BetterTogether(metric=metric, a=Naming("Say red."), b=Naming("Say blue."), none=Naming(""))
    return optimizer.compile(program, trainset=TRAIN, strategy=strategy, **settings)


@pytest.mark.usefixtures("plugin")
def test_better_together(recorder):
    """Each candidate with the optimizers that made it, and those of the one that is given back."""
    program = together("a -> b", valset=TRAIN)
    strategies = [one["strategy"] for one in program.candidate_programs]
    assert sorted(strategies) == ["", "a", "a -> b"]
    assert [one.get("dspy.candidate.strategy", "") for one in candidates(recorder)] == strategies
    told = compiled(recorder, "BetterTogether")
    winner = next(one["strategy"] for one in program.candidate_programs if one["program"] is program)
    assert told.get("dspy.compile.strategy", "") == winner
    assert "dspy.compile.step_failed" not in told


@pytest.mark.usefixtures("plugin")
def test_better_together_without_scores(recorder):
    """It gives back what was made last, and says that a step has failed."""
    program = together("a -> none -> b", valset_ratio=0)
    told = compiled(recorder, "BetterTogether")
    assert [one.get("dspy.candidate.strategy", "") for one in candidates(recorder)] == [
        one["strategy"] for one in program.candidate_programs
    ]
    winner = next(one["strategy"] for one in program.candidate_programs if one["program"] is program)
    assert told.get("dspy.compile.strategy", "") == winner
    assert told["dspy.compile.step_failed"] is True


def outcome_of(program, reader):
    """What is told of a result with these attributes."""
    scope = Compile(Telemetry("spanloom.dspy"), "dspy.compile Test", {}, object())
    rows = reader(scope, program)
    scope.stop()
    return {name.rpartition(".")[2]: value for name, value in scope.attributes.items()}, len(rows)


@pytest.mark.parametrize("logs", [None, [], {"a": 1}, {0: None}, {0: {"train_score": "best"}}])
def test_odd_rounds(logs):
    """Only numbers by number are told."""
    told, _ = outcome_of(SimpleNamespace(trial_logs=logs), _outcomes._rounds)
    assert told == ({"trials": sum(isinstance(key, int) for key in logs)} if isinstance(logs, dict) else {})


def test_odd_strategies():
    """A list that is not DSPy's own."""
    rows = [{"score": 1.0, "strategy": 7, "program": None}, {"score": 0.5, "strategy": "p" * 999, "program": None}]
    told, count = outcome_of(SimpleNamespace(candidate_programs=rows), _outcomes._strategies)
    assert count == 2
    assert "strategy" not in told
    assert outcome_of(SimpleNamespace(candidate_programs="none"), _outcomes._strategies) == ({}, 0)


class Varying:
    """A metric that likes one instruction's answers, so that proposals are taken and refused."""

    def __init__(self):
        self.calls = 0

    def __call__(self, gold, pred, trace=None, pred_name=None, pred_trace=None):
        self.calls += 1
        return dspy.Prediction(score=(self.calls * self.calls * 3 % 11) / 11, feedback="Say red.")


@pytest.mark.parametrize("content_on", [False, True])
def test_gepa(content_on, recorder, monkeypatch):
    """Every candidate, its parents, scores and the budget, as GEPA's own result has them; users' callbacks go on."""
    if content_on:
        monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "SPAN_ONLY")
    plugin = DSPyInstrumentor()
    plugin.instrument(**recorder.providers)
    seen = []

    class Mine:
        def on_valset_evaluated(self, event):
            seen.append(event["candidate_idx"])

    mine = [Mine()]
    optimizer = dspy.GEPA(
        metric=Varying(),
        max_metric_calls=60,
        reflection_lm=DummyLM([{"new_instruction": f"Say red {at}"} for at in range(99)], adapter=dspy.JSONAdapter()),
        track_stats=True,
        num_threads=1,
        gepa_kwargs={"callbacks": mine},
    )
    try:
        with dspy.context(lm=lm()):
            program = optimizer.compile(student(), trainset=TRAIN, valset=TRAIN)
    finally:
        plugin.uninstrument()
    assert optimizer.gepa_kwargs == {"callbacks": mine}
    assert len(mine) == 1
    result = program.detailed_results
    assert seen == list(range(len(result.candidates)))
    taken = [one for one in candidates(recorder) if one["dspy.candidate.outcome"] == "accepted"]
    assert [one["dspy.candidate.score"] for one in taken] == pytest.approx(result.val_aggregate_scores)
    parents = [list(one.get("dspy.candidate.parents", ())) for one in taken]
    assert parents == [[at for at in row if at is not None] for row in result.parents]
    told = compiled(recorder, "GEPA")
    assert told["dspy.compile.metric_calls"] == result.total_metric_calls
    assert told["dspy.compile.budget"] == 60
    assert told["dspy.compile.candidates"] == len(result.candidates)
    assert told["dspy.compile.best"] == result.best_idx
    assert told["dspy.candidate.hash"] == taken[result.best_idx]["dspy.candidate.hash"]
    assert told["dspy.compile.score"] == pytest.approx(max(result.val_aggregate_scores))
    assert any(one["dspy.candidate.outcome"] == "rejected" for one in candidates(recorder))
    assert all(("dspy.candidate.instructions" in one) == content_on for one in taken)
    evaluated = {span.attributes.get("dspy.candidate.hash") for span in recorder.spans if "evaluate P" in span.name}
    assert {one["dspy.candidate.hash"] for one in taken} <= evaluated


class Mine(Teleprompter):
    """An optimizer of the application's own, defined before the plugin starts."""

    def __init__(self, api_key="sk-secret"):
        super().__init__()
        self.api_key = api_key
        self.max_tokens = 7

    def compile(self, student, *, trainset, teacher=None, valset=None, **kwargs):
        student(question="x")
        return student


def test_an_optimizer_of_the_applications_own(recorder):
    """Defined before or after the start; `super().compile()` is one; no secret; every original is back afterwards."""
    before = Mine.__dict__["compile"]
    plugin = DSPyInstrumentor()
    plugin.instrument(**recorder.providers)

    class Later(Mine):
        def compile(self, student, **kwargs):
            return super().compile(student, **kwargs)

    with dspy.context(lm=lm()):
        program = student()
        assert Later().compile(program, trainset=TRAIN) is program
        Mine().compile(program, trainset=TRAIN)
    later = Later.__dict__["compile"]
    plugin.uninstrument()
    assert outline(recorder.spans) == [
        "dspy.compile Later", "  invoke_workflow Predict", "    chat dummy",
        "dspy.compile Mine", "  invoke_workflow Predict", "    chat dummy",
    ]  # fmt: skip
    config = json.loads(compiled(recorder, "Mine")["dspy.compile.config"])
    assert config == {"max_tokens": 7}
    assert Mine.__dict__["compile"] is before
    assert Later.__dict__["compile"] is not later


def define():
    """A class that nobody keeps; like most, its `compile` refers to it."""

    class Passing(Teleprompter):
        def compile(self, student, *, trainset, **kwargs):
            return super().compile(student, trainset=trainset)

    return Passing


@pytest.mark.usefixtures("plugin")
def test_only_classes_that_live_are_counted(monkeypatch):
    """A service may define optimizers for ever: a class that is gone makes room, and none is kept alive."""
    before = len(_compile._adopted)
    monkeypatch.setattr(_compile, "_MAX_ADOPTED", before + 2)
    for _ in range(5):
        gone = weakref.ref(define())
        gc.collect()
        assert gone() is None
    assert len(_compile._adopted) == before
    kept = [define() for _ in range(3)]
    assert [id(one) in _compile._adopted for one in kept] == [True, True, False]


def test_a_method_that_was_replaced_since_stays(plugin):
    """What is not ours any more is not ours to put back; what still is, is."""
    one, two = define(), define()
    later = one.compile = lambda *_, **__: None
    ours = two.compile
    plugin.uninstrument()
    assert one.compile is later
    assert two.compile is ours.__wrapped__
    assert not _compile._adopted


@pytest.mark.usefixtures("plugin")
def test_a_compilation_that_fails(recorder):
    """ERROR, and the same exception."""

    class Failing(Teleprompter):
        def compile(self, student, *, trainset, **kwargs):
            raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        Failing().compile(student(), trainset=[])
    assert outline(recorder.spans) == ["dspy.compile Failing!"]


@pytest.mark.usefixtures("plugin")
def test_what_an_earlier_optimizer_attached_is_not_this_ones(recorder):
    """A program keeps `candidate_programs`; another optimizer's span must not tell them."""
    program = student()
    program.candidate_programs = [{"score": 1.0, "program": student()}]
    dspy.LabeledFewShot(k=1).compile(program, trainset=TRAIN)
    assert candidates(recorder) == []


@pytest.mark.parametrize(("setting", "spans"), [("off", 0), ("summary", 1)])
def test_what_the_user_wants_to_see(setting, spans, recorder, monkeypatch):
    """Off: no span of an optimizer's. Summary: nothing below evaluations, with the same sums."""
    monkeypatch.setenv("SPANLOOM_DSPY_OPTIMIZERS", setting)
    plugin = DSPyInstrumentor()
    plugin.instrument(**recorder.providers)
    try:
        with dspy.context(lm=lm()):
            optimizer = dspy.BootstrapFewShotWithRandomSearch(
                metric=metric, max_bootstrapped_demos=1, max_labeled_demos=0, num_candidate_programs=0, num_threads=1
            )
            optimizer.compile(student(), trainset=TRAIN, restrict=[-3])
    finally:
        plugin.uninstrument()
    names = [span.name for span in recorder.spans]
    assert len([name for name in names if name.startswith("dspy.compile")]) == spans
    assert recorder.total("gen_ai.client.inference.duration") == 4
    if setting == "summary":
        assert outline(recorder.spans) == [
            "dspy.compile BootstrapFewShotWithRandomSearch", "  dspy.evaluate Predict", "  dspy.candidate",
        ]  # fmt: skip
        assert recorder.spans[0].attributes["spanloom.subtree.llm_calls"] == 4
        assert recorder.spans[1].attributes["dspy.evaluate.score"] == 100.0
