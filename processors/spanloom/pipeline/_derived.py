"""The one span that takes an ended span's place on the way out. What it shows is made when somebody first looks.

That is the exporter, on its own thread; the application's thread pays for one small object. All exporters share it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from opentelemetry.sdk.trace import ReadableSpan

if TYPE_CHECKING:
    from opentelemetry.trace import SpanContext

# (original, its attributes with what was added where something was, whether content is left out) -> the fields that
# differ from the original's, by the names that ``ReadableSpan`` has for them.
Finish = Callable[[ReadableSpan, "dict[str, Any] | None", bool], dict[str, Any]]
NAME, ATTRIBUTES, EVENTS, LINKS, STATUS = "_name", "_attributes", "_events", "_links", "_status"


class DerivedSpan(ReadableSpan):
    """A span in another's place, with everything of the original that is not asked to change, dropped counts included.

    ``ReadableSpan.__init__`` is not called: what it would set is found in the original, or made by ``finish``.
    """

    def __init__(  # pyright: ignore[reportMissingSuperCall]
        self,
        original: ReadableSpan,
        finish: Finish,
        context: SpanContext | None,
        attributes: dict[str, Any] | None = None,
        without_content: bool = False,
    ) -> None:
        self._original = original
        self._finish = finish
        # Every span processor asks for it at once.
        self._context = context
        self._own_attributes = attributes
        self._without_content = without_content

    def __getattr__(self, name: str) -> Any:
        """What is not set here. The first question makes everything that is to be shown."""
        known = self.__dict__
        if name.startswith("__") or "_original" not in known:
            raise AttributeError(name)
        original = self._original
        if ATTRIBUTES not in known:
            # Two exporters may come here at once: both make the same, and one of theirs stays.
            context = self._context
            fields = self._finish(original, self._own_attributes, self._without_content)
            known.update(original.__dict__)
            known.update(fields)
            self._context = context
        return known[name] if name in known else getattr(original, name)

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
