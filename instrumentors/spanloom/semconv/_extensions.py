"""Names that the registry does not have (yet), each with its source."""

from __future__ import annotations


class Spanloom:
    """Our own namespace, and names of conventions still in review."""

    # semantic-conventions-genai#443 (open): the cost of one inference, on inference spans only.
    COST_AMOUNT = "gen_ai.usage.cost.amount"
    COST_CURRENCY = "gen_ai.usage.cost.currency"
    COST_SOURCE = "gen_ai.usage.cost.source"
    # Ours: why a call has an amount, or none: priced, free, cached, unknown_model, unknown_usage, unknown_price.
    COST_STATUS = "spanloom.cost.status"

    # Ours: sums over the spans below, under names of their own so that summing gen_ai.* never counts twice.
    SUBTREE_INPUT_TOKENS = "spanloom.subtree.input_tokens"
    SUBTREE_OUTPUT_TOKENS = "spanloom.subtree.output_tokens"
    SUBTREE_LLM_CALLS = "spanloom.subtree.llm_calls"
    SUBTREE_CACHE_HITS = "spanloom.subtree.cache_hits"
    SUBTREE_COST = "spanloom.subtree.cost"
    SUBTREE_UNPRICED_CALLS = "spanloom.subtree.unpriced_calls"

    # Ours: how a streamed call ended when its reader did not see the end: "closed", "cancelled" or "dropped".
    STREAM_END = "spanloom.stream.end"
    STREAM_CHUNKS = "spanloom.stream.chunks"
    # Ours: the place in our code where a fault was caught (attribute of spanloom.internal.errors).
    PLACE = "spanloom.place"


class DSpy:
    """What a DSPy program tells about itself; no convention has names for it."""

    MODULE = "dspy.module"
    MODULE_PATH = "dspy.module.path"
    SIGNATURE = "dspy.signature"
    DEMOS_COUNT = "dspy.demos.count"
    INPUTS = "dspy.inputs"
    OUTPUTS = "dspy.outputs"
    LM_CLASS = "dspy.lm.class"
    CACHE_HIT = "dspy.cache.hit"
