"""Classes of the application's with a ``__call__`` that never comes to DSPy's: not recorded, and why they stay so."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import cloudpickle
import dspy
import pytest
from dspy.utils.dummies import DummyLM

from spanloom.genai import Invocation, Target, Telemetry
from spanloom.genai._patch import Patches
from tests._support.spans import outline

ASK = "question -> answer"


def made(source: str) -> Any:
    """A class as a script or a notebook has it: pickled with all that is in it."""
    names: dict[str, Any] = {"dspy": dspy, "__name__": "__main__"}
    exec(source, names)
    return names["Made"]


MODULE = """
class Made(dspy.Module):
    def __init__(self):
        self.one = dspy.Predict("question -> answer")

    def __call__(self, question):
        return self.one(question=question)
"""
LM = """
class Made(dspy.BaseLM):
    def __call__(self, prompt=None, messages=None, **settings):
        return ["[[ ## answer ## ]]\\nblue\\n\\n[[ ## completed ## ]]"]
"""
ADAPTER = """
class Made(dspy.ChatAdapter):
    def __call__(self, lm, lm_kwargs, signature, demos, inputs):
        messages = self.format(signature, demos, inputs)
        return [self.parse(signature, text) for text in lm(messages=messages, **lm_kwargs)]
"""


def asked(**settings: Any) -> str:
    """One question to a program."""
    with dspy.context(**{"lm": DummyLM([{"answer": "blue"}]), **settings}):
        return dspy.Predict(ASK)(question="Which?").answer


@pytest.mark.usefixtures("plugin")
def test_a_module(recorder):
    """What it calls is recorded, as a program of its own where nothing is around."""
    with dspy.context(lm=DummyLM([{"answer": "blue"}])):
        assert made(MODULE)()("Which?").answer == "blue"
    assert outline(recorder.spans) == ["invoke_workflow Predict", "  chat dummy"]


@pytest.mark.usefixtures("plugin")
def test_a_model(recorder):
    """The predictor above it is recorded, the call is not."""
    assert asked(lm=made(LM)("house/one")) == "blue"
    assert outline(recorder.spans) == ["invoke_workflow Predict"]


@pytest.mark.usefixtures("plugin")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_an_adapter(recorder):
    """The model call is recorded; the adapter has no events."""
    assert asked(adapter=made(ADAPTER)()) == "blue"
    assert outline(recorder.spans) == ["invoke_workflow Predict", "  chat dummy"]
    assert not any(span.events for span in recorder.spans)


@pytest.mark.parametrize("source", [MODULE, LM, ADAPTER], ids=["module", "model", "adapter"])
def test_such_a_class_is_pickled_as_before(source, plugin):
    """With all that is in it, nothing of ours among it: a process without us can load it."""
    if source is ADAPTER and not hasattr(dspy, "lm15"):
        pytest.skip("DSPy 3.3 has what cannot be pickled in every adapter")
    raw = cloudpickle.dumps(made(source))
    assert b"spanloom" not in raw
    code = "import pickle, sys; print(pickle.loads(sys.stdin.buffer.read()).__call__.__name__)"
    done = subprocess.run([sys.executable, "-c", code], input=raw, capture_output=True, check=True, timeout=60)
    assert done.stdout.strip() == b"__call__"


def test_why_the_class_itself_is_not_patched(recorder):
    """A replacement in it would be pickled, too, with all that it refers to: saving the program would fail."""
    telemetry = Telemetry("spanloom.dspy", **recorder.providers)

    def wrap(original: Any) -> Any:
        def call(self: Any, *args: Any, **kwargs: Any) -> Any:
            with Invocation(telemetry, "made", {}):
                return original(self, *args, **kwargs)

        return call

    kind = made(MODULE)
    module = type(sys)("made")
    module.Made = kind
    patches = Patches.of([Target("made", "Made.__call__", wrap)])
    patches._active = True
    patches._imported("made", module)
    with pytest.raises(TypeError, match="pickle"):
        cloudpickle.dumps(kind)
    patches.undo()
    assert cloudpickle.dumps(kind)
