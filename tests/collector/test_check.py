"""The comparing half of `deploy.local.check`, on answers written down here."""

from __future__ import annotations

import pytest

from deploy.local import check, otlp
from deploy.local._common import StackError

TRACE = "0af7651916cd43dd8448eb211c80319c"


def answer(*spans: dict[str, object]) -> dict[str, object]:
    resource = {"attributes": otlp.attributes({"service.name": "shop", "process.pid": 7})}
    return {"result": {"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": list(spans)}]}]}}


def raw(name: str, span_id: str, parent: str = "", start: int = 0, **more: object) -> dict[str, object]:
    times = {"startTimeUnixNano": str(start), "endTimeUnixNano": str(start + 10)}
    return {"traceId": TRACE, "spanId": span_id, "parentSpanId": parent, "name": name, **times, **more}


def test_spans_are_read_with_plain_values() -> None:
    """Every kind of OTLP value, absent attributes and status, and Jaeger's own attributes left out."""
    values = [
        {"key": "text", "value": {"stringValue": "x"}},
        {"key": "number", "value": {"intValue": "9007199254740993"}},
        {"key": "share", "value": {"doubleValue": 0.5}},
        {"key": "flag", "value": {"boolValue": True}},
        {"key": "list", "value": {"arrayValue": {"values": [{"stringValue": "a"}, {"intValue": "2"}]}}},
        {"key": "map", "value": {"kvlistValue": {"values": [{"key": "k", "value": {"stringValue": "v"}}]}}},
        {"key": "empty", "value": {}},
        {"key": "@jaeger@warnings", "value": {"stringValue": "clock skew"}},
    ]
    event = {"name": "exception", "timeUnixNano": "5", "attributes": values[:1]}
    failed = raw("chat", "b", "a", 1, kind=3, status={"code": 2, "message": "no"}, attributes=values, events=[event])
    root, chat = check.read_spans(answer(failed, raw("root", "a")))
    assert (root["parent_id"], root["status"], root["kind"], root["attributes"]) == (None, "unset", "unspecified", {})
    assert (chat["parent_id"], chat["status"], chat["message"], chat["kind"]) == ("a", "error", "no", "client")
    assert chat["attributes"] == {
        "text": "x",
        "number": 9007199254740993,
        "share": 0.5,
        "flag": True,
        "list": ["a", 2],
        "map": {"k": "v"},
        "empty": None,
    }
    assert chat["events"] == [{"name": "exception", "time_ns": 5, "attributes": {"text": "x"}}]
    assert (chat["service"], chat["resource"]["process.pid"], chat["end_ns"] - chat["start_ns"]) == ("shop", 7, 10)


def test_an_empty_answer_has_no_spans() -> None:
    """Neither an empty result nor an empty object is an error."""
    assert check.read_spans({}) == []
    assert check.read_spans({"result": {}}) == []


def test_a_tree_is_in_order_of_start_and_keeps_orphans() -> None:
    """Children are sorted; a span whose parent did not arrive is a root of its own, not lost."""
    spans = check.read_spans(
        answer(raw("late", "c", "a", 9), raw("early", "b", "a", 1), raw("root", "a"), raw("orphan", "d", "zz", 2))
    )
    tree = check.span_tree(spans)
    assert check.outline(tree) == ["root", "  early", "  late", "orphan"]
    assert tree[0].children[0].span["span_id"] == "b"


def test_outlines_are_compared_line_by_line() -> None:
    """Equal trees give nothing; otherwise what is missing and what is too much is marked."""
    expected = ["root", "  chat (error)"]
    assert check.tree_differences(expected, list(expected)) == []
    assert check.tree_differences(expected, ["root", "  chat"]) == ["  root", "-   chat (error)", "+   chat"]


def test_sums_are_compared_exactly_unless_told_otherwise() -> None:
    """One unit in 9,007,199,254,740,991 is a difference; money has its tolerance; missing and unexpected are named."""
    assert check.sum_differences({("a",): 9_007_199_254_740_991}, {("a",): 9_007_199_254_740_991.0}) == []
    off = check.sum_differences({("a",): 9_007_199_254_740_991}, {("a",): 9_007_199_254_740_990.0})
    assert off == ["a: expected 9007199254740991, found 9007199254740990.0 (-1)"]
    assert check.sum_differences({(): 0.3}, {(): 0.1 + 0.2}, tolerance=1e-9) == []
    assert check.sum_differences({(): 0.3}, {(): 0.1 + 0.2}) != []
    assert check.sum_differences({(): 1.0}, {(): 1.0 + 2e-9}, tolerance=1e-9) != []
    assert check.sum_differences({("a", "b"): 1}, {("c", ""): 2.0}) == [
        "a / b: expected 1, and there is no such series",
        "c / : found 2.0, and nothing is expected",
    ]


def test_waiting_ends_with_what_was_waited_for() -> None:
    """The answer when it comes; a StackError that names it when it does not."""
    answers = iter([None, None, "there"])
    assert check.eventually(lambda: next(answers), 5, "answer") == "there"
    with pytest.raises(StackError, match=r"after 0\.2 s there is no sun"):
        check.eventually(lambda: None, 0.2, "sun")


def test_a_jaeger_or_prometheus_that_is_not_there_is_named() -> None:
    """Nobody listens on the port: the address is in the message."""
    nobody = "http://127.0.0.1:9"
    with pytest.raises(StackError, match=nobody):
        check.fetch_trace(nobody, TRACE, 0.2)
    with pytest.raises(StackError, match=nobody):
        check.search_traces(nobody, "shop")
    with pytest.raises(StackError, match=nobody):
        check.prometheus_sum(nobody, "up")
    with pytest.raises(StackError, match=f"{nobody}/v1/traces refused a request: 0: no answer"):
        otlp.send(nobody, "traces", {})


def test_a_counter_at_zero_is_no_difference() -> None:
    """Failed calls have a series that stands at 0: the same as none."""
    assert check.sum_differences({}, {("a",): 0.0}) == []
    assert check.sum_differences({("a",): 1}, {("a",): 0.0}) != []
