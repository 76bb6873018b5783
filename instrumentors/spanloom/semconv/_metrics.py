"""Instruments as data: name, unit, kind, bucket boundaries (advisory). Source of the lists: the conventions' text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["counter", "histogram"]

_SECONDS = tuple(0.01 * 2**k for k in range(14))
_AGENT_SECONDS = tuple(0.1 * 2**k for k in range(13))
_WORKFLOW_SECONDS = (1.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 7200.0)
_TOKENS = tuple(float(4**k) for k in range(14))
# One call costs between a thousandth of a cent and some dollars: half decades.
_USD = (1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3, 1.0, 3.0, 10.0)


@dataclass(frozen=True)
class MetricSpec:
    """One instrument. ``buckets`` are explicit boundaries in ``unit``; only histograms have them."""

    name: str
    unit: str
    kind: Kind
    description: str
    buckets: tuple[float, ...] | None = None


INFERENCE_DURATION = MetricSpec(
    "gen_ai.client.inference.duration", "s", "histogram", "Duration of one inference with all its retries.", _SECONDS
)
TIME_TO_FIRST_CHUNK = MetricSpec(
    "gen_ai.client.inference.time_to_first_chunk", "s", "histogram", "Time to the first streamed chunk.", _SECONDS
)
INPUT_TOKENS = MetricSpec(
    "gen_ai.client.inference.usage.input_tokens", "{token}", "counter", "Input tokens used, cached ones included."
)
OUTPUT_TOKENS = MetricSpec(
    "gen_ai.client.inference.usage.output_tokens", "{token}", "counter", "Output tokens used, reasoning included."
)
CACHE_READ_TOKENS = MetricSpec(
    "gen_ai.client.inference.usage.cache_read.input_tokens", "{token}", "counter", "Input tokens read from a cache."
)
CACHE_WRITE_TOKENS = MetricSpec(
    "gen_ai.client.inference.usage.cache_write.input_tokens", "{token}", "counter", "Input tokens written to a cache."
)
REASONING_TOKENS = MetricSpec(
    "gen_ai.client.inference.usage.reasoning.output_tokens", "{token}", "counter", "Output tokens spent on reasoning."
)
OPERATION_INPUT_TOKENS = MetricSpec(
    "gen_ai.client.inference.operation.input_tokens", "{token}", "histogram", "Input tokens per inference.", _TOKENS
)
OPERATION_OUTPUT_TOKENS = MetricSpec(
    "gen_ai.client.inference.operation.output_tokens", "{token}", "histogram", "Output tokens per inference.", _TOKENS
)
TOOL_DURATION = MetricSpec(
    "gen_ai.execute_tool.duration", "s", "histogram", "Duration of one tool execution.", _SECONDS
)
AGENT_DURATION = MetricSpec(
    "gen_ai.invoke_agent.duration", "s", "histogram", "Duration of one agent invocation.", _AGENT_SECONDS
)
WORKFLOW_DURATION = MetricSpec(
    "gen_ai.invoke_workflow.duration", "s", "histogram", "Duration of one workflow invocation.", _WORKFLOW_SECONDS
)
# semantic-conventions-genai#443 (open).
OPERATION_COST = MetricSpec("gen_ai.client.operation.cost", "{USD}", "histogram", "Cost of one operation.", _USD)
INTERNAL_ERRORS = MetricSpec(
    "spanloom.internal.errors", "{error}", "counter", "Faults of spanloom itself that were kept from the application."
)
UNPRICED_OPERATIONS = MetricSpec(
    "spanloom.cost.unpriced.operations", "{operation}", "counter", "Model calls whose cost nobody can know."
)

REGISTRY = (
    INFERENCE_DURATION,
    TIME_TO_FIRST_CHUNK,
    INPUT_TOKENS,
    OUTPUT_TOKENS,
    CACHE_READ_TOKENS,
    CACHE_WRITE_TOKENS,
    REASONING_TOKENS,
    OPERATION_INPUT_TOKENS,
    OPERATION_OUTPUT_TOKENS,
    TOOL_DURATION,
    AGENT_DURATION,
    WORKFLOW_DURATION,
)
EXTENSIONS = (OPERATION_COST, INTERNAL_ERRORS, UNPRICED_OPERATIONS)
