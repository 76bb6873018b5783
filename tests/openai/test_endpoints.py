"""Requests that are no model calls: each is a span, named by what the application typed; no id is ever in a name."""

from __future__ import annotations

import asyncio
import io

import openai
import pytest

from spanloom.openai._endpoints import endpoint_of, endpoints
from tests._support.spans import eventually, normal, stream_end
from tests.openai import _canned, _sources
from tests.openai._canned import OK, Wire, client

# Two methods for one request: named by the first.
SAME = {
    "files.retrieve_content": "files.content",
    "fine_tuning.checkpoints.permissions.retrieve": "fine_tuning.checkpoints.permissions.list",
    "chat.completions.parse": "chat.completions.create",
    "responses.parse": "responses.create",
    "beta.chat.completions.parse": "chat.completions.create",
}


def test_every_method_of_the_sdk_has_its_name():
    """Read off the installed SDK's source: the name is what one types after `client.`."""
    found = _sources.requests()
    assert len(found) > 80
    for method, verb, path in found:
        wanted = SAME.get(method, method)
        if method.startswith("beta.responses."):
            wanted = method.removeprefix("beta.")
        assert endpoint_of(verb.lower(), path.replace("{}", "id-1")) == wanted, (method, verb, path)


def test_the_table_has_nothing_that_the_sdk_has_not():
    """But for one that was there until openai 2."""
    known = {(verb, path) for _, verb, path in _sources.requests()}
    ours = {tuple(route.split(" ", 1)) for route in endpoints()}
    assert ours - known == {("POST", "/evals/{}/runs/{}")}


@pytest.mark.parametrize(
    ("method", "path", "name"),
    [
        ("post", "/images/generations", "images.generate"),
        ("GET", "/files/file-abc/content", "files.content"),
        ("get", "/files/file-abc/content?token=secret", "files.content"),
        ("delete", "/models/ft:gpt-4o:acme::1", "models.delete"),
        ("post", "/threads/runs", "beta.threads.create_and_run"),
        ("post", "/threads/thread_1/runs/run_1/cancel", "beta.threads.runs.cancel"),
        ("post", "responses/resp_1/cancel", "responses.cancel"),
        ("get", "/files/file-abc/secret", "GET /files/*"),
        ("get", "/models/acme/private-model", "GET /models/*"),
        ("put", "/files", "PUT /files/*"),
        ("post", "/new/thing", "POST /*"),
        ("post", "https://example.org/files/file-1", "POST /*"),
        ("get", "", "GET /*"),
        ("a b", "/files", "HTTP /files/*"),
    ],
)
def test_names(method, path, name):
    """What is not in the table is named by the words that are known."""
    assert endpoint_of(method, path) == name


CALLS = {
    "files.list": lambda one: one.files.list(),
    "files.create": lambda one: one.files.create(file=io.BytesIO(b"x"), purpose="batch"),
    "files.delete": lambda one: one.files.delete("file-1"),
    "batches.create": lambda one: one.batches.create(
        input_file_id="file-1", endpoint="/v1/responses", completion_window="24h"
    ),
    "images.generate": lambda one: one.images.generate(prompt="a river"),
    "audio.transcriptions.create": lambda one: one.audio.transcriptions.create(file=("a.wav", b"x"), model="whisper-1"),
    "moderations.create": lambda one: one.moderations.create(input="a river"),
    "completions.create": lambda one: one.completions.create(model="gpt-3.5-turbo-instruct", prompt="a river"),
    "vector_stores.retrieve": lambda one: one.vector_stores.retrieve("vs_1"),
    "fine_tuning.jobs.create": lambda one: one.fine_tuning.jobs.create(model="gpt-4o", training_file="file-1"),
    "models.list": lambda one: one.models.list(),
    "chat.completions.list": lambda one: one.chat.completions.list(),
    "responses.delete": lambda one: one.responses.delete("resp_1"),
    "responses.cancel": lambda one: one.responses.cancel("resp_1"),
    "responses.input_items.list": lambda one: one.responses.input_items.list("resp_1"),
    "uploads.create": lambda one: one.uploads.create(bytes=1, filename="a", mime_type="text/plain", purpose="batch"),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_call_is_a_span(name, plugin_with_content, recorder):
    """CLIENT, without an operation, with the endpoint and the status; nothing of what was asked or answered."""
    with client(Wire()) as one:
        CALLS[name](one)
    assert normal(recorder.spans) == [
        {
            "trace": 1,
            "id": 1,
            "parent": None,
            "name": name,
            "kind": "CLIENT",
            "scope": "spanloom.openai",
            "status": "UNSET",
            "status_text": None,
            "attributes": {
                "gen_ai.provider.name": "openai",
                "http.response.status_code": 200,
                "server.address": "api.openai.com",
                "server.port": "<int>",
                "spanloom.openai.endpoint": name,
            },
            "events": [],
            "links": [],
        }
    ]
    assert recorder.metrics().keys() <= {"gen_ai.client.inference.usage.input_tokens"}


@pytest.mark.asyncio
@pytest.mark.parametrize("name", CALLS)
async def test_an_asynchronous_call_is_a_span(name, plugin, recorder):
    """The same names; a page is asked for when it is awaited, and not before."""
    async with client(Wire(), openai.AsyncOpenAI) as one:
        made = CALLS[name](one)
        assert recorder.spans == []
        await made
    assert recorder.span.name == name
    assert recorder.span.attributes["http.response.status_code"] == 200


def test_a_failed_call(plugin, recorder):
    """ERROR, with the type of the exception and the status."""
    with client(Wire({"error": {"message": "secret"}}, status=404)) as one, pytest.raises(openai.NotFoundError):
        one.files.retrieve("file-1")
    span = recorder.span
    assert (span.name, span.status.status_code.name, span.status.description) == ("files.retrieve", "ERROR", None)
    assert span.attributes["error.type"] == "openai.NotFoundError"
    assert span.attributes["http.response.status_code"] == 404


def test_each_page_is_a_request(plugin, recorder):
    """The next page is asked for when it is reached."""
    pages = iter(({**OK, "data": [{"id": "a"}], "has_more": True}, {**OK, "data": [{"id": "b"}]}))
    wire = Wire(lambda request: next(pages))
    with client(wire) as one:
        listed = one.fine_tuning.jobs.list()
        assert len(recorder.spans) == 1
        assert [job.id for job in listed] == ["a", "b"]
    assert [span.name for span in recorder.spans] == ["fine_tuning.jobs.list"] * 2
    assert len(wire.sent) == 2


def test_a_request_of_the_applications_own(plugin, recorder):
    """`client.post` for what the SDK has no method for; and for a model call that it does."""
    with client(Wire(_canned.chat())) as one:
        one.post("/new/thing-1", cast_to=object, body={"secret": 1})
        body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hi"}]}
        one.post("/chat/completions", cast_to=object, body=body)
    assert [span.name for span in recorder.spans] == ["POST /*", "chat gpt-4o-mini"]
    assert recorder.spans[1].attributes["gen_ai.usage.output_tokens"] == 2


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("chat/completions", "chat gpt-4o-mini"),
        ("http://other.example/v1/chat/completions", "chat gpt-4o-mini"),
        ("https://openrouter.ai/api/v1/chat/completions?x=1", "chat gpt-4o-mini"),
        ("https://a.example/openai/v1/embeddings", "embeddings gpt-4o-mini"),
        ("https://a.example/openai/embeddings", "embeddings gpt-4o-mini"),
        ("https://a.example/v1beta/embeddings", "POST /*"),
        ("embeddings", "embeddings gpt-4o-mini"),
        ("v1/embeddings", "embeddings gpt-4o-mini"),
        ("http://other.example/v1/images/generations", "images.generate"),
        ("http://other.example", "POST /*"),
    ],
)
def test_however_the_application_writes_a_url(url, name, plugin, recorder):
    """Whole, or without its slash: the same endpoint is the same call."""
    with client(Wire(_canned.by_path)) as one:
        one.post(url, cast_to=object, body={"model": "gpt-4o-mini", "input": "Hi", "messages": []})
    assert recorder.span.name == name


def test_a_stored_response_by_its_whole_url(plugin, recorder):
    """Its id is the last word."""
    with client(Wire(_canned.response())) as one:
        one.get("https://api.openai.com/v1/responses/resp_7?include=x", cast_to=object)
    assert recorder.span.name == "fetch_response"
    assert recorder.span.attributes["gen_ai.response.id"] == "resp_7"


def test_whole_urls_have_their_own_address(plugin, recorder):
    """An absolute URL goes where it says."""
    with client(Wire()) as one:
        one.get("http://other.example:8080/v1/files/file-1", cast_to=object)
    span = recorder.span
    assert (span.name, span.attributes["server.address"], span.attributes["server.port"]) == (
        "files.retrieve",
        "other.example",
        8080,
    )


def test_helpers_that_make_several_requests(plugin, recorder):
    """Each request is a span: what the application waits for is not one call."""
    with client(Wire({**OK, "status": "completed"})) as one:
        one.vector_stores.files.create_and_poll("file-1", vector_store_id="vs_1")
    assert [span.name for span in recorder.spans] == ["vector_stores.files.create", "vector_stores.files.retrieve"]


def test_raw_and_streaming_bodies(plugin, recorder):
    """The body is not looked at; a span ends when its body was read."""
    with client(Wire(lambda _: _canned.http.Response(200, content=iter([b"RIFF"] * 10)))) as one:
        assert one.files.with_raw_response.content("file-1").text == "RIFF" * 10
        assert len(recorder.spans) == 1
        speech = one.audio.speech.with_streaming_response
        with speech.create(model="tts-1", voice="alloy", input="Hi") as response:
            assert len(recorder.spans) == 1
            assert b"".join(response.iter_bytes()) == b"RIFF" * 10
    assert [span.name for span in recorder.spans] == ["files.content", "audio.speech.create"]


def test_streams_of_other_endpoints(plugin, recorder):
    """Events of a transcription: counted, not read."""
    events = [{"type": "transcript.text.delta", "delta": "a"}, {"type": "transcript.text.done", "text": "a"}]
    with client(Wire(_canned.sse(*events))) as one:
        stream = one.audio.transcriptions.create(file=("a.wav", b"x"), model="gpt-4o-transcribe", stream=True)
        assert isinstance(stream, openai.Stream)
        assert not recorder.spans
        assert len(list(stream)) == 2
        with one.audio.transcriptions.create(file=("a.wav", b"x"), model="gpt-4o-transcribe", stream=True) as stream:
            next(stream)
    whole, left = recorder.spans
    assert (whole.attributes["spanloom.stream.chunks"], stream_end(whole), stream_end(left)) == (2, None, "closed")


def test_a_binary_answer(plugin, recorder):
    """It is the SDK's own object still."""
    with client(Wire(lambda _: _canned.http.Response(200, content=b"mp3"))) as one:
        assert one.audio.speech.create(model="tts-1", voice="alloy", input="Hi").read() == b"mp3"
    assert recorder.span.name == "audio.speech.create"


def test_an_asynchronous_stream_dropped(plugin, recorder):
    """Every end of a stream is a span's end here, too."""

    async def program() -> None:
        async with client(Wire(_canned.sse({"type": "a"}, {"type": "b"})), openai.AsyncOpenAI) as one:
            stream = await one.audio.transcriptions.create(file=("a.wav", b"x"), model="m", stream=True)
            async for _ in stream:
                break
            await stream.close()

    asyncio.run(program())
    eventually(lambda: recorder.spans)
    assert stream_end(recorder.span) == "closed"
