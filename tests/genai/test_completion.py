"""The completion hook: how it is found, what it is given, and that nothing it does reaches the caller.

What the real ``upload`` hook makes of it: tests/zero_code/test_events_upload.py, in an environment that has it.
"""

from __future__ import annotations

import dataclasses
import logging
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

from spanloom.genai import Telemetry, _completion, _guard
from spanloom.semconv import GenAI
from tests._support.spans import Recorder
from tests.genai._make import inference

VARIABLE = "OTEL_INSTRUMENTATION_GENAI_COMPLETION_HOOK"
QUESTION = {"role": "user", "parts": [{"type": "text", "content": "hello"}]}


class Keeping:
    """A hook that keeps what it is given."""

    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []

    def on_completion(self, **given: Any) -> None:
        self.calls.append(given)


class Raising:
    """A hook that is broken."""

    def on_completion(self, **given: Any) -> None:
        raise ValueError("the bucket is gone")


class Point:
    """An entry point."""

    def __init__(self, name: str, factory: Any) -> None:
        self.name, self._factory = name, factory

    def load(self) -> Any:
        return self._factory


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    """Nothing that another test has loaded, and nothing left for the next."""

    def forget() -> None:
        for cached in (_completion.load, _completion._types, _completion._extended):
            cached.cache_clear()
        _completion._made.clear()

    forget()
    yield
    forget()


@pytest.fixture
def named(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Install hooks under names and choose one of them."""

    def install(chosen: str, **factories: Any) -> None:
        points = [Point(name, factory) for name, factory in factories.items()]
        monkeypatch.setattr(_completion, "entry_points", lambda group: points if group == _completion.GROUP else [])
        monkeypatch.setenv(VARIABLE, chosen)

    return install


@pytest.fixture
def official(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A stand-in for the official types: two of them, one under its older name."""
    types = ModuleType("opentelemetry.util.genai.types")
    types.InputMessage = dataclasses.make_dataclass("InputMessage", ["role", "parts", ("name", Any, None)])
    types.TextPart = dataclasses.make_dataclass("TextPart", ["content", ("type", str, "text")])
    types.ToolCallRequest = dataclasses.make_dataclass(
        "ToolCallRequest", ["arguments", "name", "id", ("type", str, "tool_call")]
    )
    types.GenericPart = dataclasses.make_dataclass("GenericPart", ["type"])
    monkeypatch.setitem(sys.modules, "opentelemetry.util.genai", ModuleType("opentelemetry.util.genai"))
    monkeypatch.setitem(sys.modules, types.__name__, types)
    return types


def told(hook: Any = None, **content: Any) -> dict[str, Any]:
    """What a hook is given for this content."""
    hook = hook or Keeping()
    rows = {"inputs": [], "outputs": [], "system_instruction": [], "tool_definitions": None, **content}
    _completion.notify(hook, **rows, span=None, log_record=None)
    return hook.calls[-1] if isinstance(hook, Keeping) else {}


def test_no_hook_is_looked_for_where_none_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Listing entry points reads the metadata of every installed package."""
    monkeypatch.setattr(_completion, "entry_points", lambda **_: pytest.fail("looked"))
    assert _completion.load() is None


def test_the_named_hook_is_made_once(named: Any) -> None:
    """Several instrumentors share one hook: each may hold threads and connections."""
    named("upload", upload=Keeping, other=Raising)
    first = _completion.load()
    assert isinstance(first, Keeping)
    assert _completion.load() is first


def test_an_unknown_name_is_said_once_with_those_that_exist(named: Any, caplog: pytest.LogCaptureFixture) -> None:
    """One line names the variable, the value and what there is."""
    named("uplaod", upload=Keeping, other=Raising)
    with caplog.at_level(logging.WARNING, "spanloom"):
        assert _completion.load() is None
        assert _completion.load() is None
    (line,) = caplog.messages
    assert line == f"spanloom: {VARIABLE}=uplaod: no such hook is installed (known: other, upload); none is called"


def test_a_hook_that_cannot_be_made_costs_itself(
    named: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The line has the reason that the hook gave."""

    def broken() -> Any:
        raise ValueError("Failed to write to gs://nowhere")

    named("upload", upload=broken)
    monkeypatch.setattr(_guard, "RERAISE", False)
    with caplog.at_level(logging.WARNING, "spanloom"):
        assert _completion.load() is None
    assert "Failed to write to gs://nowhere" in caplog.text


def test_an_object_that_is_no_hook_is_refused(named: Any, caplog: pytest.LogCaptureFixture) -> None:
    """It is said at the start, and not with every call."""
    named("upload", upload=object)
    with caplog.at_level(logging.WARNING, "spanloom"):
        assert _completion.load() is None
    assert "has no on_completion()" in caplog.text


def test_a_hook_that_does_nothing_is_none(named: Any) -> None:
    """The built-in hook without its base path is a no-op, for which no content should be built."""
    named("upload", upload=type("_NoOpCompletionHook", (), {"on_completion": lambda self, **_: None}))
    assert _completion.load() is None


def test_without_the_official_package_hooks_get_the_same_fields() -> None:
    """Attributes and ``asdict`` work as with the official dataclasses."""
    call = {"type": "tool_call", "id": "c1", "name": "search", "arguments": {"q": [1]}}
    given = told(
        inputs=[QUESTION],
        outputs=[{"role": "assistant", "parts": [call]}],
        system_instruction=[{"type": "text", "content": "be brief"}],
        tool_definitions=[{"type": "function", "name": "search"}],
    )
    assert given["inputs"][0].parts[0].content == "hello"
    assert dataclasses.asdict(given["inputs"][0]) == QUESTION
    assert dataclasses.asdict(given["outputs"][0]) == {"role": "assistant", "parts": [call]}
    assert given["system_instruction"][0].content == "be brief"
    assert dataclasses.asdict(given["tool_definitions"][0]) == {"type": "function", "name": "search"}
    assert (given["span"], given["log_record"]) == (None, None)


def test_with_the_official_package_its_types_are_given(official: ModuleType) -> None:
    """Hooks ask ``isinstance(part, TextPart)``; a class that has its older name only is found as well."""
    parts = [{"type": "text", "content": "hi"}, {"type": "tool_call", "name": "f", "arguments": None}]
    (message,) = told(inputs=[{"role": "user", "parts": parts}])["inputs"]
    assert type(message) is official.InputMessage
    assert type(message.parts[0]) is official.TextPart
    assert type(message.parts[1]) is official.ToolCallRequest
    assert (message.name, message.parts[1].id) == (None, None)


def test_fields_that_the_official_types_lack_are_kept(official: ModuleType) -> None:
    """A part is an instance of its official class and has what we know beyond it."""
    parts = [{"type": "text", "content": "hi", "cut": 3}, {"type": "refusal", "content": "no"}]
    (message,) = told(inputs=[{"role": "user", "parts": parts}])["inputs"]
    assert isinstance(message.parts[0], official.TextPart)
    assert isinstance(message.parts[1], official.GenericPart)
    assert dataclasses.asdict(message)["parts"] == parts


def test_names_that_cannot_be_fields_are_left_out() -> None:
    """Whatever a provider calls its keys, a record can be made."""
    odd = {"type": "text", "content": "x", "a-b": 1, "class": 2, "_x": 3, "__class__": 4, "": 5, "fine": 6}
    (part,) = told(system_instruction=[odd])["system_instruction"]
    assert dataclasses.asdict(part) == {"type": "text", "content": "x", "fine": 6}


@pytest.mark.parametrize(
    ("content", "expected"),
    [("aGk=", b"hi"), ("", b""), (None, b""), ("no base64!", b"no base64!"), ("\ud800", b"?")],
)
def test_blobs_are_bytes(content: Any, expected: bytes) -> None:
    """The official type holds bytes; what stands for them (digest, size) comes beside."""
    blob = {"type": "blob", "modality": "image", "mime_type": "image/png", "content": content, "sha256": "ab"}
    (message,) = told(inputs=[{"role": "user", "parts": [blob]}])["inputs"]
    assert (message.parts[0].content, message.parts[0].sha256) == (expected, "ab")


def test_odd_content_becomes_plain_and_is_a_copy() -> None:
    """A hook may keep, change and write what it gets; rows that are no mappings are left out."""
    arguments = {"when": object}
    call = {"type": "tool_call", "name": "f", "arguments": arguments}
    given = told(inputs=[{"role": "user", "parts": [call, "no part"]}, "no message"], outputs=None)
    (message,) = given["inputs"]
    (part,) = message.parts
    assert part.arguments == {"when": str(object)}
    part.arguments["when"] = "changed"
    assert arguments == {"when": object}
    assert given["outputs"] == []


def test_a_hook_that_raises_is_logged_and_nothing_more(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A broken bucket is no reason for a failed answer."""
    monkeypatch.setattr(_guard, "RERAISE", False)
    with caplog.at_level(logging.WARNING, "spanloom"):
        told(Raising(), inputs=[QUESTION])
        told(Raising(), inputs=[QUESTION])
    (line,) = caplog.messages
    assert "genai.completion.hook (ValueError: the bucket is gone)" in line


def test_after_a_hook_has_raised_the_next_call_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """The mark of a running hook goes with it, however it ends."""
    with pytest.raises(ValueError, match="bucket"):
        told(Raising(), inputs=[QUESTION])
    assert told(inputs=[QUESTION])["inputs"]


def test_a_hook_that_asks_a_model_itself_is_not_called_for_that() -> None:
    """A judge's own inference ends while it judges: without a stop, it would be judged for ever."""

    class Judge(Keeping):
        def on_completion(self, **given: Any) -> None:
            super().on_completion(**given)
            told(self, inputs=[QUESTION])

    judge = Judge()
    told(judge, inputs=[QUESTION])
    assert len(judge.calls) == 1


class Queueing(Keeping):
    """A hook that works behind the caller's back."""

    closed = 0

    def shutdown(self) -> None:
        type(self).closed += 1


def test_a_hook_that_was_made_is_closed_and_none_is_made_for_that(named: Any) -> None:
    """What a hook has begun must not go with the process; one that cannot be closed is left alone."""
    named("queue", queue=Queueing, keep=Keeping)
    _completion.close()
    assert Queueing.closed == 0
    _completion.load()
    _completion.close()
    assert Queueing.closed == 1
    _completion.load.cache_clear()
    named("keep", keep=Keeping)
    _completion.load()
    _completion.close()
    assert Queueing.closed == 1


def test_the_classes_made_for_hooks_are_bounded() -> None:
    """Keys may come from a provider: they must not fill the memory."""
    for number in range(300):
        told(system_instruction=[{"type": "text", f"key{number}": number}])
    assert _completion._extended.cache_info().currsize <= 256


def test_an_inference_tells_its_hook_before_its_span_ends(named: Any) -> None:
    """Also where content goes nowhere else: a hook may write references to the span, which has no content itself."""

    class Referring(Keeping):
        def on_completion(self, **given: Any) -> None:
            super().on_completion(**given)
            assert given["span"].is_recording()
            given["span"].set_attribute("app.ref", "memory://1")

    # Not the fixture: the attribute is the hook's, and in no registry.
    recorder = Recorder()
    named("refer", refer=Referring)
    call = inference(Telemetry("spanloom.test", **recorder.providers))
    assert call.captures_content
    call.input_content = {GenAI.INPUT_MESSAGES: lambda: [QUESTION]}
    call.stop()
    (given,) = _completion.load().calls
    assert dataclasses.asdict(given["inputs"][0]) == QUESTION
    assert recorder.span.attributes["app.ref"] == "memory://1"
    assert GenAI.INPUT_MESSAGES not in recorder.span.attributes
    recorder.close()
