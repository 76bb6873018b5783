"""The conformance check itself: it takes a good span and refuses each kind of bad one."""

from __future__ import annotations

import json

import pytest
from opentelemetry.trace import SpanKind, Status, StatusCode

from spanloom.semconv import SCHEMA_URL
from tests._support.conformance import metric_problems, problems_of
from tests._support.spans import Recorder

CHAT = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": "m"}
TOOL = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "t"}


def span(attributes, name="chat m", kind=SpanKind.CLIENT, scope="spanloom.x", schema=SCHEMA_URL, status=None):
    """A finished span of the SDK."""
    recorder = Recorder()
    one = recorder.tracer_provider.get_tracer(scope, "1", schema).start_span(name, kind=kind, attributes=attributes)
    if status:
        one.set_status(status)
    one.end()
    return recorder.span


def messages(*parts, role="user"):
    """One message as JSON text."""
    return json.dumps([{"role": role, "parts": list(parts)}])


def test_good_spans_have_no_problems():
    """One of each kind."""
    assert problems_of(span(CHAT)) == []
    assert problems_of(span(TOOL, "execute_tool t", SpanKind.INTERNAL)) == []
    assert problems_of(span({"dspy.module": "P"}, "P", SpanKind.INTERNAL)) == []
    assert problems_of(span({**CHAT, "gen_ai.usage.cost.amount": 0.5, "openai.api.type": "responses"})) == []
    assert problems_of(span({**CHAT, "error.type": "E"}, status=Status(StatusCode.ERROR))) == []
    assert problems_of(span({**CHAT, "gen_ai.input.messages": messages({"type": "text", "content": "x"})})) == []


@pytest.mark.parametrize(
    ("attributes", "problem"),
    [
        ({"gen_ai.invented": 1}, "not in the registry"),
        ({"spanloom.invented": 1}, "not in the registry"),
        ({"gen_ai.tool.name": "t"}, "not in the registry"),
        ({"gen_ai.provider.name": "nobody"}, "unknown provider"),
        ({"gen_ai.request.temperature": "1"}, "has a str"),
        ({"gen_ai.usage.input_tokens": 1.5}, "has a float"),
        ({"gen_ai.usage.input_tokens": True}, "has a bool"),
        ({"gen_ai.request.model": 3}, "has a int"),
        ({"gen_ai.request.stream": False}, "has a bool"),
        ({"gen_ai.response.finish_reasons": "stop"}, "has a str"),
        ({"gen_ai.response.finish_reasons": ["tool_calls"]}, "finish reasons"),
        ({"gen_ai.request.choice.count": 1}, "choice count"),
        ({"openai.api.type": "chat"}, "API type"),
        ({"server.address": "x"}, "server.port is required"),
        ({"error.type": "E"}, "status UNSET"),
        ({"gen_ai.operation.name": "dance"}, "unknown operation"),
        ({"gen_ai.operation.name": "text_completion"}, "not named"),
        ({"gen_ai.input.messages": "{"}, "not JSON"),
        ({"gen_ai.input.messages": "{}"}, "not of type"),
        ({"gen_ai.input.messages": '[{"role": "user"}]'}, "'parts' is a required property"),
        ({"gen_ai.input.messages": messages({"content": "x"})}, "not valid"),
        ({"gen_ai.input.messages": messages({"type": "text", "content": None})}, "None is not of type"),
        ({"gen_ai.output.messages": messages({"type": "tool_call"})}, "'name' is a required property"),
        ({"gen_ai.system_instructions": '[{"type": "file", "modality": "document"}]'}, "'file_id'"),
        ({"gen_ai.tool.definitions": '[{"type": "function"}]'}, "not valid"),
    ],
)
def test_a_bad_attribute_is_a_problem(attributes, problem):
    """Unknown, of a wrong type, or of a value that the conventions do not have."""
    found = problems_of(span({**CHAT, **attributes}))
    assert any(problem in one for one in found), found


@pytest.mark.parametrize("missing", CHAT)
def test_a_missing_required_attribute_is_a_problem(missing):
    """Operation, provider; without the model the name does not fit."""
    left = {name: value for name, value in CHAT.items() if name != missing}
    assert problems_of(span(left))


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"kind": SpanKind.INTERNAL}, "kind INTERNAL"),
        ({"name": "chat"}, "not named"),
        ({"scope": "theirs"}, "scope"),
        ({"schema": None}, "schema URL"),
        ({"status": Status(StatusCode.OK)}, "status OK"),
        ({"status": Status(StatusCode.ERROR)}, "error.type None"),
    ],
)
def test_a_bad_span_is_a_problem(options, problem):
    """Kind, name, scope, schema and status."""
    found = problems_of(span(CHAT, **options))
    assert any(problem in one for one in found), found


def test_a_plain_step_has_no_names_of_the_conventions():
    """And is INTERNAL."""
    assert problems_of(span({"gen_ai.request.model": "m"}, "P", SpanKind.INTERNAL))
    assert problems_of(span({}, "P", SpanKind.CLIENT))


def test_a_custom_lm_without_provider_is_the_reviewed_exception():
    """Only where DSPy's class of the LM is told."""
    left = {name: value for name, value in CHAT.items() if name != "gen_ai.provider.name"}
    assert problems_of(span({**left, "dspy.lm.class": "Mine"})) == []


@pytest.mark.parametrize(
    ("name", "unit", "attributes", "bounds", "problem"),
    [
        ("gen_ai.invented", "s", {}, None, "no metric of ours"),
        ("gen_ai.execute_tool.duration", "ms", {"gen_ai.tool.name": "t"}, None, "in ms"),
        ("gen_ai.execute_tool.duration", "s", {"gen_ai.tool.name": "t"}, [1.0], "boundaries"),
        ("gen_ai.execute_tool.duration", "s", {}, None, "gen_ai.tool.name is required"),
        ("gen_ai.execute_tool.duration", "s", {"gen_ai.tool.name": "t", "user": "u"}, None, "user is not in"),
    ],
)
def test_a_bad_metric_is_a_problem(name, unit, attributes, bounds, problem):
    """Name, unit, boundaries, attributes."""
    recorder = Recorder()
    histogram = recorder.meter_provider.get_meter("spanloom.x").create_histogram(
        name, unit, explicit_bucket_boundaries_advisory=bounds
    )
    histogram.record(1, attributes)
    found = metric_problems(recorder.metrics()[name])
    assert any(problem in one for one in found), found


def test_an_extension_metric_is_fine():
    """It is in our own table."""
    recorder = Recorder()
    meter = recorder.meter_provider.get_meter("spanloom.x")
    meter.create_counter("spanloom.internal.errors", "{error}").add(1, {"spanloom.place": "x"})
    assert metric_problems(recorder.metrics()["spanloom.internal.errors"]) == []
