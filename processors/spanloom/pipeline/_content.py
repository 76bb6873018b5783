"""Which attributes are message content, and a span without it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from opentelemetry.sdk.trace import Event

from spanloom.pipeline._derived import Shown
from spanloom.semconv import DSpy, ForeignContent, GenAI, Spanloom

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
        *(value for name, value in vars(ForeignContent).items() if name.isupper() and isinstance(value, str)),
    }
)
# Whatever it is: a text of this length is no id, model or route.
LONG_CHARS: Final = 1_024


def is_content(name: str, value: object) -> bool:
    """Whether an attribute holds what people and models say to each other."""
    if name in CONTENT or (isinstance(value, str) and len(value) > LONG_CHARS):
        return True
    return name.startswith(ForeignContent.INDEXED) and name.split(".")[2].isdigit()


def without_content(shown: Shown) -> Shown:
    """The same span without its content, in attributes and events."""
    events = [Event(one.name, _without(one.attributes or {}), one.timestamp) for one in shown.events]
    return shown._replace(attributes=_without(shown.attributes), events=events)


def _without(attributes: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in attributes.items() if not is_content(name, value)}
