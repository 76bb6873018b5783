"""Checks of exported spans and metrics against the registry data and the message schemas of the conventions."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from opentelemetry.sdk.metrics.export import Metric
from opentelemetry.sdk.trace import ReadableSpan

from spanloom.semconv import SCHEMA_URL, DSpy, Error, GenAI, OpenAI, Operation, Server, Spanloom, metrics, span_name

DATA = Path(__file__).parents[1] / "fixtures" / "semconv"

# In review upstream, so not in the registry: the reviewed exceptions.
COST_NAMES = frozenset({Spanloom.COST_AMOUNT, Spanloom.COST_CURRENCY, Spanloom.COST_SOURCE})

_TYPES = {
    Operation.CHAT: "gen_ai.inference.client",
    Operation.TEXT_COMPLETION: "gen_ai.inference.client",
    Operation.EXECUTE_TOOL: "gen_ai.execute_tool.internal",
    Operation.INVOKE_AGENT: "gen_ai.invoke_agent.internal",
    Operation.INVOKE_WORKFLOW: "gen_ai.invoke_workflow.internal",
}
_TARGETS = {
    Operation.CHAT: GenAI.REQUEST_MODEL,
    Operation.TEXT_COMPLETION: GenAI.REQUEST_MODEL,
    Operation.EXECUTE_TOOL: GenAI.TOOL_NAME,
    Operation.INVOKE_AGENT: GenAI.AGENT_NAME,
    Operation.INVOKE_WORKFLOW: GenAI.WORKFLOW_NAME,
}
_SCHEMAS = {
    GenAI.INPUT_MESSAGES: "gen-ai-input-messages",
    GenAI.OUTPUT_MESSAGES: "gen-ai-output-messages",
    GenAI.SYSTEM_INSTRUCTIONS: "gen-ai-system-instructions",
    GenAI.TOOL_DEFINITIONS: "gen-ai-tool-definitions",
}
_PARTS = {
    "text": "TextPart",
    "reasoning": "ReasoningPart",
    "tool_call": "ToolCallRequestPart",
    "tool_call_response": "ToolCallResponsePart",
    "blob": "BlobPart",
    "file": "FilePart",
    "uri": "UriPart",
}
_FINISH_REASONS = frozenset({"stop", "length", "content_filter", "tool_call", "compaction", "error"})
_FLOATS = frozenset(
    {
        GenAI.REQUEST_FREQUENCY_PENALTY,
        GenAI.REQUEST_PRESENCE_PENALTY,
        GenAI.REQUEST_TEMPERATURE,
        GenAI.REQUEST_TOP_P,
        GenAI.RESPONSE_TIME_TO_FIRST_CHUNK,
        Spanloom.COST_AMOUNT,
    }
)
_INTS = frozenset({GenAI.REQUEST_CHOICE_COUNT, GenAI.REQUEST_MAX_TOKENS, GenAI.REQUEST_SEED, Server.PORT})
_LISTS = frozenset({GenAI.RESPONSE_FINISH_REASONS, GenAI.REQUEST_STOP_SEQUENCES})


@cache
def registry() -> Mapping[str, Any]:
    """The resolved registry."""
    return json.loads((DATA / "registry.json").read_text())


@cache
def schema(attribute: str) -> Draft202012Validator:
    """The schema of one content attribute. ``finish_reason`` in messages is deprecated upstream, so not demanded."""
    loaded = json.loads((DATA / f"{_SCHEMAS[attribute]}.json").read_text())
    output = loaded["$defs"].get("OutputMessage")
    if output:
        output["required"] = [name for name in output["required"] if name != "finish_reason"]
    return Draft202012Validator(loaded)


@cache
def _part(kind: str) -> Draft202012Validator:
    loaded = json.loads((DATA / "gen-ai-input-messages.json").read_text())
    return Draft202012Validator({"$ref": f"#/$defs/{_PARTS[kind]}", "$defs": loaded["$defs"]})


def own_names() -> frozenset[str]:
    """The attributes of our own and of DSPy that a span may have."""
    return frozenset(
        value
        for group in (Spanloom, DSpy)
        for key, value in vars(group).items()
        if key.isupper() and not value.startswith("gen_ai.")
    )


def problems_of(span: ReadableSpan) -> list[str]:
    """Everything about a span that the conventions do not allow; empty where it conforms."""
    attributes = span.attributes or {}
    operation = attributes.get(GenAI.OPERATION_NAME)
    found = [*_general(span, attributes), *_values(attributes)]
    if operation is None:
        found += [f"{name} without an operation" for name in attributes if name.startswith("gen_ai.")]
        if span.kind.name != "INTERNAL":
            found.append(f"kind {span.kind.name} without an operation")
    elif operation not in _TYPES:
        found.append(f"unknown operation {operation!r}")
    else:
        found += _typed(span, attributes, operation)
    return [f"{span.name}: {one}" for one in found]


def _general(span: ReadableSpan, attributes: Mapping[str, Any]) -> Iterator[str]:
    status = span.status.status_code.name
    if status == "OK":
        yield "status OK is the application's to set"
    if (status == "ERROR") != (Error.TYPE in attributes):
        yield f"status {status} and {Error.TYPE} {attributes.get(Error.TYPE)!r}"
    if span.instrumentation_scope.schema_url != SCHEMA_URL:
        yield f"schema URL {span.instrumentation_scope.schema_url!r}"
    if not str(span.instrumentation_scope.name).startswith("spanloom."):
        yield f"scope {span.instrumentation_scope.name!r}"
    if span.end_time is None or span.start_time is None or span.end_time < span.start_time:
        yield "no duration"


def _typed(span: ReadableSpan, attributes: Mapping[str, Any], operation: str) -> Iterator[str]:
    rules = registry()["spans"][_TYPES[operation]]
    if span.kind.name.lower() != rules["kind"]:
        yield f"kind {span.kind.name}, not {rules['kind']}"
    target = attributes.get(_TARGETS[operation])
    if span.name != span_name(operation, target):
        yield f"not named {span_name(operation, target)!r}"
    allowed = _allowed(rules, rules["kind"] == "client")
    yield from (f"{name} is not in the registry for {operation}" for name in attributes if name not in allowed)
    for name, level in rules["attributes"].items():
        if level == "required" and name not in attributes and not _exempt(name, attributes):
            yield f"{name} is required"
    if Server.ADDRESS in attributes and Server.PORT not in attributes:
        yield f"{Server.PORT} is required beside {Server.ADDRESS}"


def _exempt(name: str, attributes: Mapping[str, Any]) -> bool:
    """A DSPy LM of the application's own has no provider that anybody knows: absent, not guessed."""
    return name == GenAI.PROVIDER_NAME and DSpy.LM_CLASS in attributes


def _allowed(rules: Mapping[str, Any], client: bool) -> frozenset[str]:
    extras = registry()["openai_extras"]
    openai = {name for level in extras.values() for name in level} if client else set()
    return frozenset(rules["attributes"]) | openai | own_names() | COST_NAMES | {Error.TYPE}


def _values(attributes: Mapping[str, Any]) -> Iterator[str]:
    for name, value in attributes.items():
        if not _typed_right(name, value):
            yield f"{name} has a {type(value).__name__}"
    if attributes.get(GenAI.PROVIDER_NAME, "openai") not in registry()["provider_names"]:
        yield f"unknown provider {attributes[GenAI.PROVIDER_NAME]!r}"
    if attributes.get(GenAI.REQUEST_CHOICE_COUNT) == 1:
        yield "a choice count of 1 is not recorded"
    unknown = set(attributes.get(GenAI.RESPONSE_FINISH_REASONS, ())) - _FINISH_REASONS
    if unknown:
        yield f"finish reasons {sorted(unknown)}"
    if attributes.get(OpenAI.API_TYPE, "chat_completions") not in ("chat_completions", "responses"):
        yield f"API type {attributes[OpenAI.API_TYPE]!r}"
    for name in _SCHEMAS:
        if name in attributes:
            yield from _content(name, attributes[name])


def _typed_right(name: str, value: Any) -> bool:
    if name in _FLOATS:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if name in _INTS or (name.startswith("gen_ai.usage.") and name not in COST_NAMES):
        return isinstance(value, int) and not isinstance(value, bool)
    if name in _LISTS:
        return isinstance(value, tuple) and all(isinstance(one, str) for one in value)
    if name == GenAI.REQUEST_STREAM:
        return value is True
    return isinstance(value, str) or not name.startswith(("gen_ai.", "openai.", "error."))


def _content(name: str, text: Any) -> Iterator[str]:
    try:
        value = json.loads(text)
    except ValueError:
        yield f"{name} is not JSON"
        return
    for error in schema(name).iter_errors(value):
        yield f"{name}: {error.message[:200]}"
    for part in _parts(name, value):
        # The generic part of the schemas takes anything: a known type must be that type.
        if part.get("type") in _PARTS:
            for error in _part(part["type"]).iter_errors(part):
                yield f"{name}: {part['type']}: {error.message[:200]}"


def _parts(name: str, value: Any) -> Iterable[Mapping[str, Any]]:
    if name == GenAI.SYSTEM_INSTRUCTIONS:
        return value
    if name == GenAI.TOOL_DEFINITIONS:
        return ()
    return [part for message in value for part in message.get("parts", ())]


def metric_problems(metric: Metric) -> list[str]:
    """Everything about a metric that the conventions do not allow."""
    specs = {spec.name: spec for spec in (*metrics.REGISTRY, *metrics.EXTENSIONS)}
    if metric.name not in specs:
        return [f"{metric.name} is no metric of ours"]
    found = [] if metric.unit == specs[metric.name].unit else [f"{metric.name} in {metric.unit}"]
    rules = registry()["metrics"].get(metric.name)
    if rules is None:
        return found
    for point in metric.data.data_points:
        found += [f"{metric.name}: {one}" for one in _point(rules, point)]
    return found


def _point(rules: Mapping[str, Any], point: Any) -> Iterator[str]:
    allowed = {*rules["attributes"], Error.TYPE, DSpy.CACHE_HIT}
    yield from (f"{name} is not in the registry" for name in point.attributes if name not in allowed)
    for name, level in rules["attributes"].items():
        if level == "required" and name not in point.attributes and name != GenAI.PROVIDER_NAME:
            yield f"{name} is required"
    if "buckets" in rules and tuple(point.explicit_bounds) != tuple(rules["buckets"]):
        yield f"boundaries {point.explicit_bounds}"
