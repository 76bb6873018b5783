"""Writes the cost of each finished model call onto its span and into the metrics."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from opentelemetry import metrics

from spanloom.cost import _budgets
from spanloom.cost._calls import OPERATIONS, own_version
from spanloom.cost._ledger import described
from spanloom.cost._price import Status, counts_of, judge, schedule_of
from spanloom.cost._rate import SCALE
from spanloom.semconv import SCHEMA_URL, OpenAI, Spanloom
from spanloom.semconv import metrics as specs

if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider

    from spanloom.cost._rate import Schedule
    from spanloom.genai.hooks import FinishedCall, UsageView

_log = logging.getLogger("spanloom")

CURRENCY = "USD"
SOURCE = "local"
CACHED = "cached"
# How many models without a price are named in the log; a service with unbounded names must not fill it.
MAX_NAMED_MODELS = 1000


class CostFinisher:
    """Called with each finished model call before its span ends (``spanloom.genai.hooks.add_finisher``).

    Only inference is priced; an answer from a cache costs nothing and is not priced at all. A call whose cost is not
    known gets ``spanloom.cost.status`` and no amount, and counts as unpriced. Input without a count by modality is
    taken as text; output is not, where the model may answer with sound or pictures at another price.
    """

    def __init__(self, meter_provider: MeterProvider | None = None) -> None:
        """``meter_provider``: where the cost histogram and the counter go; default is the global one."""
        meter = metrics.get_meter("spanloom.cost", own_version(), meter_provider, SCHEMA_URL)
        self._cost = meter.create_histogram(
            specs.OPERATION_COST.name,
            specs.OPERATION_COST.unit,
            specs.OPERATION_COST.description,
            explicit_bucket_boundaries_advisory=specs.OPERATION_COST.buckets,
        )
        self._unpriced = meter.create_counter(
            specs.UNPRICED_OPERATIONS.name, specs.UNPRICED_OPERATIONS.unit, specs.UNPRICED_OPERATIONS.description
        )
        self._named: set[tuple[str | None, str | None]] = set()

    def __call__(self, call: FinishedCall) -> None:
        """Price one call."""
        if call.operation not in OPERATIONS:
            return
        if call.cache_hit:
            call.attributes[Spanloom.COST_STATUS] = CACHED
            return
        status, usd = self._judge(call)
        call.attributes[Spanloom.COST_STATUS] = status
        if usd is None:
            self._leave_unpriced(call, status)
        else:
            self._write(call, usd)

    def _judge(self, call: FinishedCall) -> tuple[Status, float | None]:
        tier = call.attributes.get(OpenAI.RESPONSE_SERVICE_TIER)
        model = call.response_model or call.request_model
        return judged(call.provider, model, call.request_model, tier, call.usage)

    def _write(self, call: FinishedCall, usd: float) -> None:
        attributes = call.attributes
        attributes[Spanloom.COST_AMOUNT] = usd
        attributes[Spanloom.COST_CURRENCY] = CURRENCY
        attributes[Spanloom.COST_SOURCE] = SOURCE
        call.add_cost(usd)
        self._cost.record(usd, {**call.metric_attributes, Spanloom.COST_CURRENCY: CURRENCY})
        if _budgets.ledger is not None:
            _budgets.ledger.spend(described(call), usd, call.add_event)

    def _leave_unpriced(self, call: FinishedCall, status: Status) -> None:
        call.add_unpriced()
        self._unpriced.add(1, {**call.metric_attributes, Spanloom.COST_STATUS: status})
        if status == "unknown_model":
            self._name_once(call.provider, call.response_model or call.request_model)
        if _budgets.ledger is not None:
            _budgets.ledger.leave_unpriced(described(call))

    def _name_once(self, provider: str | None, model: str | None) -> None:
        key = (provider, model)
        if key in self._named or len(self._named) >= MAX_NAMED_MODELS:
            return
        self._named.add(key)
        _log.warning(
            "no price for model %r of provider %r: its calls have no cost (spanloom.cost.status=unknown_model)",
            model,
            provider,
        )


def judged(
    provider: str | None, model: str | None, other_model: str | None, tier: str | None, usage: UsageView | None
) -> tuple[Status, float | None]:
    """The status of a call, and its cost (USD) where that is known. ``other_model`` is asked where ``model`` is not."""
    schedule: Schedule | None = schedule_of(provider, model, other_model, tier)
    if usage is None:
        return ("unknown_model" if schedule is None else "unknown_usage"), None
    tokens_in, tokens_out = usage.input_tokens, usage.output_tokens
    counts = counts_of(
        tokens_in,
        tokens_out,
        usage.cache_read_input_tokens,
        usage.cache_write_input_tokens,
        usage.reasoning_output_tokens,
    )
    status, amount, rate = judge(schedule, counts, tokens_in, tokens_out, None)
    if amount is None:
        return status, None
    if rate is not None and rate.beyond_text:
        return "unknown_usage", None
    return status, amount / SCALE
