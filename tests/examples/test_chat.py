"""Chat completions, through the real openai client."""

from __future__ import annotations

import json
from typing import Any

import openai
import pydantic
import pytest

from model_server import ModelServer, count_tokens

MODEL = "gpt-4o-mini"
TOOLS: Any = [
    {
        "type": "function",
        "function": {
            "name": name,
            "description": description,
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
        },
    }
    for name, description in (("weather", "The weather in a city."), ("population", "The people of a city."))
]
ASKED: Any = {"role": "user", "content": "What are the weather and the population of Oslo?"}


def user(text: str) -> Any:
    return [{"role": "user", "content": text}]


def test_plain_answer(client: openai.OpenAI) -> None:
    """A plain answer parses, carries the dated model and quotes the sentence that fits the question."""
    notes = "You answer from notes.\n- The lamp is 34 cm high.\n- Cats are grey."
    made = client.chat.completions.create(
        model=MODEL, messages=[{"role": "system", "content": notes}, *user("How high is the lamp?")]
    )
    assert (made.object, made.model) == ("chat.completion", "gpt-4o-mini-2024-07-18")
    assert made.choices[0].message.content == "The lamp is 34 cm high."
    assert made.choices[0].finish_reason == "stop"


def test_usage_is_counted_from_the_texts(client: openai.OpenAI) -> None:
    """Tokens follow the documented rule for messages, answer and total."""
    made = client.chat.completions.create(model=MODEL, messages=user("one two three"))
    assert made.usage is not None
    assert made.usage.prompt_tokens == 4 + 3
    assert made.usage.completion_tokens == count_tokens(made.choices[0].message.content or "")
    assert made.usage.total_tokens == made.usage.prompt_tokens + made.usage.completion_tokens


def test_cached_tokens_are_the_prefix_in_steps_of_128(client: openai.OpenAI) -> None:
    """What stands before the first user message counts as cached, rounded down to a multiple of 128."""
    system: Any = {"role": "system", "content": "word " * 300}
    made = client.chat.completions.create(model=MODEL, messages=[system, *user("hello")])
    assert made.usage and made.usage.prompt_tokens_details
    assert made.usage.prompt_tokens_details.cached_tokens == 256


@pytest.mark.parametrize(("model", "hidden"), [("o4-mini", 33), ("gpt-5-mini", 33), ("gpt-4o", 0)])
def test_reasoning_tokens(client: openai.OpenAI, model: str, hidden: int) -> None:
    """Only reasoning models report reasoning tokens, and these are part of the output tokens."""
    made = client.chat.completions.create(model=model, messages=user("hello"))
    assert made.usage and made.usage.completion_tokens_details
    assert made.usage.completion_tokens_details.reasoning_tokens == hidden
    assert made.usage.completion_tokens == count_tokens(made.choices[0].message.content or "") + hidden


def test_unknown_models_are_echoed(client: openai.OpenAI) -> None:
    """A model name that the server does not know is served and echoed."""
    assert client.chat.completions.create(model="house-7b", messages=user("hello")).model == "house-7b"


def test_answers_are_the_same_on_every_run() -> None:
    """Two servers give the same bytes for the same requests; the same request twice on one has another id."""
    seen = []
    for _ in range(2):
        with ModelServer() as server, openai.OpenAI(base_url=server.openai_base_url, api_key="k") as client:
            seen.append([client.chat.completions.create(model=MODEL, messages=user("hi")).to_json() for _ in range(2)])
    assert seen[0] == seen[1]
    assert json.loads(seen[0][0])["id"] != json.loads(seen[0][1])["id"]


def test_several_choices(client: openai.OpenAI) -> None:
    """`n` choices differ, and all of them are in the output tokens."""
    made = client.chat.completions.create(model=MODEL, messages=user("hello"), n=3)
    texts = [choice.message.content or "" for choice in made.choices]
    assert len(set(texts)) == 3
    assert made.usage and made.usage.completion_tokens == sum(map(count_tokens, texts))


def test_limit_of_tokens(client: openai.OpenAI) -> None:
    """An answer longer than the limit is cut to it and says so."""
    made = client.chat.completions.create(model=MODEL, messages=user("[[words:50]] go on"), max_completion_tokens=7)
    assert made.choices[0].finish_reason == "length"
    assert made.usage and made.usage.completion_tokens == 7


def test_length_on_request(client: openai.OpenAI) -> None:
    """The marker for words gives an answer of exactly that many, and is not quoted."""
    made = client.chat.completions.create(model=MODEL, messages=user("[[words:200]] tell me of ships"))
    text = made.choices[0].message.content or ""
    assert len(text.split()) == 200
    assert "[[" not in text


def test_tools_are_called_in_parallel(client: openai.OpenAI) -> None:
    """All tools that fit the question are called at once, with arguments taken from it."""
    made = client.chat.completions.create(model=MODEL, messages=[ASKED], tools=TOOLS)
    calls: Any = made.choices[0].message.tool_calls
    assert made.choices[0].finish_reason == "tool_calls"
    assert made.choices[0].message.content is None
    assert [(call.function.name, json.loads(call.function.arguments)) for call in calls] == [
        ("weather", {"city": "Oslo"}),
        ("population", {"city": "Oslo"}),
    ]
    assert len({call.id for call in calls}) == 2


def test_tools_one_at_a_time(client: openai.OpenAI) -> None:
    """With `parallel_tool_calls` off the tools are called in turn, and then the answer comes."""
    messages: list[Any] = [ASKED]
    names = []
    for _ in range(3):
        made = client.chat.completions.create(model=MODEL, messages=messages, tools=TOOLS, parallel_tool_calls=False)
        message: Any = made.choices[0].message
        messages.append(message.to_dict())
        for call in message.tool_calls or ():
            names.append(call.function.name)
            messages.append({"role": "tool", "tool_call_id": call.id, "content": "fine"})
    assert names == ["weather", "population"]
    assert "fine" in messages[-1]["content"]


@pytest.mark.parametrize("seen", ["4 degrees and rain", "31 degrees"])
def test_a_tool_result_changes_the_final_answer(client: openai.OpenAI, seen: str) -> None:
    """What the tool returned is quoted in the answer."""
    asked = client.chat.completions.create(model=MODEL, messages=user("The weather in Oslo?"), tools=TOOLS[:1])
    message: Any = asked.choices[0].message
    result: Any = {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": seen}
    talk = [*user("The weather in Oslo?"), message.to_dict(), result]
    final = client.chat.completions.create(model=MODEL, messages=talk, tools=TOOLS[:1])
    assert final.choices[0].message.content == f"According to the tools, weather: {seen}."


def test_tool_choice(client: openai.OpenAI) -> None:
    """A forced tool is called alone; ``none`` calls nothing."""
    forced: Any = {"type": "function", "function": {"name": "population"}}
    made = client.chat.completions.create(model=MODEL, messages=[ASKED], tools=TOOLS, tool_choice=forced)
    calls: Any = made.choices[0].message.tool_calls
    assert [call.function.name for call in calls] == ["population"]
    plain = client.chat.completions.create(model=MODEL, messages=[ASKED], tools=TOOLS, tool_choice="none")
    assert plain.choices[0].message.tool_calls is None


class Invoice(pydantic.BaseModel):
    class Line(pydantic.BaseModel):
        item: str
        pieces: int

    lines: list[Line]
    paid: bool
    note: str | None


def test_json_schema(client: openai.OpenAI) -> None:
    """A nested JSON schema is honoured: the SDK parses the answer into the model it came from."""
    made = client.chat.completions.parse(model=MODEL, messages=user("Two lamps, paid?"), response_format=Invoice)
    parsed = made.choices[0].message.parsed
    assert isinstance(parsed, Invoice)
    assert parsed.lines


def test_json_object(client: openai.OpenAI) -> None:
    """JSON mode answers with a JSON object."""
    made = client.chat.completions.create(
        model=MODEL, messages=user("Say something as JSON"), response_format={"type": "json_object"}
    )
    assert isinstance(json.loads(made.choices[0].message.content or ""), dict)


def test_stream_without_usage(client: openai.OpenAI, server: ModelServer) -> None:
    """A stream gives the text in pieces and no usage; the ledger has none either."""
    chunks = list(client.chat.completions.create(model=MODEL, messages=user("[[words:12]] ships"), stream=True))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert len(text.split()) == 12
    assert [chunk.choices[0].finish_reason for chunk in chunks].count("stop") == 1
    assert all(chunk.usage is None for chunk in chunks)
    assert [entry.input_tokens for entry in server.ledger.entries] == [None]


def test_stream_with_usage(client: openai.OpenAI, server: ModelServer) -> None:
    """With `include_usage` the last chunk has the usage, the same as without streaming, and so has the ledger."""
    options: Any = {"include_usage": True}
    chunks = list(
        client.chat.completions.create(model=MODEL, messages=user("hello"), stream=True, stream_options=options)
    )
    whole = client.chat.completions.create(model=MODEL, messages=user("hello"))
    assert chunks[-1].choices == []
    assert chunks[-1].usage == whole.usage
    streamed, plain = server.ledger.entries
    assert (streamed.input_tokens, streamed.output_tokens) == (plain.input_tokens, plain.output_tokens)


def test_stream_of_several_choices_and_tools(client: openai.OpenAI) -> None:
    """The SDK's own accumulator puts a stream of two choices with two tool calls together again."""
    with client.chat.completions.stream(model=MODEL, messages=[ASKED], tools=TOOLS, n=2) as stream:
        final = stream.get_final_completion()
    assert [len(choice.message.tool_calls or ()) for choice in final.choices] == [2, 2]
    first: Any = (final.choices[0].message.tool_calls or [])[0]
    assert json.loads(first.function.arguments) == {"city": "Oslo"}


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_async_client(server: ModelServer) -> None:
    """The async client gets whole answers and streams, several at once."""
    import asyncio

    async with openai.AsyncOpenAI(base_url=server.openai_base_url, api_key="key", max_retries=0) as client:
        whole = await asyncio.gather(
            *(client.chat.completions.create(model=MODEL, messages=user(f"hello {n}")) for n in range(8))
        )
        stream = await client.chat.completions.create(model=MODEL, messages=user("hello 0"), stream=True)
        text = "".join([chunk.choices[0].delta.content or "" async for chunk in stream])
    assert text == whole[0].choices[0].message.content
    assert len(server.ledger.entries) == 9


def test_content_parts_and_images(client: openai.OpenAI) -> None:
    """Text parts are read, an image counts 85 tokens."""
    parts: Any = [
        {"type": "text", "text": "one two"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
    ]
    made = client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": parts}])
    assert made.usage and made.usage.prompt_tokens == 4 + 2 + 85


def test_question_with_context_in_one_message(client: openai.OpenAI) -> None:
    """A prompt with notes and a ``Question:`` line is answered from its notes."""
    prompt = "Notes:\nThe lamp is 34 cm high.\nIt is blue.\nQuestion: How high is the lamp?"
    made = client.chat.completions.create(model=MODEL, messages=user(prompt))
    assert made.choices[0].message.content == "The lamp is 34 cm high."
