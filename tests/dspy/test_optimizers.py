"""Optimizers of every make: one span each, exact sums, the same programs with and without us, every original back."""

from __future__ import annotations

import asyncio
import gc
import importlib
import inspect
import json
import pkgutil
import random
import weakref

import dspy
import dspy.teleprompt
import pytest
from dspy.teleprompt import Teleprompter
from dspy.utils.dummies import DummyLM

from spanloom.dspy import DSPyInstrumentor
from tests._support.spans import outline

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]
TRAIN = [dspy.Example(question=f"q{at}", answer="red").with_inputs("question") for at in range(4)]
PLAIN = "question -> answer"


def metric(example, prediction, trace=None):
    """Good enough."""
    return float(len(example.question) + len(prediction.answer) > 3)


def answers(count=400):
    """Every field that an optimizer's own programs ask for."""
    names = "answer reasoning proposed_instruction observations summary program_description module_description "
    names += "new_instruction improved_instruction basic_instruction discussion proposed_prefix_for_output_field"
    said = dict.fromkeys(names.split(), "red") | {"module_advice": "{}"}
    return DummyLM([said] * count)


def few_shot():
    """The optimizer and what its ``compile`` takes."""
    return dspy.BootstrapFewShot(metric=metric, max_bootstrapped_demos=2, max_labeled_demos=2), {"trainset": TRAIN}


def random_search():
    """The same, over candidates."""
    one = dspy.BootstrapFewShotWithRandomSearch(
        metric=metric, max_bootstrapped_demos=2, max_labeled_demos=1, num_candidate_programs=2, num_threads=1
    )
    return one, {"trainset": TRAIN}


def mipro():
    """The same, by trials."""
    pytest.importorskip("optuna")
    models = {"prompt_model": answers(), "task_model": answers()}
    one = dspy.MIPROv2(metric=metric, auto=None, num_candidates=2, num_threads=1, **models)
    trials = {"num_trials": 3, "minibatch_size": 2, "minibatch_full_eval_steps": 2}
    return one, {"trainset": TRAIN, "valset": TRAIN, **trials}


def simba():
    """The same, by steps."""
    one = dspy.SIMBA(metric=metric, bsize=2, num_candidates=2, max_steps=2, max_demos=1, num_threads=1)
    return one, {"trainset": TRAIN, "seed": 3}


def copro():
    """The same, by depths."""
    one = dspy.COPRO(metric=metric, prompt_model=answers(), breadth=2, depth=2)
    return one, {"trainset": TRAIN, "eval_kwargs": {"num_threads": 1, "display_progress": False}}


def outcome(make, path):
    """Everything that a user may keep of one run: the saved program, the scores, where the dice are afterwards."""
    numpy = importlib.import_module("numpy")
    random.seed(3)
    numpy.random.seed(3)
    optimizer, given = make()
    with dspy.context(lm=answers()):
        program = optimizer.compile(dspy.Predict(PLAIN), **given)
    program.save(str(path / "program.json"))
    listed = getattr(program, "candidate_programs", [])
    scores = [[one["score"], one["program"].dump_state()] for one in listed]
    dice = [str(random.getstate()), str(numpy.random.get_state())]
    return (path / "program.json").read_bytes(), json.dumps(scores, default=str), dice


@pytest.mark.parametrize("make", [few_shot, random_search, mipro, simba, copro])
def test_the_same_with_and_without_us(make, recorder, tmp_path, caplog):
    """The bytes of the program, the scores, the random numbers that were drawn, and the number of log lines."""
    caplog.set_level("INFO")
    bare, lines = outcome(make, tmp_path), len(caplog.records)
    caplog.clear()
    plugin = DSPyInstrumentor()
    plugin.instrument(**recorder.providers)
    try:
        assert outcome(make, tmp_path) == bare
    finally:
        plugin.uninstrument()
    assert len(caplog.records) == lines
    assert recorder.spans


@pytest.mark.parametrize("setting", ["full", "summary"])
def test_sums_are_those_of_the_server(setting, lm, server, recorder, monkeypatch):
    """Every call of a compilation is in its sums, in two threads, whatever is shown of them."""
    monkeypatch.setenv("SPANLOOM_DSPY_OPTIMIZERS", setting)
    plugin = DSPyInstrumentor()
    plugin.instrument(**recorder.providers)
    optimizer = dspy.BootstrapFewShotWithRandomSearch(
        metric=metric, max_bootstrapped_demos=2, max_labeled_demos=1, num_candidate_programs=2, num_threads=2
    )
    try:
        optimizer.compile(dspy.Predict(PLAIN), trainset=TRAIN)
    finally:
        plugin.uninstrument()
    told = recorder.spans[0].attributes
    entries = server.ledger.entries
    assert told["spanloom.subtree.llm_calls"] == len(entries) > 16
    assert told["spanloom.subtree.input_tokens"] == sum(one.input_tokens for one in entries)
    assert told["spanloom.subtree.output_tokens"] == sum(one.output_tokens for one in entries)
    shown = sum(span.name.startswith("chat") for span in recorder.spans)
    # What bootstraps the demos is below no evaluation.
    assert (shown == len(entries)) == (setting == "full")
    below = {span.name for span in recorder.spans if "evaluate" in span.name}
    assert ("dspy.evaluate.example" in below) == (setting == "full")


def every_class():
    """DSPy's optimizers and their bases."""
    for found in pkgutil.walk_packages(dspy.teleprompt.__path__, "dspy.teleprompt."):
        importlib.import_module(found.name)
    waiting, classes = [Teleprompter], []
    while waiting:
        waiting += (one := waiting.pop()).__subclasses__()
        classes.append(one)
    return [one for one in classes if "compile" in vars(one) and one.__module__.startswith("dspy.")]


def test_every_optimizer_of_dspy(recorder, caplog):
    """Each ``compile`` is wrapped without a word, looks as before, and is the original again afterwards."""
    classes = [one for one in every_class() if one is not Teleprompter]
    before = {one: vars(one)["compile"] for one in classes}
    assert len(classes) >= 16
    plugin = DSPyInstrumentor()
    plugin.instrument(**recorder.providers)
    during = {one: vars(one)["compile"] for one in classes}
    plugin.uninstrument()
    assert [one for one in classes if during[one] is before[one]] == []
    assert [one for one in classes if inspect.signature(during[one]) != inspect.signature(before[one])] == []
    assert [one for one in classes if vars(one)["compile"] is not before[one]] == []
    assert caplog.records == []


# Optimizers of the application's own.


@pytest.mark.usefixtures("plugin")
def test_a_class_above_one_of_dspy(recorder):
    """`super().compile()` of the same optimizer is the same compilation; another one's is a part of it."""

    class Mine(dspy.BootstrapFewShot):
        def compile(self, student, *, trainset, teacher=None):
            dspy.LabeledFewShot(k=1).compile(student.reset_copy(), trainset=trainset)
            return super().compile(student, trainset=trainset, teacher=teacher)

    with dspy.context(lm=answers()):
        Mine(metric=metric, max_bootstrapped_demos=1, max_labeled_demos=1).compile(dspy.Predict(PLAIN), trainset=TRAIN)
    assert outline(recorder.spans) == [
        "dspy.compile Mine",
        "  dspy.compile LabeledFewShot",
        "  dspy.compile LabeledFewShot",
        "  invoke_workflow Predict", "    chat dummy",
    ]  # fmt: skip
    assert recorder.spans[0].attributes["dspy.compile.bootstrapped_demos"] == 1


class Waiting(Teleprompter):
    """One whose ``compile`` is a coroutine."""

    async def compile(self, student, *, trainset, fails=None):
        await asyncio.sleep(0)
        if fails is not None:
            raise fails
        await student.acall(question="q")
        return student


@pytest.mark.usefixtures("plugin")
def test_a_coroutine(recorder):
    """Two at once, each with its own calls below it."""

    async def both():
        one = Waiting()
        programs = [dspy.Predict(PLAIN), dspy.Predict(PLAIN)]
        made = await asyncio.gather(*(one.compile(each, trainset=TRAIN) for each in programs))
        assert all(left is right for left, right in zip(made, programs, strict=True))

    assert inspect.iscoroutinefunction(Waiting.compile)
    with dspy.context(lm=answers()):
        asyncio.run(both())
    tree = ["dspy.compile Waiting", "  invoke_workflow Predict", "    chat dummy"]
    assert outline(recorder.spans) == tree * 2
    assert recorder.spans[0].attributes["dspy.compile.trainset.size"] == 4


@pytest.mark.usefixtures("plugin")
@pytest.mark.parametrize("error", [LookupError("mine"), KeyboardInterrupt(), asyncio.CancelledError("enough")])
def test_a_coroutine_that_fails(error, recorder):
    """The very same exception comes out, and the span says which."""
    with pytest.raises(type(error)) as caught:
        asyncio.run(Waiting().compile(dspy.Predict(PLAIN), trainset=TRAIN, fails=error))
    if not isinstance(error, asyncio.CancelledError):
        assert caught.value is error
    assert outline(recorder.spans) == ["dspy.compile Waiting!"]
    assert recorder.span.attributes["error.type"].endswith(type(error).__name__)


@pytest.mark.usefixtures("plugin")
def test_a_class_that_is_forgotten(recorder):
    """We do not keep it alive."""

    def defined():
        class Short(Teleprompter):
            def compile(self, student, *, trainset):
                return student

        Short().compile(dspy.Predict(PLAIN), trainset=TRAIN)
        return weakref.ref(Short)

    reference = defined()
    gc.collect()
    assert reference() is None
    assert outline(recorder.spans) == ["dspy.compile Short"]


def test_a_method_that_was_replaced(recorder):
    """A ``compile`` that somebody replaced after us stays theirs."""

    class Replaced(Teleprompter):
        def compile(self, student, **kwargs):
            return student

    plugin = DSPyInstrumentor()
    plugin.instrument(**recorder.providers)
    theirs = Replaced.compile = lambda self, student, **kwargs: student
    assert Replaced().compile(1) == 1
    plugin.uninstrument()
    assert vars(Replaced)["compile"] is theirs
    assert recorder.spans == []


class Judge:
    """A metric that is an object."""

    def __call__(self, example, prediction):
        return 1.0

    def again(self, example, prediction):
        return 1.0


@pytest.mark.usefixtures("plugin")
def test_settings_and_sizes(recorder):
    """Data by position has a size, metrics have names, and no secret is told under any of its names."""

    class Mine(Teleprompter):
        def __init__(self):
            self.metric, self.other_metric, self.third = Judge(), Judge().again, metric
            self.authorization, self.passwd, self.store = "Bearer secret", "secret", "postgres://me:secret@host/db"
            self.docs = "https://dspy.ai"
            self.metric_threshold = None

        def compile(self, student, trainset, valset=None):
            return student

    Mine().compile(dspy.Predict(PLAIN), TRAIN, TRAIN[:1])
    told = recorder.span.attributes
    assert json.loads(told["dspy.compile.config"]) == {
        "metric": "Judge", "other_metric": "again", "third": "metric", "docs": "https://dspy.ai",
    }  # fmt: skip
    assert (told["dspy.compile.trainset.size"], told["dspy.compile.valset.size"]) == (4, 1)
