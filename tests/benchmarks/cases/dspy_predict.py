"""A DSPy Predict whose engine answers at once: module, adapter and LM run as always, but no HTTP and no model."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tests.benchmarks.cases import Case

if TYPE_CHECKING:
    from tests.benchmarks._telemetry import Bench

ANSWER = "The Rhine; it reaches the North Sea near Rotterdam."


def language_model() -> Any:
    """``dspy.LM`` with an engine of our own, which is the supported place for a stand-in."""
    import dspy
    from dspy.lm15 import Message, Response, Usage

    text = f"[[ ## answer ## ]]\n{ANSWER}\n\n[[ ## completed ## ]]"

    class Engine:
        def complete(self, request: Any) -> Response:
            return Response(
                id="bench",
                model="gpt-4o-mini-2024-07-18",
                message=Message.assistant(text),
                finish_reason="stop",
                usage=Usage(input_tokens=142, output_tokens=27),
            )

    return dspy.LM("openai/gpt-4o-mini", engine=Engine(), cache=False)


def predict(bench: Bench) -> Callable[[], Any]:
    import dspy

    # A short history: at the default of 10,000 entries the collector's work would grow during the run.
    dspy.configure(lm=language_model(), max_history_size=10)
    program = dspy.Predict("question -> answer")

    def call() -> None:
        assert program(question="Which river flows through Cologne?").answer == ANSWER

    return call


CASES = (Case("dspy predict", "dspy.Predict with a stub engine", "dspy", predict),)
