"""The cost of a span that another recorder made, from what stands on it by the conventions' names. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from spanloom.cost._finisher import CURRENCY, OPERATIONS, SOURCE, judged
from spanloom.semconv import GenAI, OlderGenAI, OpenAI, Server, Spanloom


def cost_attributes(attributes: Mapping[str, Any]) -> dict[str, Any] | None:
    """What to add to a finished span: ``spanloom.cost.status``, and the amount where it is known.

    ``None`` for what is no inference (agents and workflows carry the usage of those below them) or has a cost already.
    """
    get = attributes.get
    if get(GenAI.OPERATION_NAME) not in OPERATIONS or Spanloom.COST_STATUS in attributes:
        return None
    # The provider's own amount, or somebody else's.
    if Spanloom.COST_AMOUNT in attributes:
        return None
    request_model = _text(get(GenAI.REQUEST_MODEL))
    status, usd = judged(
        _text(get(GenAI.PROVIDER_NAME)) or _text(get(OlderGenAI.SYSTEM)),
        _text(get(GenAI.RESPONSE_MODEL)) or request_model,
        request_model,
        _text(get(OpenAI.RESPONSE_SERVICE_TIER)),
        SpanUsage(get),
        _text(get(Server.ADDRESS)),
    )
    if usd is None:
        return {Spanloom.COST_STATUS: status}
    return {
        Spanloom.COST_STATUS: status,
        Spanloom.COST_AMOUNT: usd,
        Spanloom.COST_CURRENCY: CURRENCY,
        Spanloom.COST_SOURCE: SOURCE,
    }


class SpanUsage:
    """A span's token counts, as ``spanloom.genai.hooks.UsageView`` has them."""

    __slots__ = (
        "cache_read_input_tokens",
        "cache_write_input_tokens",
        "input_tokens",
        "output_tokens",
        "reasoning_output_tokens",
    )

    def __init__(self, get: Callable[[str], Any]) -> None:
        self.input_tokens: int | None = get(GenAI.USAGE_INPUT_TOKENS)
        self.output_tokens: int | None = get(GenAI.USAGE_OUTPUT_TOKENS)
        self.cache_read_input_tokens: int | None = get(GenAI.USAGE_CACHE_READ_INPUT_TOKENS)
        self.cache_write_input_tokens: int | None = get(GenAI.USAGE_CACHE_WRITE_INPUT_TOKENS)
        self.reasoning_output_tokens: int | None = get(GenAI.USAGE_REASONING_OUTPUT_TOKENS)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
