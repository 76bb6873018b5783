"""DSPy programs whose engine answers at once: modules, adapters and LM run as always, but no HTTP and no model."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tests.benchmarks.cases import FLOOR, OFF, OFFICIAL, ON, OURS, UNSAMPLED, Case

if TYPE_CHECKING:
    from tests.benchmarks._telemetry import Bench

ANSWER = "The Rhine; it reaches the North Sea near Rotterdam."
QUESTION = "Which river flows through Cologne?"
ITEMS = 8
# The tree that other packages make of a Predict is measured against ours with the same library.
PEER = "dspy-openinference"


def _said(**fields: str) -> str:
    lines = [f"[[ ## {name} ## ]]\n{value}\n" for name, value in fields.items()]
    return "\n".join([*lines, "[[ ## completed ## ]]"])


def _turn(tool: str, arguments: str) -> str:
    return _said(next_thought="I look it up.", next_tool_name=tool, next_tool_args=arguments)


def configure(*answers: str, cache: bool = False) -> None:
    """``dspy.LM`` with an engine of our own, which is the supported place for a stand-in; it says these in turn.

    A short history: at the default of 10,000 entries the collector's work would grow during the run.
    """
    import dspy
    from dspy.lm15 import Message, Response, Usage

    class Engine:
        said = 0

        def complete(self, request: Any) -> Response:
            text = answers[self.said % len(answers)]
            self.said += 1
            return Response(
                id="bench",
                model="gpt-4o-mini-2024-07-18",
                message=Message.assistant(text),
                finish_reason="stop",
                usage=Usage(input_tokens=142, output_tokens=27),
            )

    lm = dspy.LM("openai/gpt-4o-mini", engine=Engine(), cache=cache)
    dspy.configure(lm=lm, max_history_size=10)


def predict(bench: Bench) -> Callable[[], Any]:
    import dspy

    configure(_said(answer=ANSWER))
    program = dspy.Predict("question -> answer")

    def call() -> None:
        assert program(question=QUESTION).answer == ANSWER

    return call


def chain_of_thought(bench: Bench) -> Callable[[], Any]:
    import dspy

    configure(_said(reasoning="It is on the Rhine.", answer=ANSWER))
    program = dspy.ChainOfThought("context, question -> answer")
    context = ("The keeper wrote of wind and poor visibility, and lit the lamp. " * 140)[: 8 * 1024]

    def call() -> None:
        assert program(context=context, question=QUESTION).answer == ANSWER

    return call


def react(bench: Bench) -> Callable[[], Any]:
    import dspy

    def wind(place: str) -> str:
        """The wind at a place."""
        return f"south-west at {place}"

    def tide(place: str) -> str:
        """The tide at a place."""
        return f"low at {place}"

    def light(place: str) -> str:
        """Whether the light is on."""
        return f"on at {place}"

    turns = [_turn(tool, '{"place": "the north pier"}') for tool in ("wind", "tide", "light")]
    configure(*turns, _turn("finish", "{}"), _said(reasoning="All of it was asked.", answer=ANSWER))
    program = dspy.ReAct("question -> answer", tools=[wind, tide, light])

    def call() -> None:
        assert program(question=QUESTION).answer == ANSWER

    return call


def parallel(bench: Bench) -> Callable[[], Any]:
    import dspy

    configure(_said(answer=ANSWER))
    program = dspy.Predict("question -> answer")
    pairs = [(program, {"question": QUESTION})] * ITEMS
    run = dspy.Parallel(num_threads=2, disable_progress_bar=True)

    def call() -> None:
        assert [one.answer for one in run(pairs)] == [ANSWER] * ITEMS

    return call


def cache_hit(bench: Bench) -> Callable[[], Any]:
    import dspy

    configure(_said(answer=ANSWER), cache=True)
    program = dspy.Predict("question -> answer")
    program(question=QUESTION)

    def call() -> None:
        assert program(question=QUESTION).answer == ANSWER

    return call


_ALL = (OFFICIAL, OURS, FLOOR)

CASES = (
    Case("dspy predict", "dspy.Predict: ours is two spans", "dspy", predict, _ALL, (OFF, ON, UNSAMPLED)),
    Case("dspy predict, OpenInference", "the same; 'official' is OpenInference's tree", PEER, predict, settings=(ON,)),
    Case("dspy chain of thought 8 KB", "dspy.ChainOfThought", "dspy", chain_of_thought, _ALL, (ON,)),
    Case("dspy react", "dspy.ReAct with three tools", "dspy", react, _ALL, (ON,)),
    Case("dspy parallel", "dspy.Parallel, an item", "dspy", parallel, _ALL, (ON,), batch=ITEMS),
    Case("dspy cache hit", "dspy.Predict answered from DSPy's cache", "dspy", cache_hit, _ALL, (ON,)),
)
