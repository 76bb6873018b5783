"""What somebody says that a call costs. Pure."""

from __future__ import annotations

from typing import Any, Final

from spanloom.genai._fields import Fields, fields

# More for one call is a mistake.
_MOST_USD: Final = 1_000_000


def amount(value: Any) -> float | None:
    """US dollars, or ``None`` for what is no amount."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return float(value) if is_number and 0 <= value <= _MOST_USD else None


def cost_of(cost: Any, told: Fields) -> float | None:
    """The ``cost`` in a usage: OpenRouter's, and what LiteLLM's proxy writes into streams.

    Of a call with one's own key OpenRouter takes its fee only.
    """
    usd = amount(cost)
    if usd is not None and told.get("is_byok") is True:
        usd += amount(fields(told.get("cost_details")).get("upstream_inference_cost")) or 0.0
    return usd
