"""Tools that the provider ran while it made a response: an event each on the call's span, without what was asked.

Searches are billed one by one, beside the tokens: they are counted as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from spanloom.genai import FetchResponse, Inference, Usage
from spanloom.genai._fields import get, text_of
from spanloom.genai._parts import MAX_NAME
from spanloom.openai._items import runs_at_provider
from spanloom.semconv import GenAI, Spanloom, SpanloomEvent, ToolType

_WEB: Final = "web_search"
_FILES: Final = "file_search"
# Kind of item -> the tool, by the name that a request offers it under.
_TOOLS: Final = {
    "web_search_call": _WEB,
    "file_search_call": _FILES,
    "code_interpreter_call": "code_interpreter",
    "image_generation_call": "image_generation",
    "mcp_call": "mcp",
    "mcp_list_tools": "mcp_list_tools",
    "shell_call": "shell",
    "tool_search_call": "tool_search",
    "program": "program",
}


def tell_server_tools(call: Inference | FetchResponse, output: Iterable[Any]) -> list[str]:
    """Tell of each of them in a response's output. Gives the tools of the searches that are billed."""
    return [tool for item in output if (tool := tell_server_tool(call, item)) is not None]


def tell_server_tool(call: Inference | FetchResponse, item: Any) -> str | None:
    """Tell of an output item, where it is a call of such a tool. Gives the tool where the item is a billed search."""
    kind = text_of(item, "type")
    tool = _TOOLS.get(kind) if kind is not None else None
    if tool is None or not runs_at_provider(item):
        return None
    rows = (
        (GenAI.TOOL_NAME, text_of(item, "name") or tool),
        (GenAI.TOOL_TYPE, ToolType.DATASTORE if tool == _FILES else ToolType.EXTENSION),
        (GenAI.TOOL_CALL_ID, text_of(item, "id") or text_of(item, "call_id")),
        (Spanloom.SERVER_TOOL, tool),
        (Spanloom.SERVER_TOOL_STATUS, _status(item)),
    )
    told = {name: value[:MAX_NAME] for name, value in rows if value is not None}
    call.add_event(SpanloomEvent.SERVER_TOOL_CALL, told)
    return tool if tool in (_WEB, _FILES) and _is_billed(item) else None


def count_searches(usage: Usage | None, searches: Sequence[str]) -> None:
    """Write how many searches were billed to the usage that the provider told; of a call without any nobody asks."""
    if usage is not None and searches:
        usage.web_searches = searches.count(_WEB)
        usage.storage_searches = searches.count(_FILES)


def _is_billed(item: Any) -> bool:
    """OpenAI bills what was searched ("search actions"), and not that a page was opened or looked through.

    A search that has not come to its end, or has failed, is none. Older items have no action: each is a search.
    """
    action = text_of(get(item, "action"), "type")
    return text_of(item, "status") in (None, "completed") and action in (None, "search")


def _status(item: Any) -> str | None:
    """What the item says of itself; older MCP items have no status, and an error where they failed."""
    return text_of(item, "status") or ("failed" if get(item, "error") is not None else None)
