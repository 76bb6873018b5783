"""Embedders: one span a call, of a hosted model or of a function; tokens as LiteLLM reports them, never a vector."""

from __future__ import annotations

import asyncio
import json
import uuid
import warnings
from types import SimpleNamespace
from typing import Any

import dspy
import numpy as np
import openai
import pytest
from opentelemetry.instrumentation.utils import suppress_instrumentation

from spanloom.dspy import DSPyInstrumentor
from spanloom.genai.hooks import blocks_propagation
from spanloom.openai import OpenAIInstrumentor
from tests._support.spans import normal, outline

NAME = "embeddings text-embedding-3-small"


def hosted(server, **settings: Any) -> dspy.Embedder:
    """A hosted model: the local server's, through the real LiteLLM."""
    given = {"api_base": server.openai_base_url, "api_key": "key-123", "caching": False, "dimensions": 8, **settings}
    return dspy.Embedder("openai/text-embedding-3-small", **given)


@pytest.fixture(autouse=True)
def quiet():
    """LiteLLM warns of its own."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


class FakeLiteLLM:
    """What DSPy uses of LiteLLM. ``answers``: usage and hidden parameters of one response after the other."""

    def __init__(self, *answers: Any) -> None:
        self.cache = None
        self.answers = list(answers)
        self.asked: list[dict[str, Any]] = []

    def embedding(self, **kwargs: Any) -> Any:
        self.asked.append(kwargs)
        answer = self.answers.pop(0)
        if isinstance(answer, BaseException):
            raise answer
        usage, hidden = answer
        data = [{"embedding": [0.25, 0.75]} for _ in kwargs["input"]]
        return SimpleNamespace(data=data, usage=usage, _hidden_params=hidden, model=None)

    async def aembedding(self, **kwargs: Any) -> Any:
        await asyncio.sleep(0)
        return self.embedding(**kwargs)


@pytest.fixture
def fake(monkeypatch):
    """Puts a LiteLLM in the place of the real one."""

    def put(*answers: Any) -> FakeLiteLLM:
        one = FakeLiteLLM(*answers)
        monkeypatch.setattr("dspy.clients.embedding.get_litellm", lambda **_: one)
        return one

    return put


def tokens(count: int) -> dict[str, int]:
    """Usage as LiteLLM has it."""
    return {"prompt_tokens": count, "completion_tokens": 0, "total_tokens": count}


def embed(way: str, embedder: dspy.Embedder, *args: Any, **kwargs: Any) -> Any:
    """Sync or async."""
    if way == "sync":
        return embedder(*args, **kwargs)
    return asyncio.run(embedder.acall(*args, **kwargs))


def test_a_hosted_model(server, recorder, plugin_with_content):
    """The whole span."""
    assert hosted(server)(["red fox", "blue whale"]).shape == (2, 8)
    (entry,) = server.ledger.entries
    assert normal(recorder.spans) == [
        {
            "trace": 1,
            "id": 1,
            "parent": None,
            "name": NAME,
            "kind": "CLIENT",
            "scope": "spanloom.dspy",
            "status": "UNSET",
            "status_text": None,
            "attributes": {
                "dspy.lm.class": "Embedder",
                "gen_ai.embeddings.dimension.count": 8,
                "gen_ai.operation.name": "embeddings",
                "gen_ai.provider.name": "openai",
                "gen_ai.request.model": "text-embedding-3-small",
                "gen_ai.response.model": "text-embedding-3-small",
                "gen_ai.usage.input_tokens": entry.input_tokens,
                "server.address": "127.0.0.1",
                "server.port": "<int>",
                "spanloom.embeddings.input": '["red fox", "blue whale"]',
            },
            "events": [],
            "links": [],
        }
    ]
    assert entry.traceparent is None
    assert recorder.total("gen_ai.client.operation.duration") == 1


def test_without_content_no_text_is_kept(server, recorder, plugin):
    """Nor a key, whatever is switched on."""
    hosted(server)("secret fox")
    assert "secret" not in str(normal(recorder.spans))
    assert "key-123" not in str(normal(recorder.spans))
    assert "gen_ai.usage.input_tokens" in recorder.span.attributes


@pytest.mark.parametrize("way", ["sync", "async"])
def test_batches_are_one_call(way, fake, recorder, plugin):
    """Their tokens add up."""
    litellm = fake((tokens(3), {}), (tokens(4), {}), (tokens(5), None))
    embedder = dspy.Embedder("openai/text-embedding-3-small", batch_size=1, caching=False)
    assert embed(way, embedder, ["a", "b", "c"]).shape == (3, 2)
    assert [one["input"] for one in litellm.asked] == [["a"], ["b"], ["c"]]
    assert recorder.span.attributes["gen_ai.usage.input_tokens"] == 12


@pytest.mark.parametrize("usage", [None, {}, {"prompt_tokens": None}, {"prompt_tokens": -1}])
def test_tokens_of_some_batches_are_not_those_of_the_call(usage, fake, recorder, plugin):
    """Where one response tells none, the call's are not known."""
    fake((tokens(3), {}), (usage, {}), (tokens(4), {}))
    dspy.Embedder("openai/m", batch_size=1, caching=False)(["a", "b", "c"])
    assert "gen_ai.usage.input_tokens" not in recorder.span.attributes


@pytest.mark.parametrize("way", ["sync", "async"])
def test_a_cached_answer(way, fake, recorder, plugin):
    """DSPy's cache: marked, and not billed again."""
    text, embedder = uuid.uuid4().hex, dspy.Embedder("openai/m")
    litellm = fake((tokens(3), {}))
    first, second = (embed(way, embedder, [text]) for _ in range(2))
    assert np.array_equal(first, second)
    assert len(litellm.asked) == 1
    asked, cached = recorder.spans
    assert "dspy.cache.hit" not in asked.attributes
    assert asked.attributes["gen_ai.usage.input_tokens"] == 3
    assert cached.attributes["dspy.cache.hit"] is True
    assert "gen_ai.usage.input_tokens" not in cached.attributes
    root = recorder.points("gen_ai.client.operation.duration")
    assert {point.attributes.get("dspy.cache.hit") for point in root} == {None, True}


def test_some_batches_are_cached(fake, recorder, plugin):
    """What was asked is what was paid for: no hit."""
    known, new = uuid.uuid4().hex, uuid.uuid4().hex
    fake((tokens(3), {}), (tokens(4), {}))
    embedder = dspy.Embedder("openai/m", batch_size=1)
    embedder([known])
    embedder([known, new])
    span = recorder.spans[1]
    assert span.attributes["gen_ai.usage.input_tokens"] == 4
    assert "dspy.cache.hit" not in span.attributes


def test_litellms_own_cache(fake, recorder, plugin):
    """It says so itself, with the tokens of the call that was paid for."""
    fake((tokens(3), {"cache_hit": True}), (tokens(3), {"cache_hit": True}), (tokens(4), {"cache_hit": False}))
    embedder = dspy.Embedder("openai/m", caching=False)
    embedder(["a"])
    embedder(["a", "b"], batch_size=1)
    hit, partly = recorder.spans
    assert hit.attributes["dspy.cache.hit"] is True
    assert "gen_ai.usage.input_tokens" not in hit.attributes
    assert "dspy.cache.hit" not in partly.attributes
    assert partly.attributes["gen_ai.usage.input_tokens"] == 4


@pytest.mark.parametrize("caching", [True, False])
def test_no_texts_are_no_hit(caching, fake, recorder, plugin):
    """Nothing was asked, nothing was cached."""
    fake()
    assert dspy.Embedder("openai/m")([], None, caching).shape == (0,)
    assert "dspy.cache.hit" not in recorder.span.attributes


def test_caching_is_the_calls_or_the_embedders(fake, recorder, plugin):
    """By position, by name, or as the embedder was made."""
    text = uuid.uuid4().hex
    fake(*[(tokens(3), {})] * 3)
    embedder = dspy.Embedder("openai/m", caching=False)
    embedder([text], None, True)
    embedder([text], caching=True)
    embedder([text])
    assert [bool(span.attributes.get("dspy.cache.hit")) for span in recorder.spans] == [False, True, False]


def test_totals_of_the_program(server, lm, recorder, plugin):
    """Its tokens are in the sums above it; it is no LLM call."""

    class Program(dspy.Module):
        def forward(self, text: str) -> Any:
            return hosted(server)(text)

    Program()(text="red fox")
    root = recorder.named("invoke_workflow Program")
    assert outline(recorder.spans) == ["invoke_workflow Program", f"  {NAME}"]
    assert root.attributes["spanloom.subtree.input_tokens"] == server.ledger.entries[0].input_tokens


def test_a_model_that_refuses(server, recorder, plugin):
    """LiteLLM's exception, on the span as well."""
    with pytest.raises(openai.AuthenticationError):
        hosted(server, max_retries=0)(["[[error:401]]"])
    assert recorder.span.status.status_code.name == "ERROR"
    assert recorder.span.attributes["error.type"] == "litellm.exceptions.AuthenticationError"
    assert "dspy.cache.hit" not in recorder.span.attributes


@pytest.mark.parametrize("error", [KeyboardInterrupt(), asyncio.CancelledError(), RuntimeError("x")])
@pytest.mark.parametrize("way", ["sync", "async"])
def test_every_end_ends_the_span(way, error, fake, recorder, plugin):
    """What was asked before is told."""
    fake((tokens(3), {}), error)
    with pytest.raises(type(error)) as caught:
        embed(way, dspy.Embedder("openai/m", batch_size=1, caching=False), ["a", "b"])
    if way == "sync":
        assert caught.value is error
    assert recorder.span.status.status_code.name == "ERROR"
    assert recorder.span.attributes["gen_ai.usage.input_tokens"] == 3


def test_texts_that_are_none(recorder, plugin_with_content):
    """DSPy's own complaint."""
    with pytest.raises(ValueError, match="All inputs must be strings"):
        dspy.Embedder("openai/m")([1, 2])
    with pytest.raises(TypeError):
        dspy.Embedder("openai/m")(iter(["a"]))
    with pytest.raises(TypeError):
        dspy.Embedder("openai/m")()
    assert [span.attributes["error.type"] for span in recorder.spans] == ["ValueError", "TypeError", "TypeError"]


def test_the_openai_plugin_steps_aside(server, recorder, plugin):
    """LiteLLM uses its client; there is one span."""
    other = OpenAIInstrumentor()
    other.instrument(**recorder.providers)
    try:
        hosted(server)("red fox")
    finally:
        other.uninstrument()
    assert len(server.ledger.entries) == 1
    assert outline(recorder.spans) == [NAME]


def test_inside_a_recorded_call(fake, recorder, plugin):
    """Somebody further out records it."""
    from opentelemetry import context as otel

    fake((tokens(3), {}))
    token = otel.attach(otel.set_value("opentelemetry.genai.inference_span", True))
    try:
        dspy.Embedder("openai/m", caching=False)(["a"])
    finally:
        otel.detach(token)
    assert not recorder.spans


def test_suppressed(fake, recorder, plugin):
    """Nothing is recorded inside ``suppress_instrumentation()``, and LiteLLM is itself."""
    fake((tokens(3), {}))
    with suppress_instrumentation():
        dspy.Embedder("openai/m", caching=False)(["a"])
    assert not recorder.spans


def test_who_answers_as_litellm_says(fake, recorder, plugin):
    """Where the model's name does not tell."""
    hidden = {"custom_llm_provider": "openai", "api_base": "https://embed.example:8443/v1"}
    fake((tokens(3), hidden), (tokens(3), hidden))
    dspy.Embedder("text-embedding-3-small", caching=False, encoding_format="float")(["a", "b"], batch_size=1)
    attributes = recorder.span.attributes
    assert attributes["gen_ai.provider.name"] == "openai"
    assert (attributes["server.address"], attributes["server.port"]) == ("embed.example", 8443)
    assert attributes["gen_ai.request.encoding_formats"] == ("float",)
    assert "gen_ai.embeddings.dimension.count" not in attributes
    (point,) = recorder.points("gen_ai.client.operation.duration")
    assert point.attributes["gen_ai.provider.name"] == "openai"


@pytest.mark.parametrize("hidden", [{}, {"custom_llm_provider": "house", "api_base": "http://["}])
def test_who_answers_is_not_known(hidden, fake, recorder, plugin):
    """An unknown provider is told as none."""
    fake((tokens(3), hidden))
    dspy.Embedder("house/m", caching=False, dimensions=True)(["a"])
    assert recorder.span.name == "embeddings house/m"
    for name in ("gen_ai.provider.name", "server.address", "gen_ai.embeddings.dimension.count"):
        assert name not in recorder.span.attributes


def test_responses_without_anything(fake, recorder, plugin, monkeypatch):
    """A response of an unknown shape costs what it could have told."""
    litellm = fake()
    monkeypatch.setattr(litellm, "embedding", lambda **_: SimpleNamespace(data=[{"embedding": [1.0]}]))
    assert dspy.Embedder("openai/m", caching=False)("a").tolist() == [1.0]
    assert "gen_ai.usage.input_tokens" not in recorder.span.attributes


def test_the_trace_goes_to_hosts_that_may_have_it(recorder, monkeypatch, fake):
    """By ``SPANLOOM_PROPAGATE_HOSTS`` only."""
    monkeypatch.setenv("SPANLOOM_PROPAGATE_HOSTS", "embed.example")
    litellm = fake((tokens(1), {}), (tokens(1), {}))
    blocked = []

    def ask(**kwargs: Any) -> Any:
        blocked.append(blocks_propagation())
        return FakeLiteLLM.embedding(litellm, **kwargs)

    monkeypatch.setattr(litellm, "embedding", ask)
    one = DSPyInstrumentor()
    one.instrument(**recorder.providers)
    try:
        for host in ("embed.example", "other.example"):
            dspy.Embedder("openai/m", caching=False, api_base=f"https://{host}/v1")(["a"])
    finally:
        one.uninstrument()
    assert blocked == [False, True]


@pytest.mark.parametrize("way", ["sync", "async"])
def test_a_function(way, recorder, plugin_with_content):
    """It runs in the process: a step, without a provider or tokens."""
    embedder = dspy.Embedder(lambda texts: np.ones((len(texts), 3)), caching=False)
    assert embed(way, embedder, ("a", "b")).shape == (2, 3)
    span = recorder.span
    assert (span.name, span.kind.name) == ("dspy.embedder", "INTERNAL")
    assert json.loads(span.attributes["spanloom.embeddings.input"]) == ["a", "b"]
    assert "gen_ai.operation.name" not in span.attributes


def test_a_function_without_content(recorder, plugin):
    """No text."""
    dspy.Embedder(lambda texts: np.ones((len(texts), 3)), caching=False)(["secret"])
    assert "secret" not in str(normal(recorder.spans))


def test_a_function_that_asks_a_provider(server, recorder, plugin):
    """Whoever knows what it calls makes that span, below the step."""
    other, client = OpenAIInstrumentor(), openai.OpenAI(base_url=server.openai_base_url, api_key="key")

    def ask(texts: list[str]) -> list[list[float]]:
        made = client.embeddings.create(model="text-embedding-3-small", input=texts, dimensions=4)
        return [one.embedding for one in made.data]

    other.instrument(**recorder.providers)
    try:
        dspy.Embedder(ask, caching=False)(["red fox"])
    finally:
        other.uninstrument()
        client.close()
    assert outline(recorder.spans) == ["dspy.embedder", f"  {NAME}"]
    inner = recorder.named(NAME)
    assert inner.attributes["gen_ai.usage.input_tokens"] == server.ledger.entries[0].input_tokens


def test_a_function_that_fails(recorder, plugin):
    """The step says so."""

    def fail(texts: list[str]) -> Any:
        raise LookupError(texts)

    with pytest.raises(LookupError):
        dspy.Embedder(fail, caching=False)(["a"])
    assert recorder.span.attributes["error.type"] == "LookupError"


def test_vectors_are_not_recorded(fake, recorder, plugin_with_content):
    """Neither on spans nor in events."""
    fake((tokens(3), {}))
    dspy.Embedder("openai/m", caching=False)(["a"])
    assert "0.25" not in str(normal(recorder.spans))
    assert not recorder.events


def test_the_same_request_and_result(server, recorder):
    """With and without us: the bytes of the request, the vectors, and what LiteLLM is."""
    import litellm

    before = litellm.embedding, litellm.aembedding
    bare = hosted(server)(["red fox"])
    plugin = DSPyInstrumentor()
    plugin.instrument(**recorder.providers)
    try:
        watched = hosted(server)(["red fox"])
        assert (litellm.embedding, litellm.aembedding) == before
    finally:
        plugin.uninstrument()
    assert np.array_equal(bare, watched)
    assert bare.dtype == watched.dtype
    first, second = server.ledger.entries
    assert first.raw_digest == second.raw_digest
