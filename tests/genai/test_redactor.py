"""What completion hooks are given goes through the redactor first, and nothing goes out past it."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest
from opentelemetry.trace import Status, StatusCode

from spanloom.genai import _guard, hooks
from spanloom.semconv import Event, GenAI
from tests._support.plugins import CONTENT_VARIABLE
from tests.genai._make import inference, telemetry

SECRET = "4111 1111 1111 1111"
PART = {"type": "text", "content": f"card {SECRET}"}
CONTENT = {
    GenAI.INPUT_MESSAGES: [{"role": "user", "parts": [PART]}],
    GenAI.OUTPUT_MESSAGES: [{"role": "assistant", "parts": [PART]}],
    GenAI.SYSTEM_INSTRUCTIONS: [PART],
    GenAI.TOOL_DEFINITIONS: [{"type": "function", "name": "pay", "description": SECRET}],
}


class Keeping:
    """A hook that keeps what it is given, and writes a reference as uploads do."""

    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []

    def on_completion(self, **given: Any) -> None:
        self.calls.append(given)
        given["span"].set_attribute("spanloom.place", "bucket/1")


@pytest.fixture
def hook(monkeypatch):
    """The process's hook."""
    one = Keeping()
    monkeypatch.setattr("spanloom.genai._completion.load", lambda: one)
    return one


def masked(value: Any) -> Any:
    """A redactor."""
    return json.loads(json.dumps(value).replace(SECRET, "[card]"))


def call(recorder, **attributes):
    """One finished call."""
    one = inference(telemetry(recorder))
    one.input_content = {name: lambda name=name: CONTENT[name] for name in CONTENT}
    one.attributes.update(attributes)
    one.stop()
    return one


def test_all_that_a_hook_is_given(hook, recorder, monkeypatch):
    """Messages, instructions, tools and the event; the event that is emitted afterwards is that one."""
    monkeypatch.setenv(CONTENT_VARIABLE, "EVENT_ONLY")
    hooks.set_redactor(masked)
    call(recorder)
    (given,) = hook.calls
    seen = str({name: value for name, value in given.items() if name != "log_record"}) + str(
        given["log_record"].attributes
    )
    assert SECRET not in seen
    assert seen.count("[card]") == 8
    assert given["inputs"][0].parts[0].content == "card [card]"
    assert SECRET not in str(recorder.event(Event.INFERENCE_DETAILS).log_record.attributes)


def test_the_call_keeps_its_own(hook, recorder, monkeypatch):
    """Spans have a redaction of their own, further on; what the application gave is not changed."""
    monkeypatch.setenv(CONTENT_VARIABLE, "SPAN_ONLY")
    hooks.set_redactor(masked)
    call(recorder)
    assert SECRET in recorder.span.attributes[GenAI.INPUT_MESSAGES]
    assert PART["content"] == f"card {SECRET}"


def raising(value: Any) -> Any:
    """A redactor that is broken."""
    raise KeyError("pattern")


@pytest.mark.parametrize("redactor", [raising, lambda value: None, lambda value: SECRET, lambda value: (value,)])
def test_where_the_redactor_fails_nothing_is_handed_out(redactor, hook, recorder, monkeypatch, caplog):
    """It is reported, and the call is recorded all the same."""
    monkeypatch.setattr(_guard, "RERAISE", False)
    hooks.set_redactor(redactor)
    with caplog.at_level(logging.WARNING, "spanloom"):
        call(recorder)
    assert hook.calls == []
    (line,) = caplog.messages
    assert "genai.completion.hook" in line
    assert SECRET not in line
    assert recorder.span.status.status_code.name == "UNSET"


def test_an_event_that_cannot_be_redacted_is_not_handed_out(hook, recorder, monkeypatch):
    """The messages could: half is nothing."""
    monkeypatch.setattr(_guard, "RERAISE", False)
    monkeypatch.setenv(CONTENT_VARIABLE, "EVENT_ONLY")
    hooks.set_redactor(lambda value: raising(value) if isinstance(value, dict) else value)
    call(recorder)
    assert hook.calls == []


def test_the_span_can_be_written_and_not_read(hook, recorder):
    """What is on it by then has not been redacted; it does not end before its time."""
    hooks.set_redactor(masked)
    one = inference(telemetry(recorder))
    one.span.set_attribute("spanloom.place", SECRET)
    one.stop()
    (given,) = hook.calls
    span = given["span"]
    assert not hasattr(span, "attributes")
    assert recorder.span.attributes["spanloom.place"] == "bucket/1"


def test_what_the_api_can_do_with_a_span(hook, recorder):
    """Each method goes to the span, but for its end."""
    done = []

    class Writing(Keeping):
        def on_completion(self, **given: Any) -> None:
            span = given["span"]
            span.set_attributes({"spanloom.place": "b"})
            span.add_event("noted", {"a": 1})
            span.update_name("chat renamed")
            span.add_link(span.get_span_context())
            span.record_exception(ValueError("x"))
            span.set_status(Status(StatusCode.OK))
            span.end()
            done.append(span.is_recording())

    hook.on_completion = Writing().on_completion
    hooks.set_redactor(masked)
    call(recorder)
    assert done == [True]
    span = recorder.span
    assert (span.name, span.attributes["spanloom.place"], span.status.status_code.name) == ("chat renamed", "b", "OK")
    assert [event.name for event in span.events] == ["noted", "exception"]
    assert len(span.links) == 1
    recorder.clear()


def test_without_a_redactor_all_is_as_it_was(hook, recorder):
    """The span itself, and the content as it is; set and taken away leaves nothing."""
    hooks.set_redactor(masked)
    hooks.set_redactor(None)
    one = call(recorder)
    (given,) = hook.calls
    assert given["span"] is one.span
    assert SECRET in str(given["inputs"])
