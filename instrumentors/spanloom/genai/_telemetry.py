"""The OpenTelemetry side of one instrumentor: its tracer and its instruments, made once."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from opentelemetry import metrics, trace

from spanloom.genai._content import content_on_spans
from spanloom.semconv import SCHEMA_URL
from spanloom.semconv import metrics as specs

if TYPE_CHECKING:
    from opentelemetry.metrics import Counter, Histogram, Meter, MeterProvider
    from opentelemetry.trace import TracerProvider

    from spanloom.semconv import MetricSpec


def own_version() -> str:
    """The installed version of spanloom, which is the version of every scope of ours."""
    try:
        return version("spanloom")
    except PackageNotFoundError:  # run from a source tree that was never installed
        return "0+unknown"


class Telemetry:
    """A tracer and the conventions' instruments under one scope (the dotted package, ``spanloom.openai``)."""

    def __init__(
        self,
        scope: str,
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
    ) -> None:
        release = own_version()
        self.scope = scope
        self.capture_content = content_on_spans()
        # Wrappers that somebody else has wrapped cannot be taken out; they look here and pass calls through.
        self.enabled = True
        self.tracer = trace.get_tracer(scope, release, tracer_provider, SCHEMA_URL)
        meter = metrics.get_meter(scope, release, meter_provider, SCHEMA_URL)
        self.inference_duration = _histogram(meter, specs.INFERENCE_DURATION)
        self.time_to_first_chunk = _histogram(meter, specs.TIME_TO_FIRST_CHUNK)
        self.operation_input_tokens = _histogram(meter, specs.OPERATION_INPUT_TOKENS)
        self.operation_output_tokens = _histogram(meter, specs.OPERATION_OUTPUT_TOKENS)
        self.tool_duration = _histogram(meter, specs.TOOL_DURATION)
        self.agent_duration = _histogram(meter, specs.AGENT_DURATION)
        self.workflow_duration = _histogram(meter, specs.WORKFLOW_DURATION)
        self.input_tokens = _counter(meter, specs.INPUT_TOKENS)
        self.output_tokens = _counter(meter, specs.OUTPUT_TOKENS)
        self.cache_read_tokens = _counter(meter, specs.CACHE_READ_TOKENS)
        self.cache_write_tokens = _counter(meter, specs.CACHE_WRITE_TOKENS)
        self.reasoning_tokens = _counter(meter, specs.REASONING_TOKENS)


def _histogram(meter: Meter, spec: MetricSpec) -> Histogram:
    return meter.create_histogram(
        spec.name, spec.unit, spec.description, explicit_bucket_boundaries_advisory=spec.buckets
    )


def _counter(meter: Meter, spec: MetricSpec) -> Counter:
    return meter.create_counter(spec.name, spec.unit, spec.description)
