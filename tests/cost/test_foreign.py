"""``cost_attributes()``: the cost of a span that another recorder made."""

from __future__ import annotations

from typing import Any

import pytest

from spanloom.cost import cost_attributes
from spanloom.cost._version import price_version
from spanloom.semconv import ForeignCall, GenAI, OlderGenAI, Server, Spanloom

SPAN = {
    GenAI.OPERATION_NAME: "chat",
    GenAI.PROVIDER_NAME: "openai",
    GenAI.REQUEST_MODEL: "gpt-4o-mini",
    GenAI.USAGE_INPUT_TOKENS: 1000,
    GenAI.USAGE_OUTPUT_TOKENS: 500,
}
PRICED = {
    Spanloom.COST_STATUS: "priced",
    Spanloom.COST_AMOUNT: 0.00045,
    Spanloom.COST_CURRENCY: "USD",
    Spanloom.COST_SOURCE: "local",
    Spanloom.COST_PRICE_VERSION: price_version(),
}


@pytest.mark.parametrize(
    ("attributes", "added"),
    [
        ({}, PRICED),
        ({GenAI.PROVIDER_NAME: "", OlderGenAI.SYSTEM: "openai"}, PRICED),
        ({GenAI.RESPONSE_MODEL: "gpt-4o-mini-2024-07-18", Server.ADDRESS: "api.openai.com"}, PRICED),
        ({Server.ADDRESS: "vllm.models.svc"}, {Spanloom.COST_STATUS: "unknown_deployment"}),
        ({GenAI.REQUEST_MODEL: 7}, {Spanloom.COST_STATUS: "unknown_model"}),
        ({GenAI.USAGE_OUTPUT_TOKENS: None}, {Spanloom.COST_STATUS: "unknown_usage"}),
        ({GenAI.OPERATION_NAME: "invoke_agent"}, None),
        ({GenAI.OPERATION_NAME: ["chat"]}, None),
        ({GenAI.OPERATION_NAME: None, ForeignCall.SPAN_KIND: {"kind": "LLM"}}, None),
        ({GenAI.OPERATION_NAME: None, ForeignCall.REQUEST_TYPE: ["chat"]}, None),
        ({Spanloom.COST_STATUS: "cached"}, None),
        ({Spanloom.COST_AMOUNT: 0.1}, None),
    ],
)
def test_what_is_added(attributes: dict[str, Any], added: dict[str, Any] | None) -> None:
    """The status, with the amount where it is known; nothing where a cost stands already, or none belongs."""
    assert cost_attributes({**SPAN, **attributes}) == added
