"""A DSPy program with a bit of everything, for each version of DSPy; prints its trees and figures as one JSON line."""

from __future__ import annotations

import asyncio
import json
import warnings
from typing import Any

import dspy
from dspy.utils.dummies import DummyLM

from model_server import ModelServer
from spanloom.dspy import DSPyInstrumentor
from tests._support.spans import Recorder, outline

TRAIN = [dspy.Example(question=f"q{at}", answer="red").with_inputs("question") for at in range(3)]


def add(a: int, b: int) -> int:
    """Adds."""
    return a + b


def metric(example: Any, prediction: Any, trace: Any = None) -> float:
    """Whether it is right."""
    return float(example.answer == prediction.answer)


def step(tool: str, **args: Any) -> dict[str, Any]:
    """One turn of an agent."""
    return {"next_thought": "t", "next_tool_name": tool, "next_tool_args": args}


def program(lm: Any) -> None:
    """A chain of thought against a server."""
    with dspy.context(lm=lm):
        dspy.ChainOfThought("question -> answer")(question="Which river?")


def asynchronous(lm: Any) -> None:
    """The same, awaited."""

    async def run() -> None:
        with dspy.context(lm=lm):
            await dspy.ChainOfThought("question -> answer").acall(question="Which river?")

    asyncio.run(run())


def agent(lm: Any) -> None:
    """One tool."""
    said = [step("add", a=1, b=2), step("finish"), {"reasoning": "r", "answer": "3"}]
    with dspy.context(lm=DummyLM(said)):
        dspy.ReAct("question -> answer", tools=[add])(question="x")


def parallel(lm: Any) -> None:
    """Two at once."""
    with dspy.context(lm=DummyLM([{"answer": "red"}] * 2)):
        predict = dspy.Predict("question -> answer")
        dspy.Parallel(num_threads=2, disable_progress_bar=True)([(predict, {"question": "x"})] * 2)


def evaluate(lm: Any) -> None:
    """A score."""
    with dspy.context(lm=DummyLM([{"answer": "red"}] * 3)):
        dspy.Evaluate(devset=TRAIN, metric=metric, num_threads=1)(dspy.Predict("question -> answer"))


def optimize(lm: Any) -> None:
    """Demos that the program makes itself."""
    with dspy.context(lm=DummyLM([{"answer": "red"}] * 9)):
        optimizer = dspy.BootstrapFewShot(metric=metric, max_bootstrapped_demos=1, max_labeled_demos=1)
        optimizer.compile(dspy.Predict("question -> answer"), trainset=TRAIN)


def cached(lm: Any) -> None:
    """The second call is not billed."""
    with dspy.context(lm=lm.copy(cache=True)):
        for _ in range(2):
            dspy.Predict("question -> answer")(question="Cached?")


def refused(lm: Any) -> None:
    """The provider's error."""
    with dspy.context(lm=lm):
        try:
            dspy.Predict("question -> answer")(question="x [[error:400]]")
        except Exception:
            return


def streamed(lm: Any) -> int:
    """Chunks as the application gets them; gives how many."""

    async def read() -> int:
        stream = dspy.streamify(dspy.Predict("question -> answer"))
        return len(
            [
                one
                async for one in stream(question="Which river? [[pause:0.02]]")
                if not isinstance(one, dspy.Prediction)
            ]
        )

    with dspy.context(lm=lm):
        return asyncio.run(read())


CASES = (program, asynchronous, agent, parallel, evaluate, optimize, cached, refused, streamed)
# What is told of a model call by one version and not by the other, if nobody takes care.
ATTRIBUTES = ("dspy.lm.engine", "dspy.cache.hit", "spanloom.stream.chunks", "gen_ai.response.time_to_first_chunk")


def main() -> None:
    """Every case, with a recorder of its own."""
    warnings.simplefilter("ignore")
    told = {}
    with ModelServer(port=0) as server:
        lm = dspy.LM("openai/gpt-4o-mini", api_base=server.openai_base_url, api_key="x", cache=False, num_retries=0)
        for case in CASES:
            recorder, plugin = Recorder(), DSPyInstrumentor()
            plugin.instrument(**recorder.providers)
            server.reset()
            seen = case(lm)
            plugin.uninstrument()
            told[case.__name__] = {
                "outline": outline(recorder.spans),
                "tokens": sum(span.attributes.get("gen_ai.usage.input_tokens", 0) for span in recorder.spans),
                "ledger": sum(one.input_tokens or 0 for one in server.ledger.entries),
                "seen": seen,
                "calls": [
                    {name: span.attributes[name] for name in ATTRIBUTES if name in span.attributes}
                    for span in recorder.spans
                    if span.name.startswith("chat")
                ],
                "faults": recorder.total("spanloom.internal.errors"),
            }
            recorder.close()
    print(json.dumps(told))


if __name__ == "__main__":
    main()
