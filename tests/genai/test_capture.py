"""Where content goes: by the process's mode, by a block of code, by a client."""

from __future__ import annotations

import asyncio
import contextvars
import threading

import pytest

from spanloom.genai import Inference, Peer, Telemetry
from spanloom.semconv import Event, GenAI
from spanloom.trace import content
from tests._support.plugins import CONTENT_VARIABLE
from tests.genai._make import telemetry

BOTH = ("SPAN_AND_EVENT", True, True)


def call(of: Telemetry, owner: object = None, **attributes) -> Inference:
    """One finished call with a message each way."""
    one = Inference(of, "chat", "m", Peer("openai"), owner)
    one.input_content = {GenAI.INPUT_MESSAGES: lambda: [{"role": "user", "parts": []}]}
    one.output_content = {GenAI.OUTPUT_MESSAGES: lambda: [{"role": "assistant", "parts": []}]}
    one.attributes.update(attributes)
    one.stop()
    return one


def places(recorder) -> tuple[bool, bool]:
    """Whether the only call's content is on its span, and in an event."""
    on_span = GenAI.INPUT_MESSAGES in recorder.span.attributes
    in_event = any(GenAI.INPUT_MESSAGES in one.log_record.attributes for one in recorder.events)
    recorder.clear()
    return on_span, in_event


@pytest.mark.parametrize(
    ("mode", "span", "event"),
    [
        (None, False, False),
        ("NO_CONTENT", False, False),
        ("false", False, False),
        ("nonsense", False, False),
        ("SPAN_ONLY", True, False),
        ("true", True, False),
        ("EVENT_ONLY", False, True),
        BOTH,
    ],
)
def test_the_mode(mode, span, event, recorder, monkeypatch):
    """Private by default, and private where the value is not understood."""
    if mode is not None:
        monkeypatch.setenv(CONTENT_VARIABLE, mode)
    call(telemetry(recorder))
    assert places(recorder) == (span, event)


@pytest.mark.parametrize("process", ["NO_CONTENT", "SPAN_AND_EVENT"])
@pytest.mark.parametrize(
    ("mode", "span", "event"),
    [("NO_CONTENT", False, False), ("span_only", True, False), ("EVENT_ONLY", False, True), BOTH, (True, True, False),
     (False, False, False)],
)  # fmt: skip
def test_a_block_overrides_the_mode(process, mode, span, event, recorder, monkeypatch):
    """On where the process has it off, and off where it has it on; for that block alone."""
    monkeypatch.setenv(CONTENT_VARIABLE, process)
    of = telemetry(recorder)
    with content(mode):
        call(of)
    assert places(recorder) == (span, event)
    call(of)
    assert places(recorder) == (process != "NO_CONTENT",) * 2


def test_blocks_nest(recorder):
    """The innermost wins, and the outer one is back after it."""
    of = telemetry(recorder)
    with content(True):
        with content(False):
            call(of)
        assert places(recorder) == (False, False)
        call(of)
    assert places(recorder) == (True, False)


class Client:
    """As an OpenAI client: copies share the HTTP client."""

    def __init__(self, http=None):
        self._client = http or object()


def test_a_block_for_one_client(recorder):
    """One tenant's calls, those of its copies too; other clients keep the process's mode, or the outer block's."""
    of, tenant, other = telemetry(recorder), Client(), Client()
    with content(True, client=tenant):
        for owner, expected in ((tenant, True), (Client(tenant._client), True), (other, False), (None, False)):
            call(of, owner)
            assert places(recorder)[0] is expected
        with content(False, client=other):
            call(of, tenant)
            assert places(recorder)[0] is True
    with content(True), content(False, client=tenant):
        call(of, other)
        assert places(recorder)[0] is True
        call(of, tenant)
        assert places(recorder)[0] is False


def test_it_is_decided_when_the_call_begins(recorder):
    """A stream that goes on after the block keeps what was meant for it."""
    of = telemetry(recorder)
    with content(True):
        one = Inference(of, "chat", "m", Peer("openai"))
        one.input_content = {GenAI.INPUT_MESSAGES: list}
    one.stop()
    assert places(recorder) == (True, False)


def test_it_goes_into_tasks_and_handed_over_contexts(recorder):
    """Like everything that the OpenTelemetry context carries; a plain thread has a context of its own."""
    of = telemetry(recorder)

    async def program():
        with content(True):
            task = asyncio.create_task(asyncio.to_thread(call, of))
        await task

    asyncio.run(program())
    assert places(recorder) == (True, False)
    with content(True):
        handed = contextvars.copy_context()
        thread = threading.Thread(target=call, args=(of,))
    for run in (thread.start, thread.join):
        run()
    assert places(recorder) == (False, False)
    handed.run(call, of)
    assert places(recorder) == (True, False)


def test_a_mode_that_does_not_exist_is_refused():
    """The author of the code is told what to write."""
    with pytest.raises(ValueError, match=r"'SPANS' is none of NO_CONTENT, .*SPAN_AND_EVENT"), content("SPANS"):
        pass


def test_the_details_event(recorder, monkeypatch):
    """What the span has, and structured content; below the span, under the conventions' name."""
    monkeypatch.setenv(CONTENT_VARIABLE, "EVENT_ONLY")
    one = call(telemetry(recorder), **{GenAI.REQUEST_TEMPERATURE: 0.5})
    event = recorder.event(Event.INFERENCE_DETAILS)
    assert event.log_record.span_id == one.span.get_span_context().span_id
    assert event.instrumentation_scope.schema_url
    attributes = dict(event.log_record.attributes)
    assert attributes.pop(GenAI.INPUT_MESSAGES) == ({"role": "user", "parts": ()},)
    assert attributes.pop(GenAI.OUTPUT_MESSAGES) == ({"role": "assistant", "parts": ()},)
    assert attributes == dict(recorder.span.attributes)


def test_content_for_spans_alone_is_in_no_event(recorder, monkeypatch):
    """Whatever its name: prompt variables and texts to embed are content as messages are."""
    monkeypatch.setenv(CONTENT_VARIABLE, "SPAN_ONLY")
    monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_EMIT_EVENT", "true")
    one = Inference(telemetry(recorder), "chat", "m", Peer("openai"))
    one.input_content = {"gen_ai.prompt.variable.city": lambda: "Oslo"}
    one.stop()
    assert recorder.span.attributes["gen_ai.prompt.variable.city"] == "Oslo"
    assert "Oslo" not in str(recorder.event(Event.INFERENCE_DETAILS).log_record.attributes)


@pytest.mark.parametrize(
    ("mode", "emit", "events", "with_content"),
    [
        ("NO_CONTENT", "true", 1, False),
        ("SPAN_ONLY", "true", 1, False),
        ("EVENT_ONLY", "true", 1, True),
        ("EVENT_ONLY", "false", 0, False),
        ("SPAN_AND_EVENT", "false", 0, False),
    ],
)
def test_events_can_be_switched_on_their_own(mode, emit, events, with_content, recorder, monkeypatch):
    """OTEL_INSTRUMENTATION_GENAI_EMIT_EVENT; content goes only where the mode sends it."""
    monkeypatch.setenv(CONTENT_VARIABLE, mode)
    monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_EMIT_EVENT", emit)
    call(telemetry(recorder))
    assert len(recorder.events) == events
    assert all((GenAI.INPUT_MESSAGES in one.log_record.attributes) is with_content for one in recorder.events)


def failed(of: Telemetry) -> ValueError:
    """A call that failed with a text which may quote the prompt."""
    error = ValueError("the prompt")
    with pytest.raises(ValueError, match="the prompt"), Inference(of, "chat", "m", Peer("openai")):
        raise error
    return error


def test_the_exception_event_has_no_text_without_content(recorder):
    """Type and frames tell where; what the provider quoted is content."""
    failed(telemetry(recorder))
    record = recorder.event(Event.EXCEPTION).log_record
    assert record.severity_number.name == "WARN"
    assert set(record.attributes) == {"exception.type", "exception.stacktrace"}
    assert record.attributes["exception.type"] == "ValueError"
    assert "in failed\n" in record.attributes["exception.stacktrace"]
    assert "raise error" not in record.attributes["exception.stacktrace"]
    assert record.attributes["exception.stacktrace"].endswith("\nValueError\n")


def test_the_exception_event_with_content(recorder, content):
    """The message, and the traceback as Python prints it."""
    failed(telemetry(recorder))
    attributes = recorder.event(Event.EXCEPTION).log_record.attributes
    assert attributes["exception.message"] == "the prompt"
    assert attributes["exception.stacktrace"].endswith("ValueError: the prompt\n")


def test_without_a_logger_nobody_formats_a_traceback(recorder, monkeypatch):
    """A failed call must not cost more where no one listens."""
    monkeypatch.setattr("spanloom.genai._events._stack", lambda *_: pytest.fail("formatted"))
    failed(Telemetry("spanloom.test", recorder.tracer_provider, recorder.meter_provider))
    assert recorder.events == []


def test_a_reported_failure_has_a_type_and_no_exception(recorder, content):
    """The server said in a good answer that it failed."""
    one = Inference(telemetry(recorder), "chat", "m", Peer("openai"))
    one.fail_as("server_error", "it broke")
    one.fail_as("again")
    assert recorder.span.attributes["error.type"] == "server_error"
    assert recorder.span.status.description == "it broke"
    assert recorder.events == []


def test_it_decorates_functions_and_coroutine_functions(recorder, monkeypatch):
    """The block is around the body, however it runs; a generator's author is told what to write."""
    monkeypatch.setenv(CONTENT_VARIABLE, "SPAN_ONLY")
    of = telemetry(recorder)

    @content(False)
    def plain():
        call(of)

    @content(False)
    async def awaited():
        await asyncio.sleep(0)
        call(of)

    plain()
    assert places(recorder) == (False, False)
    asyncio.run(awaited())
    assert places(recorder) == (False, False)
    with pytest.raises(TypeError, match="inside"):

        @content(False)
        def lines():
            yield 1


def test_a_generator_that_is_left_takes_its_block_along(recorder, caplog):
    """The reader's own calls are as they were, and nothing is logged."""
    of = telemetry(recorder)

    async def lines():
        with content(True):
            yield 1
            yield 2

    async def program():
        stream = lines()
        async for _ in stream:
            break
        await asyncio.create_task(stream.aclose())
        call(of)

    asyncio.run(program())
    assert places(recorder) == (False, False)
    assert not caplog.records
