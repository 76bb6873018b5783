"""W3C baggage as attributes: the keys that ``SPANLOOM_BAGGAGE`` names, and no others. Callers write it, not we."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from opentelemetry import baggage

from spanloom.genai._carried import MAX_ROWS, Attributes, bounded
from spanloom.genai._guard import tolerant

if TYPE_CHECKING:
    from opentelemetry.context import Context


def reader(allowed: Iterable[str]) -> Callable[[Context, Attributes], Attributes]:
    """Gives what baggage says below what was told by code. A trailing ``*`` stands for any rest of a key."""
    exact = frozenset(name for name in allowed if not name.endswith("*"))
    beginnings = tuple(name[:-1] for name in allowed if name.endswith("*"))

    def found(context: Context) -> dict[str, str]:
        given = baggage.get_all(context)
        return _texts({key: value for key, value in given.items() if key in exact or key.startswith(beginnings)})

    def read(context: Context, told: Attributes) -> Attributes:
        # The application may have put anything there.
        rows = tolerant(found, None, context)
        return MappingProxyType({**rows, **told}) if rows else told

    return read


def _texts(given: Mapping[str, object]) -> dict[str, str]:
    """Values as texts: over the wire they are, in this process they may be anything."""
    rows = {key: value if isinstance(value, str) else tolerant(str, None, value) for key, value in given.items()}
    kept = [(key, bounded(text)) for key, text in rows.items() if text is not None]
    return dict(kept[:MAX_ROWS])
