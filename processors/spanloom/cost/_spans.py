"""The cost of a span that another recorder made, from what stands on it by the conventions' names. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from spanloom.cost._finisher import CURRENCY, OPERATIONS, SOURCE, judged
from spanloom.semconv import GenAI, OlderGenAI, OpenAI, Spanloom

# Whoever wrote one of these has judged already.
_JUDGED: Final = (Spanloom.COST_STATUS, Spanloom.COST_AMOUNT)


def cost_attributes(attributes: Mapping[str, Any]) -> dict[str, Any] | None:
    """What to add to a finished span: ``spanloom.cost.status``, and the amount where it is known.

    ``None`` for what is no inference (agents and workflows carry the usage of those below them) or has a cost already.
    """
    if attributes.get(GenAI.OPERATION_NAME) not in OPERATIONS or any(name in attributes for name in _JUDGED):
        return None
    response_model, request_model = attributes.get(GenAI.RESPONSE_MODEL), attributes.get(GenAI.REQUEST_MODEL)
    status, usd = judged(
        _text(attributes.get(GenAI.PROVIDER_NAME) or attributes.get(OlderGenAI.SYSTEM)),
        _text(response_model or request_model),
        _text(request_model),
        _text(attributes.get(OpenAI.RESPONSE_SERVICE_TIER)),
        SpanUsage(attributes),
    )
    added: dict[str, Any] = {Spanloom.COST_STATUS: status}
    if usd is not None:
        added[Spanloom.COST_AMOUNT] = usd
        added[Spanloom.COST_CURRENCY] = CURRENCY
        added[Spanloom.COST_SOURCE] = SOURCE
    return added


class SpanUsage:
    """A span's token counts, as ``spanloom.genai.hooks.UsageView`` has them."""

    def __init__(self, attributes: Mapping[str, Any]) -> None:
        self.input_tokens: int | None = attributes.get(GenAI.USAGE_INPUT_TOKENS)
        self.output_tokens: int | None = attributes.get(GenAI.USAGE_OUTPUT_TOKENS)
        self.cache_read_input_tokens: int | None = attributes.get(GenAI.USAGE_CACHE_READ_INPUT_TOKENS)
        self.cache_write_input_tokens: int | None = attributes.get(GenAI.USAGE_CACHE_WRITE_INPUT_TOKENS)
        self.reasoning_output_tokens: int | None = attributes.get(GenAI.USAGE_REASONING_OUTPUT_TOKENS)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
