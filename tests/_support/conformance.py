"""Checks of exported spans, metrics and events against the conventions: each function gives the problems it finds."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk.metrics.export import Histogram, Metric, MetricsData, Sum
from opentelemetry.sdk.trace import Event as SpanEvent
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from spanloom import semconv
from spanloom.semconv import (
    OLD_ATTRIBUTES,
    SCHEMA_URL,
    ApiType,
    Caller,
    DSpy,
    DSpyEvent,
    Error,
    Event,
    Exceptions,
    GenAI,
    MetricSpec,
    OpenAI,
    Operation,
    Provider,
    Server,
    Spanloom,
    SpanloomEvent,
    metrics,
    span_name,
)
from tests._support.message_rules import event_content_problems, is_content, schema, span_content_problems
from tests._support.registry import IN_REVIEW, OWN_TYPES, openai_names, registry, type_of, value_problems

__all__ = ["event_problems", "metric_problems", "problems", "problems_of", "registry", "schema", "scope_problems"]

_CONTENT_VARIABLE = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
_INFERENCE = "gen_ai.inference.client"
_TYPES = {
    Operation.CHAT: _INFERENCE,
    Operation.TEXT_COMPLETION: _INFERENCE,
    Operation.GENERATE_CONTENT: _INFERENCE,
    Operation.EMBEDDINGS: "gen_ai.embeddings.client",
    Operation.RETRIEVAL: "gen_ai.retrieval.client",
    Operation.FETCH_RESPONSE: "gen_ai.fetch_response.client",
    Operation.EXECUTE_TOOL: "gen_ai.execute_tool.internal",
    Operation.INVOKE_AGENT: "gen_ai.invoke_agent.internal",
    Operation.INVOKE_WORKFLOW: "gen_ai.invoke_workflow.internal",
}
_TARGETS = {
    _INFERENCE: GenAI.REQUEST_MODEL,
    "gen_ai.embeddings.client": GenAI.REQUEST_MODEL,
    "gen_ai.retrieval.client": GenAI.DATA_SOURCE_ID,
    "gen_ai.execute_tool.internal": GenAI.TOOL_NAME,
    "gen_ai.invoke_agent.internal": GenAI.AGENT_NAME,
    "gen_ai.invoke_workflow.internal": GenAI.WORKFLOW_NAME,
}
_INFERENCES = frozenset(operation for operation, kind in _TYPES.items() if kind == _INFERENCE)
# Another request of a provider's client: the conventions have no operation for it, these names fit all the same.
_SPAN_EVENTS = frozenset(
    value for names in (SpanloomEvent, DSpyEvent) for key, value in vars(names).items() if key.isupper()
)
_ENDPOINT = frozenset(
    {
        GenAI.PROVIDER_NAME,
        GenAI.REQUEST_MODEL,
        GenAI.RESPONSE_ID,
        GenAI.RESPONSE_MODEL,
        GenAI.RESPONSE_STATUS,
        Server.ADDRESS,
        Server.PORT,
    }
)
# What the SDK writes where a metric has more attribute sets than it keeps.
_OVERFLOW = "otel.metric.overflow"
# Reviewed additions to the attributes of metrics: the OpenAI refinement, and that no model was asked.
_METRIC_EXTRAS = frozenset({OpenAI.RESPONSE_SERVICE_TIER, OpenAI.RESPONSE_SYSTEM_FINGERPRINT, DSpy.CACHE_HIT})


def problems(
    spans: Iterable[ReadableSpan],
    data: MetricsData | None,
    events: Iterable[ReadableLogRecord],
    modes: Collection[str] | None = None,
) -> list[str]:
    """Everything that was recorded by one test. ``modes``: by default what the environment says."""
    found = [one for span in spans for one in problems_of(span, modes)]
    for resource in data.resource_metrics if data else ():
        for scope in resource.scope_metrics:
            found += scope_problems(scope.scope)
            found += [one for metric in scope.metrics for one in metric_problems(metric, modes)]
    return found + [one for event in events for one in event_problems(event, modes)]


def scope_problems(scope: InstrumentationScope | None) -> list[str]:
    """Name, version and schema URL of an instrumentation scope."""
    if scope is None:
        return ["no scope"]
    found = [] if scope.name.startswith("spanloom.") else [f"scope {scope.name!r}"]
    if not scope.version:
        found.append(f"scope {scope.name!r} has no version")
    if scope.schema_url != SCHEMA_URL:
        found.append(f"schema URL {scope.schema_url!r}")
    return found


def problems_of(span: ReadableSpan, modes: Collection[str] | None = None) -> list[str]:
    """Everything about a span that the conventions do not allow; empty where it conforms."""
    modes = semconv.modes() if modes is None else modes
    attributes = span.attributes or {}
    operation = attributes.get(GenAI.OPERATION_NAME)
    found = [*scope_problems(span.instrumentation_scope), *_lifecycle(span, attributes)]
    found += [*value_problems(attributes), *span_content_problems(attributes), *_together(attributes)]
    found += [one for event in span.events for one in _span_event(event)]
    if operation is None:
        found += _without_operation(span, attributes)
    elif operation in _TYPES:
        found += _typed(span, attributes, _TYPES[operation], modes)
    else:
        found.append(f"no rules for operation {operation!r}")
    return [f"{span.name}: {one}" for one in found]


def _lifecycle(span: ReadableSpan, attributes: Mapping[str, Any]) -> Iterator[str]:
    status = span.status.status_code.name
    if status == "OK":
        yield "status OK is the application's to set"
    if (status == "ERROR") != (Error.TYPE in attributes):
        yield f"status {status} and {Error.TYPE} {attributes.get(Error.TYPE)!r}"
    if span.status.description and not _content_is_on(attributes):
        yield f"status description {span.status.description!r} without content"
    if any(event.name == "exception" for event in span.events):
        yield f"an exception is the event {Event.EXCEPTION}, not a span event"
    if span.end_time is None or span.start_time is None or span.end_time < span.start_time:
        yield "no duration"


def _span_event(event: SpanEvent) -> Iterator[str]:
    """Events of our own on spans: names and values are in the reviewed lists."""
    if event.name not in _SPAN_EVENTS:
        yield f"unknown span event {event.name}"
    attributes = event.attributes or {}
    yield from (f"{event.name}: {one}" for one in value_problems(attributes))
    unknown = sorted(name for name in attributes if type_of(name) is None)
    if unknown:
        yield f"{event.name}: unknown attributes {unknown}"


def _content_is_on(attributes: Mapping[str, Any]) -> bool:
    """By the environment, or for this call alone."""
    default = os.environ.get(_CONTENT_VARIABLE, "").strip().upper()
    return default not in ("", "NO_CONTENT", "FALSE") or any(map(is_content, attributes))


def _together(attributes: Mapping[str, Any]) -> Iterator[str]:
    """Attributes that need, or need not, each other."""
    if (Server.ADDRESS in attributes) != (Server.PORT in attributes):
        yield f"{Server.ADDRESS} and {Server.PORT} come together"
    # Where the request was read at all: a fault of ours may cost what it tells.
    streamed = GenAI.REQUEST_STREAM in attributes or OpenAI.API_TYPE not in attributes
    if GenAI.RESPONSE_TIME_TO_FIRST_CHUNK in attributes and not streamed:
        yield f"{GenAI.RESPONSE_TIME_TO_FIRST_CHUNK} of a request without {GenAI.REQUEST_STREAM}"
    if GenAI.PROMPT_VERSION in attributes and GenAI.PROMPT_NAME not in attributes:
        yield f"{GenAI.PROMPT_VERSION} without {GenAI.PROMPT_NAME}"
    for name in (Error.TYPE, Server.ADDRESS, GenAI.PROVIDER_NAME):
        if attributes.get(name) == "":
            yield f"{name} is empty"


def _without_operation(span: ReadableSpan, attributes: Mapping[str, Any]) -> Iterator[str]:
    """A step of a program, or a request that the conventions have no operation for."""
    endpoint = Spanloom.OPENAI_ENDPOINT in attributes or GenAI.PROVIDER_NAME in attributes
    kind = "CLIENT" if endpoint else "INTERNAL"
    if span.kind.name != kind:
        yield f"kind {span.kind.name}, not {kind}, without an operation"
    if span.name.partition(" ")[0] in _TYPES:
        yield "named as an operation, without one"
    allowed = _own() | {Error.TYPE} | (_ENDPOINT | openai_names() if endpoint else frozenset())
    yield from (f"{name} without an operation" for name in attributes if name not in allowed)


def _typed(span: ReadableSpan, attributes: Mapping[str, Any], kind: str, modes: Collection[str]) -> Iterator[str]:
    rules = registry()["spans"][kind]
    if span.kind.name.lower() != rules["kind"]:
        yield f"kind {span.kind.name}, not {rules['kind']}"
    target = attributes.get(_TARGETS[kind]) if kind in _TARGETS else None
    wanted = span_name(str(attributes[GenAI.OPERATION_NAME]), target)
    if span.name != wanted:
        yield f"not named {wanted!r}"
    extras = openai_names() | IN_REVIEW if rules["kind"] == "client" else IN_REVIEW
    yield from _names(attributes, frozenset(rules["attributes"]) | extras, modes)
    yield from _required(attributes, rules["attributes"])
    if kind == _INFERENCE and span.status.status_code.name != "ERROR":
        yield from _openai_model(attributes)


def _names(attributes: Mapping[str, Any], allowed: frozenset[str], modes: Collection[str]) -> Iterator[str]:
    """Names that are not in the registry; in the modes with older names, those that are not spelt as they should."""
    spelt = _spellings(allowed, modes)
    variable = GenAI.PROMPT_VARIABLE + "."
    for name in attributes:
        if name not in spelt and name not in _own() and not name.startswith(variable) and not _is_carried(name):
            yield f"{name} is not in the registry"
    if "current" in modes and "old" in modes:
        for name, old in OLD_ATTRIBUTES.items():
            if name in allowed and attributes.get(name) != attributes.get(old):
                yield f"{name} and {old} differ"


def _spellings(allowed: frozenset[str], modes: Collection[str]) -> frozenset[str]:
    old = frozenset(OLD_ATTRIBUTES.get(name, name) for name in allowed)
    return (allowed if "current" in modes else frozenset()) | (old if "old" in modes else frozenset())


def _required(attributes: Mapping[str, Any], levels: Mapping[str, str]) -> Iterator[str]:
    for name, level in levels.items():
        if level == "required" and name not in attributes and not _exempt(name, attributes):
            yield f"{name} is required"


def _exempt(name: str, attributes: Mapping[str, Any]) -> bool:
    """A DSPy LM of the application's own has no provider that anybody knows: absent, not guessed."""
    return name == GenAI.PROVIDER_NAME and DSpy.LM_CLASS in attributes


def _openai_model(attributes: Mapping[str, Any]) -> Iterator[str]:
    """OpenAI's refinement; a response may be made from a stored prompt, which names the model itself."""
    openai = attributes.get(GenAI.PROVIDER_NAME) in (Provider.OPENAI, Provider.AZURE_OPENAI)
    chat = attributes.get(OpenAI.API_TYPE) == ApiType.CHAT_COMPLETIONS
    if openai and chat and GenAI.REQUEST_MODEL not in attributes:
        yield f"{GenAI.REQUEST_MODEL} is required of OpenAI's chat completions"


# What ``trace.context`` says is written to everything below it.
_CARRIED = frozenset({
    Caller.USER_ID, Caller.SESSION_ID, GenAI.CONVERSATION_ID, GenAI.PROMPT_NAME, GenAI.PROMPT_VERSION, Spanloom.TENANT,
    Spanloom.KEEP,
})  # fmt: skip


def _is_carried(name: str) -> bool:
    return name in _CARRIED or name.startswith(Spanloom.TAG + ".")


def _own() -> frozenset[str]:
    return frozenset(OWN_TYPES) - IN_REVIEW


def metric_problems(metric: Metric, modes: Collection[str] | None = None) -> list[str]:
    """Everything about a metric that the conventions do not allow."""
    modes = semconv.modes() if modes is None else modes
    known = {spec.name: spec for spec in (*metrics.REGISTRY, *metrics.SUPERSEDED, *metrics.EXTENSIONS)}
    spec = known.get(metric.name)
    if spec is None:
        return [f"{metric.name} is no metric of the conventions, nor of ours"]
    found = [*_instrument(metric, spec), *_generation(spec, modes)]
    for point in metric.data.data_points:
        found += _point(spec, point, modes)
    return [f"{metric.name}: {one}" for one in found]


def _instrument(metric: Metric, spec: MetricSpec) -> Iterator[str]:
    if metric.unit != spec.unit:
        yield f"in {metric.unit}, not {spec.unit}"
    if not isinstance(metric.data, Histogram if spec.kind == "histogram" else Sum):
        yield f"no {spec.kind} but {type(metric.data).__name__}"
    if isinstance(metric.data, Sum) and not metric.data.is_monotonic:
        yield "a counter that may fall"
    if not metric.description:
        yield "no description"


def _generation(spec: MetricSpec, modes: Collection[str]) -> Iterator[str]:
    if spec.mode == "old" and "old" not in modes:
        yield "superseded, and older names were not asked for"
    if spec.name.startswith("gen_ai.client.inference.") and "current" not in modes:
        yield "only the older names were asked for"


def _point(spec: MetricSpec, point: Any, modes: Collection[str]) -> Iterator[str]:
    attributes: Mapping[str, Any] = point.attributes
    if attributes.get(_OVERFLOW) is True:
        return
    allowed = {*spec.attributes, *_METRIC_EXTRAS}
    yield from (f"{name} is not in the registry" for name in attributes if name not in allowed)
    levels = {name: level for name, level in spec.attributes.items() if name != GenAI.PROVIDER_NAME}
    yield from _required(attributes, levels)
    yield from value_problems(attributes)
    yield from _together(attributes)
    yield from _operations(spec, str(attributes.get(GenAI.OPERATION_NAME)), modes)
    if spec.buckets is not None and tuple(getattr(point, "explicit_bounds", ())) != spec.buckets:
        yield f"boundaries {getattr(point, 'explicit_bounds', None)}"
    if (point.sum if hasattr(point, "sum") else point.value) < 0:
        yield "below 0"


def _operations(spec: MetricSpec, operation: str, modes: Collection[str]) -> Iterator[str]:
    """The duration of an inference has a metric of its own since the older names."""
    if spec is metrics.OPERATION_DURATION and operation in _INFERENCES and "old" not in modes:
        yield f"of {operation}, which has {metrics.INFERENCE_DURATION.name}"
    if spec in (metrics.INFERENCE_DURATION, metrics.TIME_TO_FIRST_CHUNK) and operation not in _INFERENCES:
        yield f"of {operation}, which is no inference"


def event_problems(event: ReadableLogRecord, modes: Collection[str] | None = None) -> list[str]:
    """Everything about an event that the conventions do not allow."""
    modes = semconv.modes() if modes is None else modes
    record = event.log_record
    name, attributes = record.event_name, record.attributes or {}
    if name not in registry()["events"]:
        return [f"{name} is no event of the conventions"]
    levels = registry()["events"][name]["attributes"]
    found = [*scope_problems(event.instrumentation_scope), *value_problems(_tuples(attributes))]
    found += [*event_content_problems(attributes), *_together(attributes), *_required(attributes, levels)]
    if record.body is not None:
        found.append("a body: what an event tells is in its attributes")
    if not record.trace_id or not record.span_id:
        found.append("not linked to a span")
    found += _exception(record) if name == Event.EXCEPTION else _details(attributes, levels, modes)
    return [f"{name}: {one}" for one in found]


def _tuples(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """The log SDK keeps lists where the span SDK makes tuples."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in attributes.items()}


def _details(attributes: Mapping[str, Any], levels: Mapping[str, str], modes: Collection[str]) -> Iterator[str]:
    """The details of an inference, or an evaluation: what the registry has for it, and ours."""
    # The event's row in the data has no tokens by modality; upstream it is by reference the span's.
    span = registry()["spans"][_INFERENCE]["attributes"] if GenAI.OPERATION_NAME in levels else {}
    yield from _names(attributes, frozenset(levels) | frozenset(span) | openai_names() | IN_REVIEW, modes)
    operation = attributes.get(GenAI.OPERATION_NAME)
    if span and operation not in _INFERENCES:
        yield f"of {operation}, which is no inference"


def _exception(record: Any) -> Iterator[str]:
    """It may have its span's attributes too; what it must have is what was raised."""
    attributes = record.attributes or {}
    if not {Exceptions.TYPE, Exceptions.MESSAGE} & set(attributes):
        yield f"neither {Exceptions.TYPE} nor {Exceptions.MESSAGE}"
    if record.severity_number is None or record.severity_number.name != "WARN":
        yield f"severity {record.severity_number}, not WARN"
    if Exceptions.MESSAGE in attributes and not _content_is_on(attributes):
        yield f"{Exceptions.MESSAGE} without content"
    allowed = {*registry()["events"][Event.EXCEPTION]["attributes"], *registry()["spans"][_INFERENCE]["attributes"]}
    told = (name for name in attributes if name not in allowed | openai_names() and not _is_carried(name))
    yield from (f"{name} is not in the registry" for name in told)
