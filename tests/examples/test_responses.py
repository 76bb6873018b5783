"""The Responses API, embeddings and models, through the real openai client."""

from __future__ import annotations

import base64
import json
import math
import struct
from typing import Any

import openai
import pydantic
import pytest

from model_server import ModelServer

MODEL = "gpt-4o-mini"
TOOLS: Any = [
    {
        "type": "function",
        "name": "weather",
        "description": "The weather in a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
        "strict": True,
    }
]


def test_plain_response(client: openai.OpenAI) -> None:
    """A plain response parses and carries the dated model and its usage."""
    made = client.responses.create(model=MODEL, instructions="The lamp is 34 cm high.", input="How high is the lamp?")
    assert made.output_text == "The lamp is 34 cm high."
    assert (made.status, made.model) == ("completed", "gpt-4o-mini-2024-07-18")
    assert made.usage and made.usage.total_tokens == made.usage.input_tokens + made.usage.output_tokens


def test_response_stream_has_the_real_events(client: openai.OpenAI, server: ModelServer) -> None:
    """The stream sends the real event names in their order, numbered, and the usage at the end."""
    events = list(client.responses.create(model=MODEL, input="hello there", stream=True))
    names = [event.type for event in events]
    assert names[:4] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
    ]
    assert names[-4:] == [
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert [event.sequence_number for event in events] == list(range(len(events)))  # type: ignore[union-attr]
    last: Any = events[-1]
    text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    assert text == last.response.output_text
    assert server.ledger.entries[0].output_tokens == last.response.usage.output_tokens


def test_response_stream_manager(client: openai.OpenAI) -> None:
    """The SDK's own accumulator accepts the stream, function calls included."""
    with client.responses.stream(model=MODEL, input="The weather in Oslo?", tools=TOOLS) as stream:
        final = stream.get_final_response()
    call: Any = final.output[0]
    assert (call.type, call.name, json.loads(call.arguments)) == ("function_call", "weather", {"city": "Oslo"})


@pytest.mark.parametrize("seen", ["snow", "sun"])
def test_response_quotes_function_results(client: openai.OpenAI, seen: str) -> None:
    """A function's output given back is quoted in the final answer."""
    asked: Any = {"role": "user", "content": "The weather in Oslo?"}
    first: Any = client.responses.create(model=MODEL, input=[asked], tools=TOOLS).output[0]
    result: Any = {"type": "function_call_output", "call_id": first.call_id, "output": seen}
    made = client.responses.create(model=MODEL, input=[asked, first.to_dict(), result], tools=TOOLS)
    assert made.output_text == f"According to the tools, weather: {seen}."


class Verdict(pydantic.BaseModel):
    label: str
    score: float


def test_response_schema(client: openai.OpenAI) -> None:
    """A schema is honoured: the SDK parses the answer into the model it came from."""
    made = client.responses.parse(model=MODEL, input="Is it good?", text_format=Verdict)
    assert isinstance(made.output_parsed, Verdict)


def test_reasoning_response(client: openai.OpenAI) -> None:
    """A reasoning model gives a reasoning item first and reports its tokens."""
    made = client.responses.create(model="o4-mini", input="hello")
    assert [item.type for item in made.output] == ["reasoning", "message"]
    assert made.usage and made.usage.output_tokens_details.reasoning_tokens == 33


def test_incomplete_response(client: openai.OpenAI) -> None:
    """A response cut at its limit of tokens is incomplete, whole and streamed."""
    asked = "[[words:50]] ships"
    made = client.responses.create(model=MODEL, input=asked, max_output_tokens=5)
    assert (made.status, made.incomplete_details and made.incomplete_details.reason) == (
        "incomplete",
        "max_output_tokens",
    )
    events = list(client.responses.create(model=MODEL, input=asked, max_output_tokens=5, stream=True))
    assert events[-1].type == "response.incomplete"


def test_unknown_previous_response(client: openai.OpenAI) -> None:
    """The server keeps no conversations and says so."""
    with pytest.raises(openai.BadRequestError) as caught:
        client.responses.create(model=MODEL, input="go on", previous_response_id="resp_1")
    assert caught.value.code == "previous_response_not_found"


def test_embeddings_are_unit_vectors(client: openai.OpenAI, server: ModelServer) -> None:
    """Vectors have length one, the same text has the same vector, and texts that share words are nearer."""
    texts = ["the blue lamp", "a lamp, blue and bright", "cats sleep"]
    made = client.embeddings.create(model="text-embedding-3-small", input=[*texts, texts[0]])
    vectors = [row.embedding for row in made.data]
    assert [len(vector) for vector in vectors] == [1536] * 4
    assert all(math.isclose(math.hypot(*vector), 1, abs_tol=1e-6) for vector in vectors)
    assert vectors[0] == vectors[3]
    assert _dot(vectors[0], vectors[1]) > _dot(vectors[0], vectors[2]) + 0.1
    assert server.ledger.entries[0].input_tokens == made.usage.prompt_tokens == made.usage.total_tokens


def test_embeddings_base64_and_dimensions(client: openai.OpenAI) -> None:
    """The base64 form holds the same numbers as 32-bit floats, and `dimensions` is honoured."""
    shared: Any = {"model": "text-embedding-3-large", "input": "hello", "dimensions": 64}
    floats = client.embeddings.create(**shared, encoding_format="float").data[0].embedding
    packed: Any = client.embeddings.create(**shared, encoding_format="base64").data[0].embedding
    unpacked = struct.unpack("<64f", base64.b64decode(packed))
    assert all(math.isclose(one, other, abs_tol=1e-6) for one, other in zip(floats, unpacked, strict=True))


def test_embeddings_of_tokens(client: openai.OpenAI) -> None:
    """Lists of token numbers are accepted and counted."""
    made = client.embeddings.create(model="text-embedding-3-small", input=[[1, 2, 3], [4]])
    assert (len(made.data), made.usage.prompt_tokens) == (2, 4)


def test_models(client: openai.OpenAI) -> None:
    """Models are listed and found by name; an unknown one is a 404."""
    assert "gpt-4o-mini" in [model.id for model in client.models.list()]
    assert client.models.retrieve("gpt-4o").id == "gpt-4o"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("nothing")


def _dot(one: list[float], other: list[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))
