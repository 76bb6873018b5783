"""The one span that takes an ended span's place on the way out. What it shows is made when somebody first looks.

That is the exporter, on its own thread; the application's thread pays for one small object. All exporters share it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from opentelemetry.sdk.trace import ReadableSpan

if TYPE_CHECKING:
    from opentelemetry.trace import SpanContext

# Replaces what must not be shown as it is. It is given the fields of the span that is to be shown, by the names that
# ``ReadableSpan`` has for them (the attributes are a dict of the span's own), and whether content is left out.
Finish = Callable[["dict[str, Any]", bool], None]
NAME, ATTRIBUTES, EVENTS, LINKS, STATUS = "_name", "_attributes", "_events", "_links", "_status"
# Attributes, events and links that are missing: those that the SDK dropped, and those that the limit takes.
DROPPED = "_dropped"


class DerivedSpan(ReadableSpan):
    """A span in another's place, with everything of the original that is not asked to change, dropped counts included.

    ``ReadableSpan.__init__`` is not called: what it would set is found in the original, or made by ``finish``. Then the
    original is let go.
    """

    _dropped: tuple[int, int, int]

    def __init__(  # pyright: ignore[reportMissingSuperCall]
        self,
        original: ReadableSpan,
        finish: Finish,
        context: SpanContext | None,
        attributes: dict[str, Any] | None = None,
        without_content: bool = False,
    ) -> None:
        self._made_of: tuple[Any, ...] | None = (original, finish, attributes, without_content)
        # Every span processor asks for it at once.
        self._context = context

    def __getattr__(self, name: str) -> Any:
        """What is not set here. The first question makes everything that is to be shown."""
        made_of = None if name.startswith("__") else _made_of(self)
        if made_of is not None:
            # Two exporters may come here at once: both make the same. Nobody may see a part of it, which would be what
            # was not redacted, so it is put in place in one step.
            self.__dict__ = self._shown(*made_of)
            if name in self.__dict__:
                return self.__dict__[name]
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def _shown(
        self, original: ReadableSpan, finish: Finish, attributes: dict[str, Any] | None, without_content: bool
    ) -> dict[str, Any]:
        # First: the original may be a derived span itself, which is made by the question.
        shown = plain_attributes(original) if attributes is None else attributes
        dropped = (original.dropped_attributes, original.dropped_events, original.dropped_links)
        fields = original.__dict__.copy()
        fields[ATTRIBUTES] = shown
        fields[DROPPED] = dropped
        finish(fields, without_content)
        fields["_context"] = self._context
        fields["_made_of"] = None
        return fields

    def __getstate__(self) -> dict[str, Any]:
        """For copies: what is shown, and nothing that it was made of."""
        _ = self._attributes
        return dict(self.__dict__)

    @property
    def dropped_attributes(self) -> int:
        """Those that the SDK dropped, and those that were over the limit of bytes."""
        return self._dropped[0]

    @property
    def dropped_events(self) -> int:
        """The same of events."""
        return self._dropped[1]

    @property
    def dropped_links(self) -> int:
        """The same of links."""
        return self._dropped[2]


def plain_attributes(span: ReadableSpan) -> dict[str, Any]:
    """A copy that is a plain dict. The SDK's own mapping copies itself at C's speed, and iterates at Python's."""
    attributes: Any = getattr(span, ATTRIBUTES)
    return attributes.copy() if attributes is not None else {}


def _made_of(span: DerivedSpan) -> tuple[Any, ...] | None:
    """Without making a dict of an object's attributes; nothing where ``__init__`` was not called."""
    try:
        return object.__getattribute__(span, "_made_of")
    except AttributeError:
        return None
