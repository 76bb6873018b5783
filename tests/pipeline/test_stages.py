"""What is added to spans as they end, what is taken from them, and an SDK that can write at the end."""

from __future__ import annotations

import time

import pytest
from opentelemetry.sdk.trace import Span, SpanLimits
from opentelemetry.trace import SpanContext, StatusCode

from spanloom.pipeline import _probe
from spanloom.sampling import TailRule, TailRules
from tests._support.pipeline import MODEL, OP, REASON, Caught, Service, tail

SECRET = "sk-proj-abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKL"
AMOUNT, STATUS = "gen_ai.usage.cost.amount", "spanloom.cost.status"
CALLED = {OP: "chat", "gen_ai.provider.name": "openai", MODEL: "gpt-4o", "gen_ai.usage.input_tokens": 1000,
          "gen_ai.usage.output_tokens": 100}  # fmt: skip
ASKED = TailRule("asked", "keep")


def test_everything_of_a_span_is_redacted_and_its_counts_stay():
    """Name, description, attributes of the span, its events and links; what the SDK dropped stays counted."""
    limits = SpanLimits(max_events=1, max_links=1, max_event_attributes=1, max_link_attributes=1)
    service = Service(None, limits=limits)
    span = service.tracer.start_span(f"name {SECRET}", attributes={"a": SECRET, "b": 1})
    for _ in range(2):
        span.add_event(f"event {SECRET}", {"x": 1, "y": SECRET})
        span.add_link(SpanContext(1, 1, False), {"x": 1, "y": SECRET})
    span.set_status(StatusCode.ERROR, f"said {SECRET}")
    span.end()
    one = service.out.spans[0]
    assert SECRET not in one.to_json()
    assert one.attributes["b"] == 1
    assert (one.dropped_events, one.dropped_links) == (1, 1)
    assert (one.events[0].dropped_attributes, one.links[0].dropped_attributes) == (1, 1)


def test_a_skeleton_has_no_content():
    """The root of a dropped trace: ids, times, models and figures, no text of anybody; counts stay."""
    service = Service(tail(ASKED, skeleton=True), limits=SpanLimits(max_event_attributes=2))
    text = "what somebody said "
    attributes = {
        **CALLED, "gen_ai.input.messages": text, "gen_ai.prompt.0.content": text, "input.value": text,
        "llm.prompts": (text,), "anything": text * 100, "texts": (text,) * 100, "route": "/chat",
    }  # fmt: skip
    with service.root("root", attributes=attributes) as root:
        root.add_event("gen_ai.client.operation.exception", {"n": 1, "gen_ai.output.messages": text, "m": 2})
        root.record_exception(ValueError(text))
        root.set_status(StatusCode.ERROR, text)
        service.child("child")
    (one,) = service.out.spans
    assert text not in one.to_json()
    assert one.attributes["route"] == "/chat"
    assert one.attributes[AMOUNT] > 0
    assert one.attributes[REASON] == "skeleton"
    assert one.events[0].dropped_attributes == 1
    assert one.status.status_code is StatusCode.ERROR
    assert one.context.trace_state.get("ot") == "th:0"


def _doubled(attributes):
    return {"doubled": attributes["n"] * 2} if "n" in attributes else None


def _named(attributes):
    return {**CALLED, "model": "named"} if "llm.model" in attributes else None


@pytest.mark.parametrize("rules", [None, TailRules(1.0, rules=())])
def test_enrichers(rules):
    """See every span as it ended, each what those before have added, the price after all of them."""
    service = Service(
        rules, enrichers=[_doubled, lambda rows: {"more": rows["doubled"]} if "doubled" in rows else None, _named]
    )
    service.trace("any", n=2)
    service.trace("ours", n=3, **{OP: "chat", STATUS: "priced", AMOUNT: 1.0})
    service.trace("foreign", **{"llm.model": "x"})
    assert (service.out.named("any").attributes["doubled"], service.out.named("any").attributes["more"]) == (4, 4)
    assert (service.out.named("ours").attributes["doubled"], service.out.named("ours").attributes[AMOUNT]) == (6, 1.0)
    assert service.out.named("foreign").attributes[AMOUNT] > 0


def test_costs_of_other_recorders_are_theirs():
    """What has an amount or a status is not priced again; what is no call is not priced at all."""
    service = Service(None)
    service.trace("theirs", **CALLED, **{AMOUNT: 7.0})
    service.trace("agent", **{**CALLED, OP: "invoke_agent"})
    service.trace("unknown", **{**CALLED, MODEL: "no-such-model"})
    assert service.out.named("theirs").attributes[AMOUNT] == 7.0
    assert AMOUNT not in service.out.named("agent").attributes
    assert AMOUNT not in service.out.named("unknown").attributes
    assert service.out.named("unknown").attributes[STATUS]


@pytest.fixture
def fixed(monkeypatch):
    """An SDK that sets the end time after the hook, as its open fix does."""

    def end(self, end_time=None):
        self._span_processor._on_ending(self)
        self._end_time = time.time_ns() if end_time is None else end_time
        self._attributes._immutable = True
        self._span_processor.on_end(self._readable_span())

    monkeypatch.setattr(Span, "end", end)
    _probe.can_write_at_end.cache_clear()
    yield
    _probe.can_write_at_end.cache_clear()


def test_the_probe():
    """What the installed SDK says is tried, not assumed: up to now it cannot be written to."""
    _probe.can_write_at_end.cache_clear()
    assert _probe.can_write_at_end() is False


@pytest.mark.parametrize("rules", [None, TailRules(1.0, rules=())])
def test_with_an_sdk_that_can_write_at_the_end(fixed, rules, caplog):
    """Processors beside ours see the cost as well; it is added once, and enrichers are asked once."""
    assert _probe.can_write_at_end() is True
    asked = []

    def enrich(attributes):
        asked.append(1)
        return {"extra": len(asked)}

    service = Service(rules, enrichers=[enrich])
    beside = Caught()
    service.provider.add_span_processor(beside)
    service.trace("span", **CALLED)
    assert beside.spans[0].attributes[AMOUNT] == service.out.spans[0].attributes[AMOUNT] > 0
    assert beside.spans[0].attributes["extra"] == service.out.spans[0].attributes["extra"] == 1
    assert caplog.records == []


def test_nothing_is_written_at_the_end_where_that_is_too_late(caplog):
    """No warning of the SDK about an ended span."""
    service = Service(None)
    service.trace("span", **CALLED)
    assert caplog.records == []
