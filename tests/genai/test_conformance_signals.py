"""The conformance check itself: it takes a good metric and a good event, and refuses each kind of bad one."""

from __future__ import annotations

import pytest
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.trace import SpanKind, set_span_in_context

from spanloom.semconv import SCHEMA_URL, metrics
from tests._support import conformance
from tests._support.conformance import event_problems, metric_problems
from tests._support.spans import Recorder

CHAT = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": "m"}
EMBED = {**CHAT, "gen_ai.operation.name": "embeddings"}
PEER = {"server.address": "h", "server.port": 443}
TEXT = {"type": "text", "content": "x"}
WRITE, OLD_WRITE = "gen_ai.usage.cache_write.input_tokens", "gen_ai.usage.cache_creation.input_tokens"
DETAILS = "gen_ai.client.inference.operation.details"
EXCEPTION = "gen_ai.client.operation.exception"
JUDGED = "gen_ai.evaluation.result"


def told(problem, found):
    """That one of the problems is this one."""
    assert any(problem in one for one in found), found


def histogram(name, attributes, unit=None, bounds=None, description="d"):
    """A metric with one record; unit and boundaries by default as they should be."""
    spec = {one.name: one for one in (*metrics.REGISTRY, *metrics.SUPERSEDED)}.get(name)
    recorder = Recorder()
    recorder.meter_provider.get_meter("spanloom.x", "1", SCHEMA_URL).create_histogram(
        name,
        unit or (spec.unit if spec else "s"),
        description,
        explicit_bucket_boundaries_advisory=bounds or (spec.buckets if spec else None),
    ).record(1, attributes)
    return recorder.metrics()[name]


def counter(name, attributes, kind="counter", value=1, unit="{token}"):
    """A counter with one addition."""
    recorder = Recorder()
    meter = recorder.meter_provider.get_meter("spanloom.x", "1", SCHEMA_URL)
    getattr(meter, f"create_{kind}")(name, unit, "d").add(value, attributes)
    return recorder.metrics()[name]


TOKENS = {**CHAT, "gen_ai.token.modality": "text"}
INFERENCE = "gen_ai.client.inference.duration"
OPERATION = "gen_ai.client.operation.duration"
USAGE = "gen_ai.client.inference.usage.input_tokens"
TOOLS = "gen_ai.execute_tool.duration"


def test_good_metrics_have_no_problems():
    """A histogram, a counter, one of ours, and one with more attribute sets than the SDK keeps."""
    assert metric_problems(histogram(INFERENCE, {**CHAT, **PEER, "error.type": "E"})) == []
    assert metric_problems(histogram(OPERATION, EMBED)) == []
    assert metric_problems(histogram(TOOLS, {"gen_ai.tool.name": "t"})) == []
    assert metric_problems(counter(USAGE, TOKENS)) == []
    assert metric_problems(counter(USAGE, {"otel.metric.overflow": True})) == []
    assert metric_problems(counter("spanloom.internal.errors", {"spanloom.place": "x"}, unit="{error}")) == []


@pytest.mark.parametrize(
    ("metric", "problem"),
    [
        (lambda: histogram("gen_ai.invented", {}), "no metric of the conventions"),
        (lambda: histogram(TOOLS, {"gen_ai.tool.name": "t"}, unit="ms"), "in ms, not s"),
        (lambda: histogram(TOOLS, {"gen_ai.tool.name": "t"}, bounds=[1.0]), "boundaries"),
        (lambda: histogram(TOOLS, {"gen_ai.tool.name": "t"}, description=""), "no description"),
        (lambda: histogram(TOOLS, {}), "gen_ai.tool.name is required"),
        (lambda: histogram(TOOLS, {"gen_ai.tool.name": "t", "user": "u"}), "user is not in"),
        (lambda: histogram(INFERENCE, {**CHAT, "gen_ai.response.id": "r"}), "gen_ai.response.id is not in"),
        (lambda: histogram(INFERENCE, {**CHAT, "server.address": "h"}), "come together"),
        (lambda: histogram(INFERENCE, {**CHAT, "gen_ai.request.model": 1}), "has a int, not string"),
        (lambda: histogram(INFERENCE, EMBED), "of embeddings, which is no inference"),
        (lambda: histogram(OPERATION, CHAT), f"of chat, which has {INFERENCE}"),
        (lambda: counter(USAGE, CHAT), "gen_ai.token.modality is required"),
        (lambda: counter(USAGE, {**TOKENS, "gen_ai.token.modality": "smell"}), "unknown values"),
        (lambda: counter(USAGE, {**TOKENS, "error.type": "E"}), "error.type is not in"),
        (lambda: counter(USAGE, TOKENS, "up_down_counter"), "may fall"),
        (lambda: counter(USAGE, TOKENS, "up_down_counter", -1), "below 0"),
        (lambda: counter(TOOLS, {"gen_ai.tool.name": "t"}, unit="s"), "no histogram but Sum"),
        (lambda: histogram(USAGE, TOKENS), "no counter but Histogram"),
        (lambda: counter("spanloom.internal.errors", {}, unit="{error}"), "spanloom.place is required"),
    ],
)
def test_a_bad_metric_is_a_problem(metric, problem):
    """Name, unit, instrument, boundaries, attributes, values."""
    told(problem, metric_problems(metric()))


@pytest.mark.parametrize(
    ("modes", "name", "attributes", "problem"),
    [
        ({"current"}, "gen_ai.client.token.usage", {**CHAT, "gen_ai.token.type": "input"}, "superseded"),
        ({"old"}, "gen_ai.client.token.usage", {**CHAT, "gen_ai.token.type": "input"}, None),
        ({"old"}, "gen_ai.client.token.usage", CHAT, "gen_ai.token.type is required"),
        ({"old"}, "gen_ai.client.token.usage", {**CHAT, "gen_ai.token.type": "both"}, "unknown values"),
        ({"current", "old"}, "gen_ai.client.operation.time_to_first_chunk", CHAT, None),
        ({"current", "old"}, OPERATION, CHAT, None),
        ({"old"}, INFERENCE, CHAT, "only the older names"),
    ],
)
def test_older_metrics(modes, name, attributes, problem):
    """The superseded ones by their own table, and only where they were asked for."""
    found = metric_problems(histogram(name, attributes), modes)
    told(problem, found) if problem else None
    assert bool(found) == bool(problem)


def event(name, attributes, severity=SeverityNumber.WARN, linked=True, body=None, schema=SCHEMA_URL):
    """An emitted event of the SDK."""
    recorder = Recorder()
    one = recorder.tracer_provider.get_tracer("spanloom.x", "1", SCHEMA_URL).start_span("x")
    recorder.logger_provider.get_logger("spanloom.x", "1", schema).emit(
        LogRecord(
            event_name=name,
            severity_number=severity,
            context=set_span_in_context(one) if linked else None,
            body=body,
            attributes=attributes,
        )
    )
    (found,) = recorder.events
    return found


RAISED = {"exception.type": "E"}
SAID = {**CHAT, "gen_ai.output.messages": [{"role": "assistant", "parts": [TEXT]}]}


def test_good_events_have_no_problems():
    """Details with and without content, an exception with the attributes of its span, an evaluation."""
    assert event_problems(event(DETAILS, SAID)) == []
    assert event_problems(event(DETAILS, {**CHAT, "gen_ai.response.finish_reasons": ["stop"]})) == []
    assert event_problems(event(DETAILS, {**CHAT, "gen_ai.usage.audio.input_tokens": 2})) == []
    assert event_problems(event(EXCEPTION, {**RAISED, **CHAT, "exception.stacktrace": "..."})) == []
    assert event_problems(event(JUDGED, {"gen_ai.evaluation.name": "n"})) == []


@pytest.mark.parametrize(
    ("name", "attributes", "options", "problem"),
    [
        ("gen_ai.choice", {}, {}, "no event of the conventions"),
        (DETAILS, {**CHAT, "gen_ai.invented": 1}, {}, "not in the registry"),
        (DETAILS, {**CHAT, "gen_ai.usage.input_tokens": 1.5}, {}, "has a float, not int"),
        (DETAILS, {**CHAT, "gen_ai.response.finish_reasons": ["tool_calls"]}, {}, "unknown values"),
        (DETAILS, {"gen_ai.operation.name": "chat"}, {}, "gen_ai.provider.name is required"),
        (DETAILS, EMBED, {}, "of embeddings, which is no inference"),
        (DETAILS, {**CHAT, "gen_ai.output.messages": "[]"}, {}, "is text, not structured"),
        (DETAILS, {**CHAT, "gen_ai.output.messages": [float("nan")]}, {}, "cannot be said as JSON"),
        (DETAILS, {**CHAT, "gen_ai.output.messages": [{"role": "x"}]}, {}, "'parts' is a required"),
        (DETAILS, {**CHAT, "server.address": "x"}, {}, "come together"),
        (DETAILS, CHAT, {"body": "b"}, "a body"),
        (DETAILS, CHAT, {"linked": False}, "not linked"),
        (DETAILS, CHAT, {"schema": None}, "schema URL"),
        (EXCEPTION, {"exception.stacktrace": "s"}, {}, "neither exception.type nor"),
        (EXCEPTION, RAISED, {"severity": SeverityNumber.INFO}, "not WARN"),
        (EXCEPTION, {**RAISED, "exception.message": "m"}, {}, "without content"),
        (EXCEPTION, {**RAISED, "user": "u"}, {}, "not in the registry"),
        (JUDGED, {"gen_ai.evaluation.name": "n", "x": 1}, {}, "not in the registry"),
        (JUDGED, {}, {}, "gen_ai.evaluation.name is required"),
        (
            "gen_ai.evaluation.result",
            {"gen_ai.evaluation.name": "n", "gen_ai.evaluation.score.value": "1"},
            {},
            "a str",
        ),
    ],
)
def test_a_bad_event_is_a_problem(name, attributes, options, problem):
    """Name, attributes, structured content, link to the span, severity."""
    told(problem, event_problems(event(name, attributes, **options)))


@pytest.mark.parametrize(("modes", "written"), [({"current"}, OLD_WRITE), ({"old"}, WRITE)])
def test_older_names_in_events(modes, written):
    """As on spans."""
    told("not in the registry", event_problems(event(DETAILS, {**CHAT, written: 1}), modes))


def test_everything_of_a_test_at_once():
    """Spans, metrics with their scopes, and events."""
    recorder = Recorder()
    recorder.tracer_provider.get_tracer("spanloom.x", "1", SCHEMA_URL).start_span("a", kind=SpanKind.SERVER).end()
    recorder.meter_provider.get_meter("b").create_counter("c").add(1)
    recorder.logger_provider.get_logger("spanloom.x", "1", SCHEMA_URL).emit(LogRecord(event_name="d"))
    found = conformance.problems(recorder.spans, recorder._reader.get_metrics_data(), recorder.events)
    for problem in ("a: kind SERVER", "scope 'b'", "c is no metric", "d is no event"):
        told(problem, found)
    assert conformance.scope_problems(None) == ["no scope"]
    assert conformance.problems([], None, []) == []
