"""Make ``semconv/_names.py`` and ``_metrics.py`` from the registry's data: ``make semconv``.

It lives with the tests and not in the package, because the data does too: nothing of either is needed at run time.
The words that the registry does not have (docstrings, short names of constants) are the tables below.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
DATA = ROOT / "tests" / "fixtures" / "semconv"
TARGET = ROOT / "instrumentors" / "spanloom" / "semconv"
NOTE = "# Generated from tests/fixtures/semconv by `make semconv`: change the data or tests/semconv/_generate.py."

# Class -> what its attributes begin with, docstring.
ATTRIBUTES = {
    "GenAI": ("gen_ai.", "Attributes of the ``gen_ai`` namespace."),
    "OpenAI": ("openai.", "Attributes of the ``openai`` namespace."),
    "Mcp": ("mcp.", "Attributes of the Model Context Protocol."),
    "JsonRpc": ("jsonrpc.", "Attributes of the protocol below MCP."),
    "Rpc": ("rpc.", "Attributes of remote procedure calls that MCP spans share."),
    "Network": ("network.", "The transport of an MCP span."),
    "Server": ("server.", "The peer of a client span."),
    "Client": ("client.", "The peer of a server span."),
    "Error": ("error.", "Attributes of failures."),
    "Exceptions": ("exception.", "Attributes of the exception event."),
}
# Class -> the attribute whose values it has, or the list in the registry.
VALUES = {
    "Operation": "gen_ai.operation.name",
    "Provider": "gen_ai.provider.name",
    "OutputType": "gen_ai.output.type",
    "FinishReason": "gen_ai.response.finish_reasons",
    "ResponseStatus": "gen_ai.response.status",
    "ToolType": "gen_ai.tool.type",
    "Modality": "gen_ai.token.modality",
    "TokenType": "gen_ai.token.type",
    "ApiType": "openai.api.type",
}
# Where the rule (upper case, dots as underscores) would give an unwieldy constant.
SHORT = {
    "azure.ai.openai": "AZURE_OPENAI",
    "azure.ai.inference": "AZURE_INFERENCE",
    "gcp.gemini": "GEMINI",
    "gcp.gen_ai": "GOOGLE_GEN_AI",
    "gcp.vertex_ai": "VERTEX_AI",
    "ibm.watsonx.ai": "WATSONX",
    "mistral_ai": "MISTRAL",
    "moonshot_ai": "MOONSHOT",
}
EVENTS = {
    "gen_ai.client.inference.operation.details": "INFERENCE_DETAILS",
    "gen_ai.client.operation.exception": "EXCEPTION",
    "gen_ai.evaluation.result": "EVALUATION_RESULT",
}
# The conventions' value for a failure that has no name.
CONSTANTS = {"Error": {"OTHER": "_OTHER"}}
METRICS = {
    "gen_ai.client.inference.duration": ("INFERENCE_DURATION", "Duration of one inference with all its retries."),
    "gen_ai.client.inference.time_to_first_chunk": ("TIME_TO_FIRST_CHUNK", "Time to the first streamed chunk."),
    "gen_ai.client.inference.time_per_output_chunk": (
        "TIME_PER_OUTPUT_CHUNK",
        "Time between two streamed chunks, for each chunk after the first.",
    ),
    "gen_ai.client.inference.usage.input_tokens": ("INPUT_TOKENS", "Input tokens used, cached ones included."),
    "gen_ai.client.inference.usage.output_tokens": ("OUTPUT_TOKENS", "Output tokens used, reasoning included."),
    "gen_ai.client.inference.usage.cache_read.input_tokens": ("CACHE_READ_TOKENS", "Input tokens read from a cache."),
    "gen_ai.client.inference.usage.cache_write.input_tokens": (
        "CACHE_WRITE_TOKENS",
        "Input tokens written to a cache.",
    ),
    "gen_ai.client.inference.usage.reasoning.output_tokens": ("REASONING_TOKENS", "Output tokens spent on reasoning."),
    "gen_ai.client.inference.operation.input_tokens": ("OPERATION_INPUT_TOKENS", "Input tokens per inference."),
    "gen_ai.client.inference.operation.output_tokens": ("OPERATION_OUTPUT_TOKENS", "Output tokens per inference."),
    "gen_ai.client.operation.duration": (
        "OPERATION_DURATION",
        "Duration of one client operation; of an inference by its older name.",
    ),
    "gen_ai.execute_tool.duration": ("TOOL_DURATION", "Duration of one tool execution."),
    "gen_ai.invoke_agent.duration": ("AGENT_DURATION", "Duration of one agent invocation."),
    "gen_ai.invoke_agent.inference_calls": ("AGENT_INFERENCE_CALLS", "Model calls of one agent invocation."),
    "gen_ai.invoke_agent.tool_calls": ("AGENT_TOOL_CALLS", "Tool calls of one agent invocation."),
    "gen_ai.invoke_workflow.duration": ("WORKFLOW_DURATION", "Duration of one workflow invocation."),
    "mcp.client.operation.duration": ("MCP_CLIENT_DURATION", "Duration of one MCP request, seen by its sender."),
    "mcp.server.operation.duration": ("MCP_SERVER_DURATION", "Duration of one MCP request, seen by its receiver."),
    "gen_ai.client.token.usage": ("TOKEN_USAGE", "Input and output tokens per operation."),
    "gen_ai.client.operation.time_to_first_chunk": ("OLD_TIME_TO_FIRST_CHUNK", "Time to the first streamed chunk."),
    "gen_ai.client.operation.time_per_output_chunk": (
        "OLD_TIME_PER_OUTPUT_CHUNK",
        "Time between two streamed chunks, for each chunk after the first.",
    ),
}
OWN_METRICS = (
    "BUDGET_KEYS_DROPPED",
    "BUDGET_LIMIT",
    "BUDGET_REFUSED",
    "BUDGET_SPENT",
    "BUDGET_THRESHOLDS",
    "BUDGET_UNPRICED",
    "COST_DRIFT",
    "COST_TOTAL",
    "EXTENSIONS",
    "INTERNAL_ERRORS",
    "OPERATION_COST",
    "REDACTIONS",
    "SAMPLING_EARLY",
    "SAMPLING_TRACES",
    "SPANS_CUT",
    "TOOL_CALLS_DROPPED",
    "UNPRICED_OPERATIONS",
)


def load() -> dict[str, Any]:
    """The registry with the types and values of its attributes."""
    registry = json.loads((DATA / "registry.json").read_text(encoding="utf-8"))
    return {**registry, **json.loads((DATA / "attributes.json").read_text(encoding="utf-8"))}


def names_of(registry: Mapping[str, Any]) -> list[str]:
    """Every attribute of the registry, in order."""
    groups = ("spans", "metrics", "metrics_superseded", "events")
    found = {name for group in groups for row in registry[group].values() for name in row["attributes"]}
    return sorted(found | {name for level in registry["openai_extras"].values() for name in level})


def constant(value: str) -> str:
    """``request.choice.count`` → ``REQUEST_CHOICE_COUNT``."""
    return SHORT.get(value) or value.upper().replace(".", "_")


def values_of(registry: Mapping[str, Any], attribute: str) -> list[str]:
    """The values of a closed (or at least listed) attribute."""
    listed = {"gen_ai.operation.name": "operation_names", "gen_ai.provider.name": "provider_names"}
    return registry[listed[attribute]] if attribute in listed else registry["members"][attribute]


def klass(name: str, doc: str, rows: Mapping[str, str]) -> str:
    """One class of constants."""
    body = "\n".join(f"    {key} = {json.dumps(value)}" for key, value in rows.items())
    return f'class {name}:\n    """{doc}"""\n\n{body}\n'


def classes(registry: Mapping[str, Any]) -> Iterator[str]:
    """The classes of ``_names.py``."""
    for name, attribute in VALUES.items():
        rows = {constant(value): value for value in values_of(registry, attribute)}
        yield klass(name, f"Values of ``{attribute}``.", rows)
    for name, (prefix, doc) in ATTRIBUTES.items():
        rows = {constant(one.removeprefix(prefix)): one for one in names_of(registry) if one.startswith(prefix)}
        yield klass(name, doc, rows | CONSTANTS.get(name, {}))
    yield klass("Event", "Names of events (log records).", {EVENTS[name]: name for name in registry["events"]})


def names_module(registry: Mapping[str, Any]) -> str:
    """``_names.py``."""
    doc = '"""Names of the GenAI registry, one class a namespace: plain strings, which go straight into spans."""'
    head = f"{doc}\n\n{NOTE}\n\nfrom __future__ import annotations\n\n"
    return head + "\n\n".join([f"SCHEMA_URL = {json.dumps(registry['schema_url'])}\n", *classes(registry)])


class Shared:
    """Values that several metrics have, written once under the name of the first."""

    def __init__(self, suffix: str, annotation: str) -> None:
        self._suffix, self._annotation = suffix, annotation
        self._names: dict[str, str] = {}
        self.lines: list[str] = []

    def name(self, owner: str, text: str) -> str:
        """The constant that has this value."""
        if text not in self._names:
            self._names[text] = f"_{owner}_{self._suffix}"
            self.lines.append(f"{self._names[text]}{self._annotation} = {text}\n")
        return self._names[text]


def boundaries(row: Mapping[str, Any]) -> str:
    """A tuple of floats."""
    return repr(tuple(float(one) for one in row["buckets"]))


def spec(name: str, row: Mapping[str, Any], mode: str, buckets: Shared, levels: Shared) -> str:
    """One ``MetricSpec``."""
    owner, description = METRICS[name]
    bounds = buckets.name(owner, boundaries(row)) if row.get("buckets") else None
    texts = [name, row["unit"], row["instrument"], description]
    arguments = [*map(json.dumps, texts), str(bounds), levels.name(owner, json.dumps(row["attributes"], indent=4))]
    arguments += ['mode="old"'] if mode == "old" else []
    return f"{owner} = MetricSpec({', '.join(arguments)})\n"


def listing(name: str, rows: Iterable[str]) -> str:
    """The tuple of all specs of a group."""
    return f"{name} = ({', '.join(METRICS[row][0] for row in rows)},)\n"


def metrics_module(registry: Mapping[str, Any]) -> str:
    """``_metrics.py``."""
    buckets, levels = Shared("BUCKETS", ""), Shared("LEVELS", ": dict[str, Level]")
    groups = (("metrics", "current"), ("metrics_superseded", "old"))
    specs = [spec(*row, mode, buckets, levels) for group, mode in groups for row in registry[group].items()]
    imports = (
        f"from spanloom.semconv._own_metrics import {', '.join(OWN_METRICS)}\n"
        "from spanloom.semconv._spec import Level, MetricSpec\n"
    )
    exported = sorted([*(METRICS[row][0] for group, _ in groups for row in registry[group]), *OWN_METRICS])
    return "\n".join(
        [
            '"""Instruments of the registry, and ours, as data. Bucket boundaries are advisory."""\n',
            f"{NOTE}\n\nfrom __future__ import annotations\n",
            imports,
            f"__all__ = {[*exported, 'REGISTRY', 'SUPERSEDED', 'MetricSpec']!r}\n",
            "".join(buckets.lines),
            *levels.lines,
            "".join(specs),
            listing("REGISTRY", registry["metrics"]),
            listing("SUPERSEDED", registry["metrics_superseded"]),
        ]
    )


def formatted(text: str) -> str:
    """As `make format` would leave it."""
    ruff = [sys.executable, "-m", "ruff", "format", "--stdin-filename", str(TARGET / "_generated.py"), "-"]
    return subprocess.run(ruff, input=text, capture_output=True, text=True, check=True, cwd=ROOT).stdout


def generated() -> dict[str, str]:
    """File name → text."""
    registry = load()
    return {"_names.py": formatted(names_module(registry)), "_metrics.py": formatted(metrics_module(registry))}


if __name__ == "__main__":
    for file, text in generated().items():
        (TARGET / file).write_text(text, encoding="utf-8")
        print(f"{file}: {len(text.splitlines())} lines")
