"""What an exporter sees of a span: content left out where only the skeleton is kept, redacted, and within its limit.

A fault in one step costs that step; but what could not be redacted is not shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Protocol

from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.trace import Link, Status

from spanloom.genai import hooks
from spanloom.pipeline._content import events_without_content, without_content
from spanloom.pipeline._derived import ATTRIBUTES, EVENTS, LINKS, NAME, STATUS
from spanloom.pipeline._limits import Limit
from spanloom.pipeline._parts import event_with, link_with

FAILED: Final = "[redaction failed]"


class Redacts(Protocol):
    """``spanloom.redaction.Redactor``."""

    def text(self, value: str) -> str: ...
    def attributes(self, attributes: Mapping[str, Any]) -> dict[str, Any] | None: ...
    def body(self, value: Any) -> Any: ...
    def counts(self) -> Mapping[str, int]: ...


class Finisher:
    """Makes what is shown of a span. Called on whatever thread looks first; never raises."""

    def __init__(self, redactor: Redacts | None, max_bytes: int) -> None:
        self._redactor = redactor
        self._limit = Limit(max_bytes)

    @property
    def cut_spans(self) -> int:
        """Spans that were over the limit."""
        return self._limit.cut_spans

    def __call__(self, span: ReadableSpan, own: dict[str, Any] | None, is_skeleton: bool) -> dict[str, Any]:
        """The fields of a span that exporters see otherwise than the SDK made them.

        ``own``: its attributes, where something was added to them.
        """
        fields: dict[str, Any] = {ATTRIBUTES: plain_attributes(span) if own is None else own}
        if is_skeleton:
            fields = hooks.attempted("pipeline.skeleton", None, _skeleton, span, fields) or _hidden(span)
        if self._redactor is not None:
            # What cannot be redacted is not shown.
            fields = hooks.attempted("pipeline.redact", None, _redacted, span, fields, self._redactor) or _hidden(span)
        hooks.attempt("pipeline.limit", self._limit.apply, span, fields)
        return fields


def _hidden(span: ReadableSpan) -> dict[str, Any]:
    return {NAME: FAILED, ATTRIBUTES: {}, EVENTS: (), LINKS: (), STATUS: Status(span.status.status_code)}


def _skeleton(span: ReadableSpan, fields: dict[str, Any]) -> dict[str, Any]:
    """A description is what an exception says, which may be content."""
    return {
        ATTRIBUTES: without_content(fields[ATTRIBUTES]),
        EVENTS: events_without_content(span.events),
        STATUS: Status(span.status.status_code),
    }


def _redacted(span: ReadableSpan, fields: dict[str, Any], redactor: Redacts) -> dict[str, Any]:
    """The fields, with those replaced in which something was found."""
    attributes = redactor.attributes(fields[ATTRIBUTES])
    if attributes is not None:
        fields[ATTRIBUTES] = attributes
    name = span.name
    if (shown := redactor.text(name)) is not name:
        fields[NAME] = shown
    if not is_plain(span):
        _redact_rest(span, fields, redactor)
    return fields


def _redact_rest(span: ReadableSpan, fields: dict[str, Any], redactor: Redacts) -> None:
    """What few spans have."""
    status = fields.get(STATUS, span.status)
    if status.description and (told := redactor.text(status.description)) is not status.description:
        fields[STATUS] = Status(status.status_code, told)
    if len(span.events):
        fields[EVENTS] = [_event(event, redactor) for event in fields.get(EVENTS, span.events)]
    if len(span.links):
        fields[LINKS] = [_link(link, redactor) for link in span.links]


def is_plain(span: ReadableSpan) -> bool:
    """True for the usual span: no events or links, and nothing to say of its status.

    By the lengths of its own lists: the public tuples are made anew each time.
    """
    return not (len(getattr(span, EVENTS)) or len(getattr(span, LINKS)) or span.status.description)


def plain_attributes(span: ReadableSpan) -> dict[str, Any]:
    """A copy that is a plain dict. The SDK's own mapping copies itself at C's speed, and iterates at Python's."""
    attributes: Any = getattr(span, ATTRIBUTES)
    return attributes.copy() if attributes is not None else {}


def _event(event: Event, redactor: Redacts) -> Event:
    name = redactor.text(event.name)
    attributes = redactor.attributes(event.attributes) if event.attributes else None
    if attributes is None:
        if name is event.name:
            return event
        attributes = dict(event.attributes or {})
    return event_with(event, attributes, name)


def _link(link: Link, redactor: Redacts) -> Link:
    attributes = redactor.attributes(link.attributes) if link.attributes else None
    return link if attributes is None else link_with(link, attributes)
