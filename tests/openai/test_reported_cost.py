"""What a provider says that a call costs: OpenRouter in the usage, LiteLLM's proxy in a header."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

from spanloom.cost import CostFinisher
from spanloom.genai.hooks import add_finisher
from spanloom.openai import OpenAIInstrumentor
from spanloom.openai._headers import _values
from spanloom.openai._usage import usage_of
from tests._support.spans import Recorder
from tests.openai import _canned
from tests.openai._asking import asking

USAGE = {"prompt_tokens": 1000, "completion_tokens": 500, "total_tokens": 1500}


@pytest.fixture
def costs(recorder, plugin):
    """The finisher of the cost room."""
    return add_finisher(CostFinisher(recorder.meter_provider))


def ask(usage: dict[str, Any], headers: dict[str, str] | None = None, stream: bool = False) -> None:
    """One chat over OpenRouter's protocol; its answer has this usage."""
    body = {**_canned.chat(), "usage": usage}
    chunk = {**body, "object": "chat.completion.chunk", "choices": []}
    wire = _canned.Wire(_canned.sse(chunk) if stream else body, headers=headers)
    with _canned.client(wire, url="https://openrouter.ai/api/v1") as client:
        made = client.chat.completions.create(**asking("Hi", stream=stream))
        if stream:
            list(made)


@pytest.mark.parametrize("stream", [False, True])
def test_openrouter_tells_it_in_the_usage(stream, costs, recorder):
    """Also of a stream, in its last chunk; the span has its amount and source, the metric its sum."""
    ask({**USAGE, "cost": 0.0125}, stream=stream)
    attributes = recorder.span.attributes
    assert attributes["gen_ai.usage.cost.amount"] == 0.0125
    assert attributes["gen_ai.usage.cost.source"] == attributes["spanloom.cost.status"] == "provider"
    assert recorder.total("spanloom.cost.total") == 0.0125


def test_with_one_s_own_key_the_model_s_price_is_added(costs, recorder):
    """OpenRouter's `cost` is its fee alone then."""
    ask({**USAGE, "cost": 0.5, "is_byok": True, "cost_details": {"upstream_inference_cost": 10.0}})
    assert recorder.span.attributes["gen_ai.usage.cost.amount"] == 10.5
    assert usage_of({**USAGE, "cost": 0.5, "is_byok": True}).reported_cost_usd == 0.5
    assert usage_of({**USAGE, "cost": 0.5, "cost_details": {"upstream_inference_cost": 0.5}}).reported_cost_usd == 0.5


@pytest.mark.parametrize("cost", [None, "0.5", True, -1, float("nan"), float("inf"), 1e9, {"total_cost": 1}])
def test_what_is_no_amount_is_not_told(cost):
    """Text, objects and impossible numbers."""
    assert usage_of({**USAGE, "cost": cost}).reported_cost_usd is None


def test_the_proxy_of_litellm_tells_it_in_a_header(costs, recorder):
    """Where the usage has none; what stands in the usage is nearer."""
    ask(USAGE, {"x-litellm-response-cost": "0.00025"})
    assert recorder.span.attributes["gen_ai.usage.cost.amount"] == 0.00025
    recorder.clear()
    ask({**USAGE, "cost": 0.5}, {"X-LiteLLM-Response-Cost": "0.00025"})
    assert recorder.span.attributes["gen_ai.usage.cost.amount"] == 0.5


@pytest.mark.parametrize("value", ["", "None", "0.0", "nan", "-1"])
def test_a_header_that_tells_nothing(value, costs, recorder):
    """Of a model without a price the proxy says 0: then the table is asked."""
    ask(USAGE, {"x-litellm-response-cost": value})
    assert recorder.span.attributes.get("gen_ai.usage.cost.source") != "provider"


def test_it_counts_where_no_span_is_kept():
    """Money does not depend on sampling."""
    recorder, plugin = Recorder(ALWAYS_OFF), OpenAIInstrumentor()
    plugin.instrument(**recorder.providers)
    remove = add_finisher(CostFinisher(recorder.meter_provider))
    try:
        ask(USAGE, {"x-litellm-response-cost": "0.00025"})
    finally:
        remove()
        plugin.uninstrument()
    assert recorder.spans == []
    assert recorder.total("spanloom.cost.total") == 0.00025
    recorder.close()


def test_headers_of_another_client():
    """Those that keep their list elsewhere are read by their public names."""
    headers = SimpleNamespace(raw=[(b"X-LiteLLM-Response-Cost", b"1"), (b"a", b"2")])
    assert _values(headers, b"x-litellm-response-cost") == [b"1"]
