"""`content(...)` around a DSPy program: it holds wherever the program's work is done."""

from __future__ import annotations

import asyncio

import dspy
import pytest
from dspy.utils.dummies import DummyLM

from spanloom.trace import content

QUIET = {"disable_progress_bar": True}


def metric(example, prediction, trace=None):
    """Always right."""
    return 1.0


def in_parallel(program):
    """Two threads."""
    dspy.Parallel(num_threads=2, **QUIET)([(program, {"question": f"river {place}"}) for place in range(6)])


def as_a_batch(program):
    """The same by another name."""
    program.batch([dspy.Example(question=f"river {place}").with_inputs("question") for place in range(6)], **QUIET)


def evaluated(program):
    """Threads of an evaluation."""
    devset = [dspy.Example(question=f"river {place}", answer="x").with_inputs("question") for place in range(6)]
    dspy.Evaluate(devset=devset, metric=metric, num_threads=2)(program)


def asyncified(program):
    """A thread for each."""

    async def run():
        await asyncio.gather(*(dspy.asyncify(program)(question=f"river {place}") for place in range(6)))

    asyncio.run(run())


def written(recorder):
    """The spans that have any word of a question or an answer."""
    return {span.name for span in recorder.spans if "river" in str(span.attributes)}


@pytest.mark.parametrize("run", [in_parallel, as_a_batch, evaluated, asyncified])
@pytest.mark.parametrize("mode", [False, "EVENT_ONLY"])
def test_content_that_is_switched_off_around_threads(run, mode, plugin_with_content, recorder):
    """Nothing of it is on any span, on whichever thread that was; after the block it is again."""
    program = dspy.Predict("question -> answer")
    with dspy.context(lm=DummyLM([{"answer": "the river"}] * 50)):
        with content(mode):
            run(program)
        assert len([span for span in recorder.spans if span.name.startswith("chat")]) == 6
        assert written(recorder) == set()
        recorder.clear()
        run(program)
    assert {"chat dummy", "invoke_workflow Predict"} <= written(recorder)


@pytest.mark.parametrize("run", [in_parallel, evaluated, asyncified])
def test_content_that_is_switched_on_around_threads(run, plugin, recorder):
    """For this program alone."""
    program = dspy.Predict("question -> answer")
    with dspy.context(lm=DummyLM([{"answer": "the river"}] * 50)):
        with content(True):
            run(program)
        assert {"chat dummy", "invoke_workflow Predict"} <= written(recorder)
        recorder.clear()
        run(program)
    assert written(recorder) == set()


KEY = "zz-4711-0815"


class Refusing(dspy.BaseLM):
    """Its provider quotes the key."""

    def forward(self, prompt=None, messages=None, **kwargs):
        """Refuse."""
        raise RuntimeError(f"Token {KEY} is over its limit.")


@pytest.mark.filterwarnings("ignore:Implementing custom LMs:DeprecationWarning")
def test_a_failure_that_quotes_the_key_of_an_lm(plugin_with_content, recorder):
    """It is told nowhere: not of the call, not of the modules around it."""
    with dspy.context(lm=Refusing("house/x", api_key=KEY)), pytest.raises(Exception, match=KEY):
        dspy.ChainOfThought("question -> answer")(question="x")
    assert [span.status.status_code.name for span in recorder.spans] == ["ERROR"] * 3
    everything = [span.to_json() for span in recorder.spans]
    everything += [str(one.log_record.attributes) for one in recorder.events]
    assert not any(KEY in one for one in everything)
