"""Trees and sums: orphans, circles, money that adds up, usage that is not counted twice."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from spanloom.record import Figures, Node, Span, Trace, traces_of

USAGE = {"gen_ai.usage.input_tokens": 10, "gen_ai.usage.output_tokens": 4}


def span(
    name: str, parent: str = "", start: int = 0, *, failed: bool = False, trace: str = "t", **attributes: Any
) -> Span:
    """A span whose id is its name; attributes with ``__`` for dots."""
    rows = {key.replace("__", "."): value for key, value in attributes.items()}
    return Span(trace, name, parent, name, "internal", start + 1, start + 5, 2 if failed else 0, "", "svc", "", rows)


def call(name: str, parent: str = "", usd: float | None = None, **more: Any) -> Span:
    rows = {key.replace(".", "__"): value for key, value in USAGE.items()}
    if usd is not None:
        rows["gen_ai__usage__cost__amount"] = usd
    return span(name, parent, **{"gen_ai__operation__name": "chat", **rows, **more})


def only(*spans: Span) -> Trace:
    (trace,) = traces_of(spans)
    return trace


def shape(trace: Trace) -> list[str]:
    return ["  " * depth + (node.span.name if node.span else f"?{node.span_id}") for depth, node in trace.walk()]


def test_children_stand_below_their_parents_in_order_of_start() -> None:
    """Whatever the order in the record, which is that of their ends."""
    trace = only(span("c", "a", 30), span("d", "b", 25), span("b", "a", 20), span("a"))
    assert shape(trace) == ["a", "  b", "    d", "  c"]


def test_spans_that_start_together_have_a_stable_order() -> None:
    """The same tree every time."""
    assert shape(only(span("y", "a"), span("x", "a"), span("a"))) == ["a", "  x", "  y"]


def test_orphans_stand_below_their_missing_parent() -> None:
    """One marked place for each parent that is not there; the trace is named after a real root if it has one."""
    trace = only(span("a", "gone", 5), span("b", "gone", 3), span("c", "lost", 9), span("root", start=20))
    assert shape(trace) == ["?gone", "  b", "  a", "?lost", "  c", "root"]
    assert trace.missing == 2 and trace.root.name == "root"
    assert only(span("late", "gone", 9), span("early", "gone", 2)).root.name == "early"


def test_circles_are_cut() -> None:
    """Broken data is shown, each span once, and nothing runs for ever."""
    assert shape(only(span("b", "a"), span("a", "b"))) == ["a", "  b"]
    assert shape(only(span("a", "a"))) == ["a"]
    trace = only(span("x", "c"), span("a", "c"), span("b", "a"), span("c", "b"), span("root"), span("s", "s"))
    assert sorted(line.strip() for line in shape(trace)) == ["a", "b", "c", "root", "s", "x"]
    assert shape(trace) == ["a", "  b", "    c", "      x", "root", "s"]


def test_a_deep_chain_is_no_trouble() -> None:
    """Ten thousand levels: no recursion, no quadratic walk."""
    spans = [span("s0")] + [span(f"s{at}", f"s{at - 1}", at) for at in range(1, 10_000)]
    trace = only(*spans)
    assert len(trace.spans) == 10_000 and max(depth for depth, _ in trace.walk()) == 9_999


def test_traces_are_in_order_of_their_start() -> None:
    """The one that began last stands at the end."""
    traces = traces_of([span("a", trace="late", start=50), span("a", trace="early", start=10), span("b", trace="late")])
    assert [trace.trace_id for trace in traces] == ["late", "early"]


def test_money_adds_up_exactly() -> None:
    """A tenth and two tenths are three tenths, in whatever order."""
    trace = only(span("a"), call("b", "a", 0.1), call("c", "a", 0.2), call("d", "a", 1e-7))
    assert trace.figures.costs == {"USD": Decimal("0.3000001")}
    assert (trace.figures.input_tokens, trace.figures.output_tokens, trace.figures.unpriced) == (30, 12, 0)


def test_currencies_are_kept_apart() -> None:
    """Nobody adds euros to dollars."""
    trace = only(call("a", usd=1.0), call("b", usd=2.0, gen_ai__usage__cost__currency="EUR"))
    assert trace.figures.costs == {"USD": Decimal("1.0"), "EUR": Decimal("2.0")}


def test_unknown_is_not_zero() -> None:
    """A trace without model calls has no tokens, not none of them."""
    figures = only(span("a"), span("b", "a")).figures
    assert figures == Figures() and not figures.used and figures.input_tokens is None


def test_subtree_sums_are_not_added() -> None:
    """Parents carry the sum of what is below under names of their own."""
    trace = only(span("a", spanloom__subtree__input_tokens=10, spanloom__subtree__cost=0.5), call("b", "a", 0.5))
    assert trace.figures.input_tokens == 10 and trace.figures.costs == {"USD": Decimal("0.5")}


@pytest.mark.parametrize("operation", ["invoke_agent", "invoke_workflow"])
def test_usage_that_an_agent_repeats_counts_once(operation: str) -> None:
    """Other plugins write the sum onto the agent's span; alone it counts, above its calls it does not."""
    agent = call("agent", usd=0.3, gen_ai__operation__name=operation)
    assert only(agent, call("b", "agent", 0.1)).figures.input_tokens == 10
    assert only(agent, span("tool", "agent"), call("b", "tool", 0.1)).figures.costs == {"USD": Decimal("0.1")}
    assert only(agent, span("tool", "agent")).figures.costs == {"USD": Decimal("0.3")}


def test_totals_of_a_node_are_those_below_and_its_own() -> None:
    """Each level shows what it cost."""
    trace = only(span("a"), call("b", "a", 0.1), span("c", "a", 9), call("d", "c", 0.2))
    totals = {node.span_id: node.total.costs.get("USD") for _, node in trace.walk()}
    assert totals == {"a": Decimal("0.3"), "b": Decimal("0.1"), "c": Decimal("0.2"), "d": Decimal("0.2")}


@pytest.mark.parametrize(
    ("attributes", "unpriced"),
    [
        ({}, 1),
        ({"spanloom__cost__status": "unknown_model"}, 1),
        ({"spanloom__cost__status": "unknown_usage"}, 1),
        ({"spanloom__cost__status": "free"}, 0),
        ({"spanloom__cost__status": "cached"}, 0),
        ({"dspy__cache__hit": True}, 0),
        ({"gen_ai__operation__name": "invoke_agent"}, 0),
        ({"gen_ai__usage__cost__amount": 0.0}, 0),
        ({"gen_ai__usage__cost__amount": float("nan")}, 1),
        ({"gen_ai__usage__cost__amount": -1.0}, 1),
        ({"gen_ai__usage__cost__amount": "many"}, 1),
        ({"gen_ai__usage__cost__amount": True}, 1),
    ],
)
def test_calls_without_a_price_are_counted(attributes: dict[str, Any], unpriced: int) -> None:
    """Only those that cost something nobody knows; an amount that is no amount is none."""
    assert only(call("a", **attributes)).figures.unpriced == unpriced


def test_a_failed_call_that_told_no_usage_is_unpriced() -> None:
    """The service said so, although there are no tokens."""
    failed = span("a", spanloom__cost__status="unknown_usage", failed=True)
    assert only(failed).figures.unpriced == 1 and only(span("a", failed=True)).figures.unpriced == 0


def test_cached_answers_cost_nothing() -> None:
    """Tokens that stand on the span of a cache hit are those of long ago."""
    trace = only(call("a", usd=0.5, dspy__cache__hit=True))
    assert trace.figures == Figures() and trace.root.cached


def test_an_error_counts_where_it_began() -> None:
    """Spans that failed because of one below are its consequence; two separate failures are two."""
    up = only(span("a", failed=True), span("b", "a", failed=True), span("c", "b", failed=True))
    assert up.figures.errors == 1
    two = only(span("a", failed=True), span("b", "a", failed=True), span("c", "a", 9, failed=True), span("d", "a"))
    assert two.figures.errors == 2
    caught = only(span("a"), span("b", "a", failed=True))
    assert caught.figures.errors == 1


ODD = [True, -1, 1.5, "7", None, [1]]


@pytest.mark.parametrize("value", ODD, ids=map(repr, ODD))
def test_odd_tokens_are_unknown(value: Any) -> None:
    """Only whole numbers count."""
    one = span("a", gen_ai__usage__input_tokens=value)
    assert one.input_tokens is None and not one.has_usage


def test_a_span_without_an_end_has_no_duration() -> None:
    """Unknown, not negative and not 56 years."""
    one = span("a")
    one.end_ns = 0
    assert one.duration_ns is None
    one.start_ns = 0
    assert one.duration_ns is None
    assert only(one).duration_ns == 0


def test_first_chunk() -> None:
    """Seconds, where it is a number."""
    assert span("a", gen_ai__response__time_to_first_chunk=0.25).first_chunk_s == 0.25
    assert span("a", gen_ai__response__time_to_first_chunk=1).first_chunk_s == 1.0
    assert span("a", gen_ai__response__time_to_first_chunk=True).first_chunk_s is None


def test_error_type_is_that_of_failed_spans() -> None:
    """An attribute on a span that did not fail is no error."""
    assert span("a", error__type="E").error_type is None
    assert span("a", error__type="E", failed=True).error_type == "E"
    assert span("a", failed=True).error_type is None


def test_an_empty_place_starts_at_nothing() -> None:
    """A missing parent without children can be asked, too."""
    assert Node("x", None).start_ns == 0


@pytest.mark.parametrize("currency", ["\x1b]0;x\x07", "US", "USDT", "ÄÖÜ", "12$"])
def test_a_currency_is_three_letters(currency: str) -> None:
    """It goes to a terminal: whatever else a record holds there is not shown as it is."""
    assert call("a", usd=1.0, gen_ai__usage__cost__currency=currency).currency == "???"


@pytest.mark.parametrize("seconds", [float("inf"), float("nan"), 1e300, -1.0, True, "1"])
def test_a_time_that_cannot_be_is_none(seconds: object) -> None:
    """A broken record costs the figure, not the page."""
    assert call("a", gen_ai__response__time_to_first_chunk=seconds).first_chunk_s is None


def test_an_amount_beyond_all_money_is_none() -> None:
    """A figure of 300 digits is no price."""
    assert call("a", usd=1e308).cost is None
