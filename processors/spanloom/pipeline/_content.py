"""Which attributes are message content, and a span without it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

from opentelemetry.sdk.trace import Event

from spanloom.pipeline._parts import event_with
from spanloom.semconv import DSpy, Exceptions, ForeignContent, GenAI, Spanloom

CONTENT: Final = frozenset(
    {
        GenAI.INPUT_MESSAGES,
        GenAI.OUTPUT_MESSAGES,
        GenAI.SYSTEM_INSTRUCTIONS,
        GenAI.TOOL_DEFINITIONS,
        GenAI.TOOL_CALL_ARGUMENTS,
        GenAI.TOOL_CALL_RESULT,
        GenAI.RETRIEVAL_DOCUMENTS,
        GenAI.RETRIEVAL_QUERY_TEXT,
        GenAI.EVALUATION_EXPLANATION,
        Spanloom.EMBEDDINGS_INPUT,
        Spanloom.AGENT_THOUGHT,
        DSpy.INPUTS,
        DSpy.OUTPUTS,
        DSpy.ADAPTER_LM_RESPONSE,
        DSpy.CANDIDATE_INSTRUCTIONS,
        # Providers quote the request in what they say is wrong with it.
        Exceptions.MESSAGE,
        Exceptions.STACKTRACE,
        *(value for name, value in vars(ForeignContent).items() if name.isupper() and isinstance(value, str)),
    }
)
# Whatever it is: a text of this length is no id, model or route.
LONG_CHARS: Final = 1_024


def is_content(name: str, value: object) -> bool:
    """Whether an attribute holds what people and models say to each other."""
    if name in CONTENT or _length(value) > LONG_CHARS:
        return True
    return name.startswith(ForeignContent.INDEXED) and name.split(".")[2].isdigit()


def _length(value: object) -> int:
    """Characters of a text, or of all texts in a value."""
    if isinstance(value, (str, bytes)):
        return len(value)
    if isinstance(value, Mapping):
        return sum(map(_length, cast("Mapping[str, object]", value).values()))
    return sum(map(_length, cast("Sequence[object]", value))) if isinstance(value, Sequence) else 0


def without_content(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """The attributes that are no content."""
    return {name: value for name, value in attributes.items() if not is_content(name, value)}


def events_without_content(events: Sequence[Event]) -> list[Event]:
    """The same events without their content."""
    return [event_with(one, without_content(one.attributes or {})) for one in events]
