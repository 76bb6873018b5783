"""Message content against the conventions' schemas: JSON text on spans, structured in events."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator

from spanloom.semconv import GenAI
from tests._support.registry import DATA, type_of

_SCHEMAS = {
    GenAI.INPUT_MESSAGES: "gen-ai-input-messages",
    GenAI.OUTPUT_MESSAGES: "gen-ai-output-messages",
    GenAI.SYSTEM_INSTRUCTIONS: "gen-ai-system-instructions",
    GenAI.TOOL_DEFINITIONS: "gen-ai-tool-definitions",
}
_PARTS = {
    "text": "TextPart",
    "reasoning": "ReasoningPart",
    "tool_call": "ToolCallRequestPart",
    "tool_call_response": "ToolCallResponsePart",
    "server_tool_call": "ServerToolCallPart",
    "server_tool_call_response": "ServerToolCallResponsePart",
    "blob": "BlobPart",
    "file": "FilePart",
    "uri": "UriPart",
}
_DOCUMENTS = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {"id": {"type": ["string", "null"]}, "score": {"type": ["number", "null"]}},
    },
}
# Content, though its type is plain text.
_TEXTS = frozenset({GenAI.RETRIEVAL_QUERY_TEXT, GenAI.MEMORY_QUERY_TEXT})


def is_content(name: str) -> bool:
    """True for what is only recorded when content is switched on."""
    structured = type_of(name) == "any"
    return structured or name in _TEXTS or name.startswith(GenAI.PROMPT_VARIABLE)


@cache
def schema(attribute: str) -> Draft202012Validator:
    """The schema of one content attribute. ``finish_reason`` in messages is deprecated upstream, so not demanded."""
    if attribute == GenAI.RETRIEVAL_DOCUMENTS:
        return Draft202012Validator(_DOCUMENTS)
    loaded = json.loads((DATA / f"{_SCHEMAS[attribute]}.json").read_text(encoding="utf-8"))
    output = loaded["$defs"].get("OutputMessage")
    if output:
        output["required"] = [name for name in output["required"] if name != "finish_reason"]
    return Draft202012Validator(loaded)


@cache
def _part(kind: str) -> Draft202012Validator:
    loaded = json.loads((DATA / "gen-ai-input-messages.json").read_text(encoding="utf-8"))
    return Draft202012Validator({"$ref": f"#/$defs/{_PARTS[kind]}", "$defs": loaded["$defs"]})


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def span_content_problems(attributes: Mapping[str, Any]) -> Iterator[str]:
    """Content of a span: JSON text, valid against its schema."""
    for name, text in attributes.items():
        if type_of(name) != "any":
            continue
        try:
            value = json.loads(text, parse_constant=_no_constant)
        except (ValueError, TypeError):
            yield f"{name} is not JSON text"
        else:
            yield from _problems(name, value)


def event_content_problems(attributes: Mapping[str, Any]) -> Iterator[str]:
    """Content of an event: structured, valid against its schema, and sayable as JSON."""
    for name, value in attributes.items():
        if type_of(name) != "any":
            continue
        if isinstance(value, str):
            yield f"{name} is text, not structured"
            continue
        try:
            plain = json.loads(json.dumps(value, allow_nan=False))
        except (ValueError, TypeError):
            yield f"{name} cannot be said as JSON"
        else:
            yield from _problems(name, plain)


def _problems(name: str, value: Any) -> Iterator[str]:
    if name not in _SCHEMAS and name != GenAI.RETRIEVAL_DOCUMENTS:
        return
    found = [f"{name}: {error.message[:200]}" for error in schema(name).iter_errors(value)]
    yield from found
    if not found:
        yield from _beyond_schema(name, value)


def _beyond_schema(name: str, value: Sequence[Any]) -> Iterator[str]:
    """The generic part of the schemas takes anything: a known type must be that type."""
    for part in _parts(name, value):
        if part.get("type") in _PARTS:
            for error in _part(part["type"]).iter_errors(part):
                yield f"{name}: {part['type']}: {error.message[:200]}"
    if name == GenAI.OUTPUT_MESSAGES and any("finish_reason" in message for message in value):
        yield f"{name}: finish_reason is deprecated, {GenAI.RESPONSE_FINISH_REASONS} has it"


def _parts(name: str, value: Sequence[Any]) -> Iterable[Mapping[str, Any]]:
    if name == GenAI.SYSTEM_INSTRUCTIONS:
        return value
    if name in (GenAI.INPUT_MESSAGES, GenAI.OUTPUT_MESSAGES):
        return [part for message in value for part in message["parts"]]
    return ()
