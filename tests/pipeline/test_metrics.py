"""What the pipeline tells of itself: the right figures, once."""

from __future__ import annotations

import gc
import logging

import pytest
from opentelemetry.trace import StatusCode

from spanloom.pipeline import SpanloomProcessor
from spanloom.sampling import SamplingRules, TailRule, TailRules
from spanloom.semconv import metrics as specs
from tests._support.pipeline import KEEP, Caught, Meters, Service, tail

SECRET = "sk-proj-abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKL"
DECISION, WHY, BOUND = "spanloom.sampling.decision", "spanloom.sampling.reason", "spanloom.sampling.bound"
RULES = tail(TailRule("asked", "keep"), TailRule("errors", "error"))


@pytest.fixture
def meters(monkeypatch):
    """What is recorded from here on."""
    return Meters(monkeypatch)


def test_traces_and_early(meters):
    """By decision and reason, by bound; each trace once, whatever ends late."""
    service = Service(RULES)
    for _ in range(3):
        service.trace("dropped")
    service.trace("asked", **{KEEP: True})
    with service.root("root"):
        service.child(status=StatusCode.ERROR)
        late = service.tracer.start_span("late")
        service.processor.force_flush()
    late.end()
    assert sorted(meters.points(specs.SAMPLING_TRACES.name), key=str) == sorted(
        [({DECISION: "dropped"}, 3), ({DECISION: "kept", WHY: "asked"}, 1), ({DECISION: "kept", WHY: "errors"}, 1)],
        key=str,
    )
    assert meters.points(specs.SAMPLING_EARLY.name) == [({BOUND: "flush"}, 1)]


def test_redactions(meters):
    """Each text in which something was found, counted when a span is shown, and once for all exporters."""
    service = Service(None, Caught(), Caught())
    span = service.tracer.start_span("span", attributes={"a": SECRET, "b": f"it is {SECRET}", "c": "fine"})
    span.add_event("event", {"x": SECRET})
    span.end()
    assert meters.points(specs.REDACTIONS.name) == []
    for _ in range(2):
        assert service.out.spans[0].to_json()
    ((attributes, count),) = meters.points(specs.REDACTIONS.name)
    assert count == 3
    assert attributes == {"spanloom.redaction.rule": "openai_key"}


def test_without_a_tail(meters):
    """No metric of it."""
    Service(None).trace()
    assert meters.points(specs.SAMPLING_TRACES.name) == meters.points(specs.SAMPLING_EARLY.name) == []


def test_names_and_units_are_reviewed(meters):
    """As the table of metrics has them."""
    service = Service(RULES)
    service.trace()
    data = meters._reader.get_metrics_data()
    (scope,) = data.resource_metrics[0].scope_metrics
    (metric,) = scope.metrics
    spec = specs.SAMPLING_TRACES
    assert (metric.name, metric.unit, metric.description) == (spec.name, spec.unit, spec.description)
    assert metric.data.is_monotonic
    assert scope.scope.name == "spanloom.pipeline"


def test_two_pipelines_of_a_process(meters, caplog):
    """Their figures are added up, in one metric, and the SDK has nothing to say about it."""
    caplog.set_level(logging.WARNING)
    service = Service(RULES)
    other = SpanloomProcessor(Caught(), sampling=SamplingRules(tail=TailRules(1.0, rules=())))
    service.provider.add_span_processor(other)
    for _ in range(2):
        service.trace()
    service.trace("asked", **{KEEP: True})
    points = meters.points(specs.SAMPLING_TRACES.name)
    assert sorted(points, key=str) == sorted(
        [({DECISION: "dropped"}, 2), ({DECISION: "kept", WHY: "asked"}, 1), ({DECISION: "kept", WHY: "baseline"}, 3)],
        key=str,
    )
    assert caplog.records == []


def test_what_two_pipelines_have_in_common_is_added(meters):
    """The same reason in both."""
    service = Service(RULES)
    service.provider.add_span_processor(SpanloomProcessor(Caught(), sampling=SamplingRules(tail=RULES)))
    for _ in range(3):
        service.trace()
    assert meters.points(specs.SAMPLING_TRACES.name) == [({DECISION: "dropped"}, 6)]


def test_a_pipeline_that_is_gone_tells_nothing(meters):
    """A meter keeps its callbacks; they do not keep the pipeline."""
    service = Service(RULES)
    service.trace()
    del service
    gc.collect()
    assert meters.points(specs.SAMPLING_TRACES.name) == []
