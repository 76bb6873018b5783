"""The oldest SDK that we support, the last ones of lines that have ended, the newest: one right span for each call."""

from __future__ import annotations

import pytest

from spanloom.openai._endpoints import endpoint_of
from tests.openai_versions._environments import VERSIONS, spans_of
from tests.openai_versions._program import ASYNC, SYNC

NAMES = {"endpoint": "models.list", "embeddings": "embeddings text-embedding-3-small"}
ENDS = {"left": "closed", "dropped": "dropped", "left manager": "closed"}
STREAMS = ("stream", "left", "dropped", "cut", "manager", "left manager", "raw stream", "response stream")


@pytest.fixture(scope="module", params=VERSIONS)
def run(request):
    """What one version's program prints."""
    return spans_of(request.param)


@pytest.fixture
def of(run):
    """The only span of a case."""

    def one(name):
        (only,) = run["spans"][name]
        return only

    return one


@pytest.mark.parametrize("name", [*SYNC, *ASYNC])
def test_one_right_span(name, of):
    """Its name, status, end and address, whichever the version."""
    span, attributes, case = of(name), of(name)["attributes"], name.removeprefix("async ")
    assert span["name"] == NAMES.get(case, "chat gpt-4o-mini")
    assert span["status"] == ("ERROR" if case in ("refused", "cut") else "UNSET")
    assert attributes.get("spanloom.stream.end") == ENDS.get(case)
    assert (attributes["server.address"], attributes["gen_ai.provider.name"]) == ("127.0.0.1", "openai")
    assert ("spanloom.stream.chunks" in attributes) == (case in STREAMS)
    assert ("gen_ai.request.stream" in attributes) == (case in STREAMS)


@pytest.mark.parametrize(
    "name", ["chat", "generator", "stream", "parse", "raw", "streaming", "response", "response stream"]
)
def test_tokens(name, of):
    """Read from every kind of answer."""
    assert of(name)["attributes"]["gen_ai.usage.input_tokens"] > 0
    assert of(name)["attributes"]["gen_ai.usage.output_tokens"] > 0


def test_the_request(of):
    """What was asked for; what was not given is absent; what the SDK adds by itself is not ours to tell."""
    asked = of("chat")["attributes"]
    assert asked["gen_ai.request.temperature"] == 0.5
    assert "gen_ai.request.seed" not in asked
    assert of("parse")["attributes"]["gen_ai.output.type"] == "json"
    assert "gen_ai.request.encoding_formats" not in of("embeddings")["attributes"]


def test_headers(of):
    """Of results that keep no response."""
    for name in ("chat", "stream", "parse", "response", "embeddings", "async chat", "raw"):
        assert of(name)["attributes"]["spanloom.response.request_id"].startswith("req_")
    assert of("retried")["attributes"]["spanloom.request.attempts"] == 2


def test_errors(of):
    """By the SDK's class."""
    assert of("refused")["attributes"]["error.type"] == "openai.AuthenticationError"
    assert of("cut")["attributes"]["error.type"]


def test_every_endpoint_has_a_name(run):
    """Of each method of each resource, read off this version's source."""
    assert len(run["requests"]) > 80
    for method, verb, path in run["requests"]:
        name = endpoint_of(verb, path.replace("{}", "id-1"))
        assert "*" not in name, (method, verb, path)


def test_nothing_after_uninstrument(run):
    """The originals are back."""
    assert run["spans"]["after"] == []


def test_it_is_that_version(run, request):
    """And the HTTP library is the one that it uses."""
    wanted = VERSIONS[request.node.callspec.params["run"]].partition("==")[2]
    assert run["version"].startswith(wanted or "3.")
    assert ("httpx2" in run["httpx"]) == run["version"].startswith("3.")
