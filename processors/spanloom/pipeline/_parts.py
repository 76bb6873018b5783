"""Events and links with other attributes. What the SDK dropped of them stays counted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opentelemetry.attributes import BoundedAttributes
from opentelemetry.sdk.trace import Event
from opentelemetry.trace import Link


def bounded(attributes: Mapping[str, Any], dropped: int) -> BoundedAttributes:
    """Attributes with the count of those that the SDK dropped."""
    made = BoundedAttributes(attributes=attributes)
    made.dropped = dropped
    return made


def event_with(event: Event, attributes: Mapping[str, Any], name: str | None = None) -> Event:
    """The event with these attributes, and this name where it is another."""
    told = bounded(attributes, event.dropped_attributes)
    return Event(event.name if name is None else name, told, event.timestamp)


def link_with(link: Link, attributes: Mapping[str, Any]) -> Link:
    """The link with these attributes."""
    return Link(link.context, bounded(attributes, link.dropped_attributes))
