"""What an exporter sees of a span: content left out where only the skeleton is kept, redacted, and within its limit.

A fault in one step costs that step; but what could not be redacted is not shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Protocol

from opentelemetry.attributes import BoundedAttributes
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.trace import Link, Status

from spanloom.genai import hooks
from spanloom.pipeline._content import without_content
from spanloom.pipeline._derived import Shown
from spanloom.pipeline._limits import Limit


FAILED: Final = "[redaction failed]"


class Redacts(Protocol):
    """``spanloom.redaction.Redactor``."""

    def text(self, value: str) -> str: ...
    def attributes(self, attributes: Mapping[str, Any]) -> dict[str, Any] | None: ...
    def body(self, value: Any) -> Any: ...


class Finisher:
    """Makes what is shown of a span. Called on whatever thread looks first; never raises."""

    def __init__(self, redactor: Redacts | None, max_bytes: int) -> None:
        self._redactor = redactor
        self._limit = Limit(max_bytes)

    @property
    def cut_spans(self) -> int:
        """Spans that were over the limit."""
        return self._limit.cut_spans

    def __call__(self, span: ReadableSpan, added: Mapping[str, Any] | None, is_skeleton: bool) -> Shown:
        """Name, attributes, events, links and status as exporters see them."""
        shown = Shown(span.name, {}, (), (), Status(span.status.status_code))
        with hooks.guard("pipeline.finish"):
            shown = self._raw(span, added)
            if is_skeleton:
                shown = without_content(shown)
        if self._redactor is not None:
            shown = self._redacted(shown, self._redactor)
        with hooks.guard("pipeline.limit"):
            shown = self._limit.applied(shown)
        return shown

    def _raw(self, span: ReadableSpan, added: Mapping[str, Any] | None) -> Shown:
        attributes = dict(span.attributes or {}) if added is None else {**(span.attributes or {}), **added}
        return Shown(span.name, attributes, span.events, span.links, span.status)

    def _redacted(self, shown: Shown, redactor: Redacts) -> Shown:
        hidden = Shown(FAILED, {}, (), (), Status(shown.status.status_code))
        with hooks.guard("pipeline.redact"):
            hidden = Shown(
                redactor.text(shown.name),
                redactor.attributes(shown.attributes) or shown.attributes,
                [_event(event, redactor) for event in shown.events] if shown.events else shown.events,
                [_link(link, redactor) for link in shown.links] if shown.links else shown.links,
                _status(shown.status, redactor),
            )
        return hidden


def bounded(attributes: Mapping[str, Any], dropped: int) -> BoundedAttributes:
    """Attributes with the count of those that the SDK dropped."""
    made = BoundedAttributes(attributes=attributes)
    made.dropped = dropped
    return made


def _event(event: Event, redactor: Redacts) -> Event:
    name = redactor.text(event.name)
    attributes = redactor.attributes(event.attributes) if event.attributes else None
    if attributes is None:
        if name is event.name:
            return event
        attributes = dict(event.attributes or {})
    return Event(name, bounded(attributes, event.dropped_attributes), event.timestamp)


def _link(link: Link, redactor: Redacts) -> Link:
    attributes = redactor.attributes(link.attributes) if link.attributes else None
    return link if attributes is None else Link(link.context, bounded(attributes, link.dropped_attributes))


def _status(status: Status, redactor: Redacts) -> Status:
    description = status.description
    if not description:
        return status
    redacted = redactor.text(description)
    return status if redacted is description else Status(status.status_code, redacted)
