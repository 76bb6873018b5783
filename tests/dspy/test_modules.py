"""What a module's span tells, the user's choice of modules, and what agents say of their loops."""

from __future__ import annotations

import asyncio

import dspy
import pytest
from dspy.utils.dummies import DummyLM

from spanloom.dspy import DSPyInstrumentor
from tests._support.spans import outline
from tests.dspy._programs import Outer, Pipe, add, agent, agent_lm, step


class Rate(dspy.Signature):
    """Say how good it is."""

    text: str = dspy.InputField()
    grade: str = dspy.OutputField()


@pytest.fixture
def started(recorder, monkeypatch):
    """Starts the plugin with a setting."""
    made = []

    def start(**settings):
        for name, value in settings.items():
            monkeypatch.setenv(f"SPANLOOM_DSPY_{name.upper()}", value)
        plugin = DSPyInstrumentor()
        plugin.instrument(**recorder.providers)
        made.append(plugin)

    yield start
    for one in made:
        one.uninstrument()


PIPE = [{"reasoning": "r", "answer": "a"}, {"verdict": "v"}, {"verdict": "v"}, {"summary": "s"}]


def test_which_prompt_ran(plugin, recorder):
    """Signature, its name if it has one, the instructions' digest, demos, and whether an optimizer made it."""
    program = dspy.Predict(Rate)
    with dspy.context(lm=DummyLM([{"grade": "1"}] * 3)):
        program(text="x")
        program.signature = program.signature.with_instructions("Be strict.")
        program.demos = [dspy.Example(text="a", grade="2")]
        program._compiled = True
        program(text="x")
        program.signature.instructions = "Be kind."
        program(text="x")
    first, second, third = (span.attributes for span in recorder.spans if span.parent is None)
    assert (first["dspy.signature"], first["dspy.signature.name"]) == ("text -> grade", "Rate")
    digests = [one["dspy.instructions.hash"] for one in (first, second, third)]
    assert len(set(digests)) == 3
    assert all(len(one) == 12 for one in digests)
    assert [one.get("dspy.demos.count") for one in (first, second)] == [None, 1]
    assert [one.get("dspy.module.compiled") for one in (first, second)] == [None, True]


def test_a_signature_that_is_a_text_has_no_name(plugin, recorder):
    """DSPy's own word for it says nothing."""
    with dspy.context(lm=DummyLM([{"answer": "a"}])):
        dspy.Predict("question -> answer")(question="x")
    assert "dspy.signature.name" not in recorder.spans[0].attributes


def test_collapsed(started, recorder):
    """A chain of thought is one span with what its predictor would tell; others stay."""
    started(modules="collapsed")
    with dspy.context(lm=DummyLM(PIPE)):
        Outer()(question="x")
    assert outline(recorder.spans)[:6] == [
        "invoke_workflow Outer",
        "  Pipe pipe",
        "    ChainOfThought pipe.draft",
        "      chat dummy",
        "    Predict pipe.checks[0]",
        "      chat dummy",
    ]
    draft = recorder.named("ChainOfThought pipe.draft").attributes
    assert draft["dspy.signature"] == "question -> reasoning, answer"
    assert "dspy.instructions.hash" in draft


def test_none(started, recorder):
    """Only agents, tools and model calls; roll-ups go to what is there."""
    started(modules="none")
    with dspy.context(lm=DummyLM(PIPE)):
        Pipe()(question="x")
    assert outline(recorder.spans) == ["chat dummy"] * 4
    recorder.clear()
    with dspy.context(lm=agent_lm()):
        agent()(question="x")
    assert outline(recorder.spans)[:3] == ["invoke_agent ReAct", "  chat dummy", "  execute_tool add"]


def test_a_value_that_is_none_of_these(started, recorder, caplog):
    """One line with the cure, and the default."""
    started(modules="some")
    with dspy.context(lm=DummyLM([{"answer": "a"}])):
        dspy.Predict("question -> answer")(question="x")
    assert outline(recorder.spans) == ["invoke_workflow Predict", "  chat dummy"]
    assert "SPANLOOM_DSPY_MODULES='some' is not one of ALL, COLLAPSED, NONE" in caplog.text


def test_refused_arguments_have_a_span(plugin, recorder):
    """A predictor takes no positional arguments: the refusal is the application's to see."""
    with pytest.raises(ValueError, match="Positional arguments are not allowed"):
        dspy.Predict("question -> answer")("x")
    assert outline(recorder.spans) == ["invoke_workflow Predict!"]
    assert recorder.span.attributes["error.type"] == "ValueError"


class Strict(dspy.ChatAdapter):
    """Refuses an answer in its own way."""

    def parse(self, signature, completion):
        if "no use" in completion:
            raise ValueError("no use")
        return super().parse(signature, completion)


FINISH = [step("finish"), {"reasoning": "r", "answer": "a"}]


def loop(recorder):
    """What the agent's span tells of its loop."""
    (span,) = [one for one in recorder.spans if one.name.startswith("invoke_agent")]
    return span.attributes.get("dspy.agent.iterations"), span.attributes.get("dspy.agent.termination")


@pytest.mark.parametrize(
    ("answers", "limit", "told"),
    [
        ([step("add", a=1, b=2), *FINISH], 5, (2, "finish")),
        ([step("add", a=1, b=2), step("add", a=1, b=2), FINISH[1]], 2, (2, "max_iters")),
        ([step("add", a=1, b=2), step("finish", of="no use"), FINISH[1]], 5, (2, "parse_error")),
    ],
)
@pytest.mark.parametrize("asynchronous", [False, True])
def test_how_react_ended(answers, limit, told, asynchronous, plugin, recorder):
    """By its own word, at the limit, or since the model named no tool."""
    program = dspy.ReAct("question -> answer", tools=[add], max_iters=limit)
    with dspy.context(lm=DummyLM(answers), adapter=Strict()):
        asyncio.run(program.acall(question="x")) if asynchronous else program(question="x")
    assert loop(recorder) == told


@pytest.mark.filterwarnings("ignore:Implementing custom LMs:DeprecationWarning")
def test_react_without_room(plugin, recorder):
    """The context window was exceeded."""

    class Full(DummyLM):
        """Has no room for a second turn."""

        turns = 0

        def forward(self, *args, **kwargs):
            self.turns += 1
            if self.turns == 2:
                raise dspy.ContextWindowExceededError(message="full")
            return super().forward(*args, **kwargs)

    with dspy.context(lm=Full([step("add", a=1, b=2), FINISH[1]])):
        dspy.ReAct("question -> answer", tools=[add])(question="x")
    assert loop(recorder)[1] == "context_window"
