"""Writes the cost of each finished model call onto its span and into the metrics."""

from __future__ import annotations

import logging
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from opentelemetry import metrics

from spanloom.cost._price import Status, counts_of, judge, schedule_of, status_without_rate
from spanloom.cost._rate import SCALE
from spanloom.semconv import SCHEMA_URL, OpenAI, Operation, Spanloom
from spanloom.semconv import metrics as specs

if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider

    from spanloom.cost._rate import Schedule
    from spanloom.genai.hooks import FinishedCall, UsageView

_log = logging.getLogger("spanloom")

# Operations that are billed by their own usage. Agents and workflows only carry the sum of what is below them.
OPERATIONS = frozenset({Operation.CHAT, Operation.TEXT_COMPLETION, Operation.GENERATE_CONTENT, Operation.EMBEDDINGS})
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
        meter = metrics.get_meter("spanloom.cost", _own_version(), meter_provider, SCHEMA_URL)
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
        return judged(call.provider, model, call.request_model, tier, call.usage, call.server_address)

    def _write(self, call: FinishedCall, usd: float) -> None:
        attributes = call.attributes
        attributes[Spanloom.COST_AMOUNT] = usd
        attributes[Spanloom.COST_CURRENCY] = CURRENCY
        attributes[Spanloom.COST_SOURCE] = SOURCE
        call.add_cost(usd)
        self._cost.record(usd, {**call.metric_attributes, Spanloom.COST_CURRENCY: CURRENCY})

    def _leave_unpriced(self, call: FinishedCall, status: Status) -> None:
        call.add_unpriced()
        self._unpriced.add(1, {**call.metric_attributes, Spanloom.COST_STATUS: status})
        if status == "unknown_model":
            self._name_once(call.provider, call.response_model or call.request_model)

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
    provider: str | None,
    model: str | None,
    other_model: str | None,
    tier: str | None,
    usage: UsageView | None,
    server_address: str | None = None,
) -> tuple[Status, float | None]:
    """The status of a call, and its cost (USD) where that is known. ``other_model`` is asked where ``model`` is not."""
    schedule: Schedule | None = schedule_of(provider, model, other_model, tier, server_address)
    if usage is None:
        return status_without_rate(schedule, None), None
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


def _own_version() -> str:
    try:
        return version("spanloom")
    except PackageNotFoundError:  # run from a source tree that was never installed
        return "0+unknown"
