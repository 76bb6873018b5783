"""Calls that somebody else records, in the sums of what is above them: our own spans, and the local root."""

from __future__ import annotations

from typing import Any

from spanloom.genai._roots import totals_above
from spanloom.genai._totals import Contribution


def add_call(
    span: Any,
    *,
    input_tokens: int | None,
    output_tokens: int | None,
    cost_usd: float | None,
    is_llm_call: bool = True,
) -> None:
    """Count a call that ends towards all spans above it; without a cost it is an unpriced one.

    ``span`` is the span itself, of which ``span_started`` was told. One of ours adds its own figures: it is left out.
    """
    scope = getattr(span, "instrumentation_scope", None)
    if scope is not None and scope.name.startswith("spanloom."):
        return
    totals = totals_above(span)
    if totals is not None:
        totals.add(Contribution(input_tokens, output_tokens, 0, cost_usd, cost_usd is None, llm_calls=int(is_llm_call)))
