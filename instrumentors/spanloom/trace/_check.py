"""What people give us: a mistake in their source is an error at once, what comes from elsewhere is never one.

An agent's name or an operation stands in the source, and is wrong in the first test run. A model, a count or a message
comes from a setting, a provider or a user: for one of these no service fails. It is left out, with one line a process.
"""

from __future__ import annotations

import logging
from collections.abc import Collection
from typing import Any, Final

from spanloom.genai import attempt

_log = logging.getLogger("spanloom")
_told: set[str] = set()
# Places are names in our own code, but for unknown parameters.
_MOST_TOLD: Final = 256


def name_of(where: str, value: Any) -> str:
    """The value, where it is a name; else ``TypeError`` or ``ValueError``."""
    if not isinstance(value, str):
        raise TypeError(f"{where} takes a name (a text), not {type(value).__name__}")
    if not value:
        raise ValueError(f"{where} takes a name, not an empty text")
    return str.__str__(value)


def one_of(where: str, value: Any, known: Collection[str]) -> str:
    """The value, where it is one of these; else ``TypeError`` or ``ValueError``."""
    if name_of(where, value) not in known:
        raise ValueError(f"{where} takes one of {', '.join(known)}, not {value!r}")
    return value


def text_or_none(where: str, value: Any) -> str | None:
    """The value, where it is a text that says something; ``None`` is none."""
    if value is None:
        return None
    if isinstance(value, str) and value:
        # An enum's member may be a text: exporters want a plain one.
        return str.__str__(value)
    left_out(where, f"{_kind(value)} is no text")
    return None


def count_or_none(where: str, value: Any) -> int | None:
    """The value, where it is a whole number from 0 on that OTLP can carry; ``None`` is none."""
    if value is None or (type(value) is int and 0 <= value < 2**63):
        return value
    left_out(where, f"{_kind(value)} is no count")
    return None


def left_out(where: str, problem: str) -> None:
    """Say once a process what was not recorded. What it was is not told: it may be content."""
    if where not in _told and len(_told) < _MOST_TOLD:
        _told.add(where)
        attempt("trace.left_out", _log.warning, "spanloom.trace: %s: %s; it is left out", where, problem)


def _kind(value: Any) -> str:
    if isinstance(value, int):
        # Not content: a number of tokens or a port.
        return repr(value)[:32]
    if isinstance(value, str):
        return "a text" if value else "an empty text"
    return f"a value of type {type(value).__name__}"
