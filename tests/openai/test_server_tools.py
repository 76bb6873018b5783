"""Tools that the provider runs inside a response: each call is an event of the call's span, never with its content."""

from __future__ import annotations

import json
import types
from typing import get_args

import pytest
from openai.types.responses import response_output_item

from spanloom.openai import _server_tools
from spanloom.openai._items import asks_for_tool
from tests.openai import _canned
from tests.openai._canned import Wire, client
from tests.openai.test_responses import ASKED, delta, event, streamed

QUERY = {"type": "search", "query": "secret"}
SEARCH = {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": QUERY}
FILES = {"type": "file_search_call", "id": "fs_1", "status": "completed", "queries": ["secret"]}
CODE = {"type": "code_interpreter_call", "id": "ci_1", "status": "failed", "code": "secret", "container_id": "c"}
MCP = {"type": "mcp_call", "id": "mcp_1", "name": "find", "arguments": "secret", "error": "secret"}
HOSTED = {"type": "shell_call", "call_id": "sh_1", "environment": {"type": "container_reference"}, "action": {}}
OURS = {"type": "shell_call", "call_id": "sh_2", "action": {"commands": ["ls"]}}
LOOKED_UP = {"type": "tool_search_call", "call_id": "ts_1", "execution": "client"}
FUNCTION = {"type": "function_call", "id": "fc_1", "call_id": "c", "name": "f", "arguments": "{}"}
OUTPUT = [SEARCH, FILES, CODE, MCP, HOSTED, OURS, LOOKED_UP, FUNCTION]
TOLD = [
    ("web_search", "web_search", "extension", "ws_1", "completed"),
    ("file_search", "file_search", "datastore", "fs_1", "completed"),
    ("code_interpreter", "code_interpreter", "extension", "ci_1", "failed"),
    ("mcp", "find", "extension", "mcp_1", "failed"),
    ("shell", "shell", "extension", "sh_1", None),
]
NAMES = ("spanloom.server_tool", "gen_ai.tool.name", "gen_ai.tool.type", "gen_ai.tool.call.id")


def told(span):
    """What the events of a span say, in their order."""
    assert {one.name for one in span.events} <= {"spanloom.server_tool_call"}
    status = "spanloom.server_tool.status"
    return [(*(one.attributes[name] for name in NAMES), one.attributes.get(status)) for one in span.events]


@pytest.mark.parametrize("how", ["create", "raw", "fetched"])
def test_of_a_whole_response(how, plugin, recorder):
    """Those that the provider ran, by the tool's name, kind, id and end; what the caller is to run is none of them."""
    with client(Wire(_canned.response(output=OUTPUT))) as one:
        if how == "create":
            one.responses.create(**ASKED)
        elif how == "raw":
            one.responses.with_raw_response.create(**ASKED)
        else:
            one.responses.retrieve("resp_1")
    assert told(recorder.span) == TOLD
    assert "secret" not in json.dumps([dict(one.attributes) for one in recorder.span.events])


def finished(place, item):
    """The event that an item is done."""
    return event("output_item.done", output_index=place, item=item)


@pytest.mark.parametrize("at_the_end", [True, False], ids=["also at the end", "not at the end"])
def test_of_a_stream(at_the_end, plugin, recorder):
    """When each is done; the last event, which tells them all again, adds nothing."""
    steps = [finished(place, item) for place, item in enumerate(OUTPUT)]
    whole = _canned.response(output=OUTPUT if at_the_end else [])
    with streamed(*steps, finished(0, SEARCH), event("completed", response=whole)) as one:
        list(one.responses.create(**ASKED, stream=True))
    assert told(recorder.span) == TOLD


def test_of_a_stream_that_tells_them_last(plugin_with_content, recorder):
    """A stream that was joined late."""
    with streamed(event("completed", response=_canned.response(output=OUTPUT))) as one:
        list(one.responses.create(**ASKED, stream=True))
    assert told(recorder.span) == TOLD


def test_of_a_stream_that_is_left(plugin, recorder):
    """What was done until then."""
    with streamed(finished(0, SEARCH), delta("a"), finished(1, FILES)) as one:
        stream = one.responses.create(**ASKED, stream=True)
        with stream:
            for seen in stream:
                if seen.type == "response.output_text.delta":
                    break
    assert told(recorder.span) == TOLD[:1]


def test_a_place_that_is_none_tells_nothing(plugin, recorder):
    """Without a place it could not be told from the same one at the end."""
    with streamed(finished(None, SEARCH), event("completed", response=_canned.response(output=[SEARCH]))) as one:
        list(one.responses.create(**ASKED, stream=True))
    assert told(recorder.span) == TOLD[:1]


def test_what_is_no_such_item_tells_nothing():
    """Whatever else a list may hold."""
    seen = []
    call = types.SimpleNamespace(add_event=lambda *one: seen.append(one))
    _server_tools.tell_server_tools(call, [None, 5, "x", {}, {"type": None}, {"type": "message"}, FUNCTION])
    assert not seen


def test_every_call_of_the_newest_sdk_is_one_or_the_other():
    """An output item that is a call is run by the provider or asked of the caller."""
    members = get_args(get_args(response_output_item.ResponseOutputItem)[0])
    kinds = {get_args(one.model_fields["type"].annotation)[0] for one in members}
    calls = {kind for kind in kinds if kind.endswith("_call")}
    assert len(calls) > 8
    assert {kind for kind in calls if kind not in _server_tools._TOOLS and not asks_for_tool({"type": kind})} == set()
