"""Writes the cost of each finished model call onto its span and into the metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spanloom.cost import _budgets
from spanloom.cost._calls import OPERATIONS
from spanloom.cost._judged import Writer, judged
from spanloom.cost._ledger import described
from spanloom.cost._meters import Meters
from spanloom.semconv import OpenAI, Spanloom

if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider

    from spanloom.genai.hooks import FinishedCall

CACHED = "cached"


class CostFinisher:
    """Called with each finished model call before its span ends (``spanloom.genai.hooks.add_finisher``).

    Only inference is priced; an answer from a cache costs nothing and is not priced at all. What the provider reports
    goes before the table. A call whose cost is not known gets ``spanloom.cost.status`` and no amount, and counts as
    unpriced. Input without a count by modality is taken as text; output is not, where the model may answer with sound
    or pictures at another price.
    """

    def __init__(self, meter_provider: MeterProvider | None = None) -> None:
        """``meter_provider``: where the metrics go; default is the global one."""
        self._meters = Meters(meter_provider)
        self._writer = Writer()

    def __call__(self, call: FinishedCall) -> None:
        """Price one call."""
        if call.operation not in OPERATIONS:
            return
        if call.cache_hit:
            call.attributes[Spanloom.COST_STATUS] = CACHED
            return
        attributes = call.attributes
        # What was asked for, where nobody tells what it became.
        tier = attributes.get(OpenAI.RESPONSE_SERVICE_TIER) or attributes.get(OpenAI.REQUEST_SERVICE_TIER)
        model = call.response_model or call.request_model
        verdict = judged(
            call.provider, model, call.request_model, tier, call.usage, call.server_address, call.reported_cost_usd
        )
        self._writer.write(verdict, call.attributes)
        if verdict.usd is None:
            call.add_unpriced()
        else:
            call.add_cost(verdict.usd)
        self._meters.record(verdict, call.metric_attributes, call.provider, model)
        ledger = _budgets.ledger
        if ledger is not None:
            ledger.count(described(call), verdict.usd, call.add_event)
