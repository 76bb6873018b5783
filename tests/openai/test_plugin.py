"""The plugin as a whole: when it records, when it steps aside, and how it goes."""

from __future__ import annotations

import functools
import subprocess
import sys
import threading

import openai
import pytest
from openai.resources.chat.completions import Completions
from opentelemetry import context as otel
from opentelemetry.instrumentation.utils import suppress_instrumentation
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON

from spanloom.genai import Telemetry, hooks
from spanloom.genai._context import INFERENCE_SPAN_KEY
from spanloom.openai import OpenAIInstrumentor, _headers, _request, _response
from spanloom.openai._targets import targets
from tests._support.spans import Recorder, outline
from tests.openai._http import http
from tests.openai._scenarios import QUESTION, asking


def test_a_call_is_a_child_of_what_surrounds_it(client, plugin, recorder):
    """And what runs below it (HTTP) is a child of the call."""
    tracer = recorder.tracer_provider.get_tracer("theirs")
    with tracer.start_as_current_span("GET /"):
        client.chat.completions.create(**asking("Hi"))
    assert outline(recorder.spans) == ["GET /", "  chat gpt-4o-mini"]
    recorder.clear()


def test_the_span_is_current_while_the_request_runs(server, plugin, recorder):
    """Spans of an HTTP client are children of it; a stream's reader is not below it."""
    tracer = recorder.tracer_provider.get_tracer("theirs")

    def hook(_):
        tracer.start_span("POST").end()

    with openai.OpenAI(
        base_url=server.openai_base_url, api_key="k", http_client=http.Client(event_hooks={"request": [hook]})
    ) as client:
        stream = client.chat.completions.create(**asking("Hi", stream=True))
        for _ in stream:
            tracer.start_span("work").end()
            break
        stream.close()
    assert outline(recorder.spans) == ["chat gpt-4o-mini", "  POST", "work"]
    recorder.clear()


@pytest.mark.parametrize("key", ["suppressed", "recorded"])
def test_it_steps_aside(key, client, plugin, recorder):
    """Inside the official switch, and below somebody's recorded inference."""
    if key == "suppressed":
        with suppress_instrumentation():
            client.chat.completions.create(**asking("Hi"))
            list(client.chat.completions.create(**asking("Hi", stream=True)))
    else:
        token = otel.attach(otel.set_value(INFERENCE_SPAN_KEY, True))
        client.chat.completions.create(**asking("Hi"))
        otel.detach(token)
    assert recorder.spans == []
    assert recorder.metrics() == {}


@pytest.mark.asyncio
async def test_it_steps_aside_in_async_code(server, plugin, recorder):
    """The same for coroutines."""
    async with openai.AsyncOpenAI(base_url=server.openai_base_url, api_key="k") as client:
        with suppress_instrumentation():
            await client.chat.completions.create(**asking("Hi"))
            await client.chat.completions.parse(**asking("Hi"))
    assert recorder.spans == []


def test_after_uninstrument_nothing_is_recorded(client, plugin, recorder):
    """Bound methods that were taken before included."""
    create = client.chat.completions.create
    raw = client.chat.completions.with_raw_response
    plugin.uninstrument()
    create(**asking("Hi"))
    raw.create(**asking("Hi"))
    client.chat.completions.create(**asking("Hi"))
    assert recorder.spans == []


def test_a_wrapper_on_top_of_ours_passes_calls_through(client, plugin, recorder):
    """It cannot be taken out from under; after uninstrument it records nothing."""
    ours = Completions.create
    Completions.create = functools.wraps(ours)(lambda self, **kwargs: ours(self, **kwargs))
    try:
        plugin.uninstrument()
        client.chat.completions.create(**asking("Hi"))
    finally:
        Completions.create = ours.__wrapped__
    assert recorder.spans == []


def test_a_stream_that_outlives_the_plugin_still_ends(client, plugin, recorder):
    """It was begun, so it is ended."""
    stream = client.chat.completions.create(**asking("Hi", stream=True))
    plugin.uninstrument()
    list(stream)
    assert len(recorder.spans) == 1


def test_threads(client, plugin, recorder, server):
    """Forty calls over eight threads: forty spans, each with its own tokens."""

    def work(number):
        for place in range(5):
            client.chat.completions.create(**asking(f"Question {number} {place} " + "word " * number))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    told = {one.response_id: (one.input_tokens, one.output_tokens) for one in server.ledger.entries}
    seen = {
        span.attributes["gen_ai.response.id"]: (
            span.attributes["gen_ai.usage.input_tokens"],
            span.attributes["gen_ai.usage.output_tokens"],
        )
        for span in recorder.spans
    }
    assert len(seen) == 40
    assert seen == told


@pytest.mark.parametrize("sampler", [ALWAYS_OFF, ALWAYS_ON], ids=["off", "on"])
def test_unsampled_calls_build_no_content(sampler, client, server, content, monkeypatch):
    """Not a message is looked at; metrics are as ever."""
    recorder = Recorder(sampler)
    looked = []
    for module, name in ((_request, "chat_content"), (_response, "output_message"), (_headers.Headers, "note")):
        original = getattr(module, name)

        def noting(*args, name=name, original=original):
            looked.append(name)
            return original(*args)

        monkeypatch.setattr(module, name, noting)
    plugin = OpenAIInstrumentor()
    plugin.instrument(**recorder.providers)
    try:
        client.chat.completions.create(model="gpt-4o-mini", messages=QUESTION)
        list(client.chat.completions.create(**asking("Hi", stream=True, stream_options={"include_usage": True})))
    finally:
        plugin.uninstrument()
    assert bool(looked) == bool(recorder.spans) == (sampler is ALWAYS_ON)
    total = sum(one.input_tokens for one in server.ledger.entries)
    assert recorder.total("gen_ai.client.inference.usage.input_tokens") == total > 0
    assert recorder.total("gen_ai.client.inference.time_to_first_chunk") == 1


def test_a_subclass_and_options_are_recorded(client, plugin, recorder):
    """`with_options`, copies, and resources of the application's own class."""

    class Mine(Completions):
        """A resource that changes a default."""

        def create(self, **kwargs):
            return super().create(model="gpt-4o", **kwargs)

    client.with_options(timeout=5).chat.completions.create(**asking("Hi"))
    client.copy().chat.completions.create(**asking("Hi"))
    Mine(client).create(messages=QUESTION)
    assert [span.name for span in recorder.spans] == ["chat gpt-4o-mini", "chat gpt-4o-mini", "chat gpt-4o"]


def test_what_a_call_starts_beside_it_is_recorded_by_itself(server, plugin, recorder):
    """A request of another client, from within the transport of the first: it is not taken for the first one's."""
    inner = openai.OpenAI(base_url=server.openai_base_url, api_key="k")

    def hook(_):
        inner.models.list()

    options = {"base_url": server.openai_base_url, "api_key": "k"}
    with openai.OpenAI(**options, http_client=http.Client(event_hooks={"request": [hook]})) as outer:
        outer.chat.completions.create(**asking("Hi"))
    inner.close()
    assert outline(recorder.spans) == ["chat gpt-4o-mini", "  models.list"]


def test_a_request_that_never_passes_us_is_recorded_all_the_same(client, plugin_with_content, recorder, monkeypatch):
    """Tests replace what sends: then the arguments themselves are read."""
    answer = client.chat.completions.create(**asking("Hi"))
    recorder.clear()
    monkeypatch.setattr(client.chat.completions, "_post", lambda *_, **__: answer)
    client.chat.completions.create(**asking("Rivers?", temperature=0.5))
    assert recorder.span.attributes["gen_ai.request.temperature"] == 0.5
    assert "Rivers?" in recorder.span.attributes["gen_ai.input.messages"]


def test_a_gate_refuses(client, server, plugin, recorder):
    """The caller gets its exception, nothing is sent, the span fails."""

    class Refused(Exception):
        """Too dear."""

    remove = hooks.add_gate(lambda call: Refused())
    try:
        for call in (lambda: client.chat.completions.create(**asking("Hi")), client.models.list):
            with pytest.raises(Refused):
                call()
    finally:
        remove()
    assert server.ledger.entries == []
    assert [span.status.status_code.name for span in recorder.spans] == ["ERROR", "ERROR"]


def test_a_process_that_never_uses_openai_does_not_import_it():
    """Switching the plugins on costs an import hook."""
    code = """
import sys
from spanloom.openai import OpenAIInstrumentor
from spanloom.dspy import DSPyInstrumentor
OpenAIInstrumentor().instrument()
DSPyInstrumentor().instrument()
print(sorted({'openai', 'dspy', 'litellm', 'opentelemetry.sdk', 'httpx', 'pydantic'} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


def test_the_patch_waits_for_the_import():
    """In a process that imports openai after the plugin was switched on, and one that imports it before."""
    code = """
import sys
from spanloom.openai import OpenAIInstrumentor
if sys.argv[1] == 'before':
    import openai.resources.chat.completions
OpenAIInstrumentor().instrument()
from openai.resources.chat.completions import AsyncCompletions, Completions
methods = [Completions.create, Completions.parse, AsyncCompletions.create, AsyncCompletions.parse]
print([hasattr(method, '__wrapped__') and 'spanloom' in method.__code__.co_filename for method in methods])
OpenAIInstrumentor().uninstrument()
print('spanloom' in Completions.create.__code__.co_filename)
"""
    for when in ("before", "after"):
        done = subprocess.run([sys.executable, "-c", code, when], capture_output=True, text=True, timeout=60)
        assert done.stdout.splitlines() == ["[True, True, True, True]", "False"], done.stderr


def test_every_patched_module_is_waited_for():
    """The plugin names the modules without loading its table of targets."""
    patched = {target.module for target in targets(Telemetry("spanloom.test"))}
    assert {"openai", *patched} == set(OpenAIInstrumentor.modules)
