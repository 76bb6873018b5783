"""The one span that takes an ended span's place on the way out. What it shows is made when somebody first looks.

That is the exporter, on its own thread; the application's thread pays for one small object. All exporters share it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from opentelemetry.sdk.trace import Event, ReadableSpan

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope
    from opentelemetry.trace import Link, SpanContext, SpanKind, Status
    from opentelemetry.util.types import Attributes

# (original, its attributes with what was added where something was, whether content is left out) -> the fields that
# differ from the original's, by the names that ``ReadableSpan`` has for them.
Finish = Callable[[ReadableSpan, "dict[str, Any] | None", bool], dict[str, Any]]
NAME, ATTRIBUTES, EVENTS, LINKS, STATUS = "_name", "_attributes", "_events", "_links", "_status"
_SHOWN = frozenset({NAME, ATTRIBUTES, EVENTS, LINKS, STATUS})


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
        self._made: dict[str, Any] | None = None

    def _shown(self, field: str) -> Any:
        """One of the fields that may differ from the original's."""
        made = self._made
        if made is None:
            # Two exporters may come here at once: both make the same, and one of theirs stays.
            made = self._made = self._finish(self._original, self._own_attributes, self._without_content)
        return made[field] if field in made else getattr(self._original, field)

    def __getattr__(self, name: str) -> Any:
        """What the SDK's own methods ask for by its private name."""
        if name.startswith("__") or "_made" not in self.__dict__:
            raise AttributeError(name)
        return self._shown(name) if name in _SHOWN else getattr(self._original, name)

    @property
    def name(self) -> str:
        """Redacted."""
        return self._shown(NAME)

    @property
    def attributes(self) -> Attributes:
        """With what was added; redacted, and within the limit."""
        return MappingProxyType(self._shown(ATTRIBUTES))

    @property
    def events(self) -> Sequence[Event]:
        """Redacted, and within the limit."""
        return tuple(self._shown(EVENTS))

    @property
    def links(self) -> Sequence[Link]:
        """Redacted."""
        return tuple(self._shown(LINKS))

    @property
    def status(self) -> Status:
        """Redacted."""
        return self._shown(STATUS)

    @property
    def kind(self) -> SpanKind:
        """The original's, like all that follows."""
        return self._original.kind

    @property
    def parent(self) -> SpanContext | None:
        return self._original.parent

    @property
    def start_time(self) -> int | None:
        return self._original.start_time

    @property
    def end_time(self) -> int | None:
        return self._original.end_time

    @property
    def resource(self) -> Resource:
        return self._original.resource

    @property
    def instrumentation_scope(self) -> InstrumentationScope | None:
        return self._original.instrumentation_scope

    @property
    def dropped_attributes(self) -> int:
        return self._original.dropped_attributes

    @property
    def dropped_events(self) -> int:
        return self._original.dropped_events

    @property
    def dropped_links(self) -> int:
        return self._original.dropped_links
