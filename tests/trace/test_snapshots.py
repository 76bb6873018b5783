"""Whole spans of an agent written by hand, against files: its turns, its tools, its model calls."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests._support.snapshot import check_snapshot
from tests._support.spans import normal, outline
from tests.trace import _react

SNAPSHOTS = Path(__file__).parent / "snapshots"
TREE = [
    "invoke_agent storekeeper",
    "  chat llama-3",
    "  execute_tool stock_level!",
    "  chat llama-3",
    "  execute_tool stock_level",
    "  chat llama-3",
]


def told(spans):
    """Whole spans; their events with attributes."""
    return [
        {**one, "events": [[event.name, dict(event.attributes)] for event in raw.events]}
        for one, raw in zip(normal(spans), spans, strict=True)
    ]


@pytest.mark.parametrize("mode", ["NO_CONTENT", "SPAN_ONLY", "EVENT_ONLY"])
def test_an_agent_by_hand(mode, monkeypatch, recorder, request):
    """The tree, every attribute, every event; what was said only where that is asked for."""
    monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", mode)
    request.getfixturevalue("by_hand")
    assert _react.run() == "Three."
    assert outline(recorder.spans) == TREE
    found = told(recorder.spans)
    check_snapshot(SNAPSHOTS / f"react_{mode.lower()}.json", found)
    assert ("vane" in json.dumps(found)) == (mode == "SPAN_ONLY")


def test_a_failed_agent_by_hand(monkeypatch, with_content):
    """It ends as its code ends: the exception is the same, the spans around it say so, each of its own failure."""
    error = OSError("down")

    def generate(self, messages):
        raise error

    monkeypatch.setattr(_react.Client, "generate", generate)
    with pytest.raises(OSError) as caught:
        _react.run()
    assert caught.value is error
    check_snapshot(SNAPSHOTS / "react_failed.json", told(with_content.spans))
