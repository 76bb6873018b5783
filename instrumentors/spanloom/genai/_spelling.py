"""Older spellings of names, for dashboards that were made for them (``OTEL_SEMCONV_STABILITY_OPT_IN``)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from spanloom import semconv


class Spelling:
    """Writes attributes by their older names: as well, or instead."""

    def __init__(self, instead: bool) -> None:
        self.instead = instead

    def of(self, attributes: Mapping[str, Any]) -> Mapping[str, Any]:
        """The attributes of a span, respelt where an older name exists."""
        rows = dict(attributes)
        for name, old in semconv.OLD_ATTRIBUTES.items():
            if name in rows:
                rows[old] = rows[name]
                if self.instead:
                    del rows[name]
        return rows


def configured() -> Spelling | None:
    """By the variable; ``None`` for the current names alone, which is the default."""
    modes = semconv.modes()
    return Spelling(instead="current" not in modes) if "old" in modes else None
