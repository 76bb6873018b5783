"""Answers that the SDK cannot make into what was asked: the caller gets its exception, the span what was billed."""

from __future__ import annotations

import asyncio
import json

import openai
import pydantic
import pytest

from tests.openai import _canned
from tests.openai._canned import Wire, client


class River(pydantic.BaseModel):
    """What is asked for."""

    name: str


CHAT = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hi"}], "response_format": River}
RESPONSES = {"model": "gpt-4o-mini", "input": "Hi", "text_format": River}
CUT = _canned.chat("{", choices=[{
    "index": 0, "finish_reason": "length", "logprobs": None,
    "message": {"role": "assistant", "content": "{", "refusal": None},
}])  # fmt: skip
FILTERED = json.loads(json.dumps(CUT).replace('"length"', '"content_filter"'))
CASES = {
    "no JSON": (_canned.chat("Hello."), "pydantic_core._pydantic_core.ValidationError", ("stop",)),
    "cut off": (CUT, "openai.LengthFinishReasonError", ("length",)),
    "filtered": (FILTERED, "openai.ContentFilterFinishReasonError", ("content_filter",)),
}


def billed(span):
    """What is known of a call that was answered."""
    names = ("gen_ai.response.id", "gen_ai.response.model", "gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens")
    return tuple(span.attributes.get(name) for name in names)


@pytest.mark.parametrize(("answer", "kind", "reasons"), CASES.values(), ids=list(CASES))
@pytest.mark.parametrize("how", ["sync", "async"])
def test_chats(how, answer, kind, reasons, plugin_with_content, recorder):
    """Tokens, id, model, reason and what was said are there, and so is the failure."""
    with pytest.raises((openai.OpenAIError, pydantic.ValidationError)):
        if how == "sync":
            client(Wire(answer)).chat.completions.parse(**CHAT)
        else:
            asyncio.run(client(Wire(answer), openai.AsyncOpenAI).chat.completions.parse(**CHAT))
    span = recorder.span
    assert (span.status.status_code.name, span.attributes["error.type"]) == ("ERROR", kind)
    assert billed(span) == ("chatcmpl-1", "gpt-4o-mini-2024-07-18", 5, 2)
    assert span.attributes["gen_ai.response.finish_reasons"] == reasons
    assert answer["choices"][0]["message"]["content"] in span.attributes["gen_ai.output.messages"]
    assert recorder.total("gen_ai.client.inference.usage.output_tokens") == 2


def test_responses(plugin, recorder):
    """The same there."""
    with pytest.raises(pydantic.ValidationError):
        client(Wire(_canned.response())).responses.parse(**RESPONSES)
    assert billed(recorder.span) == ("resp_1", "gpt-4o-mini-2024-07-18", 5, 2)
    assert recorder.span.status.status_code.name == "ERROR"


def test_a_failed_response_that_is_parsed(plugin, recorder):
    """What the SDK raises is what the call fails with, whatever the answer says."""
    error = {"code": "server_error", "message": "It broke."}
    one = _canned.response("failed", error=error, output=_canned.response()["output"])
    with pytest.raises(pydantic.ValidationError):
        client(Wire(one)).responses.parse(**RESPONSES)
    assert recorder.span.attributes["error.type"] == "pydantic_core._pydantic_core.ValidationError"


def test_of_a_call_that_nobody_keeps(recorder, monkeypatch):
    """Its tokens are counted all the same."""
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

    from spanloom.openai import OpenAIInstrumentor

    one = OpenAIInstrumentor()
    one.instrument(**{**recorder.providers, "tracer_provider": TracerProvider(sampler=ALWAYS_OFF)})
    try:
        with pytest.raises(pydantic.ValidationError):
            client(Wire(_canned.chat())).chat.completions.parse(**CHAT)
    finally:
        one.uninstrument()
    assert recorder.total("gen_ai.client.inference.usage.output_tokens") == 2


@pytest.mark.parametrize("body", [b"", b"no JSON", b"[]", b'{"choices": 1}'])
def test_a_body_that_says_nothing(body, plugin, recorder):
    """The failure alone, and nothing made up."""
    from tests.openai._http import http

    wire = Wire(lambda _: http.Response(200, headers={"content-type": "application/json"}, content=body))
    try:
        client(wire).chat.completions.parse(**CHAT)
    except Exception as error:
        assert recorder.span.attributes["error.type"].endswith(type(error).__name__)
    assert billed(recorder.span) == (None,) * 4
