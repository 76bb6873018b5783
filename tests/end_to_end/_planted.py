"""A support desk as a team would write it, with three faults in it; no line of telemetry.

One prompt version of ``draft`` makes the model refuse; one check needs a second attempt; one candidate of an optimizer
breaks the metric. Prints what it planted as one JSON line: what an engineer should find out from the traces alone.
"""

from __future__ import annotations

import json
import sys

import dspy

from model_server import ModelServer

REFUSED = "[[error:400]]"
BUSY = "[[error:429:times=1:retry_after=0.01]]"


class Desk(dspy.Module):
    """Drafts an answer and checks it twice."""

    def __init__(self) -> None:
        super().__init__()
        self.draft = dspy.ChainOfThought("question -> answer")
        self.checks = [dspy.Predict("answer -> verdict"), dspy.Predict("answer, note -> verdict")]

    def forward(self, question: str, note: str = "") -> dspy.Prediction:
        answer = self.draft(question=question).answer
        self.checks[0](answer=answer)
        return self.checks[1](answer=answer, note=note)


class Metric:
    """Right for every candidate but for the one whose turn it is when the ledger is full."""

    def __init__(self, breaks_at: int) -> None:
        self.calls = 0
        self.breaks_at = breaks_at

    def __call__(self, example: dspy.Example, prediction: dspy.Prediction, trace: object = None) -> float:
        self.calls += 1
        if self.calls == self.breaks_at:
            raise LookupError("no such account")
        return 1.0


def a_prompt_version_that_is_refused() -> None:
    """The same question, before and after somebody has changed the instructions of ``draft``."""
    desk = Desk()
    desk(question="Which river flows through Cologne?")
    inner = desk.draft.predict
    inner.signature = inner.signature.with_instructions("Answer in verse.")
    try:
        desk(question=f"Which river flows through Cologne? {REFUSED}")
    except dspy.LMError as error:
        print(f"the desk: {type(error).__name__}", file=sys.stderr)


def a_check_that_needs_a_second_attempt() -> None:
    """The server is busy, once."""
    Desk()(question="Which river flows through Basel?", note=BUSY)


def a_candidate_that_breaks_the_metric() -> None:
    """Labelled demos make the second candidate; its evaluation has the fault, at the second example."""
    examples = [dspy.Example(question=f"River {n}?", answer="the Rhine").with_inputs("question") for n in range(3)]
    optimizer = dspy.BootstrapFewShotWithRandomSearch(
        metric=Metric(breaks_at=len(examples) + 2),
        max_bootstrapped_demos=1,
        max_labeled_demos=2,
        num_candidate_programs=1,
        num_threads=1,
    )
    compiled = optimizer.compile(dspy.Predict("question -> answer"), trainset=examples, restrict=[-3, -2])
    print(json.dumps({str(one["seed"]): one["score"] for one in compiled.candidate_programs}))


def main() -> None:
    """Everything in one process, against a model server of its own."""
    with ModelServer(port=0) as server:
        lm = dspy.LM(
            "openai/gpt-4o-mini",
            engine="lm15",
            api_base=server.openai_base_url,
            api_key="x",
            cache=False,
            num_retries=2,
        )
        dspy.configure(lm=lm)
        a_prompt_version_that_is_refused()
        a_check_that_needs_a_second_attempt()
        a_candidate_that_breaks_the_metric()


if __name__ == "__main__":
    main()
