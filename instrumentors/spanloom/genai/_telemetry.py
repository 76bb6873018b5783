"""The OpenTelemetry side of one instrumentor: its tracer, its logger and its instruments, made once."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from opentelemetry import _logs, metrics, trace

from spanloom import semconv
from spanloom.genai import _capture, _completion, _events, _spelling
from spanloom.genai._tally import tally_of
from spanloom.semconv import SCHEMA_URL
from spanloom.semconv import metrics as specs

if TYPE_CHECKING:
    from opentelemetry._logs import LoggerProvider
    from opentelemetry.metrics import Histogram, Meter, MeterProvider
    from opentelemetry.trace import TracerProvider

    from spanloom.semconv import MetricSpec


def own_version() -> str:
    """The installed version of spanloom, which is the version of every scope of ours."""
    try:
        return version("spanloom")
    except PackageNotFoundError:  # run from a source tree that was never installed
        return "0+unknown"


class Telemetry:
    """A tracer, a logger and the conventions' instruments under one scope (the dotted package, ``spanloom.openai``).

    The settings that every call needs are read here, once.
    """

    def __init__(
        self,
        scope: str,
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
        logger_provider: LoggerProvider | None = None,
    ) -> None:
        release = own_version()
        self.scope = scope
        # Wrappers that somebody else has wrapped cannot be taken out; they look here and pass calls through.
        self.enabled = True
        self.capture = _capture.configured()
        self.max_content_bytes = semconv.integer("SPANLOOM_CONTENT_MAX_BYTES")
        self.emits_details = _events.emits_details()
        self.completion = _completion.load()
        # Nobody asks for a trace's randomness where no content is captured.
        asked = self.capture != 0 or self.completion is not None
        self.least_randomness = _capture.least_randomness() if asked else 0
        self.spelling = _spelling.configured()
        self.tracer = trace.get_tracer(scope, release, tracer_provider, SCHEMA_URL)
        self.logger = _logs.get_logger(scope, release, logger_provider, SCHEMA_URL)

        def get_meter() -> Meter:
            return metrics.get_meter(scope, release, meter_provider, SCHEMA_URL)

        self.tally = tally_of(scope, get_meter)
        self._make_instruments(get_meter())

    def _make_instruments(self, meter: Meter) -> None:
        self.inference_duration = _histogram(meter, specs.INFERENCE_DURATION)
        # Client operations that are no inference: embeddings, retrieval, fetching a response.
        self.operation_duration = _histogram(meter, specs.OPERATION_DURATION)
        self.time_to_first_chunk = _histogram(meter, specs.TIME_TO_FIRST_CHUNK)
        # One record a chunk costs more than the chunk.
        chunks = semconv.flag("SPANLOOM_CHUNK_HISTOGRAM")
        # One instrument for each generation of names that is written.
        names: list[MetricSpec] = []
        if self.spelling is None or not self.spelling.instead:
            names.append(specs.TIME_PER_OUTPUT_CHUNK)
        if self.spelling is not None:
            names.append(specs.OLD_TIME_PER_OUTPUT_CHUNK)
        self.time_per_output_chunk = tuple(_histogram(meter, one) for one in names) if chunks else ()
        self.operation_input_tokens = _histogram(meter, specs.OPERATION_INPUT_TOKENS)
        self.operation_output_tokens = _histogram(meter, specs.OPERATION_OUTPUT_TOKENS)
        self.tool_duration = _histogram(meter, specs.TOOL_DURATION)
        self.agent_duration = _histogram(meter, specs.AGENT_DURATION)
        self.agent_inference_calls = _histogram(meter, specs.AGENT_INFERENCE_CALLS)
        self.agent_tool_calls = _histogram(meter, specs.AGENT_TOOL_CALLS)
        self.workflow_duration = _histogram(meter, specs.WORKFLOW_DURATION)
        self.old = OldInstruments(meter) if self.spelling is not None else None


class OldInstruments:
    """The metrics of v1.41, for dashboards made for them."""

    def __init__(self, meter: Meter) -> None:
        self.operation_duration = _histogram(meter, specs.OPERATION_DURATION)
        self.token_usage = _histogram(meter, specs.TOKEN_USAGE)
        self.time_to_first_chunk = _histogram(meter, specs.OLD_TIME_TO_FIRST_CHUNK)


def _histogram(meter: Meter, spec: MetricSpec) -> Histogram:
    return meter.create_histogram(
        spec.name, spec.unit, spec.description, explicit_bucket_boundaries_advisory=spec.buckets
    )
