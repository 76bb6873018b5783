"""Switches and samplers: what they change is what they say, and nothing else."""

from __future__ import annotations

import dataclasses
import re

import pytest
from opentelemetry.instrumentation.utils import suppress_instrumentation
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

from spanloom.openai import OpenAIInstrumentor
from spanloom.semconv import GenAI
from tests.no_harm import _answers as answers
from tests.no_harm import _calls, _ends, _failures
from tests.no_harm._answers import sse
from tests.no_harm._compare import differences, leaks, ours
from tests.no_harm._stage import observe

ENDS = [case for case in _ends.CASES if case.name.startswith(("chat:", "responses:"))]
EVERY = {case.name: case for case in (*_calls.CASES, *_failures.CASES, *ENDS)}
SOME = ("chat_with_everything", "unauthorised", "retried", "chat: break_and_drop", "responses: connection_ends")


@pytest.mark.parametrize("case", ENDS, ids=lambda case: case.name)
def test_unsampled_streams(case, wire, monkeypatch):
    """Where the sampler drops the span, a stream ends as without us, and its duration is counted."""
    flavour = case.flavours[0]
    bare = observe(wire, case.scripts, case.program, flavour)
    seen, recorder = ours(wire, case, flavour, "on", monkeypatch.setenv, ALWAYS_OFF)
    assert differences(bare, seen) == []
    assert recorder.spans == []
    if case.told[0].end != "dropped":  # that comes a moment later, in another thread
        assert recorder.total("gen_ai.client.inference.duration") == 1
    recorder.close()


@pytest.mark.parametrize("name", SOME)
def test_without_an_sdk(name, wire):
    """Nobody has set OpenTelemetry up: nothing is recorded, nothing changes."""
    case = EVERY[name]
    bare = observe(wire, case.scripts, case.program, "sync")
    plugin = OpenAIInstrumentor()
    plugin.instrument()
    try:
        assert differences(bare, observe(wire, case.scripts, case.program, "sync")) == []
    finally:
        plugin.uninstrument()


@pytest.mark.parametrize("name", SOME)
def test_everything_switched_on(name, wire, monkeypatch):
    """With each option that records more, nothing changes either, and no secret is told."""
    switches = {
        "SPANLOOM_CHUNK_HISTOGRAM": "1",
        "SPANLOOM_OPENAI_RATE_LIMITS": "1",
        "OTEL_SEMCONV_STABILITY_OPT_IN": "gen_ai/dup",
        "SPANLOOM_CONTENT_MAX_BYTES": "64",
    }
    case = dataclasses.replace(EVERY[name], environment=switches)
    bare = observe(wire, case.scripts, case.program, "sync")
    seen, recorder = ours(wire, case, "sync", "on", monkeypatch.setenv)
    assert differences(bare, seen) == []
    assert leaks(recorder) == []
    assert len(recorder.spans) == 1
    recorder.close()


@pytest.mark.parametrize("name", SOME)
def test_suppressed(name, wire, monkeypatch):
    """Within the official switch nothing is recorded, and nothing changes."""
    case = dataclasses.replace(EVERY[name], told=())
    bare = observe(wire, case.scripts, case.program, "sync")
    with suppress_instrumentation():
        seen, recorder = ours(wire, case, "sync", "on", monkeypatch.setenv)
    assert differences(bare, seen) == []
    assert recorder.spans == []
    assert recorder.metrics() == {}
    recorder.close()


@pytest.mark.parametrize("flavour", ["sync", "async"])
@pytest.mark.parametrize(
    ("hosts", "sent"),
    [("127.0.0.1", True), ("*.0.0.1", True), ("127.0.0.2", False), ("0.0.1", False), ("", False)],
)
def test_the_trace_goes_out_to_named_hosts_only(hosts, sent, flavour, wire, monkeypatch):
    """``traceparent`` is the only thing added, and only for a host that was named; the caller's headers stay his."""
    case = dataclasses.replace(EVERY["chat_with_everything"], environment={"SPANLOOM_PROPAGATE_HOSTS": hosts})
    bare = observe(wire, case.scripts, case.program, flavour)
    seen, recorder = ours(wire, case, flavour, "off", monkeypatch.setenv)
    assert differences(bare, dataclasses.replace(seen, server=bare.server)) == []
    ((_, request, _), *_), ((_, plain, _), *_) = seen.server, bare.server
    header = re.compile(rb"traceparent: 00-%032x-%016x-01\r\n" % (1, 1))
    assert (header.sub(b"", request), len(header.findall(request))) == (plain, int(sent))
    recorder.close()


@pytest.mark.parametrize("flavour", ["sync", "async"])
def test_the_usage_of_a_stream_is_asked_for_and_hidden(flavour, wire, monkeypatch):
    """The application sees the chunks of the stream that it asked for; the request has one field more."""

    async def program(stage):
        create = stage.client().chat.completions.create
        await stage.read(await stage.call(create, **_calls.ASKED, stream=True), 99)
        await stage.settle()

    *words, usage, done = answers.CHAT_EVENTS
    case = _calls.Case("usage", program, (sse([*words, done], paced=False),))
    bare = observe(wire, case.scripts, program, flavour)
    asked = dataclasses.replace(
        case, scripts=(sse([*words, usage, done], paced=False),), environment={"SPANLOOM_OPENAI_STREAM_USAGE": "1"}
    )
    seen, recorder = ours(wire, asked, flavour, "off", monkeypatch.setenv)
    assert bare.application[:-1] == seen.application[:-1]
    assert b'"stream_options":{"include_usage":true}' in seen.server[0][1]
    assert recorder.span.attributes[GenAI.USAGE_OUTPUT_TOKENS] == 5
    recorder.close()
