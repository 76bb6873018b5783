"""Prompts, answers, arguments and results as readable text. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, cast

from spanloom.record import Span, Value
from spanloom.semconv import DSpy, GenAI

_TITLES = {
    GenAI.SYSTEM_INSTRUCTIONS: "system",
    GenAI.TOOL_DEFINITIONS: "tools",
    GenAI.INPUT_MESSAGES: "input",
    GenAI.TOOL_CALL_ARGUMENTS: "arguments",
    DSpy.INPUTS: "inputs",
    GenAI.OUTPUT_MESSAGES: "output",
    GenAI.TOOL_CALL_RESULT: "result",
    DSpy.OUTPUTS: "outputs",
}
NAMES = frozenset(_TITLES)


def texts(span: Span) -> Iterator[tuple[str, str]]:
    """Title and text of everything that was said, in the order in which it was; then what went wrong."""
    for name, title in _TITLES.items():
        value = span.attributes.get(name)
        if value is not None and value != "":
            yield from _parts(title, _decoded(value))
    if span.failed and span.status_message:
        yield "error", span.status_message


def _decoded(value: Value) -> object:
    """Content is JSON text in attributes; what is none stays as it is."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value


def _parts(title: str, content: object) -> Iterator[tuple[str, str]]:
    """Messages one by one with their role; anything else as one text."""
    messages = cast("list[object]", content) if isinstance(content, list) else []
    rows = [cast("dict[str, Any]", message) for message in messages if isinstance(message, dict)]
    if rows and len(rows) == len(messages) and all("role" in row for row in rows):
        for row in rows:
            parts: Any = row.get("parts") or row.get("content", "")
            yield str(row["role"]), _said(parts)
    else:
        yield title, _said(cast(object, content))


def _said(content: object) -> str:
    """The text of a message's parts."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "\n".join(map(_part, cast("list[object]", content)))
    return json.dumps(content, ensure_ascii=False)


def _part(part: object) -> str:
    if not isinstance(part, dict):
        return part if isinstance(part, str) else json.dumps(part, ensure_ascii=False)
    row = cast("dict[str, Any]", part)
    text: object = row.get("content", row.get("text"))
    if isinstance(text, str):
        return text
    if row.get("type") == "tool_call":
        return f"calls {row.get('name', '?')} {_said(row.get('arguments', ''))}"
    return _said(row.get("response", row))
