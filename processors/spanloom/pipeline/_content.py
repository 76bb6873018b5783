"""What is left of a span of which only the skeleton is kept. Pure.

Figures and flags stay, and texts whose name is known to be no content; nobody knows all the names of content.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

from opentelemetry.sdk.trace import Event
from opentelemetry.trace import Link

from spanloom.pipeline._parts import event_with, link_with
from spanloom.semconv import Event as Names
from spanloom.semconv import Exceptions

# Whatever its name says: a text of this length is no id, model or route.
LONG_CHARS: Final = 1_024
_EXCEPTION: Final = "exception"
_EVENTS: Final = frozenset((_EXCEPTION, Names.EXCEPTION, Names.EVALUATION_RESULT))
# Texts of these names are ids, names and states.
_KNOWN: Final = re.compile(
    r"gen_ai\.(?:system|operation\.name|provider\.name|output\.type|token\.type|conversation\.id|prompt\.name"
    r"|request\.(?:model|encoding_formats|reasoning\.level)|response\.(?:id|model|finish_reasons)"
    r"|agent\.(?:id|name|version)|tool\.(?:name|type|call\.id)|data_source\.id|workflow\.name"
    r"|evaluation\.(?:name|score\.label)|usage\.cost\.(?:currency|source))"
    r"|openai\.(?:api\.type|(?:request|response)\.service_tier|response\.system_fingerprint)"
    r"|spanloom\.(?:cost\.status|stream\.end|openai\.endpoint|response\.request_id|server_tool(?:\.status)?"
    r"|agent\.(?:id|version)|link|drop\.reason|tenant|keep|sampling\.(?:reason|decision)|redaction\.rule|place)"
    r"|dspy\.(?:module(?:\.path)?|signature\.name|instructions\.hash|agent\.termination|lm\.(?:class|engine|rollout_id)"
    r"|adapter(?:\.from|\.to)?|interpreter|evaluate\.metric)"
    r"|(?:service|deployment|telemetry|host|k8s|cloud|container)\.[a-z_.]*(?:id|name|version|region|language|namespace)"
    r"|error\.type|exception\.type|http\.(?:(?:request\.)?method|route|status_code|response\.status_code)"
    r"|route|url\.(?:path|scheme)|(?:server|network)\.[a-z_.]+|user\.id|session\.id"
    r"|rpc\.(?:system|service|method)|db\.(?:system(?:\.name)?|operation\.name)|messaging\.system"
)


def is_content(name: str, value: object) -> bool:
    """Whether an attribute may hold what people and models say to each other."""
    if _is_figure(value):
        return False
    return _KNOWN.fullmatch(name) is None or _length(value) > LONG_CHARS


def _is_figure(value: object) -> bool:
    """A number or a flag, or a list of such."""
    if isinstance(value, (list, tuple)):
        return all(isinstance(one, (bool, int, float)) for one in cast("Sequence[object]", value))
    return isinstance(value, (bool, int, float))


def _length(value: object) -> int:
    """Characters of a text, or of all texts in a list; other values are none of ours and count as long."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, (list, tuple)):
        return sum(map(_length, cast("Sequence[object]", value)))
    return 0 if isinstance(value, (bool, int, float)) else LONG_CHARS + 1


def without_content(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """The attributes that are no content."""
    return {name: value for name, value in attributes.items() if not is_content(name, value)}


def events_without_content(events: Sequence[Event]) -> list[Event]:
    """Those whose name is known, without their content; of an exception the type alone."""
    return [event_with(one, _of_event(one)) for one in events if one.name in _EVENTS]


def _of_event(event: Event) -> dict[str, Any]:
    rows = without_content(event.attributes or {})
    return {name: rows[name] for name in rows if name == Exceptions.TYPE} if event.name == _EXCEPTION else rows


def links_without_content(links: Sequence[Link]) -> list[Link]:
    """The contexts alone."""
    return [link_with(one, {}) for one in links]
