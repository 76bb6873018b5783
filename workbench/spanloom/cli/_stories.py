"""Tool calls over the spans of a trace: which ones an answer asked for, and which ones a request brings. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from spanloom.cli._format import counted
from spanloom.record import Span
from spanloom.semconv import GenAI, Link, Spanloom, SpanloomEvent

_Note = tuple[str, str]


class Stories:
    """What the links between the spans of one trace tell."""

    def __init__(self, spans: Iterable[Span]) -> None:
        self._asked: dict[str, list[str]] = {}
        self._tools: dict[str, str] = {}
        for span in spans:
            tool = span.text(GenAI.TOOL_NAME)
            if tool is None:
                continue
            self._tools[span.span_id] = tool
            for asker in _linked(span, Link.ASKED_BY):
                self._asked.setdefault(asker, []).append(tool)

    def notes(self, span: Span) -> Iterator[_Note]:
        """What the model asked for, what it is told, and what does not fit together."""
        asked = self._asked.get(span.span_id, [])
        brought = [self._tools[one] for one in _linked(span, Link.EXECUTED_BY) if one in self._tools]
        if brought:
            yield f"with {_list(brought)}", "dim"
        if asked:
            yield f"asks {_list(asked)}", "dim"
        yield from _faults(span)


def _linked(span: Span, kind: str) -> Iterator[str]:
    return (one.span_id for one in span.links if one.attributes.get(Spanloom.LINK) == kind)


def _faults(span: Span) -> Iterator[_Note]:
    open_ = [one for one in span.events if one.name == SpanloomEvent.TOOL_UNANSWERED]
    if open_:
        yield f"no answer for {_list(str(one.attributes.get(GenAI.TOOL_NAME) or 'a tool') for one in open_)}", "yellow"
    unasked = sum(one.name == SpanloomEvent.TOOL_UNASKED for one in span.events)
    if unasked:
        yield f"{unasked} answers to nothing" if unasked > 1 else "an answer to nothing", "yellow"


def _list(names: Iterable[str]) -> str:
    return ", ".join(counted(names))
