"""Items of the Responses API -> the conventions' messages and parts. Pure; bytes and ciphertexts are never copied."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from spanloom.genai._fields import get, items_of, picked, plain, text_of
from spanloom.genai._messages import Message, answered, parsed, tool_call
from spanloom.genai._parts import MAX_NAME, Part, blob, content_parts, media, part_of, reasoning_part, text_part

# Where an item does not tell who said it.
_UNKNOWN = "unknown"


def input_messages(given: Any) -> list[Message]:
    """A request's ``input``: a text, or items. What a model said in one turn (items in a row) is one message."""
    if isinstance(given, str):
        return [{"role": "user", "parts": [text_part(given)]}] if given else []
    messages: list[Message] = []
    for item in given:
        role, parts = _role_of(item), parts_of(item)
        if not parts:
            continue
        if role == "assistant" and messages and messages[-1]["role"] == "assistant":
            messages[-1]["parts"] += parts
        else:
            messages.append({"role": role, "parts": parts})
    return messages


def output_message(items: Iterable[Any]) -> Message:
    """A response is one answer, in however many items."""
    return assistant_message(part for item in items for part in parts_of(item))


def assistant_message(parts: Iterable[Part]) -> Message:
    """What a model answered."""
    return {"role": "assistant", "parts": list(parts)}


def parts_of(item: Any) -> list[Part]:
    """The parts of one item. A kind that is not known here is named and not copied; what is no item has none."""
    if isinstance(item, str):
        return [text_part(item)] if item else []
    kind = text_of(item, "type")
    if kind is None:
        # Messages may come without a type.
        return content_parts(get(item, "content")) if text_of(item, "role") is not None else []
    reader = _READERS.get(kind)
    return _named(item, kind) if reader is None else reader(item)


def asks_for_tool(item: Any) -> bool:
    """True for an item after which the model waits for the caller."""
    kind = get(item, "type")
    if kind in _EITHER:
        return not runs_at_provider(item)
    return isinstance(kind, str) and kind in _CALLS


def runs_at_provider(item: Any) -> bool:
    """Of a call that either side may run: True where the provider does."""
    kind = get(item, "type")
    if kind == "shell_call":
        return _is_hosted(item)
    return kind != "tool_search_call" or get(item, "execution") != "client"


_EITHER = ("shell_call", "tool_search_call")


_CALLS = frozenset(
    (
        "function_call",
        "custom_tool_call",
        "computer_call",
        "local_shell_call",
        "apply_patch_call",
        "mcp_approval_request",
    )
)


def _role_of(item: Any) -> str:
    role = text_of(item, "role")
    if role is not None:
        return role
    kind = text_of(item, "type") or ""
    if kind.endswith(("call_output", "approval_response")) or (
        kind == "tool_search_output" and get(item, "execution") == "client"
    ):
        return "tool"
    return "assistant" if kind in _READERS or kind == "compaction" else _UNKNOWN


def _named(item: Any, kind: str) -> list[Part]:
    found: Part = {"type": kind[:MAX_NAME]}
    item_id = text_of(item, "id")
    if item_id is not None:
        found["id"] = item_id[:MAX_NAME]
    return [found]


def _message(item: Any) -> list[Part]:
    return content_parts(get(item, "content"))


def _reasoning(item: Any) -> list[Part]:
    """The summary is what OpenAI shows; models that others serve tell all of it. What is encrypted stays unsaid."""
    found = (reasoning_part([one]) for key in ("summary", "content") for one in items_of(item, key))
    return [part for part in found if part is not None]


def _function_call(item: Any) -> list[Part]:
    return [tool_call(get(item, "call_id"), get(item, "name"), get(item, "arguments"))]


def _custom_call(item: Any) -> list[Part]:
    return [_raw_call(item, get(item, "name"), get(item, "input"))]


def _computer_call(item: Any) -> list[Part]:
    actions = get(item, "actions")
    return [_raw_call(item, "computer", plain(get(item, "action") if actions is None else actions))]


def _local_shell_call(item: Any) -> list[Part]:
    """Without its environment variables."""
    action = get(item, "action")
    return [_raw_call(item, "local_shell", picked(action, "command", "working_directory", "timeout_ms"))]


def _shell_call(item: Any) -> list[Part]:
    commands = picked(get(item, "action"), "commands", "timeout_ms")
    if _is_hosted(item):
        return [server_call(get(item, "call_id"), "shell", "shell", commands)]
    return [_raw_call(item, "shell", commands)]


def _is_hosted(item: Any) -> bool:
    """True where the command runs in the provider's container."""
    return get(get(item, "environment"), "type") == "container_reference"


def _patch_call(item: Any) -> list[Part]:
    return [_raw_call(item, "apply_patch", plain(get(item, "operation")))]


def _raw_call(item: Any, name: Any, arguments: Any) -> Part:
    """Arguments as they are: a custom tool's text may look like JSON and be none of our business."""
    call_id = text_of(item, "call_id")
    named = name if isinstance(name, str) else ""
    return {"type": "tool_call", "id": call_id, "name": named, "arguments": arguments}


def _call_output(item: Any) -> list[Part]:
    output = get(item, "output")
    if text_of(output, "type") is not None:
        # A screenshot.
        shown = part_of(output)
        output = [] if shown is None else [shown]
    else:
        output = plain(output) if get(item, "type") == "shell_call_output" else answered(output)
    # A local shell's item has no call id, but an id that is the call's.
    call_id = text_of(item, "call_id") or text_of(item, "id")
    return [{"type": "tool_call_response", "id": call_id, "response": output}]


def server_call(call_id: Any, name: Any, kind: str, told: dict[str, Any]) -> Part:
    """A call of a tool that the provider runs."""
    return {
        "type": "server_tool_call",
        "id": call_id if isinstance(call_id, str) else None,
        "name": name if isinstance(name, str) and name else kind,
        "server_tool_call": {"type": kind, **told},
    }


def server_answer(call_id: Any, kind: str, told: dict[str, Any]) -> list[Part]:
    """What such a tool gave back, where that is told."""
    if not told:
        return []
    call_id = call_id if isinstance(call_id, str) else None
    answer = {"type": kind, **told}
    return [{"type": "server_tool_call_response", "id": call_id, "server_tool_call_response": answer}]


def _server_tool(kind: str, asked: tuple[str, ...], got: tuple[str, ...] = ()) -> Callable[[Any], list[Part]]:
    def read(item: Any) -> list[Part]:
        call_id = get(item, "id")
        call = server_call(call_id, None, kind, picked(item, *asked, "status"))
        return [call, *server_answer(call_id, kind, picked(item, *got))]

    return read


def _mcp_call(item: Any) -> list[Part]:
    call_id = get(item, "id")
    told: dict[str, Any] = picked(item, "server_label", "status")
    told["arguments"] = parsed(get(item, "arguments"))
    call = server_call(call_id, get(item, "name"), "mcp", told)
    return [call, *server_answer(call_id, "mcp", picked(item, "output", "error"))]


def _mcp_tools(item: Any) -> list[Part]:
    """The names of the tools only, as with those that the caller offers."""
    call_id = get(item, "id")
    call = server_call(call_id, "mcp_list_tools", "mcp_list_tools", picked(item, "server_label"))
    told = picked(item, "error")
    told["tools"] = [name for one in items_of(item, "tools") if (name := text_of(one, "name")) is not None]
    return [call, *server_answer(call_id, "mcp_list_tools", told)]


def _mcp_approval(item: Any) -> list[Part]:
    """A question to the caller."""
    (part,) = _named(item, "mcp_approval_request")
    return [{**part, **picked(item, "name", "server_label"), "arguments": parsed(get(item, "arguments"))}]


def _mcp_approved(item: Any) -> list[Part]:
    (part,) = _named(item, "mcp_approval_response")
    return [{**part, **picked(item, "approval_request_id", "approve", "reason")}]


def _code_call(item: Any) -> list[Part]:
    call_id, kind = get(item, "id"), "code_interpreter"
    call = server_call(call_id, None, kind, picked(item, "code", "container_id", "status"))
    outputs = [found for one in items_of(item, "outputs") if (found := _code_output(one)) is not None]
    return [call, *server_answer(call_id, kind, {"outputs": outputs} if outputs else {})]


def _code_output(output: Any) -> Part | None:
    logs = text_of(output, "logs")
    return media("image", get(output, "url")) if logs is None else {"type": "logs", "logs": logs}


def _image_call(item: Any) -> list[Part]:
    call_id, kind = get(item, "id"), "image_generation"
    asked = picked(item, "action", "revised_prompt", "size", "quality", "status")
    told: dict[str, Any] = picked(item, "error")
    image, form = text_of(item, "result"), text_of(item, "output_format")
    if image is not None:
        told["result"] = blob("image", f"image/{form}" if form else None, image)
    return [server_call(call_id, None, kind, asked), *server_answer(call_id, kind, told)]


def _search_call(item: Any) -> list[Part]:
    if asks_for_tool(item):
        return [_raw_call(item, "tool_search", get(item, "arguments"))]
    return [server_call(get(item, "call_id"), None, "tool_search", picked(item, "arguments"))]


def _search_output(item: Any) -> list[Part]:
    tools = [name for one in items_of(item, "tools") if (name := text_of(one, "name")) is not None]
    if get(item, "execution") == "client":
        return [{"type": "tool_call_response", "id": text_of(item, "call_id"), "response": {"tools": tools}}]
    return server_answer(get(item, "call_id"), "tool_search", {"tools": tools})


def _program(item: Any) -> list[Part]:
    return [server_call(get(item, "call_id"), None, "program", picked(item, "code"))]


def _program_output(item: Any) -> list[Part]:
    return server_answer(get(item, "call_id"), "program", picked(item, "result", "status"))


_READERS: dict[str, Callable[[Any], list[Part]]] = {
    "message": _message,
    "reasoning": _reasoning,
    "function_call": _function_call,
    "function_call_output": _call_output,
    "custom_tool_call": _custom_call,
    "custom_tool_call_output": _call_output,
    "computer_call": _computer_call,
    "computer_call_output": _call_output,
    "local_shell_call": _local_shell_call,
    "local_shell_call_output": _call_output,
    "shell_call": _shell_call,
    "shell_call_output": _call_output,
    "apply_patch_call": _patch_call,
    "apply_patch_call_output": _call_output,
    "web_search_call": _server_tool("web_search", ("action",)),
    "file_search_call": _server_tool("file_search", ("queries",), ("results",)),
    "code_interpreter_call": _code_call,
    "image_generation_call": _image_call,
    "mcp_call": _mcp_call,
    "mcp_list_tools": _mcp_tools,
    "mcp_approval_request": _mcp_approval,
    "mcp_approval_response": _mcp_approved,
    "tool_search_call": _search_call,
    "tool_search_output": _search_output,
    "program": _program,
    "program_output": _program_output,
}
