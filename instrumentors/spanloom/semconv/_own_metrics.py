"""Instruments that the registry does not have (yet), each with its source."""

from __future__ import annotations

from spanloom.semconv._extensions import Spanloom
from spanloom.semconv._names import Error, GenAI, Server
from spanloom.semconv._spec import Level, MetricSpec

# What every metric of a model call has.
_CALL: dict[str, Level] = {
    Error.TYPE: "conditionally_required",
    GenAI.OPERATION_NAME: "required",
    GenAI.PROVIDER_NAME: "conditionally_required",
    GenAI.REQUEST_MODEL: "conditionally_required",
    GenAI.RESPONSE_MODEL: "recommended",
    Server.ADDRESS: "recommended",
    Server.PORT: "conditionally_required",
}
# One call costs between a thousandth of a cent and some dollars: half decades.
_USD = (1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3, 1.0, 3.0, 10.0)

# semantic-conventions-genai#443 (open).
OPERATION_COST = MetricSpec(
    "gen_ai.client.operation.cost",
    "{USD}",
    "histogram",
    "Cost of one operation.",
    _USD,
    {**_CALL, Spanloom.COST_CURRENCY: "required"},
)
# Sums of exact amounts: a histogram's sum depends on the order of its additions.
COST_TOTAL = MetricSpec(
    "spanloom.cost.total",
    "{USD}",
    "counter",
    "Cost of all operations, by the model that was asked for.",
    attributes={
        GenAI.PROVIDER_NAME: "conditionally_required",
        GenAI.REQUEST_MODEL: "conditionally_required",
        Spanloom.COST_CURRENCY: "required",
    },
)
# Of calls that both know: what the provider told (source "provider"), and what the table says (source "local"). Two
# sums and no histogram of differences: they add up over processes, and a dear call counts for more than a cheap one.
COST_DRIFT = MetricSpec(
    "spanloom.cost.drift",
    "{USD}",
    "counter",
    "Cost of operations whose provider told it, as told and by the price table.",
    attributes={
        GenAI.PROVIDER_NAME: "conditionally_required",
        GenAI.REQUEST_MODEL: "conditionally_required",
        Spanloom.COST_CURRENCY: "required",
        Spanloom.COST_SOURCE: "required",
    },
)
INTERNAL_ERRORS = MetricSpec(
    "spanloom.internal.errors",
    "{error}",
    "counter",
    "Faults of spanloom itself that were kept from the application.",
    attributes={Spanloom.PLACE: "required"},
)
UNPRICED_OPERATIONS = MetricSpec(
    "spanloom.cost.unpriced.operations",
    "{operation}",
    "counter",
    "Model calls whose cost nobody can know.",
    attributes={**_CALL, Spanloom.COST_STATUS: "required"},
)
_BUDGET: dict[str, Level] = {Spanloom.BUDGET_NAME: "required"}
BUDGET_SPENT = MetricSpec(
    "spanloom.budget.spent",
    "{USD}",
    "gauge",
    "What was spent of a budget in its current window, of the keys that spent the most.",
    attributes={**_BUDGET, Spanloom.BUDGET_KEY: "conditionally_required"},
)
BUDGET_LIMIT = MetricSpec("spanloom.budget.limit", "{USD}", "gauge", "The limit of a budget.", attributes=_BUDGET)
BUDGET_THRESHOLDS = MetricSpec(
    "spanloom.budget.thresholds",
    "{threshold}",
    "counter",
    "Thresholds of budgets that were reached, once in a window for each key.",
    attributes={**_BUDGET, Spanloom.BUDGET_THRESHOLD: "required"},
)
BUDGET_REFUSED = MetricSpec(
    "spanloom.budget.refused", "{call}", "counter", "Calls that a budget refused.", attributes=_BUDGET
)
BUDGET_UNPRICED = MetricSpec(
    "spanloom.budget.unpriced",
    "{call}",
    "counter",
    "Calls that fall under a budget and spent nothing of it, because nobody can know their cost.",
    attributes=_BUDGET,
)
BUDGET_KEYS_DROPPED = MetricSpec(
    "spanloom.budget.keys.dropped",
    "{key}",
    "counter",
    "Keys whose sum was forgotten before the end of its window, because there were too many.",
    attributes=_BUDGET,
)
TOOL_CALLS_DROPPED = MetricSpec(
    "spanloom.tool.calls.dropped",
    "{call}",
    "counter",
    "Tool calls of models that were forgotten before they were answered.",
    attributes={Spanloom.DROP_REASON: "required"},
)
SAMPLING_TRACES = MetricSpec(
    "spanloom.sampling.traces",
    "{trace}",
    "counter",
    "Traces that tail sampling has decided.",
    attributes={Spanloom.SAMPLING_DECISION: "required", Spanloom.SAMPLING_REASON: "conditionally_required"},
)
SAMPLING_EARLY = MetricSpec(
    "spanloom.sampling.early",
    "{trace}",
    "counter",
    "Traces that were decided before their local root had ended.",
    attributes={Spanloom.SAMPLING_BOUND: "required"},
)
REDACTIONS = MetricSpec(
    "spanloom.redactions",
    "{redaction}",
    "counter",
    "Secrets and personal data that were redacted.",
    attributes={Spanloom.REDACTION_RULE: "required"},
)
SPANS_CUT = MetricSpec(
    "spanloom.spans.cut",
    "{span}",
    "counter",
    "Spans whose attributes were cut to the limit of bytes.",
    attributes={},
)

EXTENSIONS = (
    OPERATION_COST,
    COST_TOTAL,
    COST_DRIFT,
    INTERNAL_ERRORS,
    UNPRICED_OPERATIONS,
    BUDGET_SPENT,
    BUDGET_LIMIT,
    BUDGET_THRESHOLDS,
    BUDGET_REFUSED,
    BUDGET_UNPRICED,
    BUDGET_KEYS_DROPPED,
    TOOL_CALLS_DROPPED,
    SAMPLING_TRACES,
    SAMPLING_EARLY,
    REDACTIONS,
    SPANS_CUT,
)
