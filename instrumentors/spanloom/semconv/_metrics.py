"""Instruments of the registry, and ours, as data. Bucket boundaries are advisory."""

# Generated from tests/fixtures/semconv by `make semconv`: change the data or tests/semconv/_generate.py.

from __future__ import annotations

from spanloom.semconv._own_metrics import (
    BUDGET_KEYS_DROPPED,
    BUDGET_LIMIT,
    BUDGET_REFUSED,
    BUDGET_SPENT,
    BUDGET_THRESHOLDS,
    BUDGET_UNPRICED,
    COST_DRIFT,
    COST_TOTAL,
    EXTENSIONS,
    INTERNAL_ERRORS,
    OPERATION_COST,
    REDACTIONS,
    SAMPLING_EARLY,
    SAMPLING_TRACES,
    SPANS_CUT,
    TOOL_CALLS_DROPPED,
    UNPRICED_OPERATIONS,
)
from spanloom.semconv._spec import Level, MetricSpec

__all__ = [
    "AGENT_DURATION",
    "AGENT_INFERENCE_CALLS",
    "AGENT_TOOL_CALLS",
    "BUDGET_KEYS_DROPPED",
    "BUDGET_LIMIT",
    "BUDGET_REFUSED",
    "BUDGET_SPENT",
    "BUDGET_THRESHOLDS",
    "BUDGET_UNPRICED",
    "CACHE_READ_TOKENS",
    "CACHE_WRITE_TOKENS",
    "COST_DRIFT",
    "COST_TOTAL",
    "EXTENSIONS",
    "INFERENCE_DURATION",
    "INPUT_TOKENS",
    "INTERNAL_ERRORS",
    "MCP_CLIENT_DURATION",
    "MCP_SERVER_DURATION",
    "OLD_TIME_PER_OUTPUT_CHUNK",
    "OLD_TIME_TO_FIRST_CHUNK",
    "OPERATION_COST",
    "OPERATION_DURATION",
    "OPERATION_INPUT_TOKENS",
    "OPERATION_OUTPUT_TOKENS",
    "OUTPUT_TOKENS",
    "REASONING_TOKENS",
    "REDACTIONS",
    "SAMPLING_EARLY",
    "SAMPLING_TRACES",
    "SPANS_CUT",
    "TIME_PER_OUTPUT_CHUNK",
    "TIME_TO_FIRST_CHUNK",
    "TOKEN_USAGE",
    "TOOL_CALLS_DROPPED",
    "TOOL_DURATION",
    "UNPRICED_OPERATIONS",
    "WORKFLOW_DURATION",
    "REGISTRY",
    "SUPERSEDED",
    "MetricSpec",
]

_INFERENCE_DURATION_BUCKETS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
_OPERATION_INPUT_TOKENS_BUCKETS = (
    1.0,
    4.0,
    16.0,
    64.0,
    256.0,
    1024.0,
    4096.0,
    16384.0,
    65536.0,
    262144.0,
    1048576.0,
    4194304.0,
    16777216.0,
    67108864.0,
)
_AGENT_DURATION_BUCKETS = (0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 51.2, 102.4, 204.8, 409.6)
_AGENT_INFERENCE_CALLS_BUCKETS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0)
_WORKFLOW_DURATION_BUCKETS = (1.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 7200.0)
_MCP_CLIENT_DURATION_BUCKETS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)

_INFERENCE_DURATION_LEVELS: dict[str, Level] = {
    "error.type": "conditionally_required",
    "gen_ai.operation.name": "required",
    "gen_ai.provider.name": "conditionally_required",
    "gen_ai.request.model": "conditionally_required",
    "gen_ai.response.model": "recommended",
    "server.address": "recommended",
    "server.port": "conditionally_required",
}

_TIME_TO_FIRST_CHUNK_LEVELS: dict[str, Level] = {
    "gen_ai.operation.name": "required",
    "gen_ai.provider.name": "conditionally_required",
    "gen_ai.request.model": "conditionally_required",
    "gen_ai.response.model": "recommended",
    "server.address": "recommended",
    "server.port": "conditionally_required",
}

_INPUT_TOKENS_LEVELS: dict[str, Level] = {
    "gen_ai.operation.name": "required",
    "gen_ai.provider.name": "required",
    "gen_ai.request.model": "conditionally_required",
    "gen_ai.response.model": "recommended",
    "gen_ai.token.modality": "required",
    "server.address": "recommended",
    "server.port": "conditionally_required",
}

_TOOL_DURATION_LEVELS: dict[str, Level] = {
    "error.type": "conditionally_required",
    "gen_ai.agent.name": "conditionally_required",
    "gen_ai.tool.name": "required",
    "gen_ai.tool.type": "recommended",
}

_AGENT_DURATION_LEVELS: dict[str, Level] = {
    "error.type": "conditionally_required",
    "gen_ai.agent.name": "conditionally_required",
    "gen_ai.request.model": "recommended",
}

_AGENT_INFERENCE_CALLS_LEVELS: dict[str, Level] = {"gen_ai.agent.name": "recommended"}

_WORKFLOW_DURATION_LEVELS: dict[str, Level] = {
    "error.type": "conditionally_required",
    "gen_ai.workflow.name": "conditionally_required",
}

_MCP_CLIENT_DURATION_LEVELS: dict[str, Level] = {
    "error.type": "conditionally_required",
    "gen_ai.operation.name": "recommended",
    "gen_ai.prompt.name": "conditionally_required",
    "gen_ai.tool.name": "conditionally_required",
    "mcp.method.name": "required",
    "network.transport": "recommended",
    "rpc.response.status_code": "conditionally_required",
    "server.address": "recommended",
    "server.port": "recommended",
}

_MCP_SERVER_DURATION_LEVELS: dict[str, Level] = {
    "error.type": "conditionally_required",
    "gen_ai.operation.name": "recommended",
    "gen_ai.prompt.name": "conditionally_required",
    "gen_ai.tool.name": "conditionally_required",
    "mcp.method.name": "required",
    "network.transport": "recommended",
    "rpc.response.status_code": "conditionally_required",
}

_TOKEN_USAGE_LEVELS: dict[str, Level] = {
    "gen_ai.operation.name": "required",
    "gen_ai.provider.name": "conditionally_required",
    "gen_ai.request.model": "conditionally_required",
    "gen_ai.response.model": "recommended",
    "gen_ai.token.type": "required",
    "server.address": "recommended",
    "server.port": "conditionally_required",
}

INFERENCE_DURATION = MetricSpec(
    "gen_ai.client.inference.duration",
    "s",
    "histogram",
    "Duration of one inference with all its retries.",
    _INFERENCE_DURATION_BUCKETS,
    _INFERENCE_DURATION_LEVELS,
)
TIME_TO_FIRST_CHUNK = MetricSpec(
    "gen_ai.client.inference.time_to_first_chunk",
    "s",
    "histogram",
    "Time to the first streamed chunk.",
    _INFERENCE_DURATION_BUCKETS,
    _TIME_TO_FIRST_CHUNK_LEVELS,
)
TIME_PER_OUTPUT_CHUNK = MetricSpec(
    "gen_ai.client.inference.time_per_output_chunk",
    "s",
    "histogram",
    "Time between two streamed chunks, for each chunk after the first.",
    _INFERENCE_DURATION_BUCKETS,
    _TIME_TO_FIRST_CHUNK_LEVELS,
)
INPUT_TOKENS = MetricSpec(
    "gen_ai.client.inference.usage.input_tokens",
    "{token}",
    "counter",
    "Input tokens used, cached ones included.",
    None,
    _INPUT_TOKENS_LEVELS,
)
OUTPUT_TOKENS = MetricSpec(
    "gen_ai.client.inference.usage.output_tokens",
    "{token}",
    "counter",
    "Output tokens used, reasoning included.",
    None,
    _INPUT_TOKENS_LEVELS,
)
CACHE_READ_TOKENS = MetricSpec(
    "gen_ai.client.inference.usage.cache_read.input_tokens",
    "{token}",
    "counter",
    "Input tokens read from a cache.",
    None,
    _INPUT_TOKENS_LEVELS,
)
CACHE_WRITE_TOKENS = MetricSpec(
    "gen_ai.client.inference.usage.cache_write.input_tokens",
    "{token}",
    "counter",
    "Input tokens written to a cache.",
    None,
    _INPUT_TOKENS_LEVELS,
)
REASONING_TOKENS = MetricSpec(
    "gen_ai.client.inference.usage.reasoning.output_tokens",
    "{token}",
    "counter",
    "Output tokens spent on reasoning.",
    None,
    _INPUT_TOKENS_LEVELS,
)
OPERATION_INPUT_TOKENS = MetricSpec(
    "gen_ai.client.inference.operation.input_tokens",
    "{token}",
    "histogram",
    "Input tokens per inference.",
    _OPERATION_INPUT_TOKENS_BUCKETS,
    _INFERENCE_DURATION_LEVELS,
)
OPERATION_OUTPUT_TOKENS = MetricSpec(
    "gen_ai.client.inference.operation.output_tokens",
    "{token}",
    "histogram",
    "Output tokens per inference.",
    _OPERATION_INPUT_TOKENS_BUCKETS,
    _INFERENCE_DURATION_LEVELS,
)
OPERATION_DURATION = MetricSpec(
    "gen_ai.client.operation.duration",
    "s",
    "histogram",
    "Duration of one client operation; of an inference by its older name.",
    _INFERENCE_DURATION_BUCKETS,
    _INFERENCE_DURATION_LEVELS,
)
TOOL_DURATION = MetricSpec(
    "gen_ai.execute_tool.duration",
    "s",
    "histogram",
    "Duration of one tool execution.",
    _INFERENCE_DURATION_BUCKETS,
    _TOOL_DURATION_LEVELS,
)
AGENT_DURATION = MetricSpec(
    "gen_ai.invoke_agent.duration",
    "s",
    "histogram",
    "Duration of one agent invocation.",
    _AGENT_DURATION_BUCKETS,
    _AGENT_DURATION_LEVELS,
)
AGENT_INFERENCE_CALLS = MetricSpec(
    "gen_ai.invoke_agent.inference_calls",
    "{inference_call}",
    "histogram",
    "Model calls of one agent invocation.",
    _AGENT_INFERENCE_CALLS_BUCKETS,
    _AGENT_INFERENCE_CALLS_LEVELS,
)
AGENT_TOOL_CALLS = MetricSpec(
    "gen_ai.invoke_agent.tool_calls",
    "{tool_call}",
    "histogram",
    "Tool calls of one agent invocation.",
    _AGENT_INFERENCE_CALLS_BUCKETS,
    _AGENT_INFERENCE_CALLS_LEVELS,
)
WORKFLOW_DURATION = MetricSpec(
    "gen_ai.invoke_workflow.duration",
    "s",
    "histogram",
    "Duration of one workflow invocation.",
    _WORKFLOW_DURATION_BUCKETS,
    _WORKFLOW_DURATION_LEVELS,
)
MCP_CLIENT_DURATION = MetricSpec(
    "mcp.client.operation.duration",
    "s",
    "histogram",
    "Duration of one MCP request, seen by its sender.",
    _MCP_CLIENT_DURATION_BUCKETS,
    _MCP_CLIENT_DURATION_LEVELS,
)
MCP_SERVER_DURATION = MetricSpec(
    "mcp.server.operation.duration",
    "s",
    "histogram",
    "Duration of one MCP request, seen by its receiver.",
    _MCP_CLIENT_DURATION_BUCKETS,
    _MCP_SERVER_DURATION_LEVELS,
)
TOKEN_USAGE = MetricSpec(
    "gen_ai.client.token.usage",
    "{token}",
    "histogram",
    "Input and output tokens per operation.",
    _OPERATION_INPUT_TOKENS_BUCKETS,
    _TOKEN_USAGE_LEVELS,
    mode="old",
)
OLD_TIME_TO_FIRST_CHUNK = MetricSpec(
    "gen_ai.client.operation.time_to_first_chunk",
    "s",
    "histogram",
    "Time to the first streamed chunk.",
    _INFERENCE_DURATION_BUCKETS,
    _TIME_TO_FIRST_CHUNK_LEVELS,
    mode="old",
)
OLD_TIME_PER_OUTPUT_CHUNK = MetricSpec(
    "gen_ai.client.operation.time_per_output_chunk",
    "s",
    "histogram",
    "Time between two streamed chunks, for each chunk after the first.",
    _INFERENCE_DURATION_BUCKETS,
    _TIME_TO_FIRST_CHUNK_LEVELS,
    mode="old",
)

REGISTRY = (
    INFERENCE_DURATION,
    TIME_TO_FIRST_CHUNK,
    TIME_PER_OUTPUT_CHUNK,
    INPUT_TOKENS,
    OUTPUT_TOKENS,
    CACHE_READ_TOKENS,
    CACHE_WRITE_TOKENS,
    REASONING_TOKENS,
    OPERATION_INPUT_TOKENS,
    OPERATION_OUTPUT_TOKENS,
    OPERATION_DURATION,
    TOOL_DURATION,
    AGENT_DURATION,
    AGENT_INFERENCE_CALLS,
    AGENT_TOOL_CALLS,
    WORKFLOW_DURATION,
    MCP_CLIENT_DURATION,
    MCP_SERVER_DURATION,
)

SUPERSEDED = (
    TOKEN_USAGE,
    OLD_TIME_TO_FIRST_CHUNK,
    OLD_TIME_PER_OUTPUT_CHUNK,
)
