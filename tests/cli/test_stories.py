"""Tool calls in the terminal's tree: which answer asked for them, which request brings them, what is missing."""

from __future__ import annotations

from typing import Any

from spanloom.cli._stories import Stories
from spanloom.record import Event, Link, Span


def made(span_id: str, name: str = "chat m", tool: str | None = None, **more: Any) -> Span:
    """A span of one trace."""
    attributes = {} if tool is None else {"gen_ai.tool.name": tool}
    return Span("1", span_id, "", name, "", 1, 2, 0, "", "", "", attributes, **more)


def link(span_id: str, kind: str | None) -> Link:
    """A link inside the trace."""
    return Link("1", span_id, {} if kind is None else {"spanloom.link": kind})


def told(kind: str, tool: str | None = None) -> Event:
    """An event about a call."""
    return Event(kind, 1, {} if tool is None else {"gen_ai.tool.name": tool})


def notes(span: Span, *others: Span) -> list[str]:
    """What is written beside a span."""
    return [text for text, _ in Stories([span, *others]).notes(span)]


def test_who_asked_and_who_brings() -> None:
    """Names as often as they were called, in the order of the executions."""
    first, second = made("a"), made("d", links=[link("a", "asked_by"), link("b", "executed_by"), link("z", None)])
    tools = [made(one, tool=name, links=[link("a", "asked_by")]) for one, name in (("b", "search"), ("c", "price"))]
    again = made("e", tool="search", links=[link("a", "asked_by")])
    assert notes(first, second, *tools, again) == ["asks 2 search, price"]
    assert notes(second, first, *tools) == ["with search"]
    assert notes(tools[0], first) == []


def test_spans_that_are_not_there() -> None:
    """Links may lead out of the record."""
    assert notes(made("d", links=[link("a", "asked_by"), link("b", "executed_by")])) == []


def test_what_does_not_fit_together() -> None:
    """Calls without an answer, answers without a call."""
    open_, unasked = "spanloom.tool.unanswered", "spanloom.tool.unasked"
    span = made("a", events=[told(open_, "search"), told(open_), told(unasked)])
    assert notes(span) == ["no answer for search, a tool", "an answer to nothing"]
    assert notes(made("a", events=[told(unasked), told(unasked)])) == ["2 answers to nothing"]
