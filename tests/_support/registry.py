"""The conventions' data, and what a single attribute may hold by it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from spanloom.semconv import OLD_ATTRIBUTES, Caller, CostCopy, DSpy, GenAI, HTTPServer, OtherProvider, Spanloom

DATA = Path(__file__).parents[1] / "fixtures" / "semconv"

# The reviewed list: names that the registry does not have, with the type that each must have.
OWN_TYPES = {
    Spanloom.COST_AMOUNT: "double",
    Spanloom.COST_CURRENCY: "string",
    Spanloom.COST_SOURCE: "string",
    Spanloom.COST_STATUS: "string",
    Spanloom.COST_PRICE_VERSION: "string",
    Spanloom.COST_INPUT: "double",
    Spanloom.COST_OUTPUT: "double",
    Spanloom.COST_CACHE_READ: "double",
    Spanloom.COST_CACHE_WRITE: "double",
    Spanloom.COST_REASONING: "double",
    Spanloom.COST_AUDIO: "double",
    Spanloom.COST_OTHER: "double",
    CostCopy.LOGFIRE: "double",
    CostCopy.OPENINFERENCE: "double",
    Spanloom.BUDGET_NAME: "string",
    Spanloom.BUDGET_KEY: "string",
    Spanloom.BUDGET_THRESHOLD: "double",
    Spanloom.BUDGET_SPENT_USD: "double",
    Spanloom.BUDGET_LIMIT_USD: "double",
    Spanloom.BUDGET_RESETS_AT: "string",
    Spanloom.SUBTREE_INPUT_TOKENS: "int",
    Spanloom.SUBTREE_OUTPUT_TOKENS: "int",
    Spanloom.SUBTREE_LLM_CALLS: "int",
    Spanloom.SUBTREE_CACHE_HITS: "int",
    Spanloom.SUBTREE_COST: "double",
    Spanloom.SUBTREE_UNPRICED_CALLS: "int",
    Spanloom.SUBTREE_INCOMPLETE: "boolean",
    Spanloom.STREAM_END: "string",
    Spanloom.STREAM_CHUNKS: "int",
    Spanloom.STREAM_CHUNK_INTERVAL_MIN_S: "double",
    Spanloom.STREAM_CHUNK_INTERVAL_MEAN_S: "double",
    Spanloom.STREAM_CHUNK_INTERVAL_MAX_S: "double",
    Spanloom.OPENAI_ENDPOINT: "string",
    Spanloom.REQUEST_ATTEMPTS: "int",
    Spanloom.RESPONSE_REQUEST_ID: "string",
    Spanloom.RESPONSE_PROCESSING_S: "double",
    Spanloom.RATELIMIT_REMAINING_REQUESTS: "int",
    Spanloom.RATELIMIT_REMAINING_TOKENS: "int",
    Spanloom.RESPONSE_BACKGROUND: "boolean",
    Spanloom.SERVER_TOOL: "string",
    Spanloom.SERVER_TOOL_STATUS: "string",
    Spanloom.EMBEDDINGS_INPUT: "any",
    Spanloom.AGENT_ID: "string",
    Spanloom.AGENT_VERSION: "string",
    Spanloom.AGENT_THOUGHT: "string",
    Spanloom.LINK: "string",
    Spanloom.DROP_REASON: "string",
    Spanloom.TENANT: "string",
    # The names below it are the program's, and so are the types.
    Spanloom.TAG: "any",
    Spanloom.KEEP: "boolean",
    Spanloom.SAMPLING_REASON: "string",
    Spanloom.SAMPLING_DECISION: "string",
    Spanloom.SAMPLING_BOUND: "string",
    Spanloom.REDACTION_RULE: "string",
    Spanloom.PLACE: "string",
    DSpy.MODULE: "string",
    DSpy.MODULE_PATH: "string",
    DSpy.SIGNATURE: "string",
    DSpy.DEMOS_COUNT: "int",
    DSpy.INPUTS: "any",
    DSpy.OUTPUTS: "any",
    DSpy.LM_CLASS: "string",
    DSpy.CACHE_HIT: "boolean",
    DSpy.MODULE_COMPILED: "boolean",
    DSpy.SIGNATURE_NAME: "string",
    DSpy.INSTRUCTIONS_HASH: "string",
    DSpy.ATTEMPT_INDEX: "int",
    DSpy.ATTEMPT_REWARD: "double",
    DSpy.ATTEMPT_CHOSEN: "int",
    DSpy.AGENT_ITERATIONS: "int",
    DSpy.AGENT_TERMINATION: "string",
    DSpy.LM_ENGINE: "string",
    DSpy.LM_ROLLOUT_ID: "int",
    DSpy.LM_ATTEMPT: "int",
    DSpy.LM_RETRY_AFTER_S: "double",
    DSpy.ADAPTER: "string",
    DSpy.ADAPTER_FROM: "string",
    DSpy.ADAPTER_TO: "string",
    DSpy.ADAPTER_LM_RESPONSE: "string",
    DSpy.INTERPRETER: "string",
    DSpy.PARALLEL_SIZE: "int",
    DSpy.PARALLEL_THREADS: "int",
    DSpy.PARALLEL_FAILED: "int",
    DSpy.PARALLEL_RESUBMITTED: "boolean",
    DSpy.EVALUATE_METRIC: "string",
    DSpy.EVALUATE_SIZE: "int",
    DSpy.EVALUATE_SCORE: "double",
    DSpy.EVALUATE_FAILED: "int",
    DSpy.EVALUATE_METADATA: "string",
    DSpy.EXAMPLE_INDEX: "int",
    DSpy.OPTIMIZER: "string",
    DSpy.COMPILE_CONFIG: "string",
    DSpy.COMPILE_TRAINSET_SIZE: "int",
    DSpy.COMPILE_VALSET_SIZE: "int",
    DSpy.COMPILE_SCORE: "double",
    DSpy.COMPILE_CANDIDATES: "int",
    DSpy.COMPILE_BEST: "int",
    DSpy.COMPILE_METRIC_CALLS: "int",
    DSpy.COMPILE_BUDGET: "int",
    DSpy.COMPILE_DEMOS: "int",
    DSpy.CANDIDATE_INDEX: "int",
    DSpy.CANDIDATE_SCORE: "double",
    DSpy.CANDIDATE_HASH: "string",
    DSpy.CANDIDATE_PARENTS: "int[]",
    DSpy.CANDIDATE_INSTRUCTIONS: "string",
    DSpy.CANDIDATE_EVALUATION: "string",
    DSpy.CANDIDATE_SEED: "int",
    DSpy.CANDIDATE_STRATEGY: "string",
    DSpy.COMPILE_STRATEGY: "string",
    DSpy.COMPILE_STEP_FAILED: "boolean",
    DSpy.COMPILE_TRIALS: "int",
    DSpy.COMPILE_TRIAL_SCORES: "string",
    DSpy.CANDIDATE_REASON: "string",
    DSpy.CANDIDATE_OUTCOME: "string",
    DSpy.CANDIDATE_PARAMETERS: "string",
    DSpy.ITERATION: "int",
    # Of OpenTelemetry's core conventions.
    HTTPServer.STATUS_CODE: "int",
    Caller.USER_ID: "string",
    Caller.SESSION_ID: "string",
}
# In review upstream: names of the registry's namespaces that are not in it.
IN_REVIEW = frozenset({Spanloom.COST_AMOUNT, Spanloom.COST_CURRENCY, Spanloom.COST_SOURCE})
# The conventions' text: set to true or not at all; one choice is not told.
_NEVER = {
    GenAI.REQUEST_STREAM: False,
    GenAI.CONVERSATION_COMPACTED: False,
    GenAI.REQUEST_CHOICE_COUNT: 1,
}
# No such number can be below zero, whatever a server says. (A seed may be.)
_COUNTS = (
    "gen_ai.usage.",
    "gen_ai.response.time_to_first_chunk",
    Spanloom.STREAM_CHUNKS,
    "spanloom.stream.chunk_interval",
    "spanloom.subtree.",
    Spanloom.REQUEST_ATTEMPTS,
)


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _texts(value: Any) -> bool:
    return isinstance(value, tuple) and all(isinstance(one, str) for one in value)


_CHECKS: Mapping[str, Callable[[Any], bool]] = {
    "string": lambda value: isinstance(value, str),
    "template[string]": lambda value: isinstance(value, str),
    "int": _whole,
    "double": lambda value: isinstance(value, float),
    "boolean": lambda value: isinstance(value, bool),
    "string[]": _texts,
    "int[]": lambda value: isinstance(value, tuple) and all(map(_whole, value)),
    # Whether it is JSON text (spans) or structured (events) is the content rules' business.
    "any": lambda value: True,
}


@cache
def registry() -> Mapping[str, Any]:
    """The resolved registry."""
    return json.loads((DATA / "registry.json").read_text(encoding="utf-8"))


@cache
def attribute_data() -> Mapping[str, Any]:
    """Types and values of the registry's attributes."""
    return json.loads((DATA / "attributes.json").read_text(encoding="utf-8"))


@cache
def known_attributes() -> frozenset[str]:
    """Every attribute of the registry."""
    data = registry()
    groups = ("spans", "metrics", "metrics_superseded", "events")
    found = {name for group in groups for row in data[group].values() for name in row["attributes"]}
    return frozenset(found | openai_names())


def openai_names() -> frozenset[str]:
    """What calls to OpenAI (and to what speaks its protocol) may have besides."""
    return frozenset(name for level in registry()["openai_extras"].values() for name in level)


@cache
def members() -> Mapping[str, frozenset[str]]:
    """Attribute → its values."""
    listed = {name: frozenset(values) for name, values in attribute_data()["members"].items()}
    providers = (*registry()["provider_names"], *(v for k, v in vars(OtherProvider).items() if k.isupper()))
    operations = frozenset(registry()["operation_names"])
    return {**listed, GenAI.OPERATION_NAME: operations, GenAI.PROVIDER_NAME: frozenset(providers)}


def type_of(name: str) -> str | None:
    """The type of an attribute; ``None`` for one that nobody knows."""
    types = attribute_data()["types"]
    if name.startswith(GenAI.PROMPT_VARIABLE + "."):
        name = GenAI.PROMPT_VARIABLE
    current = {old: now for now, old in OLD_ATTRIBUTES.items()}
    return types.get(name) or OWN_TYPES.get(name) or types.get(current.get(name, name))


def value_problems(attributes: Mapping[str, Any]) -> Iterator[str]:
    """Values of a wrong type, or that the conventions do not have."""
    for name, value in attributes.items():
        kind = type_of(name)
        if kind is None:
            continue
        if not _CHECKS[kind](value):
            yield f"{name} has a {type(value).__name__}, not {kind}"
        else:
            yield from _refused(name, value)


def _refused(name: str, value: Any) -> Iterator[str]:
    if name in _NEVER and value == _NEVER[name]:
        yield f"{name} is not recorded when it is {value!r}"
    if name.startswith(_COUNTS) and isinstance(value, (int, float)) and value < 0:
        yield f"{name} is {value}"
    allowed = members().get(name)
    if allowed is not None:
        unknown = sorted(set(value if isinstance(value, tuple) else (value,)) - allowed - _users(name))
        if unknown:
            yield f"{name} has unknown values {unknown}"


def _users(name: str) -> frozenset[str]:
    """Providers that the user has named himself are right by definition."""
    if name != GenAI.PROVIDER_NAME:
        return frozenset()
    rows = os.environ.get("SPANLOOM_PROVIDER_HOSTS", "").split(",")
    return frozenset(row.partition("=")[2].strip() for row in rows)
