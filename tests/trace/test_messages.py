"""Messages as people have them: texts, OpenAI's, the conventions', mixed; nothing copied that must not be."""

from __future__ import annotations

import hashlib
import json
from collections import deque
from types import SimpleNamespace

import pytest
from openai.types.chat import ChatCompletionMessage

from spanloom.genai import json_text
from spanloom.semconv import GenAI
from spanloom.trace._messages import builder, read, reasons_of, system_builder, tools_builder
from spanloom.trace._parts import told_parts
from tests._support.message_rules import span_content_problems
from tests.openai._reading import ODD, check_messages, wrong

PNG = "data:image/png;base64,aGVsbG8="
BLOB = {
    "type": "blob",
    "modality": "image",
    "content": "",
    "sha256": hashlib.sha256(b"hello").hexdigest(),
    "bytes": 5,
    "mime_type": "image/png",
}
CALLS = [{"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"q": 1}'}}]
CALL = {"type": "tool_call", "id": "c", "name": "f", "arguments": {"q": 1}}
ANSWER = {"type": "tool_call_response", "id": "c", "response": "found"}


def text(content):
    """A part of text."""
    return {"type": "text", "content": content}


def test_both_forms_mixed():
    """OpenAI's chat messages and the conventions' own in one list."""
    found = read(
        [
            {"role": "system", "content": "Be kind."},
            {"role": "user", "parts": [text("Hi"), {"type": "image_url", "image_url": {"url": PNG}}], "name": "Ann"},
            {"role": "assistant", "content": None, "tool_calls": CALLS},
            {"role": "tool", "tool_call_id": "c", "content": "found"},
            {"role": "assistant", "parts": [CALL]},
            {"role": "tool", "parts": [ANSWER]},
            ChatCompletionMessage(role="assistant", content="Hello."),
            "And?",
        ],
        "user",
    )
    assert found == [
        {"role": "system", "parts": [text("Be kind.")]},
        {"role": "user", "parts": [text("Hi"), BLOB], "name": "Ann"},
        {"role": "assistant", "parts": [CALL]},
        {"role": "tool", "parts": [ANSWER]},
        {"role": "assistant", "parts": [CALL]},
        {"role": "tool", "parts": [ANSWER]},
        {"role": "assistant", "parts": [text("Hello.")]},
        {"role": "user", "parts": [text("And?")]},
    ]
    assert not list(span_content_problems({GenAI.INPUT_MESSAGES: json_text(found)}))


@pytest.mark.parametrize(
    ("given", "role", "expected"),
    [
        ("Hi", "user", [{"role": "user", "parts": [text("Hi")]}]),
        (
            {"role": "tool", "content": "x"},
            "user",
            [{"role": "tool", "parts": [{**ANSWER, "id": None, "response": "x"}]}],
        ),
        (deque(["Hi"]), "user", [{"role": "user", "parts": [text("Hi")]}]),
        ([{"parts": [text("Hi")]}], "user", [{"role": "user", "parts": [text("Hi")]}]),
        ([{"content": "Hello."}], "assistant", [{"role": "assistant", "parts": [text("Hello.")]}]),
        ([{"content": "Hi"}, 5, None, ""], "user", []),
        ([{}, SimpleNamespace(), 5], "assistant", []),
        (SimpleNamespace(role="user", content="Hi"), "user", [{"role": "user", "parts": [text("Hi")]}]),
    ],
)
def test_what_messages_may_be(given, role, expected):
    """A text, a message, a list of either; a message without a role only where it must be the model's."""
    build = builder("x", given, role)
    assert build is not None
    assert build() == expected


@pytest.mark.parametrize("given", ["", [], (), None])
def test_no_messages(given, caplog):
    """Nothing is told, and that is no mistake."""
    assert builder("x", given, "user") is None
    assert not caplog.records


@pytest.mark.parametrize("given", [5, object(), {"a": 1}, {1, 2}, (one for one in "ab"), b"raw"], ids=repr)
def test_what_messages_may_not_be(given, caplog):
    """One line a place; a generator is not consumed."""
    assert builder("here", given, "user") is None
    assert builder("here", given, "user") is None
    (record,) = caplog.records
    assert "here" in record.getMessage()
    if hasattr(given, "gi_frame"):
        assert list(given) == ["a", "b"]


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ("plain", text("plain")),
        (text("a"), text("a")),
        ({"type": "text", "text": "a"}, text("a")),
        ({"type": "reasoning", "content": "hm"}, {"type": "reasoning", "content": "hm"}),
        ({"type": "reasoning"}, None),
        ({"type": "refusal", "refusal": "no"}, {"type": "refusal", "content": "no"}),
        ({**CALL, "arguments": '{"q": 1}'}, CALL),
        ({"type": "tool_call"}, {"type": "tool_call", "id": None, "name": "", "arguments": None}),
        ({**ANSWER, "response": [text("a"), 5, "x"]}, {**ANSWER, "response": [text("a"), 5, "x"]}),
        ({"type": "blob", "modality": "image", "mime_type": "image/png", "content": "aGVsbG8="}, BLOB),
        ({"type": "blob", "modality": "image", "mime_type": "image/png", "content": b"hello"}, BLOB),
        ({"type": "file", "modality": "image", "file_id": "f"}, {"type": "file", "modality": "image", "file_id": "f"}),
        ({"type": "file", "file": {"file_id": "f"}}, {"type": "file", "modality": "document", "file_id": "f"}),
        (
            {"type": "uri", "modality": "image", "uri": "https://user:key@h/a?sig=secret"},
            {"type": "uri", "modality": "image", "uri": "https://h/a"},
        ),
        ({"type": "uri", "modality": "image", "uri": PNG}, BLOB),
        ({"type": "citation", "content": "copied?"}, {"type": "citation"}),
        (
            {"type": "server_tool_call", "id": "s", "server_tool_call": {"type": "web_search", "q": "x"}},
            {
                "type": "server_tool_call",
                "id": "s",
                "name": "web_search",
                "server_tool_call": {"type": "web_search", "q": "x"},
            },
        ),
        (
            {"type": "server_tool_call_response", "id": "s", "server_tool_call_response": {"type": "web_search"}},
            {"type": "server_tool_call_response", "id": "s", "server_tool_call_response": {"type": "web_search"}},
        ),
        (5, None),
        (None, None),
    ],
)
def test_parts(part, expected):
    """Each kind as the conventions have it, bytes by digest and size, addresses without what signs them."""
    found = told_parts([part])
    assert found == ([] if expected is None else [expected])
    assert not list(span_content_problems({GenAI.INPUT_MESSAGES: json_text([{"role": "user", "parts": found}])}))


def test_instructions_and_tools():
    """Texts only; types and names only."""
    build = system_builder(["Be kind.", {"type": "text", "text": "a"}, text("b"), {"type": "image"}, 5])
    assert build is not None
    assert build() == [text("Be kind."), text("a"), text("b")]
    assert system_builder(None) is None
    assert [build() for none in ("", [], 5) if (build := system_builder(none)) is not None] == [None] * 3
    offered = tools_builder([CALLS[0], {"type": "function", "name": "g", "parameters": {}}, 5])
    assert offered is not None
    assert offered() == [{"type": "function", "name": "f"}, {"type": "function", "name": "g"}]
    assert tools_builder("f") is tools_builder(None) is None


class Hostile:
    """Raises whatever is asked of it."""

    def __getattr__(self, name):
        raise RuntimeError(name)


def test_an_object_that_raises():
    """It is left out; what is beside it is not."""
    assert read([Hostile(), "Hi", {"role": "user", "parts": [Hostile(), text("a")]}], "user") == [
        {"role": "user", "parts": [text("Hi")]},
        {"role": "user", "parts": [text("a")]},
    ]
    assert reasons_of(Hostile()) is None
    offered = tools_builder([Hostile(), CALLS[0]])
    assert offered is not None
    assert offered() == [{"type": "function", "name": "f"}]


def test_messages_with_one_thing_wrong():
    """Every place of a good list, with every odd value: messages still, by the schemas."""
    good = [
        {
            "role": "user",
            "parts": [text("Hi"), {**BLOB, "content": "aGk="}, {"type": "uri", "modality": "image", "uri": "x"}],
        },
        {"role": "assistant", "parts": [{"type": "reasoning", "content": "hm"}, CALL]},
        {"role": "tool", "parts": [{**ANSWER, "response": [text("a")]}]},
        {"role": "assistant", "parts": [{"type": "server_tool_call", "id": "s", "server_tool_call": {"type": "x"}}]},
        {"role": "assistant", "content": "Hello.", "tool_calls": CALLS},
    ]
    for odd in wrong(good):
        build = builder("x", odd, "user")
        check_messages(json.loads(json_text(build())) if build is not None else ())
    for odd in ODD:
        for build in (builder("x", odd, "assistant"), system_builder(odd), tools_builder(odd)):
            json_text(build() if build is not None else None)
