"""Tools that the provider ran while it made a response: an event each on the call's span, without what was asked."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from spanloom.genai import FetchResponse, Inference
from spanloom.genai._fields import get, text_of
from spanloom.genai._parts import MAX_NAME
from spanloom.openai._items import runs_at_provider
from spanloom.semconv import GenAI, Spanloom, SpanloomEvent, ToolType

# Kind of item -> the tool, by the name that a request offers it under.
_TOOLS: Final = {
    "web_search_call": "web_search",
    "file_search_call": "file_search",
    "code_interpreter_call": "code_interpreter",
    "image_generation_call": "image_generation",
    "mcp_call": "mcp",
    "mcp_list_tools": "mcp_list_tools",
    "shell_call": "shell",
    "tool_search_call": "tool_search",
    "program": "program",
}
_DATA_STORES: Final = ("file_search",)


def tell_server_tools(call: Inference | FetchResponse, output: Iterable[Any]) -> None:
    """Tell of each of them in a response's output."""
    for item in output:
        tell_server_tool(call, item)


def tell_server_tool(call: Inference | FetchResponse, item: Any) -> None:
    """Tell of an output item, where it is a call of such a tool."""
    kind = text_of(item, "type")
    tool = _TOOLS.get(kind) if kind is not None else None
    if tool is None or not runs_at_provider(item):
        return
    rows = (
        (GenAI.TOOL_NAME, text_of(item, "name") or tool),
        (GenAI.TOOL_TYPE, ToolType.DATASTORE if tool in _DATA_STORES else ToolType.EXTENSION),
        (GenAI.TOOL_CALL_ID, text_of(item, "id") or text_of(item, "call_id")),
        (Spanloom.SERVER_TOOL, tool),
        (Spanloom.SERVER_TOOL_STATUS, _status(item)),
    )
    told = {name: value[:MAX_NAME] for name, value in rows if value is not None}
    call.add_event(SpanloomEvent.SERVER_TOOL_CALL, told)


def _status(item: Any) -> str | None:
    """What the item says of itself; older MCP items have no status, and an error where they failed."""
    return text_of(item, "status") or ("failed" if get(item, "error") is not None else None)
