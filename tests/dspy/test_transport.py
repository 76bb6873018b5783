"""DSPy's own HTTP client: the address that is called, and who may learn which trace a request belongs to."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from urllib.parse import urlsplit

import dspy
import pytest

from spanloom.dspy import DSPyInstrumentor, _transport
from spanloom.dspy._providers import Peers
from spanloom.genai import Peer
from spanloom.genai.hooks import blocks_propagation
from tests.dspy.test_lm import ask, lm15, made
from tests.genai._make import inference, telemetry

ASYNC = pytest.mark.parametrize("asynchronous", [False, True])


@pytest.fixture
def started(recorder, monkeypatch):
    """Starts the plugin with a setting."""
    plugin = DSPyInstrumentor()

    def start(**settings):
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        plugin.instrument(**recorder.providers)

    yield start
    plugin.uninstrument()


def port(server):
    """The port of the server."""
    return urlsplit(server.openai_base_url).port


@ASYNC
def test_an_address_that_is_learned_on_the_way(asynchronous, server, recorder, started):
    """A declared provider's: no argument of the LM names it."""
    started()
    access = lm15.AccessPolicy(provider="house", base_url=server.openai_base_url, env_keys=("HOUSE_KEY",))
    lm15.register_provider(lm15.ProviderDefinition.chat(access, compat=lm15.OpenAIChatCompat()))
    try:
        lm = dspy.LM("house/gpt-4o-mini", api_key="k", cache=False, num_retries=0)
    finally:
        lm15.unregister_provider("house")
    ask(lm, asynchronous, "Hi")
    attributes = recorder.span.attributes
    assert (attributes["server.address"], attributes["server.port"]) == ("127.0.0.1", port(server))
    assert "gen_ai.provider.name" not in attributes
    point = recorder.points("gen_ai.client.inference.duration")[0]
    assert point.attributes["server.address"] == "127.0.0.1"


def test_note_learns_the_address_and_tells_nobody(recorder):
    """A host that is not named gets nothing."""
    call = inference(telemetry(recorder), peer=Peer("openai"))
    request = SimpleNamespace(url="https://models.example/v1?key=1", headers=[("A", "b")])
    with call:
        _transport.note(Peers(), request)
    call.stop()
    assert (recorder.span.attributes["server.address"], recorder.span.attributes["server.port"]) == (
        "models.example",
        443,
    )
    assert request.headers == [("A", "b")]
    assert call.propagates is False


def test_note_without_a_call_or_an_address(recorder, monkeypatch):
    """Whatever else uses that client is left alone."""
    monkeypatch.setenv("SPANLOOM_PROPAGATE_HOSTS", "models.example")
    request = SimpleNamespace(url="https://models.example/v1", headers=[])
    _transport.note(Peers(), request)
    call = inference(telemetry(recorder), peer=Peer("openai"))
    with call:
        _transport.note(Peers(), SimpleNamespace(url="nowhere", headers=[]))
    call.stop()
    assert request.headers == []
    assert "server.address" not in recorder.span.attributes


@ASYNC
def test_no_trace_context_by_default(asynchronous, server, recorder, started):
    """Never to a model provider, unless the user says so."""
    started()
    ask(made(server), asynchronous, "Hi")
    assert server.ledger.entries[0].traceparent is None
    assert recorder.span.attributes["server.port"] == port(server)


@ASYNC
@pytest.mark.parametrize("named", ["127.0.0.1", "other.example,127.0.0.1:PORT"])
def test_trace_context_for_a_host_that_is_named(named, asynchronous, server, recorder, started):
    """Of the model call's own span; a second attempt has it, too."""
    started(SPANLOOM_PROPAGATE_HOSTS=named.replace("PORT", str(port(server))))
    ask(made(server, num_retries=1), asynchronous, "Hi [[error:503:times=1:retry_after=0.01]]")
    context = recorder.span.context
    expected = f"00-{context.trace_id:032x}-{context.span_id:016x}-01"
    assert [one.traceparent for one in server.ledger.entries] == [expected, expected]


def test_another_host_is_not_told(server, recorder, started):
    """A list that does not name it."""
    started(SPANLOOM_PROPAGATE_HOSTS="*.example")
    made(server)("Hi")
    assert server.ledger.entries[0].traceparent is None


def test_a_header_of_the_callers_own_stands(recorder, monkeypatch):
    """It is not sent twice."""
    monkeypatch.setenv("SPANLOOM_PROPAGATE_HOSTS", "models.example")
    mine = [("Traceparent", "mine")]
    request = SimpleNamespace(url="http://models.example/v1", headers=mine)
    call = inference(telemetry(recorder), peer=Peer("openai"))
    with call:
        _transport.note(Peers(), request)
    call.stop()
    assert request.headers == mine == [("Traceparent", "mine")]
    assert call.propagates is True


@pytest.mark.parametrize(("hosts", "blocked"), [("127.0.0.1", False), ("other.example", True)])
def test_http_instrumentations_below_may_propagate(hosts, blocked, server, recorder, started):
    """LiteLLM's requests are made by others, who ask."""
    started(SPANLOOM_PROPAGATE_HOSTS=hosts)
    seen = []

    class Engine:
        def complete(self, request):
            raise AssertionError

        def complete_legacy(self, *args, **kwargs):
            seen.append(blocks_propagation())
            raise lm15.AuthError("no")

    lm = made(server, engine="litellm", num_retries=0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dspy.clients.execution._select_engine", lambda *_: (Engine(), None, None))
        with pytest.raises(dspy.LMError):
            lm("Hi")
    assert seen == [blocked]


def test_a_provider_that_the_user_names(server, recorder, started):
    """By the host that is called."""
    started(SPANLOOM_PROVIDER_HOSTS="127.0.0.1=groq")
    made(server)("Hi")
    assert recorder.span.attributes["gen_ai.provider.name"] == "groq"


def test_request_bytes_are_the_same(server, recorder, started):
    """Body and address; only the header of the trace context is added."""
    lm = made(server)
    lm("Hi")
    started(SPANLOOM_PROPAGATE_HOSTS="127.0.0.1")
    lm("Hi")
    asyncio.run(lm.acall("Hi"))
    entries = server.ledger.entries
    assert len({one.raw_digest for one in entries}) == 1
    assert [one.traceparent is None for one in entries] == [True, False, False]
