"""Calls of LMs of every kind: one span each, with what was asked, what came back, and how often it was tried."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType, SimpleNamespace

import dspy
import openai
import pytest
from dspy.utils.dummies import DummyLM

from spanloom.dspy import _attempts, _lm_result, _providers
from spanloom.dspy._lm_call import LMCall
from spanloom.genai import Peer, Telemetry, _conflict
from spanloom.openai import OpenAIInstrumentor
from tests._support.spans import normal, outline
from tests.dspy._programs import Legacy
from tests.peers._fakes import LITELLM, code_of

lm15 = pytest.importorskip("dspy.lm15")

# A loop that ends cuts off what LiteLLM does in the background, which Python tells of at some later time.
LITELLM_ENDS = "ignore:Exception ignored in. <coroutine object Logging:pytest.PytestUnraisableExceptionWarning"
pytestmark = [
    pytest.mark.filterwarnings(LITELLM_ENDS),
    pytest.mark.usefixtures("plugin"),
    pytest.mark.filterwarnings("ignore:Implementing custom LMs:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Passing OpenAI-style:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:LegacyEngine:DeprecationWarning"),
]
PIXEL = base64.b64encode(b"pixel").decode()


@pytest.fixture
def with_content(content, plugin, recorder):
    """The plugin, content on."""
    plugin.uninstrument()
    plugin.instrument(**recorder.providers)


def made(server, **settings):
    """DSPy's LM over the server."""
    base = {"api_base": server.openai_base_url, "api_key": "secret-key", "cache": False, "num_retries": 0}
    return dspy.LM("openai/gpt-4o-mini", **{**base, **settings})


def ask(lm, asynchronous, *args, **kwargs):
    """One call, either way."""
    return asyncio.run(lm.acall(*args, **kwargs)) if asynchronous else lm(*args, **kwargs)


def told(server):
    """Tokens that the server reported."""
    entries = server.ledger.entries
    return sum(one.input_tokens or 0 for one in entries), sum(one.output_tokens or 0 for one in entries)


def tokens(span):
    """Tokens on a span."""
    return tuple(span.attributes.get(f"gen_ai.usage.{side}_tokens") for side in ("input", "output"))


def answer(text="yes", model="custom-1", **usage):
    """A canonical response."""
    counts = {"input_tokens": 3, "output_tokens": 2, **usage}
    message = lm15.Message.assistant([lm15.TextPart(text)])
    return lm15.Response("r-1", model, message, "stop", lm15.Usage(**counts))


class Engine:
    """An engine of the application's own, and its asynchronous twin."""

    def complete(self, request):
        return answer()

    def twin(self):
        outer = self

        class Later:
            async def complete(self, request):
                return outer.complete(request)

        return Later()


class Later(Legacy):
    """A legacy LM that can wait."""

    async def aforward(self, prompt=None, messages=None, **kwargs):
        return self.forward(prompt, messages, **kwargs)


def kinds(server):
    """Every kind of LM: its name, the LM, the class and the engine that its span names."""
    engine = Engine()
    return {
        "native": (made(server), "LM", "lm15", "openai"),
        "responses": (made(server, model_type="responses"), "LM", "lm15", "openai"),
        "litellm": (made(server, engine="litellm"), "LM", "litellm", "openai"),
        "litellm responses": (made(server, engine="litellm", model_type="responses"), "LM", "litellm", "openai"),
        "custom": (dspy.LM("house/x", engine=engine, async_engine=engine.twin(), cache=False), "LM", "custom", None),
        "legacy": (Later(), "Later", "legacy", None),
        "dummy": (DummyLM([{"answer": "a"}] * 3), "DummyLM", "custom", None),
    }


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize("kind", ["native", "responses", "litellm", "litellm responses", "custom", "legacy", "dummy"])
def test_every_kind_of_lm_is_one_span(kind, asynchronous, server, recorder):
    """With its class, its engine, and the tokens that were reported."""
    lm, name, engine, provider = kinds(server)[kind]
    ask(lm, asynchronous, "Hi")
    attributes = recorder.span.attributes
    assert attributes["dspy.lm.class"] == name
    assert attributes["dspy.lm.engine"] == engine
    assert attributes.get("gen_ai.provider.name") == provider
    assert attributes["gen_ai.operation.name"] == "chat"
    assert "spanloom.request.attempts" not in attributes
    assert "gen_ai.request.stream" not in attributes
    if provider is not None:
        assert tokens(recorder.span) == told(server)
        assert attributes["gen_ai.response.model"].startswith("gpt-4o-mini")
    assert "secret-key" not in str(normal(recorder.spans))


def test_a_text_model(server, recorder):
    """Its operation is another one; the local server has no such endpoint, so it fails."""
    with pytest.raises(dspy.LMError):
        made(server, model_type="text")("Hi")
    assert recorder.span.name == "text_completion gpt-4o-mini"
    assert recorder.span.attributes["dspy.lm.engine"] == "litellm"


def test_a_subclass_of_an_engine_is_the_applications():
    """Whatever it is made of."""
    from dspy.clients.engines.legacy_engine import LegacyEngine

    class Mine(LegacyEngine): ...

    assert _attempts.engine_of(object.__new__(LegacyEngine)) == "legacy"
    assert _attempts.engine_of(object.__new__(Mine)) == _attempts.engine_of(Engine()) == "custom"


@pytest.mark.parametrize("asynchronous", [False, True])
def test_parameters(asynchronous, server, recorder):
    """Those of the LM, and over them those of the call."""
    lm = made(server, temperature=0.5, max_tokens=100, seed=1)
    ask(lm, asynchronous, "Hi", temperature=0.7, stop=["END"], n=2, response_format={"type": "json_object"})
    attributes = recorder.span.attributes
    found = {name[15:]: value for name, value in attributes.items() if name.startswith("gen_ai.request.")}
    expected = {"model": "gpt-4o-mini", "temperature": 0.7, "max_tokens": 100, "seed": 1}
    assert found == {**expected, "stop_sequences": ("END",), "choice.count": 2}
    assert attributes["gen_ai.output.type"] == "json"
    assert attributes["gen_ai.response.finish_reasons"] == ("stop", "stop")
    assert tokens(recorder.span) == told(server)


@pytest.mark.parametrize("name", ["OPENAI_API_BASE", "OPENAI_BASE_URL"])
def test_litellms_base_by_the_environment(name, server, recorder, monkeypatch):
    """The span has the host that the call goes to: a server of one's own must not pass for OpenAI."""
    for other in ("OPENAI_API_BASE", "OPENAI_BASE_URL"):
        monkeypatch.delenv(other, raising=False)
    monkeypatch.setenv(name, server.openai_base_url)
    made(server, api_base=None, engine="litellm")("hello")
    (span,) = recorder.spans
    assert told(server)
    assert span.attributes["dspy.lm.engine"] == "litellm"
    assert span.attributes["server.address"] == "127.0.0.1"


def test_litellms_base_by_code(server, recorder, monkeypatch):
    """Its own setting goes before the environment; for another provider the environment's is not taken."""
    litellm = pytest.importorskip("litellm")
    monkeypatch.setenv("OPENAI_API_BASE", "http://elsewhere.example/v1")
    assert _providers.litellms_base("anthropic") is None
    monkeypatch.setattr(litellm, "api_base", server.openai_base_url)
    assert _providers.litellms_base("anthropic") == server.openai_base_url
    made(server, api_base=None, engine="litellm")("hello")
    assert recorder.spans[0].attributes["server.address"] == "127.0.0.1"


@pytest.mark.parametrize("engine", ["litellm", None])
def test_the_tier_that_was_asked_for(engine, server, recorder):
    """It is on the span, since the price depends on it."""
    made(server, service_tier="flex", **({"engine": engine} if engine else {}))("hello")
    assert recorder.spans[0].attributes["openai.request.service_tier"] == "flex"


def test_the_tier_that_answered():
    """Of the first answer, where it tells one."""
    inference = SimpleNamespace(attributes={}, response_model=None, response_id=None)
    _lm_result._read_identity(inference, (SimpleNamespace(service_tier="priority"),))
    _lm_result._read_identity(inference, (SimpleNamespace(service_tier=None),))
    assert inference.attributes == {"openai.response.service_tier": "priority"}


@pytest.mark.parametrize(
    ("provider", "costs", "reported"),
    [
        ("openrouter", [0.25], 0.25),
        ("openrouter", [0.25, 0.5], 0.75),
        ("openrouter", [0], 0.0),
        ("openrouter", [0.25, None], None),
        ("openrouter", [float("nan")], None),
        ("openrouter", [-1.0], None),
        ("openrouter", ["0.25"], None),
        ("openai", [0.25], None),
    ],
)
def test_what_openrouter_says_that_it_costs(provider, costs, reported, recorder):
    """Goes before the price table; nobody else's number of that name is known to be dollars."""
    telemetry = Telemetry("spanloom.test", **recorder.providers)
    inference = LMCall(telemetry, "chat", "openai/gpt-4o", Peer(provider), None)
    answers = tuple(SimpleNamespace(usage=SimpleNamespace(prompt_tokens=10, cost=one)) for one in costs)
    _lm_result.write(inference, answers[0], answers)
    assert inference.reported_cost_usd == reported
    inference.stop()


def test_ones_own_key_at_openrouter():
    """Its fee is not what the call costs."""
    told = []
    usage = SimpleNamespace(cost=0.05, is_byok=True, cost_details={"upstream_inference_cost": 1.0})
    _lm_result._read_cost(SimpleNamespace(report_cost=told.append), (SimpleNamespace(usage=usage),))
    assert told == [1.05]


def test_a_rollout(server, recorder):
    """Told where it is given."""
    lm = made(server, temperature=1.0)
    lm("Hi")
    lm("Hi", rollout_id=4)
    assert [span.attributes.get("dspy.lm.rollout_id") for span in recorder.spans] == [None, 4]


@pytest.mark.parametrize("by_name", [False, True])
@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_typed_request(by_name, asynchronous, server, recorder, with_content):
    """Parameters and content are the request's; the LM's own settings are no part of it."""
    lm = made(server, temperature=0.5)
    tool = lm15.FunctionTool("search", "Searches.")
    config = lm15.Config(max_tokens=50, stop=("END",), top_p=0.5, response_format={"type": "json_object"})
    messages = (lm15.Message.user("Hi"),)
    request = lm15.Request(lm.model, messages, system="Be short.", tools=(tool,), config=config)
    response = ask(lm, asynchronous, request=request) if by_name else ask(lm, asynchronous, request)
    assert isinstance(response, lm15.Response)
    attributes = recorder.span.attributes
    assert "gen_ai.request.temperature" not in attributes
    assert (attributes["gen_ai.request.max_tokens"], attributes["gen_ai.request.top_p"]) == (50, 0.5)
    assert attributes["gen_ai.request.stop_sequences"] == ("END",)
    assert attributes["gen_ai.output.type"] == "json"
    assert json.loads(attributes["gen_ai.system_instructions"]) == [{"type": "text", "content": "Be short."}]
    assert json.loads(attributes["gen_ai.input.messages"])[0]["parts"] == [{"type": "text", "content": "Hi"}]
    assert json.loads(attributes["gen_ai.tool.definitions"]) == [{"type": "function", "name": "search"}]
    assert json.loads(attributes["gen_ai.output.messages"])[0]["role"] == "assistant"


@pytest.mark.parametrize("asynchronous", [False, True])
def test_every_failed_attempt_is_an_event(asynchronous, server, recorder):
    """Which one, why, and how long the server asks to wait; never the error's own text."""
    ask(made(server, num_retries=2), asynchronous, "Hi [[error:429:times=1:retry_after=0.01]]")
    span = recorder.span
    assert span.attributes["spanloom.request.attempts"] == 2
    (event,) = span.events
    assert event.name == "dspy.lm.attempt_failed"
    assert dict(event.attributes) == {
        "error.type": "dspy.utils.exceptions.LMRateLimitError",
        "dspy.lm.attempt": 1,
        "dspy.lm.retry_after_s": 0.01,
    }
    assert span.status.status_code.name == "UNSET"
    assert tokens(span) == told(server)


def test_attempts_until_the_end(server, recorder):
    """The last one that fails ends the call."""
    with pytest.raises(dspy.LMError):
        made(server, num_retries=1)("Hi [[error:503:retry_after=0.01]]")
    span = recorder.span
    assert span.attributes["spanloom.request.attempts"] == len(server.ledger.entries) == 2
    assert [event.attributes["dspy.lm.attempt"] for event in span.events] == [1, 2]
    assert span.attributes["error.type"] == "dspy.utils.exceptions.LMServerError"


def test_an_error_that_is_not_tried_again(server, recorder):
    """One attempt, which is not counted; its event says why."""
    with pytest.raises(dspy.LMError):
        made(server, num_retries=3)("Hi [[error:400]]")
    assert "spanloom.request.attempts" not in recorder.span.attributes
    assert [dict(one.attributes)["dspy.lm.attempt"] for one in recorder.span.events] == [1]


def test_attempts_of_several_choices(server, recorder):
    """Two requests of which none fails are no attempts."""

    class Flaky(Engine):
        calls = 0

        def complete(self, request):
            self.calls += 1
            if self.calls in (1, 3):
                raise lm15.ServerError("down", retry_after=0.001)
            return answer()

    dspy.LM("house/x", engine=Flaky(), cache=False, num_retries=2)("Hi", n=2)
    assert recorder.span.attributes["spanloom.request.attempts"] == 3
    assert [one.attributes["dspy.lm.attempt"] for one in recorder.span.events] == [1, 2]
    assert tokens(recorder.span) == (6, 4)


def test_what_was_billed_before_a_failure_is_counted(recorder):
    """The first choice came, the second failed."""

    class Failing(Engine):
        calls = 0

        def complete(self, request):
            self.calls += 1
            if self.calls == 2:
                raise lm15.AuthError("no")
            return answer(cache_read_tokens=1)

    with pytest.raises(dspy.LMError):
        dspy.LM("house/x", engine=Failing(), cache=False, num_retries=0)("Hi", n=2)
    attributes = recorder.span.attributes
    assert tokens(recorder.span) == (3, 2)
    assert attributes["gen_ai.usage.cache_read.input_tokens"] == 1
    assert "gen_ai.usage.reasoning.output_tokens" not in attributes


def test_all_usage_classes(recorder):
    """Cached, written to the cache, reasoning, audio."""

    class Rich(Engine):
        def complete(self, request):
            more = {"cache_read_tokens": 1, "cache_write_tokens": 2, "reasoning_tokens": 1}
            return answer(input_tokens=9, output_tokens=8, **more, input_audio_tokens=3, output_audio_tokens=4)

    dspy.LM("house/x", engine=Rich(), cache=False)("Hi")
    found = {name[13:]: value for name, value in recorder.span.attributes.items() if name.startswith("gen_ai.usage.")}
    assert found == {
        "input_tokens": 9,
        "output_tokens": 8,
        "cache_read.input_tokens": 1,
        "cache_write.input_tokens": 2,
        "reasoning.output_tokens": 1,
        "audio.input_tokens": 3,
        "audio.output_tokens": 4,
    }


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize("settings", [{}, {"n": 2}, {"engine": "litellm"}])
def test_a_cache_hit_costs_nothing(settings, asynchronous, server, recorder):
    """Marked, without usage, whatever engine answered first; no token is counted for it."""
    count = {"n": settings["n"]} if "n" in settings else {}
    engine = {"engine": settings["engine"]} if "engine" in settings else {}
    lm = made(server, cache=True, temperature=1.0, **engine)
    question = f"Hi {asynchronous} {settings}"
    for _ in range(2):
        ask(lm, asynchronous, question, **count)
    first, second = recorder.spans
    assert tokens(first) == told(server)
    assert second.attributes["dspy.cache.hit"] is True
    assert not [name for name in second.attributes if name.startswith("gen_ai.usage")]
    assert "dspy.lm.engine" not in second.attributes
    assert recorder.total("gen_ai.client.inference.usage.input_tokens") == told(server)[0]


def test_the_provider_that_dspy_chose(recorder):
    """A bare model name says nothing; DSPy's route does."""
    with pytest.raises(dspy.LMError):
        dspy.LM("claude-x", api_key="k", api_base="http://127.0.0.1:9", cache=False, num_retries=0)("Hi")
    assert recorder.span.attributes["gen_ai.provider.name"] == "anthropic"


def test_an_unknown_model_fails_before_any_attempt(recorder):
    """No engine, no attempt."""
    with pytest.raises(dspy.LMError):
        dspy.LM("nobody/x", engine="lm15", cache=False)("Hi")
    assert recorder.span.attributes["error.type"].startswith("dspy.utils.exceptions.")
    assert "dspy.lm.engine" not in recorder.span.attributes
    assert not recorder.span.events


def test_cancellation(server, recorder):
    """The span ends once, as what it was; a request that was cut off is no failed attempt."""

    async def program():
        task = asyncio.create_task(made(server).acall("Hi [[delay:5]]"))
        await asyncio.sleep(0.2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(program())
    assert recorder.span.attributes["error.type"] == "asyncio.exceptions.CancelledError"
    assert not recorder.span.events
    assert "spanloom.stream.end" not in recorder.span.attributes


def test_an_inner_lm_leaves_no_trace_of_its_attempts(server, recorder):
    """The outer one is the call: engine and attempts are its own."""
    inner = made(server, num_retries=1)

    class Router(dspy.BaseLM):
        def forward(self, prompt=None, messages=None, **kwargs):
            inner("Hi [[error:503:times=1:retry_after=0.01]]")
            return Legacy().forward()

    Router("router")("Hi")
    attributes = recorder.span.attributes
    assert attributes["dspy.lm.engine"] == "legacy"
    assert "spanloom.request.attempts" not in attributes


@pytest.mark.parametrize("dspy_first", [False, True])
def test_a_custom_lm_that_uses_the_openai_client(dspy_first, server, recorder, plugin):
    """One inference, DSPy's, whichever plugin came first."""
    client = openai.OpenAI(base_url=server.openai_base_url, api_key="k", max_retries=0)

    class House(dspy.BaseLM):
        def forward(self, prompt=None, messages=None, **kwargs):
            messages = messages or [{"role": "user", "content": prompt}]
            return client.chat.completions.create(model="gpt-4o-mini", messages=messages)

    other = OpenAIInstrumentor()
    if not dspy_first:
        plugin.uninstrument()
    other.instrument(**recorder.providers)
    if not dspy_first:
        plugin.instrument(**recorder.providers)
    try:
        House("house/x")("Hi")
        assert outline(recorder.spans) == ["chat house/x"]
        assert recorder.span.instrumentation_scope.name == "spanloom.dspy"
        assert tokens(recorder.span) == told(server)
        House("house/x").forward("Hi")
        assert recorder.spans[1].instrumentation_scope.name == "spanloom.openai"
    finally:
        other.uninstrument()
        client.close()


@pytest.mark.parametrize("module", LITELLM)
def test_recorders_of_litellm_step_aside(module, recorder):
    """Below our span they hear that the call is recorded; above it they do not."""
    from opentelemetry import context as otel
    from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY

    heard = []

    def asked():
        return code_of(module).ask(otel.get_value(_SUPPRESS_INSTRUMENTATION_KEY))

    class House(Legacy):
        def forward(self, prompt=None, messages=None, **kwargs):
            heard.append(asked())
            return super().forward(prompt, messages, **kwargs)

    _conflict._state.loaded(ModuleType(module))
    House()("Hi")
    assert heard == [True]
    assert asked() is False


PARTS = [
    {"type": "text", "text": "look"},
    {"type": "image_url", "image_url": {"url": "https://user:pw@host.example/a.png?sig=secret"}},
    {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}},
    {"type": "input_audio", "input_audio": {"data": PIXEL, "format": "wav"}},
    {"type": "file", "file": {"file_data": f"data:application/pdf;base64,{PIXEL}", "filename": "a.pdf"}},
    {"type": "file", "file": {"file_id": "file-1"}},
]
DIGEST = hashlib.sha256(b"pixel").hexdigest()


def blob(modality, mime_type):
    """What stands for the pixel."""
    told = {"type": "blob", "modality": modality, "content": "", "sha256": DIGEST, "bytes": 5}
    return {**told, "mime_type": mime_type}


def test_content_of_every_kind(recorder, with_content):
    """Parts, tool calls, results and reasoning as the conventions have them; bytes and signatures are not copied."""
    call = {"id": "c1", "type": "function", "function": {"name": "search", "arguments": '{"q": "x"}'}}
    messages = [
        {"role": "system", "content": "Be short."},
        {"role": "user", "content": PARTS},
        {"role": "assistant", "content": None, "reasoning_content": "hm", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "found"},
    ]
    tools = [{"type": "function", "function": {"name": "search", "parameters": {}}}]
    Legacy()(messages=messages, tools=tools)
    attributes = recorder.span.attributes
    user, assistant, tool = json.loads(attributes["gen_ai.input.messages"])
    assert user["parts"] == [
        {"type": "text", "content": "look"},
        {"type": "uri", "modality": "image", "uri": "https://host.example/a.png"},
        blob("image", "image/png"),
        blob("audio", "audio/wav"),
        blob("document", "application/pdf"),
        {"type": "file", "modality": "document", "file_id": "file-1"},
    ]
    asked = {"type": "tool_call", "id": "c1", "name": "search", "arguments": {"q": "x"}}
    assert assistant["parts"] == [{"type": "reasoning", "content": "hm"}, asked]
    assert tool["parts"] == [{"type": "tool_call_response", "id": "c1", "response": "found"}]
    assert json.loads(attributes["gen_ai.system_instructions"]) == [{"type": "text", "content": "Be short."}]
    assert json.loads(attributes["gen_ai.tool.definitions"]) == [{"type": "function", "name": "search"}]
    assert "blue" in attributes["gen_ai.output.messages"]
    assert PIXEL not in str(attributes)


def test_typed_content_of_every_kind(recorder, with_content, tmp_path):
    """The same of DSPy's own types."""
    path = tmp_path / "a.png"
    path.write_bytes(b"pixel")
    parts = [
        lm15.TextPart("look"),
        lm15.ImagePart(data=PIXEL),
        lm15.ImagePart(path=path),
        lm15.AudioPart(url="https://host.example/a.wav?sig=secret"),
        lm15.DocumentPart(file_id="file-1"),
    ]
    call = lm15.ToolCallPart("c1", "search", {"q": "x"})
    result = lm15.ToolResultPart("c1", (lm15.TextPart("found"),))

    class Thinking(Engine):
        def complete(self, request):
            parts = [lm15.ThinkingPart("hm"), lm15.TextPart("yes"), call]
            return lm15.Response("r", "m", lm15.Message.assistant(parts), "tool_call", lm15.Usage())

    messages = (
        lm15.Message("user", tuple(parts)),
        lm15.Message("assistant", (call,)),
        lm15.Message("tool", (result,)),
    )
    dspy.LM("house/x", engine=Thinking(), cache=False)(lm15.Request("house/x", messages))
    attributes = recorder.span.attributes
    user, assistant, tool = json.loads(attributes["gen_ai.input.messages"])
    asked = {"type": "tool_call", "id": "c1", "name": "search", "arguments": {"q": "x"}}
    assert user["parts"] == [
        {"type": "text", "content": "look"},
        blob("image", "image/png"),
        {"type": "image"},
        {"type": "uri", "modality": "audio", "uri": "https://host.example/a.wav"},
        {"type": "file", "modality": "document", "file_id": "file-1"},
    ]
    assert assistant["parts"] == [asked]
    found = {"type": "tool_call_response", "id": "c1", "response": [{"type": "text", "content": "found"}]}
    assert tool["parts"] == [found]
    (output,) = json.loads(attributes["gen_ai.output.messages"])
    assert output["parts"] == [
        {"type": "reasoning", "content": "hm"},
        {"type": "text", "content": "yes"},
        asked,
    ]
    assert attributes["gen_ai.response.finish_reasons"] == ("tool_call",)


def test_without_content_nothing_leaks(server, recorder):
    """Neither what is asked, nor what comes back, nor an error's text."""
    made(server)("My secret question", tools=[{"type": "function", "function": {"name": "mine", "parameters": {}}}])
    with pytest.raises(dspy.LMError):
        made(server)("My secret question [[error:400]]")
    seen = str(normal(recorder.spans)) + str([dict(one.attributes) for span in recorder.spans for one in span.events])
    assert "secret" not in seen
    assert "mine" not in seen


def test_one_lm_in_eight_threads(server, recorder):
    """Every call has another usage: each token is on its own span."""
    lm = made(server)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda at: lm(" ".join(["word"] * at) + "?"), range(1, 41)))
    entries = {one.response_id: (one.input_tokens, one.output_tokens) for one in server.ledger.entries}
    assert len({one for one, _ in entries.values()}) == 40
    found = {span.attributes["gen_ai.response.id"]: tokens(span) for span in recorder.spans}
    assert found == entries


class _SDK(ModuleType):
    """What stands for TypeSafe's package."""

    def __init__(self):
        super().__init__("typesafe_sdk")
        verdict = SimpleNamespace(choice="yes", confidence=0.9)
        response = SimpleNamespace(
            model="jev-1", usage=SimpleNamespace(input_tokens=7, output_tokens=1), answers={"q": verdict}
        )

        class Client:
            def __init__(self, **_):
                pass

            def __enter__(self):
                return self

            def __exit__(self, *_):
                return None

            async def __aenter__(self):
                return self

            async def __aexit__(self, *_):
                return None

            def system_one(self, **_):
                return response

        class Later(Client):
            async def system_one(self, **_):
                return response

        self.TypeSafeClient, self.AsyncTypeSafeClient = Client, Later


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("asynchronous", [False, True])
def test_typesafe(asynchronous, recorder, with_content, monkeypatch):
    """It judges instead of writing: a span like an LM's; what the cache answers costs nothing."""
    from dspy.clients.typesafe import TypeSafe

    monkeypatch.setitem(sys.modules, "typesafe_sdk", _SDK())
    client = TypeSafe(base_url="http://judge.example:81", api_key="secret-key")
    state = {"text": f"Is it? {asynchronous}"}
    for _ in range(2):
        assert ask(client, asynchronous, state, questions={"q": {}})["q"]["choice"] == "yes"
    first, second = recorder.spans
    assert (first.name, first.attributes["gen_ai.provider.name"]) == ("chat jev-latest", "typesafe")
    assert (first.attributes["server.address"], first.attributes["server.port"]) == ("judge.example", 81)
    assert first.attributes["gen_ai.response.model"] == "jev-1"
    assert tokens(first) == (7, 1)
    assert tokens(second) == (None, None)
    assert second.attributes["dspy.cache.hit"] is True
    assert "Is it?" in first.attributes["gen_ai.input.messages"]
    assert "yes" in first.attributes["gen_ai.output.messages"]
    assert "secret-key" not in str(normal(recorder.spans))


def test_below_a_recorded_call_nothing_is_recorded(recorder, monkeypatch):
    """Whoever is further out has the span."""
    from dspy.clients.typesafe import TypeSafe
    from opentelemetry import context as otel

    from spanloom.genai._context import INFERENCE_SPAN_KEY

    monkeypatch.setitem(sys.modules, "typesafe_sdk", _SDK())
    token = otel.attach(otel.set_value(INFERENCE_SPAN_KEY, True))
    try:
        Legacy()("Hi")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            TypeSafe(cache=False)({}, {})
    finally:
        otel.detach(token)
    assert not recorder.spans


def test_typesafe_without_content(recorder, monkeypatch):
    """Nothing of what is asked and answered."""
    from dspy.clients.typesafe import TypeSafe

    monkeypatch.setitem(sys.modules, "typesafe_sdk", _SDK())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        TypeSafe(cache=False)({"text": "secret"}, {"q": {}})
    assert recorder.span.attributes["server.address"] == "api.typesafe.ai"
    assert "secret" not in str(normal(recorder.spans))
    assert "yes" not in str(normal(recorder.spans))
