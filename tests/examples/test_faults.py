"""Faults asked for by the client: what arrives, and what the ledger says of it."""

from __future__ import annotations

import http.client
import itertools
import json
import time
from typing import Any

import httpx2
import openai
import pytest

from model_server import ModelServer

MODEL = "gpt-4o-mini"


def ask(client: openai.OpenAI, text: str, **options: Any) -> Any:
    return client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": text}], **options)


def outcomes(server: ModelServer) -> list[tuple[int, str]]:
    return [(entry.status, entry.outcome) for entry in server.ledger.entries]


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, openai.BadRequestError),
        (401, openai.AuthenticationError),
        (403, openai.PermissionDeniedError),
        (404, openai.NotFoundError),
        (409, openai.ConflictError),
        (422, openai.UnprocessableEntityError),
        (429, openai.RateLimitError),
        (500, openai.InternalServerError),
        (503, openai.InternalServerError),
    ],
)
def test_error_status(client: openai.OpenAI, server: ModelServer, status: int, kind: type[Exception]) -> None:
    """Each status asked for becomes the SDK's own exception, with a request id and no usage in the ledger."""
    with pytest.raises(kind) as caught:
        ask(client, f"hello [[error:{status}]]")
    error: Any = caught.value
    assert error.request_id.startswith("req_")
    assert error.body["message"]
    assert outcomes(server) == [(status, "error")]
    assert server.ledger.entries[0].input_tokens is None


def test_wrong_key_and_no_key(server: ModelServer) -> None:
    """The key ``bad-key`` is refused with 401, and so is a request without a key."""
    with openai.OpenAI(base_url=server.openai_base_url, api_key="bad-key", max_retries=0) as client:
        with pytest.raises(openai.AuthenticationError) as caught:
            ask(client, "hello")
        assert caught.value.code == "invalid_api_key"
        assert httpx2.get(f"{server.openai_base_url}/models", trust_env=False).status_code == 401


def test_retry_after_is_sent_and_retries_succeed(server: ModelServer) -> None:
    """A 429 for the first request only: the SDK waits the seconds of ``Retry-After`` and gets its answer."""
    with openai.OpenAI(base_url=server.openai_base_url, api_key="key", max_retries=2) as client:
        begun = time.monotonic()
        made = ask(client, "hello [[error:429:times=1:retry_after=0.3]]")
    assert time.monotonic() - begun >= 0.3
    assert made.choices[0].message.content == "You asked: hello"
    assert outcomes(server) == [(429, "error"), (200, "complete")]
    with (
        openai.OpenAI(base_url=server.openai_base_url, api_key="key", max_retries=0) as client,
        pytest.raises(openai.RateLimitError) as caught,
    ):
        ask(client, "again [[error:429]]")
    assert caught.value.response.headers["retry-after"] == "1"


def test_delay(client: openai.OpenAI) -> None:
    """The answer waits as long as asked; a client with less patience times out."""
    begun = time.monotonic()
    ask(client, "hello [[delay:0.2]]")
    assert time.monotonic() - begun >= 0.2
    with pytest.raises(openai.APITimeoutError):
        ask(client.with_options(timeout=0.1), "hello [[delay:1]]")


def test_pause_between_events(client: openai.OpenAI) -> None:
    """A stream can be slow: its events come one after the other, not at once."""
    times = [time.monotonic() for _ in ask(client, "one two [[pause:0.02]]", stream=True)]
    assert min(later - earlier for earlier, later in itertools.pairwise(times)) > 0.005


def test_malformed_body(client: openai.OpenAI, server: ModelServer) -> None:
    """A body that is no JSON reaches the client as such, whole and in a stream."""
    with pytest.raises((json.JSONDecodeError, openai.APIError)):
        ask(client, "hello [[malformed]]")
    with pytest.raises((json.JSONDecodeError, openai.APIError)):
        list(ask(client, "hello [[malformed]]", stream=True))
    assert outcomes(server) == [(200, "malformed")] * 2
    assert [entry.output_tokens for entry in server.ledger.entries] == [None, None]


def test_stream_cut(client: openai.OpenAI, server: ModelServer) -> None:
    """A cut stream gives its first events, then the connection breaks; no usage was told."""
    got: list[Any] = []
    with pytest.raises((httpx2.TransportError, openai.APIConnectionError)):
        got.extend(ask(client, "[[words:20]] hello [[cut:3]]", stream=True, stream_options={"include_usage": True}))
    assert len(got) == 3
    assert outcomes(server) == [(200, "cut")]
    assert server.ledger.entries[0].output_tokens is None


def test_body_cut(client: openai.OpenAI, server: ModelServer) -> None:
    """Without a stream the cut comes in the middle of the body."""
    with pytest.raises((httpx2.TransportError, openai.APIConnectionError)):
        ask(client, "hello [[cut:1]]")
    assert outcomes(server) == [(200, "cut")]


def test_error_event_in_a_stream(client: openai.OpenAI, server: ModelServer) -> None:
    """A stream can fail with an error event after some answers."""
    got: list[Any] = []
    with pytest.raises(openai.APIError, match="The server had an error"):
        got.extend(ask(client, "[[words:20]] hello [[fail:2]]", stream=True))
    assert len(got) == 2
    assert outcomes(server) == [(200, "failed")]


def test_faults_work_for_responses_and_embeddings(client: openai.OpenAI) -> None:
    """The same markers work in the input of the other endpoints."""
    with pytest.raises(openai.RateLimitError):
        client.responses.create(model=MODEL, input="hello [[error:429]]")
    with pytest.raises((httpx2.TransportError, openai.APIConnectionError)):
        list(client.responses.create(model=MODEL, input="hello [[cut:2]]", stream=True))
    with pytest.raises(openai.InternalServerError):
        client.embeddings.create(model="text-embedding-3-small", input=["a", "b [[error:500]]"])


def test_a_status_that_is_no_error(client: openai.OpenAI) -> None:
    """A marker that asks for status 200 is answered with a clear 400."""
    with pytest.raises(openai.BadRequestError, match="use 400 to 599"):
        ask(client, "[[error:200]]")


@pytest.mark.parametrize(
    ("path", "body", "says"),
    [
        ("chat/completions", b"{not json", "could not parse"),
        ("chat/completions", b"[]", "must be an object"),
        ("chat/completions", b'{"messages": []}', "empty array"),
        ("chat/completions", b'{"messages": ["hi"], "model": "m"}', "object with a 'role'"),
        ("chat/completions", b'{"messages": [{"role": "user", "content": "a"}]}', "'model'"),
        ("chat/completions", b'{"messages": "hi", "model": "m"}', "expected an array"),
        ("chat/completions", b'{"messages": [{"role": "user"}], "model": "m", "n": 0}', "at least 1"),
        ("responses", b'{"model": "m"}', "'input'"),
        ("responses", b'{"model": "m", "input": ["hi"]}', "must be an object"),
        ("embeddings", b'{"model": "m", "input": []}', "'input' must be"),
    ],
)
def test_bad_requests(server: ModelServer, path: str, body: bytes, says: str) -> None:
    """A body that is no proper request gets a 400 that says what is wrong."""
    reply = httpx2.post(
        f"{server.openai_base_url}/{path}", content=body, headers={"Authorization": "Bearer k"}, trust_env=False
    )
    assert reply.status_code == 400
    assert says in reply.json()["error"]["message"]


@pytest.mark.parametrize("name", ["tools", "tool_choice", "response_format", "stream_options", "messages", "stop", "n"])
@pytest.mark.parametrize(
    "odd", [1, "x", [1], {"a": [1]}, [None], {"type": "json_schema", "json_schema": 3}, [{"role": 1}]]
)
def test_odd_fields(server: ModelServer, name: str, odd: Any) -> None:
    """Whatever stands in a field, the server answers with 200 or 400, and the request is in the ledger."""
    body = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "tools": None, name: odd}
    reply = httpx2.post(
        f"{server.openai_base_url}/chat/completions", json=body, headers={"Authorization": "Bearer k"}, trust_env=False
    )
    assert reply.status_code in (200, 400)
    assert [entry.status for entry in server.ledger.entries] == [reply.status_code]


def test_unknown_addresses(server: ModelServer) -> None:
    """An unknown address is a 404 and a wrong method a 405, both as OpenAI's error object."""
    key = {"Authorization": "Bearer k"}
    with httpx2.Client(base_url=server.url, headers=key, trust_env=False) as client:
        assert client.post("/v1/nothing", json={}).json()["error"]["code"] == "unknown_url"
        assert client.get("/v1/chat/completions").status_code == 405
        assert client.get("/nothing").status_code == 404


def test_bodies_without_a_usable_length(server: ModelServer) -> None:
    """A chunked request body, a silly length and a giant one are refused, and the server lives on."""
    for headers, status in (
        ({"Transfer-Encoding": "chunked"}, 411),
        ({"Content-Length": "many"}, 400),
        ({"Content-Length": str(1 << 40)}, 413),
    ):
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
        connection.putrequest("POST", "/v1/chat/completions")
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders()
        assert connection.getresponse().status == status
        connection.close()
    assert httpx2.get(f"{server.url}/health", trust_env=False).json() == {"status": "ok"}
