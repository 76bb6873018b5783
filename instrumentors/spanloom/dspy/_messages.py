"""DSPy's prompts and outputs -> the conventions' message JSON. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, cast

from spanloom.dspy._parts import field, parts_of, reasoning_part, text_of, tool_call, tool_result
from spanloom.genai._messages import parsed
from spanloom.genai._parts import MAX_NAME, Part

_SYSTEM = ("system", "developer")
_ANSWERS = ("tool", "function")
# A chat message of a role and a content has nothing else to look for.
_PLAIN = 2


def input_messages(messages: Iterable[Any]) -> list[dict[str, Any]]:
    """Everything but the system instructions, in order: chat dictionaries or typed messages."""
    found: list[dict[str, Any]] = []
    for one in messages:
        role = text_of(one, "role")
        if role is not None and role not in _SYSTEM:
            found.append({"role": role, "parts": _parts(role, one)})
    return found


def system_instructions(messages: Iterable[Any], system: Any = None) -> list[Part] | None:
    """The parts of system messages, after those that stand apart; ``None`` where there are none."""
    parts = [] if system is None else parts_of(system)
    for one in messages:
        if field(one, "role") in _SYSTEM:
            parts += parts_of(field(one, "content") or field(one, "parts"))
    return parts or None


def output_messages(outputs: Any) -> list[dict[str, Any]] | None:
    """What an LM call gave back, one message a choice: texts, dictionaries of them, or typed responses."""
    choices: Any = cast("Any", outputs) if isinstance(outputs, (list, tuple)) else field(outputs, "outputs")
    if choices is None and field(outputs, "message") is not None:
        choices = (outputs,)
    if not isinstance(choices, (list, tuple)):
        return None
    return [{"role": "assistant", "parts": _output(one)} for one in cast("Sequence[Any]", choices)]


def tool_definitions(tools: Iterable[Any]) -> list[dict[str, Any]]:
    """The offered tools by type and name (descriptions and parameters are not recommended by default)."""
    return [found for tool in tools if (found := _tool(tool)) is not None]


def _parts(role: str, message: Any) -> list[Part]:
    content = field(message, "content")
    if role in _ANSWERS and content is not None:
        return [tool_result(text_of(message, "tool_call_id"), content)]
    if isinstance(content, str) and isinstance(message, dict) and len(message) == _PLAIN:  # pyright: ignore[reportUnknownArgumentType]
        return parts_of(content)
    thought = reasoning_part(field(message, "reasoning_content"))
    told = parts_of(field(message, "parts") if content is None else content)
    return [*([thought] if thought else ()), *told, *_calls(message)]


def _output(output: Any) -> list[Part]:
    if isinstance(output, str):
        return parts_of(output)
    message = field(output, "message")
    typed = field(output if message is None else message, "parts")
    if typed is not None:
        return parts_of(typed)
    thought = reasoning_part(field(output, "reasoning_content"))
    return [*([thought] if thought else ()), *parts_of(field(output, "text")), *_calls(output)]


def _calls(message: Any) -> Iterator[Part]:
    calls = field(message, "tool_calls")
    if not isinstance(calls, (list, tuple)):
        return
    for call in cast("Sequence[Any]", calls):
        function = field(call, "function")
        yield tool_call(field(call, "id"), field(function, "name"), parsed(field(function, "arguments")))


def _tool(tool: Any) -> dict[str, Any] | None:
    """The name is nested in chat completions, flat in responses and in typed requests."""
    kind, name = text_of(tool, "type"), text_of(tool, "name") or text_of(field(tool, "function"), "name")
    if kind is None and name is None:
        return None
    return {"type": (kind or "function")[:MAX_NAME], "name": (name or kind or "")[:MAX_NAME]}
