"""Items of the Responses API in the conventions' words: every kind of the SDK, in requests and in answers."""

from __future__ import annotations

import hashlib
import json
import typing

import openai.types.responses as types
import pytest
from openai.types.responses import Response, response_input_item, response_output_item

from spanloom.genai import json_text
from spanloom.openai import _items
from spanloom.openai._items import asks_for_tool, input_messages, output_message, parts_of
from spanloom.semconv import GenAI
from tests._support.message_rules import span_content_problems
from tests.openai._reading import ODD, check_messages, wrong


def call(name, arguments, call_id="c"):
    """A call that the caller answers."""
    return {"type": "tool_call", "id": call_id, "name": name, "arguments": arguments}


def answer(response, call_id="c"):
    """The caller's answer."""
    return {"type": "tool_call_response", "id": call_id, "response": response}


def ran(kind, name=None, call_id="i", **told):
    """A call of a tool that the provider ran."""
    server_call = {"type": kind, **told}
    return {"type": "server_tool_call", "id": call_id, "name": name or kind, "server_tool_call": server_call}


def got(kind, call_id="i", **told):
    """What that gave."""
    return {"type": "server_tool_call_response", "id": call_id, "server_tool_call_response": {"type": kind, **told}}


def blob(modality, raw, mime):
    """The part that stands for these bytes."""
    sha256 = hashlib.sha256(raw).hexdigest()
    return {
        "type": "blob",
        "modality": modality,
        "content": "",
        "sha256": sha256,
        "bytes": len(raw),
        "mime_type": mime,
    }


TEXT = {"type": "text", "content": "Hi"}
PNG = "data:image/png;base64,aGVsbG8="
# Kind → an item of it, and its parts.
ITEMS = {
    "message": (
        {
            "role": "assistant",
            "content": [{"type": "output_text", "text": "Hi", "annotations": []}, {"type": "refusal", "refusal": "no"}],
        },
        [TEXT, {"type": "refusal", "content": "no"}],
    ),
    "reasoning": (
        {
            "summary": [{"type": "summary_text", "text": "a"}, {"type": "summary_text", "text": "b"}],
            "content": [{"type": "reasoning_text", "text": "c"}],
            "encrypted_content": "secret",
        },
        [{"type": "reasoning", "content": one} for one in "abc"],
    ),
    "function_call": ({"call_id": "c", "name": "f", "arguments": '{"a": 1}'}, [call("f", {"a": 1})]),
    "function_call_output": (
        {"call_id": "c", "output": [{"type": "input_text", "text": "Hi"}, {"type": "input_image", "image_url": PNG}]},
        [answer([TEXT, blob("image", b"hello", "image/png")])],
    ),
    "custom_tool_call": ({"call_id": "c", "name": "g", "input": '{"a": 1}'}, [call("g", '{"a": 1}')]),
    "custom_tool_call_output": ({"call_id": "c", "output": "rain"}, [answer("rain")]),
    "computer_call": (
        {"call_id": "c", "action": {"type": "click", "x": 1, "y": 2, "button": "left"}},
        [call("computer", {"type": "click", "x": 1, "y": 2, "button": "left"})],
    ),
    "computer_call_output": (
        {"call_id": "c", "output": {"type": "computer_screenshot", "image_url": PNG}},
        [answer([blob("image", b"hello", "image/png")])],
    ),
    "local_shell_call": (
        {"call_id": "c", "action": {"type": "exec", "command": ["ls"], "env": {"KEY": "secret"}}},
        [call("local_shell", {"command": ["ls"]})],
    ),
    "local_shell_call_output": ({"id": "c", "output": "a.txt"}, [answer("a.txt")]),
    "shell_call": (
        {"call_id": "c", "action": {"commands": ["ls"], "timeout_ms": 5}},
        [call("shell", {"commands": ["ls"], "timeout_ms": 5})],
    ),
    "shell_call_output": (
        {"call_id": "c", "output": [{"stdout": "a", "stderr": "", "outcome": {"type": "exit", "exit_code": 0}}]},
        [answer([{"stdout": "a", "stderr": "", "outcome": {"type": "exit", "exit_code": 0}}])],
    ),
    "apply_patch_call": (
        {"call_id": "c", "operation": {"type": "delete_file", "path": "a"}},
        [call("apply_patch", {"type": "delete_file", "path": "a"})],
    ),
    "apply_patch_call_output": ({"call_id": "c", "output": "done", "status": "completed"}, [answer("done")]),
    "web_search_call": (
        {"id": "i", "action": {"type": "search", "query": "q"}, "status": "completed"},
        [ran("web_search", action={"type": "search", "query": "q"}, status="completed")],
    ),
    "file_search_call": (
        {"id": "i", "queries": ["q"], "results": [{"file_id": "f", "score": 0.5}], "status": "completed"},
        [
            ran("file_search", queries=["q"], status="completed"),
            got("file_search", results=[{"file_id": "f", "score": 0.5}]),
        ],
    ),
    "code_interpreter_call": (
        {
            "id": "i",
            "code": "1+1",
            "container_id": "cntr",
            "outputs": [{"type": "logs", "logs": "2"}, {"type": "image", "url": PNG}, {"type": "image"}],
        },
        [
            ran("code_interpreter", code="1+1", container_id="cntr"),
            got("code_interpreter", outputs=[{"type": "logs", "logs": "2"}, blob("image", b"hello", "image/png")]),
        ],
    ),
    "image_generation_call": (
        {"id": "i", "result": "aGVsbG8=", "output_format": "png", "revised_prompt": "a cat"},
        [
            ran("image_generation", revised_prompt="a cat"),
            got("image_generation", result=blob("image", b"hello", "image/png")),
        ],
    ),
    "mcp_call": (
        {"id": "i", "name": "find", "server_label": "docs", "arguments": '{"a": 1}', "output": "found"},
        [ran("mcp", "find", server_label="docs", arguments={"a": 1}), got("mcp", output="found")],
    ),
    "mcp_list_tools": (
        {"id": "i", "server_label": "docs", "tools": [{"name": "find", "input_schema": {"type": "object"}}]},
        [ran("mcp_list_tools", server_label="docs"), got("mcp_list_tools", tools=["find"])],
    ),
    "mcp_approval_request": (
        {"id": "i", "name": "find", "server_label": "docs", "arguments": "{}"},
        [{"type": "mcp_approval_request", "id": "i", "name": "find", "server_label": "docs", "arguments": {}}],
    ),
    "mcp_approval_response": (
        {"id": "i", "approval_request_id": "r", "approve": False, "reason": "no"},
        [
            {
                "type": "mcp_approval_response",
                "id": "i",
                "approval_request_id": "r",
                "approve": False,
                "reason": "no",
            }
        ],
    ),
    "tool_search_call": (
        {"call_id": "c", "arguments": {"q": "x"}, "execution": "server"},
        [ran("tool_search", call_id="c", arguments={"q": "x"})],
    ),
    "tool_search_output": (
        {"call_id": "c", "execution": "server", "tools": [{"type": "function", "name": "f", "parameters": {}}]},
        [got("tool_search", "c", tools=["f"])],
    ),
    "program": ({"call_id": "c", "code": "1"}, [ran("program", call_id="c", code="1")]),
    "program_output": (
        {"call_id": "c", "result": "1", "status": "completed"},
        [got("program", "c", result="1", status="completed")],
    ),
    "compaction": ({"id": "i", "encrypted_content": "secret"}, [{"type": "compaction", "id": "i"}]),
    "item_reference": ({"id": "i"}, [{"type": "item_reference", "id": "i"}]),
    "compaction_trigger": ({}, [{"type": "compaction_trigger"}]),
    "additional_tools": ({"role": "developer", "tools": [{"type": "x"}]}, [{"type": "additional_tools"}]),
    "something_new": ({"data": "secret"}, [{"type": "something_new"}]),
}
ROWS = [({"type": kind, **item}, expected) for kind, (item, expected) in ITEMS.items()]


def plainly(parts):
    """As JSON gives them back."""
    return json.loads(json_text(parts))


@pytest.mark.parametrize(("item", "expected"), ROWS, ids=list(ITEMS))
def test_items(item, expected):
    """Each kind in the conventions' words; ciphertexts, bytes and environment variables are nowhere."""
    assert plainly(parts_of(item)) == expected
    assert "secret" not in json_text(parts_of(item))


@pytest.mark.parametrize(("item", "expected"), ROWS, ids=list(ITEMS))
def test_items_of_an_answer(item, expected):
    """The SDK's objects are read like the JSON that they stand for."""
    response = Response.construct(output=[item])
    (message,) = [output_message(response.output)]
    assert plainly(message) == {"role": "assistant", "parts": expected}
    assert not list(span_content_problems({GenAI.OUTPUT_MESSAGES: json_text([message])}))


def kinds_in(module):
    """The types of all items that a union of the SDK has."""
    members = typing.get_args(typing.get_args(module)[0])
    found = {arg for one in members for arg in typing.get_args(one.model_fields["type"].annotation)}
    # Some are optional: `None` beside the name.
    return {arg for one in found for arg in (typing.get_args(one) or (one,)) if isinstance(arg, str)}


def test_every_kind_of_the_newest_sdk_is_known():
    """None is only named, but those that say nothing else."""
    said = kinds_in(response_input_item.ResponseInputItem) | kinds_in(response_output_item.ResponseOutputItem)
    named = {"compaction", "compaction_trigger", "additional_tools", "item_reference", "configuration_update"}
    assert said - set(_items._READERS) <= named
    assert said - named <= set(ITEMS)
    assert len(said) > 25


@pytest.mark.parametrize("item", [None, 5, "", {}, {"type": None}, {"content": "x"}, [], {"type": "message"}])
def test_what_is_no_item_has_no_parts(item):
    """Where the input is nonsense, nothing is reported."""
    assert parts_of(item) == []
    assert input_messages([item]) == []


def test_a_text_is_a_message_of_the_user():
    """The shortest input there is."""
    assert input_messages("Hi") == [{"role": "user", "parts": [TEXT]}]
    assert input_messages("") == []
    assert input_messages(["Hi"]) == [{"role": "unknown", "parts": [TEXT]}]


def test_a_talk_with_tools():
    """What a model said in one turn is one message, as it was when it was an answer."""
    items = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "input_text", "text": "Hi"}]},
        {"type": "reasoning", "id": "r", "summary": [], "encrypted_content": "x"},
        {"type": "reasoning", "id": "r", "summary": [{"type": "summary_text", "text": "hm"}]},
        {"type": "function_call", "call_id": "1", "name": "f", "arguments": "{}"},
        {"type": "function_call", "call_id": "2", "name": "g", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "1", "output": "one"},
        {"type": "function_call_output", "call_id": "2", "output": "two"},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Hi"}]},
        {"type": "item_reference", "id": "x"},
        {"type": "mcp_approval_response", "approval_request_id": "r", "approve": True},
        {"type": "tool_search_output", "execution": "client", "call_id": "3", "tools": []},
        {"type": "compaction", "id": "k", "encrypted_content": "x"},
    ]
    found = input_messages(items)
    assert [(one["role"], [part["type"] for part in one["parts"]]) for one in found] == [
        ("system", ["text"]),
        ("user", ["text"]),
        ("assistant", ["reasoning", "tool_call", "tool_call"]),
        ("tool", ["tool_call_response"]),
        ("tool", ["tool_call_response"]),
        ("assistant", ["text"]),
        ("unknown", ["item_reference"]),
        ("tool", ["mcp_approval_response"]),
        ("tool", ["tool_call_response"]),
        ("assistant", ["compaction"]),
    ]
    assert not list(span_content_problems({GenAI.INPUT_MESSAGES: json_text(found)}))


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        (
            {"type": "shell_call", "environment": {"type": "container_reference"}, "action": {"commands": ["ls"]}},
            [ran("shell", call_id=None, commands=["ls"])],
        ),
        (
            {"type": "tool_search_call", "execution": "client", "call_id": "c", "arguments": {"q": 1}},
            [call("tool_search", {"q": 1})],
        ),
        (
            {"type": "computer_call", "call_id": "c", "actions": [{"type": "wait"}]},
            [call("computer", [{"type": "wait"}])],
        ),
        ({"type": "computer_call_output", "call_id": "c", "output": {"type": "computer_screenshot"}}, [answer([])]),
        (
            {"type": "mcp_list_tools", "id": "i", "error": "down"},
            [ran("mcp_list_tools"), got("mcp_list_tools", error="down", tools=[])],
        ),
        ({"type": "mcp_call", "id": "i"}, [ran("mcp", arguments=None)]),
        ({"type": "code_interpreter_call", "id": "i"}, [ran("code_interpreter")]),
        (
            {"type": "image_generation_call", "id": "i", "error": {"message": "no"}},
            [ran("image_generation"), got("image_generation", error={"message": "no"})],
        ),
        ({"role": "user", "content": "Hi"}, [TEXT]),
    ],
)
def test_other_forms_of_items(item, expected):
    """Who runs a tool decides what it is; what is missing is not made up."""
    assert plainly(parts_of(item)) == expected


@pytest.mark.parametrize(
    ("item", "waits"),
    [
        ({"type": "function_call"}, True),
        ({"type": "custom_tool_call"}, True),
        ({"type": "computer_call"}, True),
        ({"type": "mcp_approval_request"}, True),
        ({"type": "shell_call"}, True),
        ({"type": "shell_call", "environment": {"type": "container_reference"}}, False),
        ({"type": "tool_search_call", "execution": "client"}, True),
        ({"type": "tool_search_call", "execution": "server"}, False),
        ({"type": "mcp_call"}, False),
        ({"type": "message"}, False),
        ({"type": []}, False),
        (None, False),
    ],
)
def test_what_the_model_waits_for(item, waits):
    """Calls that only the caller can answer."""
    assert asks_for_tool(item) is waits


def test_whatever_is_odd_is_read_all_the_same():
    """Any value at any place may be of any kind: no exception, and what comes out is valid."""
    for item, _ in ROWS:
        for items in wrong([item]):
            check_messages(plainly(input_messages(items)))
            check_messages(plainly([output_message(items)]))
    for odd in ODD:
        assert asks_for_tool(odd) is False


def test_the_sdk_gives_objects_for_these_items():
    """The test above compares objects, not dicts with dicts."""
    response = Response.construct(output=[item for item, _ in ROWS])
    objects = [one for one in response.output if not isinstance(one, dict)]
    assert any(isinstance(one, types.ResponseFunctionToolCall) for one in objects)
    assert len(objects) >= 25
