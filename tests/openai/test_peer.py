"""Whom a call goes to: the provider by setting, class and host; address and port always."""

from __future__ import annotations

import asyncio
import logging
from types import SimpleNamespace

import openai
import pytest

from spanloom.genai import Hosts, Peer, hosts_of
from spanloom.openai import _peer
from spanloom.openai._peer import Peers
from tests.openai import _canned
from tests.openai._canned import Wire, client
from tests.openai._http import http


def of(url, kind=SimpleNamespace):
    """The peer of a client with this base URL."""
    return Peers().of(kind(base_url=http.URL(url)))


@pytest.mark.parametrize(
    ("url", "provider"),
    [
        ("https://api.openai.com/v1", "openai"),
        ("https://eu.api.openai.com/v1", "openai"),
        ("https://gateway.example.org/openai", "openai"),
        ("https://mine.openai.azure.com/openai", "azure.ai.openai"),
        ("https://mine.cognitiveservices.azure.com/openai", "azure.ai.openai"),
        ("https://mine.services.ai.azure.com/models", "azure.ai.inference"),
        ("https://mine.services.ai.azure.com/openai/v1/", "azure.ai.openai"),
        ("https://api.anthropic.com/v1", "anthropic"),
        ("https://api.cohere.ai/compatibility/v1", "cohere"),
        ("https://api.deepseek.com", "deepseek"),
        ("https://generativelanguage.googleapis.com/v1beta/openai/", "gcp.gemini"),
        ("https://us-central1-aiplatform.googleapis.com/v1", "gcp.vertex_ai"),
        ("https://aiplatform.googleapis.com/v1", "gcp.vertex_ai"),
        ("https://aiplatform.us.rep.googleapis.com/v1", "gcp.vertex_ai"),
        ("https://storage.googleapis.com/v1", "openai"),
        ("https://aiplatform.example.com/v1", "openai"),
        ("https://api.groq.com/openai/v1", "groq"),
        ("https://api.mistral.ai/v1", "mistral_ai"),
        ("https://api.moonshot.cn/v1", "moonshot_ai"),
        ("https://api.perplexity.ai", "perplexity"),
        ("https://api.x.ai/v1", "x_ai"),
        ("https://us-east-1.api.x.ai/v1", "x_ai"),
        ("https://notapi.x.ai.example.com/v1", "openai"),
        ("https://evilx.ai/v1", "openai"),
        ("https://bedrock-runtime.us-east-1.amazonaws.com/openai/v1", "aws.bedrock"),
        ("https://bedrock-mantle.eu-west-1.api.aws/openai/v1", "aws.bedrock"),
        ("https://vpce-0a1-xy.bedrock-runtime.us-east-1.vpce.amazonaws.com/openai/v1", "aws.bedrock"),
        ("https://vpce-0a1-xy.s3.us-east-1.vpce.amazonaws.com/openai/v1", "openai"),
        ("https://bedrock-runtime.example.com/v1", "openai"),
        ("https://openrouter.ai/api/v1", "openrouter"),
        ("https://api.together.xyz/v1", "together_ai"),
        ("https://api.fireworks.ai/inference/v1", "fireworks_ai"),
        ("https://api.cerebras.ai/v1", "cerebras"),
        ("https://router.huggingface.co/v1", "huggingface"),
        ("https://api.z.ai/api/paas/v4", "zai"),
        ("http://localhost:11434/v1", "ollama"),
        ("http://127.0.0.1:1234/v1", "lm_studio"),
        ("http://localhost:8000/v1", "openai"),
        ("http://gpu-7:11434/v1", "openai"),
    ],
)
def test_providers_by_host(url, provider):
    """A domain and what is below it; where only the protocol is known it is `openai`."""
    assert of(url).provider == provider


@pytest.mark.parametrize(
    ("url", "address", "port"),
    [
        ("https://api.openai.com/v1", "api.openai.com", 443),
        ("http://LOCALHOST/v1", "localhost", 80),
        ("http://127.0.0.1:8080/v1", "127.0.0.1", 8080),
        ("http://[::1]:8080/v1", "::1", 8080),
    ],
)
def test_address_and_port(url, address, port):
    """The port also where it is the scheme's own."""
    peer = of(url)
    assert (peer.address, peer.port) == (address, port)


@pytest.mark.parametrize(
    "base", [None, 7, "", "https://api.groq.com", SimpleNamespace(host=""), SimpleNamespace(host=3)]
)
def test_a_client_without_a_url(base):
    """Then nothing is said of the address."""
    assert Peers().of(SimpleNamespace(base_url=base)) == Peer("openai")
    assert Peers().of(object()) == Peer("openai")


def azure(kind):
    """An Azure client behind a gateway of the application's own."""
    return client(Wire(_canned.chat()), kind, azure_endpoint="https://gateway.example.org", api_version="2024-10-21")


@pytest.mark.parametrize("kind", [openai.AzureOpenAI, openai.AsyncAzureOpenAI])
def test_azure_by_its_class(kind, plugin, recorder):
    """Whatever the host; and an application's subclass is one, too."""
    mine = type("Mine", (kind,), {})
    for one in (azure(kind), azure(mine), azure(kind).with_options(timeout=3)):
        made = one.chat.completions.create(model="my-deployment", messages=[])
        if asyncio.iscoroutine(made):
            asyncio.run(made)
    for span in recorder.spans:
        assert span.name == "chat my-deployment"
        assert span.attributes["gen_ai.provider.name"] == "azure.ai.openai"
        assert span.attributes["server.address"] == "gateway.example.org"
    assert len(recorder.spans) == 3


def test_bedrock_by_its_class(plugin, recorder):
    """Behind any host."""
    made = client(
        Wire(_canned.response()), openai.BedrockOpenAI, "https://gateway.example.org/v1", aws_region="us-east-1"
    )
    made.responses.create(model="openai.gpt-oss", input="Hi")
    assert recorder.span.attributes["gen_ai.provider.name"] == "aws.bedrock"


def test_a_class_of_the_same_name_elsewhere_is_not_azure():
    """Only the SDK's own."""
    stranger = type("AzureOpenAI", (SimpleNamespace,), {})
    assert of("https://gateway.example.org/v1", stranger).provider == "openai"


def test_a_changed_base_url_is_seen(recorder, plugin):
    """A client may be pointed elsewhere."""
    with client(Wire(_canned.chat())) as one:
        one.chat.completions.create(model="m", messages=[])
        one.base_url = "https://api.groq.com/openai/v1"
        one.chat.completions.create(model="m", messages=[])
    assert [span.attributes["gen_ai.provider.name"] for span in recorder.spans] == ["openai", "groq"]


def test_a_base_url_that_a_class_computes_is_followed(recorder, plugin, monkeypatch):
    """As the SDK's client of the module has it, and an application's own: where the request goes is what is told."""
    monkeypatch.setattr(openai, "api_key", "sk-secret")
    wire = Wire(_canned.chat())
    monkeypatch.setattr(openai, "http_client", http.Client(transport=http.MockTransport(wire)))
    monkeypatch.setattr(openai, "_client", None)
    for url in ("https://api.groq.com/openai/v1/", "https://api.mistral.ai/v1/"):
        monkeypatch.setattr(openai, "base_url", url)
        openai.chat.completions.create(model="m", messages=[])

    class Moved(openai.OpenAI):
        """Each request goes where a registry says."""

        base_url = property(lambda self: http.URL("https://api.x.ai/v1/"), lambda self, url: None)

    client(wire, Moved).chat.completions.create(model="m", messages=[])
    sent = [request.url.host for request in wire.sent]
    assert [span.attributes["server.address"] for span in recorder.spans] == sent
    assert [span.attributes["gen_ai.provider.name"] for span in recorder.spans] == ["groq", "mistral_ai", "x_ai"]


def test_a_base_url_that_cannot_be_had():
    """Then nothing is said of the address."""

    class Broken:
        @property
        def base_url(self):
            raise RuntimeError

    assert Peers().of(Broken()) == Peer("openai")


def test_what_is_known_is_bounded(monkeypatch):
    """Clients by the thousand, each with a URL of its own."""
    monkeypatch.setattr(_peer, "_MOST_KNOWN", 4)
    peers = Peers()
    kept = [SimpleNamespace(base_url=http.URL("https://api.groq.com")) for _ in range(11)]
    assert {peers.of(one).provider for one in kept} == {"groq"}
    assert len(peers._known) <= 4
    assert peers.of(kept[-1]) is peers.of(kept[-1])


# The settings.


def test_hosts_named_by_the_user(monkeypatch):
    """They win over what we know, the exact one over the suffix, one with a port over one without."""
    monkeypatch.setenv(
        "SPANLOOM_PROVIDER_HOSTS",
        "llm.corp=groq, *.corp=vllm, a.b.corp = mine,localhost:8000=vllm,api.openai.com=gateway, localhost=other,"
        "[::1]:8000=vllm, [FE80::1]=mine",
    )
    for url, provider in {
        "https://llm.corp/v1": "groq",
        "https://LLM.corp/v1": "groq",
        "https://x.llm.corp/v1": "vllm",
        "https://a.b.corp/v1": "mine",
        "https://corp/v1": "openai",
        "http://localhost:8000/v1": "vllm",
        "http://localhost:9000/v1": "other",
        "http://[::1]:8000/v1": "vllm",
        "http://[::1]:8001/v1": "openai",
        "http://[fe80::1]:8001/v1": "mine",
        "https://api.openai.com/v1": "gateway",
        "https://api.groq.com/v1": "groq",
    }.items():
        assert of(url).provider == provider, url


def test_the_longest_suffix_wins():
    """Of those that fit."""
    hosts = Hosts([("*.corp", "a"), ("*.eu.corp", "b")])
    assert [hosts.find(host, 443) for host in ("x.corp", "x.eu.corp", "eu.corp", "corp")] == ["a", "b", "a", None]


@pytest.mark.parametrize(
    "item", ["llm.corp", "=groq", "llm.corp=", "https://llm.corp/v1=groq", "a*.corp=groq", "*.=x", "::1=x", "[::1=x"]
)
def test_a_bad_item_is_one_line_and_the_others_count(item, monkeypatch, caplog):
    """Which setting, which item, and how to write it."""
    monkeypatch.setenv("SPANLOOM_PROVIDER_HOSTS", f"{item},ok.example=groq")
    with caplog.at_level(logging.WARNING, "spanloom"):
        assert of("https://ok.example/v1").provider == "groq"
    (line,) = caplog.messages
    assert "SPANLOOM_PROVIDER_HOSTS" in line
    assert repr(item) in line
    assert "llm.example.com=groq" in line


def test_a_bad_host_in_a_list_is_one_line(monkeypatch, caplog):
    """The same for the hosts that may get our trace context."""
    monkeypatch.setenv("SPANLOOM_PROPAGATE_HOSTS", "https://llm.corp, *.corp")
    with caplog.at_level(logging.WARNING, "spanloom"):
        hosts = hosts_of("SPANLOOM_PROPAGATE_HOSTS")
    assert hosts.find("x.corp", 443)
    assert not hosts.find("llm.example", 443)
    (line,) = caplog.messages
    assert "SPANLOOM_PROPAGATE_HOSTS" in line
