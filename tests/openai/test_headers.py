"""What the HTTP response says beside its body, and what a request gets by a setting: nothing without one."""

from __future__ import annotations

import asyncio
import contextlib
import copy
from types import SimpleNamespace

import openai
import pytest
from opentelemetry import baggage, propagate
from opentelemetry import context as otel
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

from spanloom.genai import Agent, Step, Telemetry, _guard, hooks
from spanloom.openai import OpenAIInstrumentor
from spanloom.openai._headers import Headers
from tests._support.spans import Recorder
from tests.openai import _canned
from tests.openai._canned import Wire, client
from tests.openai._http import http

ASKED = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hi"}]}
HEADERS = {
    "x-request-id": "req_1",
    "openai-processing-ms": "125",
    "x-ratelimit-remaining-requests": "99",
    "x-ratelimit-remaining-tokens": "5000",
    "set-cookie": "session=secret",
}
OURS = ("spanloom.request", "spanloom.response", "spanloom.ratelimit")


def told(span):
    """Our attributes of the response."""
    return {name: value for name, value in span.attributes.items() if name.startswith(OURS)}


def test_who_answered_and_how_long_it_took(plugin, recorder):
    """The request id and the provider's own time, for a result that keeps no response."""
    with client(Wire(_canned.chat(), headers=HEADERS)) as one:
        one.chat.completions.create(**ASKED)
    assert told(recorder.span) == {"spanloom.response.request_id": "req_1", "spanloom.response.processing_s": 0.125}
    assert "secret" not in str(recorder.span.attributes)


@pytest.mark.parametrize("how", ["raw", "streaming", "stream", "parse", "async", "responses", "embeddings"])
def test_for_every_kind_of_call(how, plugin, recorder):
    """Streams and raw responses too."""
    body = _canned.sse(_canned.chunk("a")) if how == "stream" else _canned.by_path
    kind = openai.AsyncOpenAI if how == "async" else openai.OpenAI
    one = client(Wire(body, headers=HEADERS), kind)
    chat = one.chat.completions
    if how == "raw":
        chat.with_raw_response.create(**ASKED)
    elif how == "streaming":
        with chat.with_streaming_response.create(**ASKED) as response:
            response.read()
    elif how == "stream":
        list(chat.create(**ASKED, stream=True))
    elif how == "parse":
        chat.parse(**ASKED)
    elif how == "async":
        asyncio.run(chat.create(**ASKED))
    elif how == "responses":
        one.responses.create(model="m", input="Hi")
    else:
        one.embeddings.create(model="m", input="Hi")
    assert told(recorder.span)["spanloom.response.request_id"] == "req_1"


def test_rate_limits_where_they_are_asked_for(monkeypatch, recorder, request):
    """SPANLOOM_OPENAI_RATE_LIMITS."""
    monkeypatch.setenv("SPANLOOM_OPENAI_RATE_LIMITS", "1")
    request.getfixturevalue("plugin")
    with client(Wire(_canned.chat(), headers=HEADERS)) as one:
        one.chat.completions.create(**ASKED)
    assert recorder.span.attributes["spanloom.ratelimit.remaining_requests"] == 99
    assert recorder.span.attributes["spanloom.ratelimit.remaining_tokens"] == 5000


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"apim-request-id": "azure-1"}, {"spanloom.response.request_id": "azure-1"}),
        ({"X-REQUEST-ID": "a", "apim-request-id": "b"}, {"spanloom.response.request_id": "a"}),
        ({"x-request-id": "x" * 500}, {}),
        ({"x-request-id": " "}, {}),
        ({"openai-processing-ms": "soon"}, {}),
        ({"openai-processing-ms": "-1"}, {}),
        ({"openai-processing-ms": "nan"}, {}),
        ({"openai-processing-ms": "0"}, {"spanloom.response.processing_s": 0.0}),
    ],
)
def test_odd_headers(headers, expected, plugin, recorder):
    """What makes no sense is not written."""
    with client(Wire(_canned.chat(), headers=headers)) as one:
        one.chat.completions.create(**ASKED)
    assert told(recorder.span) == expected


def test_without_the_list_of_httpx(plugin, recorder):
    """What is public is slower, and says the same."""
    found = Headers(rate_limits=False)._found(SimpleNamespace(raw=[(b"X-Request-Id", b"req_1"), (b"Date", b"x")]))
    assert [(name, raw) for (name, _), raw in found] == [("spanloom.response.request_id", b"req_1")]


def retrying(*statuses):
    """A server that gives these statuses, one after the other."""
    left = iter(statuses)

    def answer(request):
        status = next(left)
        body = _canned.chat() if status == 200 else {"error": {"message": "no"}}
        return http.Response(status, headers={"x-request-id": f"req_{status}", "retry-after-ms": "1"}, json=body)

    return Wire(answer)


def test_attempts(plugin, recorder):
    """Only where there was more than one; the id is the last one's."""
    with client(retrying(500, 429, 200), max_retries=3) as one:
        one.chat.completions.create(**ASKED)
    assert told(recorder.span) == {"spanloom.request.attempts": 3, "spanloom.response.request_id": "req_200"}
    assert len(recorder.spans) == 1


def test_attempts_of_a_failed_call(plugin, recorder):
    """The last answer's id and all attempts, from the exception."""
    with client(retrying(500, 500), max_retries=1) as one, pytest.raises(openai.InternalServerError):
        one.chat.completions.create(**ASKED)
    assert told(recorder.span) == {"spanloom.request.attempts": 2, "spanloom.response.request_id": "req_500"}


def test_attempts_of_a_broken_connection(plugin, recorder):
    """There is no response then."""

    def refuse(request):
        raise http.ConnectError("refused", request=request)

    with client(refuse, max_retries=1) as one, pytest.raises(openai.APIConnectionError):
        one.with_options(max_retries=1).chat.completions.create(**ASKED)
    assert told(recorder.span) == {"spanloom.request.attempts": 2}


def test_an_exception_of_the_applications_own_transport(plugin, recorder):
    """It may have any attributes: they are not the SDK's."""

    class Mine(BaseException):
        """With a response that is none."""

        response = 3

    def refuse(request):
        raise Mine

    with client(refuse) as one, pytest.raises(Mine):
        one.chat.completions.create(**ASKED)
    assert told(recorder.span) == {}
    assert recorder.span.status.status_code.name == "ERROR"


def test_a_fault_in_reading_headers_stays_ours(plugin, recorder, monkeypatch):
    """The answer comes as ever."""
    monkeypatch.setattr(_guard, "RERAISE", False)
    monkeypatch.setattr("spanloom.openai._headers.Headers.note", lambda *_: 1 // 0)
    with client(Wire(_canned.chat(), headers=HEADERS)) as one:
        assert one.chat.completions.create(**ASKED).choices[0].message.content == "Hello."
    assert len(recorder.spans) == 1


# The trace context goes to no model's provider, but where the user says so.


@pytest.fixture
def trusted(monkeypatch, recorder, request):
    """`*.corp` is the user's own."""
    monkeypatch.setenv("SPANLOOM_PROPAGATE_HOSTS", "*.corp")
    return request.getfixturevalue("plugin")


def calls(one):
    """Each kind of call, once."""
    one.chat.completions.create(**ASKED, extra_headers={"x-mine": "1"})
    one.embeddings.create(model="m", input="Hi")
    one.models.list()


def test_nothing_is_propagated_by_default(plugin):
    """Not even in a trace with baggage."""
    wire = Wire(_canned.by_path)
    token = otel.attach(baggage.set_baggage("user", "secret"))
    with client(wire, url="https://llm.corp/v1") as one:
        calls(one)
    otel.detach(token)
    for request in wire.sent:
        assert not {"traceparent", "tracestate", "baggage"} & set(request.headers)


def test_propagated_to_trusted_hosts_only(trusted, recorder):
    """By the global propagator, as a child of the call's own span."""
    inside, outside = Wire(_canned.by_path), Wire(_canned.by_path)
    for wire, url in ((inside, "https://llm.corp/v1"), (outside, "https://api.openai.com/v1")):
        with client(wire, url=url) as one:
            calls(one)
    for request, span in zip(inside.sent, recorder.spans[:3], strict=True):
        context = propagate.extract({"traceparent": request.headers["traceparent"]})
        assert request.headers["traceparent"].split("-")[2] == f"{span.context.span_id:016x}", context
    assert inside.sent[0].headers["x-mine"] == "1"
    assert all("traceparent" not in request.headers for request in outside.sent)


def test_the_callers_own_headers_win_and_stay_as_they_are(trusted):
    """His dict is not touched, his `traceparent` is sent."""
    wire, mine = Wire(_canned.chat()), {"TraceParent": "00-1-2-01", "x-a": "1"}
    before = copy.deepcopy(mine)
    with client(wire, url="https://llm.corp/v1") as one:
        one.chat.completions.create(**ASKED, extra_headers=mine)
    assert mine == before
    assert wire.sent[0].headers.get_list("traceparent") == ["00-1-2-01"]


def test_http_clients_learn_whom_to_trust(monkeypatch, recorder, request):
    """An HTTP instrumentation below asks: not for a provider, but for a trusted host."""
    monkeypatch.setenv("SPANLOOM_PROPAGATE_HOSTS", "llm.corp")
    request.getfixturevalue("plugin")
    asked = []

    def answer(_):
        asked.append(hooks.blocks_propagation())
        return http.Response(200, json=_canned.chat())

    for url in ("https://llm.corp/v1", "https://api.openai.com/v1"):
        with client(Wire(answer), url=url) as one:
            one.chat.completions.create(**ASKED)
    assert asked == [False, True]


@pytest.mark.parametrize(
    ("message", "told"),
    [("Token zz-4711-0815 is over its limit.", False), ("Key zz-4711-0816 is over.", True)],
)
def test_a_text_that_quotes_the_key_that_was_sent(message, told, plugin_with_content, recorder):
    """Whatever the status, the client's own key is told nowhere."""
    wire = Wire({"error": {"message": message}}, status=429)
    with client(wire, api_key="zz-4711-0815") as one, pytest.raises(openai.RateLimitError):
        one.chat.completions.create(**ASKED)
    assert (message in str(recorder.span.status.description)) == told
    everything = [str(recorder.span.to_json()), *(str(one.log_record.attributes) for one in recorder.events)]
    assert not any("zz-4711-0815" in one for one in everything)


KEY = "zz-4711-0815"
QUOTED = {"code": "server_error", "message": f"Token {KEY} is over its limit."}
FAILED = _canned.response("failed", error=QUOTED)
SAYING_SO = {
    "a chat's stream": _canned.sse(_canned.chunk("a"), {"error": QUOTED}),
    "a response": FAILED,
    "a response's stream": _canned.sse({"type": "response.failed", "sequence_number": 1, "response": FAILED}),
    "its error": _canned.sse({"type": "error", "param": None, "sequence_number": 1, **QUOTED}),
}


@pytest.mark.parametrize("where", list(SAYING_SO))
def test_an_answer_that_quotes_the_key_that_was_sent(where, plugin_with_content, recorder):
    """Told in a stream, or reported and not raised: on the call, and on whatever fails around it."""
    of = Telemetry("spanloom.test", **recorder.providers)
    streams = "stream" in where or where == "its error"
    one = client(Wire(SAYING_SO[where]), api_key=KEY)
    with contextlib.suppress(openai.APIError, Around), Step(of, "s", object(), {}), Agent(of, "ReAct", object(), {}):
        if where == "a chat's stream":
            list(one.chat.completions.create(**ASKED, stream=True))
        made = one.responses.create(model="m", input="Hi", stream=streams)
        raise Around(str(list(made) if streams else made))
    assert [span.status.status_code.name for span in recorder.spans] == ["ERROR"] * 3
    everything = [span.to_json() for span in recorder.spans]
    everything += [str(one.log_record.attributes) for one in recorder.events]
    assert not any(KEY in one for one in everything)


class Around(Exception):
    """What an application makes of a failure."""


# Token counts of streams.


@pytest.fixture
def counting(monkeypatch, recorder, request):
    """SPANLOOM_OPENAI_STREAM_USAGE."""
    monkeypatch.setenv("SPANLOOM_OPENAI_STREAM_USAGE", "1")
    return request.getfixturevalue("plugin")


USED = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}
STREAM = _canned.sse(_canned.chunk("a"), _canned.chunk("b"), _canned.chunk(choices=[], usage=USED))


def test_usage_is_asked_for_and_kept_from_the_reader(counting, recorder):
    """The span has the tokens, the reader two chunks; his arguments are as they were."""
    wire, asked = Wire(STREAM), {**ASKED, "stream": True}
    before = copy.deepcopy(asked)
    with client(wire) as one:
        stream = one.chat.completions.create(**asked)
        assert isinstance(stream, openai.Stream)
        assert [chunk.choices[0].delta.content for chunk in stream] == ["a", "b"]
    assert asked == before
    assert wire.bodies[0]["stream_options"] == {"include_usage": True}
    assert recorder.span.attributes["gen_ai.usage.output_tokens"] == 2


@pytest.mark.asyncio
async def test_usage_of_an_asynchronous_stream(counting, recorder):
    """The same."""
    async with client(Wire(STREAM), openai.AsyncOpenAI) as one:
        stream = await one.chat.completions.create(**ASKED, stream=True)
        assert len([chunk async for chunk in stream]) == 2
    assert recorder.span.attributes["gen_ai.usage.output_tokens"] == 2


def test_usage_is_asked_for_beside_his_own_options(counting, recorder):
    """They say nothing of usage: they are kept, and his dict is as it was."""
    wire, options = Wire(STREAM), {"include_obfuscation": False}
    with client(wire) as one:
        assert len(list(one.chat.completions.create(**ASKED, stream=True, stream_options=options))) == 2
    assert wire.bodies[0]["stream_options"] == {"include_obfuscation": False, "include_usage": True}
    assert options == {"include_obfuscation": False}
    assert recorder.span.attributes["gen_ai.usage.output_tokens"] == 2


def test_a_hidden_chunk_leaves_every_end_as_it_is(counting, recorder):
    """Closed early, and dropped."""
    with client(Wire(STREAM)) as one, one.chat.completions.create(**ASKED, stream=True) as stream:
        next(stream)
    assert recorder.span.attributes["spanloom.stream.end"] == "closed"


@pytest.mark.parametrize(
    "how", ["not a stream", "his own options", "his own body", "azure", "mistral", "raw", "streaming", "responses"]
)
def test_usage_is_not_asked_for(how, counting):
    """Where the caller has options of his own, where it is refused, and where the body is his."""
    wire = Wire(STREAM if how != "not a stream" else _canned.chat())
    if how == "responses":
        wire = Wire(_canned.sse({"type": "response.completed", "response": _canned.response()}))
    if how == "azure":
        one = client(wire, openai.AzureOpenAI, azure_endpoint="https://a.openai.azure.com", api_version="2024-10-21")
    else:
        one = client(wire, url="https://api.mistral.ai/v1" if how == "mistral" else "https://api.openai.com/v1")
    chat, asked = one.chat.completions, {**ASKED, "stream": True}
    if how == "not a stream":
        chat.create(**ASKED)
    elif how == "his own options":
        assert len(list(chat.create(**asked, stream_options={"include_usage": False}))) == 3
    elif how == "his own body":
        assert len(list(chat.create(**asked, extra_body={"stream_options": {"include_usage": False}}))) == 3
    elif how == "raw":
        assert len(list(chat.with_raw_response.create(**asked).parse())) == 3
    elif how == "streaming":
        with chat.with_streaming_response.create(**asked) as response:
            assert len(list(response.parse())) == 3
    elif how == "responses":
        list(one.responses.create(model="m", input="Hi", stream=True))
    else:
        assert len(list(chat.create(**asked))) == 3
    sent = wire.bodies[0].get("stream_options")
    assert sent == ({"include_usage": False} if how.startswith("his") else None)


def test_a_refused_key_is_told_nowhere_of_a_call_that_nobody_keeps(monkeypatch, server):
    """The event of a failure is of every call, and has no text where a key was refused, sampled or not."""
    monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "SPAN_AND_EVENT")
    recorder = Recorder(ALWAYS_OFF)
    plugin = OpenAIInstrumentor()
    plugin.instrument(**recorder.providers)
    try:
        one = openai.OpenAI(base_url=server.openai_base_url, api_key="bad-key", max_retries=0)
        with one, pytest.raises(openai.AuthenticationError):
            one.chat.completions.create(model="m", messages=[{"role": "user", "content": "x"}])
    finally:
        plugin.uninstrument()
    assert "exception.message" not in recorder.event("gen_ai.client.operation.exception").log_record.attributes
    recorder.close()
