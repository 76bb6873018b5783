"""What an exporter sees of a span: content left out where only the skeleton is kept, redacted, and within its limit.

A fault in one step costs that step; but what could not be redacted is not shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Protocol

from opentelemetry.sdk.trace import Event
from opentelemetry.trace import Link, Status

from spanloom.genai import hooks
from spanloom.pipeline._content import events_without_content, links_without_content, without_content
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

    def __call__(self, fields: dict[str, Any], is_skeleton: bool) -> None:
        """Replace what exporters must not see as it is. ``fields`` are those of the span that is to be shown."""
        if is_skeleton and not hooks.attempted("pipeline.skeleton", False, _leave_out_content, fields):
            _hide(fields)
        # What cannot be redacted is not shown.
        redactor = self._redactor
        if redactor is not None and not hooks.attempted("pipeline.redact", False, _redact, fields, redactor):
            _hide(fields)
        hooks.attempt("pipeline.limit", self._limit.apply, fields)


def _hide(fields: dict[str, Any]) -> None:
    status = Status(fields[STATUS].status_code)
    fields.update({NAME: FAILED, ATTRIBUTES: {}, EVENTS: (), LINKS: (), STATUS: status})


def _leave_out_content(fields: dict[str, Any]) -> bool:
    """A description is what an exception says, which may be content."""
    fields[ATTRIBUTES] = without_content(fields[ATTRIBUTES])
    fields[EVENTS] = events_without_content(fields[EVENTS])
    fields[LINKS] = links_without_content(fields[LINKS])
    fields[STATUS] = Status(fields[STATUS].status_code)
    return True


def _redact(fields: dict[str, Any], redactor: Redacts) -> bool:
    """Replace the fields in which something is found; true where nothing came in between."""
    attributes = redactor.attributes(fields[ATTRIBUTES])
    if attributes is not None:
        fields[ATTRIBUTES] = attributes
    fields[NAME] = redactor.text(fields[NAME])
    status, events, links = fields[STATUS], fields[EVENTS], fields[LINKS]
    if status.description and (told := redactor.text(status.description)) is not status.description:
        fields[STATUS] = Status(status.status_code, told)
    if len(events):
        fields[EVENTS] = [_event(event, redactor) for event in events]
    if len(links):
        fields[LINKS] = [_link(link, redactor) for link in links]
    return True


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
