"""Calls that are not streams: every shape of argument, client and answer; raw and streaming responses; failures."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import openai
from openai.types.chat import ChatCompletionChunk
from pydantic import BaseModel

from tests.no_harm import _answers as answers
from tests.no_harm._answers import SECRET, WORDS, sse, whole
from tests.no_harm._compare import Case, Told
from tests.no_harm._stage import Stage
from tests.no_harm._streams import ASKED, ASKED_RESPONSES, MODEL
from tests.no_harm._wire import Script

SAID = Told(kept=WORDS)
FAILED = Told(error="raised")
TOOLS = [
    {
        "type": "function",
        "function": {"name": "weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}},
    }
]
_PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}
_CALLED = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
TALK = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": [{"type": "text", "text": "Look."}, _PICTURE]},
    {"role": "assistant", "tool_calls": [_CALLED]},
    {"role": "tool", "tool_call_id": "c", "content": "done"},
]


class River(BaseModel):
    """A structured answer."""

    name: str


CASES: list[Case] = []


def chat(client: Any) -> Any:
    """The resource that also has ``parse`` and ``stream``: in the first versions below ``beta``."""
    plain = client.chat.completions
    return plain if hasattr(plain, "parse") else client.beta.chat.completions


def case(*scripts: Script, told: tuple[Told, ...] = (SAID,), **more: Any) -> Callable[[Any], Any]:
    """Put a program into the table."""

    def add(program: Any) -> Any:
        CASES.append(Case(program.__name__, program, scripts, told, **more))
        return program

    return add


# Arguments.


@case(whole(answers.CHAT), flavours=("sync", "async", "looped"))
async def chat_plain(stage: Stage) -> None:
    """One question."""
    stage.see("answer", await stage.call(stage.client().chat.completions.create, **ASKED))
    await stage.settle()


@case(whole(answers.CHAT_TWO))
async def chat_with_everything(stage: Stage) -> None:
    """All parameters, and the caller's own headers, query and body."""
    answer = await stage.call(
        stage.client().chat.completions.create,
        model=MODEL,
        messages=TALK,
        tools=TOOLS,
        n=2,
        temperature=0.5,
        top_p=1,
        frequency_penalty=0.1,
        presence_penalty=0.2,
        max_completion_tokens=50,
        seed=7,
        stop=["END"],
        metadata={"team": "a"},
        store=False,
        response_format={"type": "text"},
        extra_headers={"x-extra": SECRET, "Authorization": f"Bearer {SECRET}"},
        extra_query={"token": SECRET},
        extra_body={"top_k": 3},
        timeout=30,
    )
    stage.see("answer", answer)


@case(whole(answers.CHAT))
async def chat_with_a_generator(stage: Stage) -> None:
    """Messages that can be read once are read once, by the SDK."""
    messages = (one for one in TALK)
    stage.see("answer", await stage.call(stage.client().chat.completions.create, model=MODEL, messages=messages))
    stage.mark("left", list(messages))


@case(whole(answers.CHAT_TOOLS), whole(answers.CHAT), told=(Told(), SAID))
async def chat_with_objects(stage: Stage) -> None:
    """The SDK's own message goes back into the conversation."""
    client = stage.client()
    first = await stage.call(client.chat.completions.create, model=MODEL, messages=TALK, tools=tuple(TOOLS))
    messages = [*TALK, first.choices[0].message, {"role": "tool", "tool_call_id": "call_1", "content": "snow"}]
    stage.see("answer", await stage.call(client.chat.completions.create, model=MODEL, messages=messages))


@case(whole(answers.CHAT_JSON), told=(Told(kept=("Seine",)),))
async def chat_parse(stage: Stage) -> None:
    """A class as the schema."""
    answer = await stage.call(chat(stage.client()).parse, **ASKED, response_format=River)
    stage.mark("parsed", type(answer.choices[0].message.parsed).__name__)
    stage.see("answer", answer)


@case(whole(answers.CHAT), told=(FAILED,))
async def chat_parse_of_no_json(stage: Stage) -> None:
    """The model did not keep to the schema: the SDK raises."""
    await stage.call(chat(stage.client()).parse, **ASKED, response_format=River)


@case(whole(answers.response()), told=(SAID,), flavours=("sync", "async", "looped"))
async def responses_plain(stage: Stage) -> None:
    """One question."""
    stage.see("answer", await stage.call(stage.client().responses.create, **ASKED_RESPONSES))


@case(whole(answers.RESPONSE_JSON), told=(Told(kept=("Seine",)),))
async def responses_parse(stage: Stage) -> None:
    """A class as the schema."""
    stage.see("answer", await stage.call(stage.client().responses.parse, **ASKED_RESPONSES, text_format=River))


@case(told=(FAILED,), optional=True)
async def responses_with_a_generator(stage: Stage) -> None:
    """The SDK does not take one here; it is not read by us either."""
    items = (one for one in [{"role": "user", "content": "Hi"}])
    try:
        await stage.call(stage.client().responses.create, model=MODEL, input=items)
    finally:
        stage.mark("left", list(items))


@case(whole(answers.FAILED), told=(Told(error="server_error"),))
async def responses_failed(stage: Stage) -> None:
    """The failure is in the object: nothing is raised, and yet the call has failed."""
    stage.see("answer", await stage.call(stage.client().responses.create, **ASKED_RESPONSES))


@case(whole(answers.response("incomplete", incomplete_details={"reason": "max_output_tokens"})))
async def responses_incomplete(stage: Stage) -> None:
    """Cut short is no failure."""
    stage.see("answer", await stage.call(stage.client().responses.create, **ASKED_RESPONSES))


@case(
    whole(answers.response("queued", output=[], usage=None)),
    whole(answers.response()),
    whole(answers.response("cancelled", output=[], usage=None)),
    told=(Told(), Told("fetch_response"), Told(None)),
)
async def responses_in_the_background(stage: Stage) -> None:
    """Asked, fetched, cancelled."""
    client = stage.client()
    stage.see("asked", await stage.call(client.responses.create, **ASKED_RESPONSES, background=True))
    stage.see("fetched", await stage.call(client.responses.retrieve, "resp_1"))
    stage.see("cancelled", await stage.call(client.responses.cancel, "resp_1"))


@case(whole(answers.EMBEDDINGS), told=(Told("embeddings"),))
async def embeddings(stage: Stage) -> None:
    """Vectors."""
    answer = await stage.call(stage.client().embeddings.create, model="text-embedding-3-small", input=["a", "b"])
    stage.see("answer", answer)


@case(whole(answers.EMBEDDINGS), told=(Told("embeddings"),))
async def embeddings_of_tokens(stage: Stage) -> None:
    """Token ids, and floats instead of the SDK's base64."""
    create = stage.client().embeddings.create
    stage.see("answer", await stage.call(create, model="m", input=[[1, 2], [3]], encoding_format="float", dimensions=3))


# Clients.


@case(*[whole(answers.CHAT)] * 4, told=(SAID,) * 4)
async def clients_of_a_client(stage: Stage) -> None:
    """``with_options``, ``copy``, their copies, and a bound method that was taken before."""
    client = stage.client()
    other = client.with_options(timeout=9, default_headers={"x-more": SECRET})
    for one in (other, client.copy(), other.copy(max_retries=1)):
        stage.see("answer", await stage.call(one.chat.completions.create, **ASKED))
    create = client.chat.completions.create
    stage.see("answer", await stage.call(create, **ASKED))


@case(whole(answers.CHAT), whole(answers.CHAT), told=(SAID, SAID))
async def classes_of_the_application(stage: Stage) -> None:
    """A client and a resource with the application's own methods on top."""

    class Mine(stage.kind("OpenAI")):  # type: ignore[misc]
        """A client that changes a default."""

    client = stage.client()
    resource = type(client.chat.completions)

    class Completions(resource):  # type: ignore[misc, valid-type]
        """A resource that changes a default."""

        def create(self, **given: Any) -> Any:
            return super().create(model="gpt-4o", **given)

    stage.see("answer", await stage.call(Completions(client).create, messages=TALK))
    mine = Mine(base_url=f"{stage.root}/v1", **{**stage.options, "http_client": client._client})
    stage.see("answer", await stage.call(mine.chat.completions.create, **ASKED))


@case(whole(answers.CHAT), whole(answers.EMBEDDINGS), told=(SAID, Told("embeddings")))
async def azure(stage: Stage) -> None:
    """Azure's client puts the deployment into the path and the version into the query."""
    options = {"azure_endpoint": f"{stage.root}/", "api_version": "2024-06-01", "base_url": None}
    client = stage.client("AzureOpenAI", **{**stage.options, **options, "default_query": None})
    stage.see("answer", await stage.call(client.chat.completions.create, **ASKED))
    stage.see("answer", await stage.call(client.embeddings.create, model="deployed", input="a"))


@case(whole(answers.CHAT))
async def client_with_hooks(stage: Stage) -> None:
    """The application's hooks see each request and response, as often as before."""

    def seen(what: Any) -> None:
        stage.mark("hook", type(what).__name__, sorted(what.headers))

    async def aseen(what: Any) -> None:
        seen(what)

    hook = aseen if stage.asynchronous else seen
    transport = stage.transport(event_hooks={"request": [hook], "response": [hook]})
    stage.see("answer", await stage.call(stage.client(http_client=transport).chat.completions.create, **ASKED))


@case(whole(answers.CHAT))
async def client_in_a_block(stage: Stage) -> None:
    """``with OpenAI() as client``."""
    client = stage.client()
    entered = await stage.enter(client)
    stage.see("answer", await stage.call(entered.chat.completions.create, **ASKED))
    await stage.leave(client)
    await stage.settle()


@case(*[whole(answers.CHAT)] * 3, told=(SAID,) * 3, flavours=("async",), at_once=True)
async def three_at_once(stage: Stage) -> None:
    """``gather``."""
    client = stage.client()
    every = await asyncio.gather(*[client.chat.completions.create(**ASKED) for _ in range(3)])
    stage.mark("answers", [one.id for one in every])


@case(whole(answers.CHAT), flavours=("sync",))
async def the_module_as_a_client(stage: Stage) -> None:
    """``openai.chat.completions.create``."""
    given = {"api_key": "sk-1", "base_url": f"{stage.root}/v1", "http_client": stage.transport()}
    before = {name: getattr(openai, name) for name in given}
    openai._reset_client()
    try:
        vars(openai).update(given)
        stage.see("answer", await stage.call(openai.chat.completions.create, **ASKED))
    finally:
        vars(openai).update(before)
        openai._reset_client()
        given["http_client"].close()


@case(sse(answers.CHAT_EVENTS))
async def a_stream_by_hand(stage: Stage) -> None:
    """``client.post`` with the stream's class: below every resource method."""
    client = stage.client()
    kind = stage.kind("Stream")[ChatCompletionChunk]
    options = {"cast_to": ChatCompletionChunk, "stream": True, "stream_cls": kind}
    stream = await stage.get(client.post("/chat/completions", body={**ASKED, "stream": True}, **options))
    stage.look(stream)
    await stage.read(stream, 99)
    await stage.settle()


if hasattr(openai, "BedrockOpenAI"):

    @case(whole(answers.response()), whole(answers.CHAT), told=(SAID, SAID))
    async def bedrock(stage: Stage) -> None:
        """Amazon's client, with a key of its own."""
        options = {"api_key": SECRET, "aws_region": "us-east-1", "default_query": None}
        client = stage.client("BedrockOpenAI", **{**stage.options, **options})
        stage.see("answer", await stage.call(client.responses.create, **ASKED_RESPONSES))
        stage.see("answer", await stage.call(client.chat.completions.create, **ASKED))
