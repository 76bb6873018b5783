"""The one span that takes an ended span's place on the way out. What it shows is made when somebody first looks.

That is the exporter, on its own thread; the application's thread pays for one small object. All exporters share it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from opentelemetry.sdk.trace import Event, ReadableSpan

if TYPE_CHECKING:
    from opentelemetry.trace import Link, SpanContext, Status


class Shown(NamedTuple):
    """What of a span may differ from the original."""

    name: str
    attributes: Mapping[str, Any]
    events: Sequence[Event]
    links: Sequence[Link]
    status: Status


# (original, attributes that were added, whether content is left out)
Finish = Callable[[ReadableSpan, "Mapping[str, Any] | None", bool], Shown]
_LAZY = frozenset({"_name", "_attributes", "_events", "_links", "_status"})


class DerivedSpan(ReadableSpan):
    """A span in another's place, with everything of the original that is not asked to change, dropped counts included.

    ``ReadableSpan.__init__`` is not called: what it would set is found in the original, or made by ``finish``.
    """

    def __init__(  # pyright: ignore[reportMissingSuperCall]
        self,
        original: ReadableSpan,
        finish: Finish,
        context: SpanContext | None,
        added: Mapping[str, Any] | None = None,
        without_content: bool = False,
    ) -> None:
        self._original = original
        self._finish = finish
        # Every span processor asks for it at once.
        self._context = context
        self._added = added
        self._without_content = without_content

    def __getattr__(self, name: str) -> Any:
        """What is not set here: made now, or the original's."""
        known = self.__dict__
        if name.startswith("__") or "_original" not in known:
            raise AttributeError(name)
        if name not in _LAZY:
            return getattr(self._original, name)
        # Two exporters may come here at once: both make the same, and one of theirs stays.
        shown = self._finish(self._original, self._added, self._without_content)
        known["_name"], known["_attributes"], known["_events"], known["_links"], known["_status"] = shown
        return known[name]

    @property
    def dropped_attributes(self) -> int:
        """As the SDK counted them."""
        return self._original.dropped_attributes

    @property
    def dropped_events(self) -> int:
        """As the SDK counted them."""
        return self._original.dropped_events

    @property
    def dropped_links(self) -> int:
        """As the SDK counted them."""
        return self._original.dropped_links
