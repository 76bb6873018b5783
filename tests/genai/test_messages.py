"""Chat messages and their parts in the conventions' words: every kind, nothing copied that must not be."""

from __future__ import annotations

import base64
import hashlib
import json
from collections import OrderedDict
from types import SimpleNamespace

import pytest
from openai.types.chat import ChatCompletionMessage
from pydantic import BaseModel

from spanloom.genai import json_text
from spanloom.genai._fields import fields, get, plain
from spanloom.genai._messages import input_messages, output_message, parsed, tool_definitions
from spanloom.genai._parts import content_parts, media, part_of
from spanloom.semconv import GenAI
from tests._support.message_rules import span_content_problems
from tests.openai._reading import ODD, check_messages, wrong


def digest(raw):
    """The hexadecimal SHA-256."""
    return hashlib.sha256(raw).hexdigest()


def blob(modality, raw, mime=None, **more):
    """The part that stands for these bytes."""
    part = {"type": "blob", "modality": modality, "content": "", "sha256": digest(raw), "bytes": len(raw), **more}
    return part if mime is None else {**part, "mime_type": mime}


def uri(address, modality="image"):
    """The part for an address."""
    return {"type": "uri", "modality": modality, "uri": address}


PNG = "data:image/png;base64,aGVsbG8="
PARTS = [
    ("plain", {"type": "text", "content": "plain"}),
    ({"type": "text", "text": "a"}, {"type": "text", "content": "a"}),
    ({"type": "input_text", "text": "a"}, {"type": "text", "content": "a"}),
    ({"type": "output_text", "text": ""}, {"type": "text", "content": ""}),
    ({"type": "refusal", "refusal": "no"}, {"type": "refusal", "content": "no"}),
    ({"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}, {"type": "reasoning", "content": "hm"}),
    ({"type": "thinking", "thinking": "hm"}, {"type": "reasoning", "content": "hm"}),
    ({"type": "image_url", "image_url": {"url": "https://x/y"}}, uri("https://x/y")),
    ({"type": "image_url", "image_url": "https://x/y"}, uri("https://x/y")),
    ({"type": "input_image", "image_url": "https://x/y", "detail": "auto"}, uri("https://x/y")),
    ({"type": "input_image", "file_id": "f"}, {"type": "file", "modality": "image", "file_id": "f"}),
    ({"type": "computer_screenshot", "image_url": PNG}, blob("image", b"hello", "image/png")),
    ({"type": "image_url", "image_url": {"url": PNG}}, blob("image", b"hello", "image/png")),
    ({"type": "video_url", "video_url": {"url": "https://x/v"}}, uri("https://x/v", "video")),
    ({"type": "audio_url", "audio_url": {"url": "https://x/a"}}, uri("https://x/a", "audio")),
    ({"type": "input_audio", "input_audio": {"data": "aGk=", "format": "wav"}}, blob("audio", b"hi", "audio/wav")),
    ({"type": "input_audio", "input_audio": {"data": None}}, blob("audio", b"")),
    ({"type": "file", "file": {"file_id": "f"}}, {"type": "file", "modality": "document", "file_id": "f"}),
    (
        {"type": "file", "file": {"file_data": "data:application/pdf;base64,aGk=", "filename": "a.pdf"}},
        blob("document", b"hi", "application/pdf"),
    ),
    ({"type": "input_file", "file_data": "data:image/png;base64,aGk="}, blob("image", b"hi", "image/png")),
    ({"type": "input_file", "file_data": "aGk="}, blob("document", b"hi")),
    ({"type": "input_file", "file_url": "https://x/f.pdf"}, uri("https://x/f.pdf", "document")),
    ({"type": "hologram", "data": "secret"}, {"type": "hologram"}),
]
NO_PARTS = [
    {},
    None,
    7,
    "",
    {"type": None},
    {"type": "text"},
    {"type": "text", "text": 5},
    {"type": "refusal", "refusal": None},
    {"type": "image_url"},
    {"type": "image_url", "image_url": {"url": ""}},
    {"type": "input_audio"},
    {"type": "file", "file": {}},
    {"type": "thinking"},
]


@pytest.mark.parametrize(("part", "expected"), PARTS)
def test_parts(part, expected):
    """Each kind in the conventions' words; unknown ones are named and not copied."""
    assert part_of(part) == expected
    assert input_messages([{"role": "user", "content": [part]}]) == [{"role": "user", "parts": [expected]}]


@pytest.mark.parametrize("part", NO_PARTS)
def test_what_is_no_part_is_left_out(part):
    """Where the input is nonsense, nothing is reported."""
    assert content_parts([part]) == []


@pytest.mark.parametrize(
    ("address", "kept"),
    [
        ("https://user:pass@host/a?sig=secret#part", "https://host/a"),
        ("https://host?key=secret", "https://host"),
        ("host/a@b?key=secret", "host/a@b"),
        ("gs://bucket/a", "gs://bucket/a"),
    ],
)
def test_addresses_are_written_without_what_signs_them(address, kept):
    """A signed address is a key to what it points to."""
    assert media("image", address) == uri(kept)


@pytest.mark.parametrize(
    ("data", "raw"),
    [
        ("data:image/png;base64," + base64.b64encode(b"\0" * 1000).decode(), b"\0" * 1000),
        ("DATA:image/svg+xml,<svg/>", b"<svg/>"),
        ("data:image/png;base64,a", b"a"),
        ("data:image/png;base64,\ud800é", "\ud800é".encode(errors="replace")),
        ("data:image/png", b""),
    ],
)
def test_a_blob_is_the_digest_of_its_bytes(data, raw):
    """Decoded where it is base64, else the text itself; the bytes are nowhere."""
    part = media("image", data)
    assert (part["sha256"], part["bytes"], part["content"]) == (digest(raw), len(raw), "")


def test_a_conversation():
    """All in order, with instructions where they stand; names are kept, what is no message is not."""
    messages = [
        {"role": "system", "content": "a"},
        {"role": "user", "content": "", "name": "Ann"},
        {"role": "user", "content": "", "name": 5},
        {
            "role": "assistant",
            "content": "b",
            "reasoning_content": "why",
            "refusal": "no",
            "tool_calls": [None, {"id": "1", "function": {"name": "f", "arguments": "{}"}}],
        },
        {"role": "tool", "tool_call_id": "1", "content": [{"type": "text", "text": "d"}, None]},
        {"role": "function", "name": "f", "content": "e"},
        {"role": "developer", "content": [{"type": "text", "text": "g"}]},
        SimpleNamespace(role="user", content="h"),
        OrderedDict(role="user", content="i"),
        {},
        None,
        "text",
    ]
    found = input_messages(messages)
    call = {"type": "tool_call", "id": "1", "name": "f", "arguments": {}}
    assert found == [
        {"role": "system", "parts": [{"type": "text", "content": "a"}]},
        {"role": "user", "parts": [], "name": "Ann"},
        {"role": "user", "parts": []},
        {
            "role": "assistant",
            "parts": [
                {"type": "reasoning", "content": "why"},
                {"type": "text", "content": "b"},
                {"type": "refusal", "content": "no"},
                call,
            ],
        },
        {
            "role": "tool",
            "parts": [{"type": "tool_call_response", "id": "1", "response": [{"type": "text", "content": "d"}]}],
        },
        {"role": "function", "parts": [{"type": "tool_call_response", "id": None, "response": "e"}], "name": "f"},
        {"role": "developer", "parts": [{"type": "text", "content": "g"}]},
        {"role": "user", "parts": [{"type": "text", "content": "h"}]},
        {"role": "user", "parts": [{"type": "text", "content": "i"}]},
    ]
    assert not list(span_content_problems({GenAI.INPUT_MESSAGES: json_text(found)}))


@pytest.mark.parametrize("make", [dict, lambda **fields: ChatCompletionMessage.construct(**fields)])
def test_an_answer_with_everything(make):
    """The SDK's object, its unknown fields included, and the same as a dict."""
    message = make(
        role="assistant",
        content=None,
        reasoning="hm",
        audio={"id": "a1", "data": "aGk=", "transcript": "Hi"},
        function_call={"name": "f", "arguments": '{"a": 1}'},
        tool_calls=[{"id": "2", "type": "custom", "custom": {"name": "g", "input": '{"a'}}],
    )
    assert output_message(message) == {
        "role": "assistant",
        "parts": [
            {"type": "reasoning", "content": "hm"},
            blob("audio", b"hi", transcript="Hi"),
            {"type": "tool_call", "id": "2", "name": "g", "arguments": '{"a'},
            {"type": "tool_call", "id": None, "name": "f", "arguments": {"a": 1}},
        ],
    }


@pytest.mark.parametrize(
    ("audio", "expected"),
    [
        ({"id": "a1"}, [{"type": "audio", "id": "a1"}]),
        ({"transcript": "Hi"}, [blob("audio", b"", transcript="Hi")]),
        ({"data": "aGk="}, [blob("audio", b"hi")]),
        ({}, []),
        ("x", []),
    ],
)
def test_speech(audio, expected):
    """By its digest, its words, or only by its id where a later request points back."""
    assert output_message({"audio": audio})["parts"] == expected


@pytest.mark.parametrize(
    ("call", "name", "arguments"),
    [
        ({"function": {"name": "f", "arguments": '{"a": 1}'}}, "f", {"a": 1}),
        ({"function": {"name": "f", "arguments": "not json"}}, "f", "not json"),
        ({"function": {"name": "f", "arguments": "{not json"}}, "f", "{not json"),
        ({"function": {"name": None, "arguments": None}}, "", None),
        ({"custom": {"name": "g", "input": "print()"}}, "g", "print()"),
        ({}, "", None),
        ("x", "", None),
    ],
)
def test_tool_calls(call, name, arguments):
    """Arguments as a value where the model wrote JSON, as it wrote them where it did not."""
    (part,) = output_message({"tool_calls": [call]})["parts"]
    assert (part["type"], part["id"], part["name"], part["arguments"]) == ("tool_call", None, name, arguments)


def test_arguments_without_end_are_text():
    """A model that opens brackets for ever does not break the call."""
    deep = "[" * 200_000
    assert parsed(deep) == deep


def test_tool_definitions():
    """Type and name of each; no descriptions, no parameters, no addresses or headers."""
    tools = [
        {"type": "function", "function": {"name": "f", "description": "secret", "parameters": {}}},
        {"type": "function", "name": "flat", "parameters": {}},
        {"type": "custom", "custom": {"name": "g"}},
        {"name": "h"},
        {"type": "web_search", "user_location": {"city": "Oslo"}},
        {"type": "mcp", "server_label": "docs", "server_url": "https://x?key=1", "headers": {"Authorization": "k"}},
        {"type": "function", "function": None},
        {},
        None,
        "x",
    ]
    found = tool_definitions(tools)
    assert found == [
        {"type": "function", "name": "f"},
        {"type": "function", "name": "flat"},
        {"type": "custom", "name": "g"},
        {"type": "function", "name": "h"},
        {"type": "web_search", "name": "web_search"},
        {"type": "mcp", "name": "docs"},
        {"type": "function", "name": "function"},
    ]
    assert not list(span_content_problems({GenAI.TOOL_DEFINITIONS: json.dumps(found)}))


TALK = [
    {"role": "system", "content": "a"},
    {
        "role": "assistant",
        "content": [part for part, _ in PARTS if isinstance(part, dict)],
        "reasoning_content": "why",
        "audio": {"id": "a", "data": "aGk=", "transcript": "Hi"},
        "function_call": {"name": "f", "arguments": "{}"},
        "tool_calls": [{"id": "1", "function": {"name": "f", "arguments": "{}"}}, {"custom": {"name": "g"}}],
    },
    {"role": "tool", "tool_call_id": "1", "content": [{"type": "text", "text": "d"}]},
]


def test_whatever_is_odd_is_read_all_the_same():
    """Any value at any place may be of any kind: no exception, and what comes out is valid."""
    for messages in wrong(TALK):
        check_messages(json.loads(json_text(input_messages(messages))))
    for odd in ODD:
        assert output_message(odd)["role"] == "assistant"


class Slotted:
    """An object without a dictionary of its fields."""

    __slots__ = ("role",)

    def __init__(self) -> None:
        self.role = "user"


class Model(BaseModel):
    """An application's own pydantic model."""

    role: str = "user"
    text: str | None = None
    model_config = {"extra": "allow"}


@pytest.mark.parametrize(
    "make", [Slotted, Model, lambda: SimpleNamespace(role="user"), lambda: OrderedDict(role="user")]
)
def test_fields_of_any_object(make):
    """Read by name, missing ones are none."""
    value = make()
    assert (get(value, "role"), get(value, "missing")) == ("user", None)
    assert (fields(value).get("role"), fields(value).get("missing")) == ("user", None)


def test_unknown_fields_of_models_are_fields():
    """Those that the SDK's version does not know yet."""
    value = Model.model_validate({"newer": {"a": 1}})
    assert get(value, "newer") == fields(value).get("newer") == {"a": 1}
    assert plain([value]) == [{"role": "user", "newer": {"a": 1}}]


@pytest.mark.parametrize("value", ["text", 5, 2.5, [1], (1,), None, b"x"])
def test_what_has_attributes_only_has_no_fields(value):
    """`"text".index` is no field of a message."""
    for name in ("index", "count", "real", "__class__"):
        assert get(value, name) is None
        assert fields(value).get(name) is None


def test_objects_that_are_none_of_ours_stay_what_they_are():
    """The core makes text of them."""
    odd = Slotted()
    assert plain(odd) is odd
