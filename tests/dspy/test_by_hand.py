"""A DSPy program inside an agent that is told by hand, and an LM inside a model call that is."""

from __future__ import annotations

import dspy
import pytest

from spanloom import trace
from spanloom.genai import Telemetry
from spanloom.trace import _shared
from tests._support.spans import Recorder, outline


@pytest.fixture(autouse=True)
def by_hand(recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is told by hand goes to the same recorder."""
    monkeypatch.setattr(_shared.telemetry, "_given", Telemetry("spanloom.trace", **recorder.providers))


def test_a_program_inside_an_agent(lm, plugin, recorder):
    """It is a program of its own, with its paths; the agent has its sums."""
    with trace.agent("planner"):
        dspy.ChainOfThought("question -> answer")(question="Hi")
    assert outline(recorder.spans, "dspy.module.path")[:3] == [
        "invoke_agent planner",
        "  invoke_workflow ChainOfThought",
        "    Predict predict path=predict",
    ]
    assert recorder.spans[0].attributes["spanloom.subtree.llm_calls"] == 1


def test_an_agent_between_two_modules(lm, plugin, recorder):
    """A module inside it is a part of the program around, as it is in any function that a module calls."""

    class Program(dspy.Module):
        def __init__(self):
            self.answer = dspy.Predict("question -> answer")

        def forward(self, question):
            with trace.agent("planner"):
                return self.answer(question=question)

    Program()(question="Hi")
    assert outline(recorder.spans)[:3] == [
        "invoke_workflow Program",
        "  invoke_agent planner",
        "    Predict answer",
    ]


def test_an_lm_inside_a_call_by_hand(lm, plugin, recorder):
    """One span a call: the outer one's."""
    with trace.inference(model="m", provider="vllm"):
        lm("Hi")
    assert outline(recorder.spans) == ["chat m"]
