"""Whole spans of every scenario, against files; and every token against the server's ledger."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests._support.snapshot import check_snapshot
from tests._support.spans import eventually, normal
from tests.openai import _scenarios

SNAPSHOTS = Path(__file__).parent / "snapshots"
ALL = [*_scenarios.SYNC, *_scenarios.ASYNC]
# The SDK refuses these before there is a call.
WITHOUT_A_CALL = {"amissing_arguments"}
CALLS = {"agathered": 3, "object_messages": 2}


# What a clock or the bytes of a request decide.
CHANGING = ("response.request_id", "response.processing_s", "stream.chunk_interval_")


def steady(span):
    """The span without what differs from run to run."""
    rows = span["attributes"].items()
    kept = {key: f"<{type(value).__name__}>" if any(one in key for one in CHANGING) else value for key, value in rows}
    return {**span, "attributes": kept}


@pytest.mark.parametrize("name", ALL)
def test_whole_spans(name, server, plugin_with_content, recorder):
    """Name, kind, status, attributes and content, in the order in which the calls began."""
    _scenarios.run(name, server)
    expected = 0 if name in WITHOUT_A_CALL else CALLS.get(name, 1)
    eventually(lambda: len(recorder.spans) >= expected)
    spans = [steady(one) for one in normal(recorder.spans)]
    if name == "agathered":
        # Which of three that run at once is the first is up to the network.
        spans = sorted(({**one, "id": 0, "trace": 0} for one in spans), key=lambda one: str(one["attributes"]))
    assert len(spans) == expected
    check_snapshot(SNAPSHOTS / f"{name}.json", spans)


# The caller took the body for himself, or had gone before the usage came.
UNSEEN = (
    "streaming_bytes",
    "streaming_left",
    "responses_stream_closed",
    "responses_stream_dropped",
    "responses_manager_left",
    *_scenarios.LATE,
)
DURATIONS = {"embedded": "operation", "models": "none", "files": "none"}


@pytest.mark.parametrize("name", ALL)
def test_tokens_equal_the_ledger(name, server, plugin, recorder):
    """What the server told its clients, and nothing else, on spans and in metrics."""
    _scenarios.run(name, server)
    expected = 0 if name in WITHOUT_A_CALL else CALLS.get(name, 1)
    eventually(lambda: len(recorder.spans) >= expected)
    told = [one for one in server.ledger.entries if one.outcome == "complete" and name not in UNSEEN]
    for column in ("input_tokens", "output_tokens"):
        total = sum(getattr(one, column) or 0 for one in told)
        assert sum(span.attributes.get(f"gen_ai.usage.{column}", 0) for span in recorder.spans) == total
        assert recorder.total(f"gen_ai.client.inference.usage.{column}") == total
    kind = DURATIONS.get(name.removeprefix("a").partition("_")[0], "inference")
    for one in ("inference", "operation"):
        assert recorder.total(f"gen_ai.client.{one}.duration") == (expected if one == kind else 0)


@pytest.mark.parametrize("name", ALL)
def test_private_by_default(name, server, plugin, recorder):
    """No word of a question or an answer, and no text of an exception, is anywhere on a span."""
    _scenarios.run(name, server)
    eventually(lambda: recorder.spans or name in WITHOUT_A_CALL)
    text = str(normal(recorder.spans))
    for word in ("iver", "Oslo", "Rate limit", "messages", "arguments", "bad-key", "example.org"):
        assert word not in text
