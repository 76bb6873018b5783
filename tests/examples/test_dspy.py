"""DSPy 3.4 against the model server: every output field is honoured, with each adapter."""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Callable, Iterator
from typing import Any, Literal

import dspy
import pydantic
import pytest

from model_server import ModelServer

QUESTION = "How high is the Lumen lamp, and is it blue?"
CONTEXT = ["Cats are grey.", "The Lumen lamp is 34 cm high. It is blue."]


class Agent(dspy.Signature):
    """Answer with the tools."""

    question: str = dspy.InputField()
    answer: str = dspy.OutputField()


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Part(pydantic.BaseModel):
    name: str
    score: float = pydantic.Field(ge=0, le=1)
    tags: list[str]
    inner: list[Part] = []


class Everything(dspy.Signature):
    """Fill in every field."""

    question: str = dspy.InputField()
    context: list[str] = dspy.InputField()
    answer: str = dspy.OutputField()
    whole: int = dspy.OutputField()
    real: float = dspy.OutputField()
    sure: bool = dspy.OutputField()
    words: list[str] = dspy.OutputField()
    best: list[int] = dspy.OutputField()
    level: Literal["low", "high"] = dspy.OutputField()
    number: Literal[3, 4] = dspy.OutputField()
    colour: Colour = dspy.OutputField()
    part: Part = dspy.OutputField()
    maybe: int | None = dspy.OutputField()
    counts: dict[str, int] = dspy.OutputField()


@pytest.fixture
def lm(server: ModelServer) -> Iterator[dspy.LM]:
    made = dspy.LM("openai/gpt-4o-mini", api_base=server.openai_base_url, api_key="key", cache=False, num_retries=0)
    with dspy.context(lm=made, adapter=None):
        yield made


@pytest.mark.parametrize("adapter", [dspy.ChatAdapter, dspy.JSONAdapter])
def test_every_output_type(lm: dspy.LM, server: ModelServer, adapter: Callable[[], Any]) -> None:
    """Each type comes back as itself at the first attempt, and the answer is taken from the context."""
    with dspy.context(adapter=adapter()):
        made = dspy.ChainOfThought(Everything)(question=QUESTION, context=CONTEXT)
    assert made.answer == "The Lumen lamp is 34 cm high. It is blue."
    assert (made.whole, made.real, made.sure, made.best, made.maybe) == (34, 34.0, True, [1], 34)
    assert (made.level, made.colour) == ("high", Colour.BLUE)
    assert made.number in (3, 4)
    assert isinstance(made.part, Part)
    assert made.words and all(isinstance(word, str) for word in made.words)
    assert all(isinstance(count, int) for count in made.counts.values())
    assert "lamp" in made.reasoning
    assert len(server.ledger.entries) == 1


def test_xml_adapter(lm: dspy.LM, server: ModelServer) -> None:
    """XMLAdapter's notation is honoured, characters that XML reserves included."""
    with dspy.context(adapter=dspy.XMLAdapter()):
        made = dspy.Predict("question -> answer, whole: int, sure: bool")(question="Is 3 < 4 & 5 > 4?")
    assert (made.answer, made.whole, made.sure) == ("You asked: Is 3 < 4 & 5 > 4?", 3, False)
    assert len(server.ledger.entries) == 1


def test_json_adapter_uses_the_schema(lm: dspy.LM, server: ModelServer) -> None:
    """With a signature that has no open mapping, JSONAdapter sends a schema, and it is honoured."""
    with dspy.context(adapter=dspy.JSONAdapter()):
        made = dspy.Predict("question -> answer: str, part: list[int], sure: bool")(question="Is 7 odd?")
    assert (made.part, made.sure) == ([7], False)
    assert len(server.ledger.entries) == 1


def tools(result: str) -> list[Callable[..., Any]]:
    def stock(item: str, size: int = 3) -> str:
        """How many pieces of an item are in stock."""
        return f"{result} of {item}"

    def price(item: str) -> float:
        """The price of an item."""
        return 12.5

    return [stock, price]


@pytest.mark.parametrize("result", ["7 left", "none left"])
def test_react_uses_tools_and_quotes_them(lm: dspy.LM, result: str) -> None:
    """ReAct calls each fitting tool once with arguments from the question, finishes, and quotes what it saw."""
    made = dspy.ReAct(Agent, tools(result))(question="Is the Lumen lamp in stock, at which price?")
    names = [made.trajectory[f"tool_name_{step}"] for step in range(3)]
    assert names == ["stock", "price", "finish"]
    assert made.trajectory["tool_args_0"] == {"item": "Lumen"}
    assert made.answer == f"According to the tools, stock: {result} of Lumen; price: 12.5."


@pytest.mark.parametrize(
    "adapter", [dspy.ChatAdapter(), dspy.ChatAdapter(use_native_function_calling=True), dspy.JSONAdapter()]
)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_react_v2(lm: dspy.LM, adapter: Any) -> None:
    """ReActV2 works in text and with native function calls: two tools, then submit with the quoted results."""
    with dspy.context(adapter=adapter):
        made = dspy.ReActV2(Agent, tools("7 left"))(question="Is the Lumen lamp in stock, at which price?")
    assert made.termination_reason == "submit"
    assert made.answer == "According to the tools, stock: 7 left of Lumen; price: 12.5."


def test_react_goes_on_after_a_failing_tool(lm: dspy.LM) -> None:
    """A tool that raises is not called again; the answer quotes the last line of its error."""

    def stock(item: str) -> str:
        """How many pieces of an item are in stock."""
        raise LookupError("the shelf is gone")

    made = dspy.ReAct(Agent, [stock])(question="Is the Lumen lamp in stock?")
    assert [made.trajectory[f"tool_name_{step}"] for step in range(2)] == ["stock", "finish"]
    assert "LookupError: the shelf is gone" in made.answer
    assert "Traceback" not in made.answer


def test_streamify(lm: dspy.LM, server: ModelServer) -> None:
    """A streamed program yields the field's text in pieces and then the prediction; usage is in the ledger."""
    program = dspy.streamify(
        dspy.Predict("question, context: list[str] -> answer"),
        stream_listeners=[dspy.streaming.StreamListener(signature_field_name="answer")],
    )

    async def collect() -> list[Any]:
        with dspy.context(lm=lm):
            return [part async for part in program(question=QUESTION, context=CONTEXT)]  # type: ignore[union-attr]

    parts = asyncio.run(collect())
    text = "".join(part.chunk for part in parts if isinstance(part, dspy.streaming.StreamResponse))
    assert text.strip() == parts[-1].answer == "The Lumen lamp is 34 cm high. It is blue."
    assert server.ledger.entries[0].stream
    assert server.ledger.entries[0].output_tokens


def test_history_usage_equals_the_ledger(lm: dspy.LM, server: ModelServer) -> None:
    """What DSPy notes as usage of its calls is what the ledger says was told."""
    for question in ("one?", "two?", "three?"):
        dspy.ChainOfThought("question -> answer")(question=question)
    noted = [(call["usage"]["prompt_tokens"], call["usage"]["completion_tokens"]) for call in lm.history]
    assert noted == [(entry.input_tokens, entry.output_tokens) for entry in server.ledger.entries]


def test_retries_of_dspy(server: ModelServer) -> None:
    """DSPy's own retry after a 429 succeeds: two requests, one answer."""
    lm = dspy.LM("openai/gpt-4o-mini", api_base=server.openai_base_url, api_key="key", cache=False, num_retries=1)
    with dspy.context(lm=lm):
        made = dspy.Predict("question -> answer")(question="hello [[error:429:times=1:retry_after=0.1]]")
    assert made.answer == "You asked: hello"
    assert [entry.status for entry in server.ledger.entries] == [429, 200]


def test_error_reaches_the_program(lm: dspy.LM) -> None:
    """A failing model server is DSPy's own error."""
    with pytest.raises(dspy.LMServerError):
        dspy.Predict("question -> answer")(question="hello [[error:500]]")


def test_history_of_a_conversation(lm: dspy.LM) -> None:
    """With earlier turns in the prompt the last question is the one that is answered."""
    history = dspy.History(messages=[{"question": "Who is grey?", "answer": "Cats."}])
    made = dspy.Predict("question, history: dspy.History -> answer")(question="Who is blue?", history=history)
    assert made.answer == "You asked: Who is blue?"


def test_few_shot_demos(lm: dspy.LM) -> None:
    """Examples in the prompt do not become the question."""
    program = dspy.Predict("question -> answer")
    program.demos = [dspy.Example(question="Who is grey?", answer="Cats.").with_inputs("question")]
    assert program(question="Who is blue?").answer == "You asked: Who is blue?"
