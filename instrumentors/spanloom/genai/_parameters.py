"""Parameters of a request -> ``gen_ai.request.*``. A value of another type than the conventions' is left out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, cast

from spanloom.semconv import GenAI

Attributes = dict[str, Any]
Write = Callable[[Attributes, Any], None]

# The API of OpenAI takes four.
_MAX_STOPS: Final = 16


def write_all(attributes: Attributes, table: Mapping[str, Write], given: Mapping[str, Any]) -> None:
    """Write what the table knows of what was given; ``None`` is nothing."""
    for key, value in given.items():
        write = table.get(key)
        if write is not None and value is not None:
            write(attributes, value)


def is_whole(value: Any) -> bool:
    """True for a number that OTLP can carry; a bool is none."""
    return isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value < 2**63


def whole(name: str) -> Write:
    """Writes a whole number."""

    def write(attributes: Attributes, value: Any) -> None:
        if is_whole(value):
            attributes[name] = value

    return write


def number(name: str) -> Write:
    """Writes any number, as a float."""

    def write(attributes: Attributes, value: Any) -> None:
        if isinstance(value, float) or is_whole(value):
            attributes[name] = float(value)

    return write


def text(name: str, *but: str) -> Write:
    """Writes any text ``but`` these, which say nothing."""

    def write(attributes: Attributes, value: Any) -> None:
        if isinstance(value, str) and value and value not in but:
            # An enum's member may be a text: exporters want a plain one.
            attributes[name] = str.__str__(value)

    return write


def only_true(name: str) -> Write:
    """Writes what is told where it is so, and not told where it is not."""

    def write(attributes: Attributes, value: Any) -> None:
        if value is True:
            attributes[name] = True

    return write


def choices(attributes: Attributes, value: Any) -> None:
    """How many answers are asked for; one is not told."""
    if is_whole(value) and value != 1:
        attributes[GenAI.REQUEST_CHOICE_COUNT] = value


def stops(attributes: Attributes, value: Any) -> None:
    """A text that ends the answer, or several."""
    texts = [value] if isinstance(value, str) else value
    if isinstance(texts, (list, tuple)):
        found = [one for one in cast("Sequence[Any]", texts)[:_MAX_STOPS] if isinstance(one, str)]
        if found:
            attributes[GenAI.REQUEST_STOP_SEQUENCES] = found
