"""Copies that run in the place of a module: their paths, and the attempts of ``BestOfN`` and ``Refine``."""

from __future__ import annotations

import gc
import inspect
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import dspy
import pytest
from dspy.utils.dummies import DummyLM

from spanloom.dspy import DSPyInstrumentor, _copies, _retries
from spanloom.genai import _guard
from tests._support.spans import Recorder
from tests.dspy._programs import Pipe
from tests.dspy.sections._stage import questions, vectors

ASK = "question -> answer"
LOOPS = pytest.mark.parametrize("loop", [dspy.BestOfN, dspy.Refine])


class Turns(dspy.BaseLM):
    """Answers by turns, also in copies of it; advice where that is asked for."""

    def __init__(self, answers: list[str], turns: list[int] | None = None, **settings: Any) -> None:
        super().__init__("house/turns", cache=False, **settings)
        self.answers, self.turns = answers, [0] if turns is None else turns

    def copy(self, **settings: Any) -> Turns:
        return Turns(self.answers, self.turns, **{**self.kwargs, **settings})

    def __deepcopy__(self, memo: Any) -> Turns:
        return self

    def __call__(self, prompt: Any = None, messages: Any = None, **settings: Any) -> list[str]:
        if "discussion" in str(messages):
            return ["[[ ## discussion ## ]]\nwrong\n\n[[ ## advice ## ]]\n{}\n\n[[ ## completed ## ]]"]
        self.turns[0] += 1
        return [f"[[ ## answer ## ]]\n{self.answers[self.turns[0] - 1]}\n\n[[ ## completed ## ]]"]


def length(args: Any, prediction: Any) -> float:
    """The longer the better."""
    return float(len(prediction.answer))


def run(loop: Any, answers: list[str], reward: Callable[..., Any] = length, **settings: Any) -> Any:
    """One call with as many attempts as there are answers."""
    made = loop(dspy.Predict(ASK), N=len(answers), reward_fn=reward, **{"threshold": 99.0, **settings})
    with dspy.context(lm=Turns(answers), trace=[]):
        return made(question="Which river?")


def named(recorder: Recorder, name: str) -> list[Any]:
    """Spans by name."""
    return [span for span in recorder.spans if span.name == name]


def attempts(span: Any) -> list[dict[str, Any]]:
    """What is told of each."""
    short = len("dspy.attempt.")
    events = [event for event in span.events if event.name == "dspy.attempt"]
    return [{name[short:] or name: value for name, value in event.attributes.items()} for event in events]


@LOOPS
@pytest.mark.usefixtures("plugin")
def test_each_attempt_has_its_index_and_reward(loop, recorder):
    """The one whose prediction comes back is marked, and the copies stand where the module does."""
    assert run(loop, ["Oder", "Mississippi", "Elbe"]).answer == "Mississippi"
    (outer,) = named(recorder, f"invoke_workflow {loop.__name__}")
    assert attempts(outer) == [
        {"index": 0, "reward": 4.0},
        {"index": 1, "reward": 11.0},
        {"index": 2, "reward": 4.0},
    ]
    assert outer.attributes["dspy.attempt.chosen"] == 1
    inner = named(recorder, "Predict module")
    assert [span.attributes["dspy.attempt.index"] for span in inner] == [0, 1, 2]
    assert {span.attributes["dspy.module.path"] for span in inner} == {"module"}


@LOOPS
@pytest.mark.usefixtures("plugin")
def test_the_first_that_is_good_enough(loop, recorder):
    """No attempt is invented after it."""
    assert run(loop, ["Oder", "Elbe", "Rhine"], threshold=4.0).answer == "Oder"
    (outer,) = named(recorder, f"invoke_workflow {loop.__name__}")
    assert attempts(outer) == [{"index": 0, "reward": 4.0}]
    assert outer.attributes["dspy.attempt.chosen"] == 0


@LOOPS
def test_the_reward_function_is_called_as_before(loop, recorder):
    """Once an attempt, with the same things; its code is still what Refine quotes."""
    seen: list[Any] = []

    def reward(args: Any, prediction: Any) -> float:
        seen.append((args, prediction.answer, type(dspy.settings.caller_modules[-1]).__name__))
        return 0.0

    def both() -> Any:
        seen.clear()
        result = run(loop, ["Oder", "Elbe"], reward)
        return result.answer, list(seen)

    bare = both()
    plugin = DSPyInstrumentor()
    plugin.instrument(**recorder.providers)
    assert both() == bare
    made = dspy.Refine(dspy.Predict(ASK), N=1, reward_fn=length, threshold=0.0)
    assert made.reward_fn_code == inspect.getsource(length)
    assert made.module_code == inspect.getsource(dspy.Predict)
    plugin.uninstrument()


@LOOPS
@pytest.mark.usefixtures("plugin")
@pytest.mark.parametrize("fault", ["number", "stands_for", "current"])
def test_faults_of_ours_stay_ours(fault, loop, monkeypatch):
    """The program gets the same answer."""
    monkeypatch.setattr(_guard, "RERAISE", False)
    monkeypatch.setattr(_retries, fault, lambda *_: 1 // 0)
    assert run(loop, ["Oder", "Mississippi"]).answer == "Mississippi"


@LOOPS
@pytest.mark.usefixtures("plugin")
def test_a_reward_function_that_fails(loop, recorder, capsys):
    """To DSPy that attempt has failed, and the next one follows."""

    def reward(args: Any, prediction: Any) -> float:
        if prediction.answer == "Oder":
            raise KeyError("no such river")
        return 1.0

    assert run(loop, ["Oder", "Elbe"], reward).answer == "Elbe"
    assert "no such river" in capsys.readouterr().out
    (outer,) = named(recorder, f"invoke_workflow {loop.__name__}")
    (failed,) = [event for event in outer.events if "error.type" in event.attributes]
    assert dict(failed.attributes) == {"dspy.attempt.index": 0, "error.type": "KeyError"}
    assert outer.attributes["dspy.attempt.chosen"] == 1


@LOOPS
@pytest.mark.usefixtures("plugin")
def test_an_attempt_that_fails(loop, recorder, capsys):
    """Its span has the error; it has no reward, and the others keep their index."""

    class Picky(dspy.Module):
        def __init__(self) -> None:
            super().__init__()
            self.ask = dspy.Predict(ASK)

        def forward(self, question: str) -> Any:
            found = self.ask(question=question)
            if found.answer == "Oder":
                raise ValueError("not that one")
            return found

    made = loop(Picky(), N=2, reward_fn=length, threshold=99.0)
    with dspy.context(lm=Turns(["Oder", "Elbe"]), trace=[]):
        assert made(question="Which river?").answer == "Elbe"
    capsys.readouterr()
    (outer,) = named(recorder, f"invoke_workflow {loop.__name__}")
    assert attempts(outer) == [{"index": 1, "reward": 4.0}]
    failed, _ = named(recorder, "Picky module")
    assert failed.attributes["error.type"] == "ValueError"
    assert failed.attributes["dspy.attempt.index"] == 0
    assert len(named(recorder, "Predict module.ask")) == 2


@pytest.mark.usefixtures("plugin")
@pytest.mark.parametrize(
    ("reward", "told", "chosen"),
    [
        (lambda *_: True, {"index": 0, "reward": 1.0}, 0),
        (lambda *_: float("nan"), {"index": 0, "reward": float("nan")}, None),
        (lambda *_: float("-inf"), {"index": 0, "reward": float("-inf")}, None),
    ],
    ids=["a yes", "no number", "the least"],
)
def test_odd_rewards(reward, told, chosen, recorder):
    """DSPy takes no prediction whose reward is not above all bounds from below."""
    result = run(dspy.BestOfN, ["Oder"], reward)
    assert (result is None) == (chosen is None)
    (outer,) = named(recorder, "invoke_workflow BestOfN")
    assert str(attempts(outer)) == str([told])
    assert outer.attributes.get("dspy.attempt.chosen") == chosen


@pytest.mark.usefixtures("plugin")
def test_a_reward_that_is_no_number(recorder):
    """Whatever can be compared will do for DSPy; it is not told."""

    assert run(dspy.BestOfN, ["Oder", "Elbe"], lambda *_: Decimal(1)).answer == "Oder"
    (outer,) = named(recorder, "invoke_workflow BestOfN")
    assert attempts(outer) == [{"index": 0}, {"index": 1}]
    assert "dspy.attempt.chosen" not in outer.attributes


class Judged(dspy.Module):
    """A loop inside a program, whose reward function asks a module that is no part of the loop."""

    def __init__(self, loop: Any) -> None:
        super().__init__()
        self.judge = dspy.Predict(ASK)
        self.best = loop(Pipe(), N=2, reward_fn=self.reward, threshold=99.0)

    def reward(self, args: Any, prediction: Any) -> float:
        self.judge(question="How good?")
        dspy.Predict(ASK)(question="And how good is this?")
        return 1.0

    def forward(self, question: str) -> Any:
        return self.best(question=question)


ANSWERS = {"reasoning": "r", "answer": "a", "verdict": "v", "summary": "s", "discussion": "d", "advice": {}}


@LOOPS
@pytest.mark.usefixtures("plugin")
def test_paths_inside_a_program(loop, recorder):
    """As `named_sub_modules` has them, for both attempts; what is not of the copy keeps its own path, or none."""
    program = Judged(loop)
    with dspy.context(lm=DummyLM([ANSWERS] * 30), trace=[]):
        program(question="Which river?")
    paths = [span.attributes.get("dspy.module.path") for span in recorder.spans if "dspy.module" in span.attributes]
    known = {name.partition(".")[2]: type(one).__name__ for name, one in program.named_sub_modules()}
    found = [path for path in paths if path is not None]
    assert set(found) <= known.keys()
    for path in ("best.module", "best.module.draft", "best.module.draft.predict", "best.module.checks[1]"):
        assert found.count(path) == 2, path
    assert found.count("judge") == 2
    indexed = [span for span in recorder.spans if "dspy.attempt.index" in span.attributes]
    assert [span.name for span in indexed] == ["Pipe best.module"] * 2


@pytest.mark.usefixtures("plugin")
def test_a_loop_in_a_loop(recorder):
    """A copy of a copy stands where the first one does."""
    inner = dspy.BestOfN(dspy.ChainOfThought(ASK), N=1, reward_fn=lambda *_: 1.0, threshold=0.0)
    outer = dspy.BestOfN(inner, N=2, reward_fn=lambda *_: 1.0, threshold=2.0)
    with dspy.context(lm=DummyLM([ANSWERS] * 4), trace=[]):
        outer(question="Which river?")
    steps = ["BestOfN module", "ChainOfThought module.module", "Predict module.module.predict"]
    assert [span.name for span in recorder.spans if span.name.partition(" ")[0] not in ("invoke_workflow", "chat")] == (
        steps * 2
    )


@pytest.mark.usefixtures("plugin")
def test_a_module_that_the_program_does_not_reach(recorder):
    """The loop is made on the spot: its copies have an index and no path."""

    class Program(dspy.Module):
        def forward(self) -> Any:
            return run(dspy.BestOfN, ["Oder"])

    Program()()
    (inner,) = named(recorder, "Predict")
    assert inner.attributes["dspy.attempt.index"] == 0
    assert "dspy.module.path" not in inner.attributes


@LOOPS
def test_a_forward_that_is_called_directly_tells_nothing(loop, recorder, plugin):
    """It has no span; and without the plugin it is DSPy's own."""
    made = loop(dspy.Predict(ASK), N=1, reward_fn=length, threshold=0.0)
    with dspy.context(lm=Turns(["Oder", "Elbe"]), trace=[]):
        assert made.forward(question="Which river?").answer == "Oder"
        assert not any(span.events for span in recorder.spans if span.name.endswith(loop.__name__))
        assert hasattr(loop.forward, "__wrapped__")
        plugin.uninstrument()
        assert not hasattr(loop.forward, "__wrapped__")
        assert made.forward(question="Which river?").answer == "Elbe"


@pytest.mark.usefixtures("plugin")
def test_what_an_attempt_counts_down_is_the_loops_own(capsys):
    """A failure changes the object itself, as without the plugin."""
    made = dspy.BestOfN(dspy.Predict(ASK), N=2, reward_fn=lambda *_: 1 / 0, threshold=1.0)
    with dspy.context(lm=Turns(["Oder", "Elbe"]), trace=[]), pytest.raises(ZeroDivisionError):
        made.fail_count = 0
        made(question="Which river?")
    assert made.fail_count == -1
    capsys.readouterr()


@pytest.mark.usefixtures("plugin")
def test_copies_are_forgotten():
    """With the call, and an id that is used again is not taken for one."""
    run(dspy.BestOfN, ["Oder"])
    gc.collect()
    assert not _copies.known
    one, two = dspy.Predict(ASK), dspy.Predict(ASK)
    _copies.stands_for(one, two)
    _copies.stands_for(one, two, 3)
    assert _copies.attempt_of(one) == 3
    assert _copies.attempt_of(two) is None
    del two
    assert _copies._path_of(_copies.known[id(one)], None, one) is None
    del one
    assert not _copies.known


def knn(student: Any) -> Any:
    """A program that gets its demos at each question."""
    optimizer = dspy.KNNFewShot(
        k=1, trainset=questions(3), vectorizer=dspy.Embedder(vectors, caching=False), metric=lambda *_: True
    )
    return optimizer.compile(student)


@pytest.mark.usefixtures("plugin")
def test_the_program_that_knn_few_shot_runs_is_the_one_that_was_asked(recorder):
    """It is `self` to DSPy, and what is inside it stands where it stands in the program."""
    program = knn(Pipe())
    with dspy.context(lm=DummyLM([ANSWERS] * 20)):
        program(question="Which river is number 1?")
    (outer,) = [span for span in named(recorder, "invoke_workflow Pipe") if _has_below(recorder, span, "Pipe self")]
    (inner,) = named(recorder, "Pipe self")
    assert inner.attributes["dspy.module.path"] == "self"
    assert "dspy.attempt.index" not in inner.attributes
    below = [span.name for span in recorder.spans if span.parent and span.parent.span_id == inner.context.span_id]
    assert below == ["ChainOfThought draft", "Predict checks[0]", "Predict checks[1]", "Predict named[final]"]
    assert outer.attributes["dspy.module"] == "Pipe"


def _has_below(recorder: Recorder, span: Any, name: str) -> bool:
    return any(one.parent.span_id == span.context.span_id for one in named(recorder, name))


@pytest.mark.usefixtures("plugin")
def test_such_a_program_inside_another(recorder):
    """Its place is that of the part."""

    class Outer(dspy.Module):
        def __init__(self) -> None:
            super().__init__()
            self.part = knn(dspy.ChainOfThought(ASK))

        def forward(self, question: str) -> Any:
            return self.part(question=question)

    with dspy.context(lm=DummyLM([ANSWERS] * 20)):
        Outer()(question="Which river is number 1?")
    assert len(named(recorder, "ChainOfThought part")) == 2
    assert len(named(recorder, "Predict part.predict")) == 1


@pytest.mark.usefixtures("plugin")
def test_another_optimizer_inside_a_program_stands_for_nothing(recorder):
    """What it makes is a program of its own."""

    class Program(dspy.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one = dspy.Predict(ASK)

        def forward(self) -> Any:
            return dspy.LabeledFewShot(k=1).compile(self.one, trainset=questions(1))(question="Which river?")

    with dspy.context(lm=DummyLM([ANSWERS])):
        Program()()
    (inner,) = named(recorder, "Predict")
    assert "dspy.module.path" not in inner.attributes
