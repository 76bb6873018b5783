"""Reading OTLP JSON-lines records: traces as trees, and what they cost."""

from __future__ import annotations

from spanloom.record._model import Event, Figures, Link, Node, Span, Trace, Value
from spanloom.record._read import Problem, Reading, files_of, read
from spanloom.record._tree import traces_of

__all__ = [
    "Event",
    "Figures",
    "Link",
    "Node",
    "Problem",
    "Reading",
    "Span",
    "Trace",
    "Value",
    "files_of",
    "read",
    "traces_of",
]
