"""DSPy's prompts and outputs -> the conventions' message JSON. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

_SYSTEM = ("system", "developer")


def input_messages(messages: Iterable[Any]) -> list[dict[str, Any]]:
    """Everything but the system instructions, in order."""
    rows = (cast("Mapping[str, Any]", one) for one in messages if isinstance(one, Mapping))
    return [
        {"role": str(one.get("role")), "parts": list(_parts(one.get("content")))}
        for one in rows
        if one.get("role") not in _SYSTEM
    ]


def system_instructions(messages: Iterable[Any]) -> list[dict[str, Any]] | None:
    """The parts of system messages; ``None`` where there are none."""
    rows = (cast("Mapping[str, Any]", one) for one in messages if isinstance(one, Mapping))
    parts = [part for one in rows if one.get("role") in _SYSTEM for part in _parts(one.get("content"))]
    return parts or None


def output_messages(result: Any) -> list[dict[str, Any]] | None:
    """What an LM call gave back: texts, or dicts with ``text`` and ``tool_calls``, one a choice."""
    if not isinstance(result, Sequence) or isinstance(result, str):
        return None
    return [{"role": "assistant", "parts": list(_output_parts(one))} for one in cast("Sequence[Any]", result)]


def _output_parts(output: Any) -> Iterable[dict[str, Any]]:
    if not isinstance(output, Mapping):
        yield from _parts(output)
        return
    row = cast("Mapping[str, Any]", output)
    reasoning = row.get("reasoning_content")
    if isinstance(reasoning, str) and reasoning:
        yield {"type": "reasoning", "content": reasoning}
    yield from _parts(row.get("text"))
    for call in cast("Iterable[Mapping[str, Any]]", row.get("tool_calls") or ()):
        function = cast("Mapping[str, Any]", call.get("function") or {})
        yield {
            "type": "tool_call",
            "id": call.get("id"),
            "name": str(function.get("name") or ""),
            "arguments": function.get("arguments"),
        }


def _parts(content: Any) -> Iterable[dict[str, Any]]:
    if isinstance(content, str):
        if content:
            yield {"type": "text", "content": content}
        return
    if isinstance(content, Sequence):
        for one in cast("Sequence[Any]", content):
            part = cast("Mapping[str, Any]", one if isinstance(one, Mapping) else {})
            # Other parts (images, files) are named, never copied.
            text = part.get("text")
            yield {"type": "text", "content": text} if isinstance(text, str) else {"type": str(part.get("type"))}
