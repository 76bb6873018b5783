"""``CostFinisher``: what it writes for each kind of call, and what it records."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import HistogramDataPoint, InMemoryMetricReader, NumberDataPoint

from spanloom.cost import CostFinisher
from spanloom.cost import _finisher as finisher_module
from spanloom.semconv import GenAI, OpenAI, Spanloom
from spanloom.semconv import metrics as specs

if TYPE_CHECKING:
    from spanloom.genai.hooks import FinishedCall


@dataclass
class Usage:
    input_tokens: int | None = 1000
    output_tokens: int | None = 500
    cache_read_input_tokens: int | None = None
    cache_write_input_tokens: int | None = None
    reasoning_output_tokens: int | None = None


@dataclass
class Call:
    """A finished call as the core hands it over."""

    operation: str = "chat"
    provider: str | None = "openai"
    request_model: str | None = "gpt-4o-mini"
    response_model: str | None = "gpt-4o-mini-2024-07-18"
    server_address: str | None = None
    usage: Usage | None = field(default_factory=Usage)
    cache_hit: bool = False
    attributes: dict[str, Any] = field(default_factory=dict)
    metric_attributes: dict[str, Any] = field(default_factory=lambda: {GenAI.OPERATION_NAME: "chat"})
    costs: list[float] = field(default_factory=list)
    unpriced: int = 0

    def add_cost(self, usd: float) -> None:
        self.costs.append(usd)

    def add_unpriced(self) -> None:
        self.unpriced += 1


class Bench:
    """A finisher on a real SDK meter provider."""

    def __init__(self) -> None:
        self.reader = InMemoryMetricReader()
        self.provider = MeterProvider([self.reader])
        self.finisher = CostFinisher(self.provider)

    def finish(self, call: Call) -> Call:
        finished: FinishedCall = call
        self.finisher(finished)
        return call

    def points(self, name: str) -> list[Any]:
        data = self.reader.get_metrics_data()
        metrics = [m for r in (data.resource_metrics if data else ()) for s in r.scope_metrics for m in s.metrics]
        return [point for metric in metrics if metric.name == name for point in metric.data.data_points]


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.provider.shutdown()


COST = specs.OPERATION_COST.name
UNPRICED = "spanloom.cost.unpriced.operations"


def test_a_priced_call_has_amount_currency_source_and_status(bench: Bench) -> None:
    """The amount is on the span with its currency and source, and counts towards the spans above."""
    call = bench.finish(Call())
    assert call.attributes == {
        Spanloom.COST_AMOUNT: 0.00045,
        Spanloom.COST_CURRENCY: "USD",
        Spanloom.COST_SOURCE: "local",
        Spanloom.COST_STATUS: "priced",
    }
    assert (call.costs, call.unpriced) == ([0.00045], 0)


def test_the_histogram_has_the_call_s_attributes_and_money_buckets(bench: Bench) -> None:
    """One measurement with the call's metric attributes and the currency, in buckets made for money."""
    bench.finish(Call())
    (point,) = bench.points(COST)
    assert isinstance(point, HistogramDataPoint)
    assert point.attributes == {GenAI.OPERATION_NAME: "chat", Spanloom.COST_CURRENCY: "USD"}
    assert (point.count, point.sum) == (1, 0.00045)
    assert tuple(point.explicit_bounds) == specs.OPERATION_COST.buckets
    assert bench.points(UNPRICED) == []


def test_the_response_s_model_goes_before_the_requested_one(bench: Bench) -> None:
    """What answered is what is billed; where the table does not know it, the requested model is priced."""
    assert bench.finish(Call(response_model="gpt-4o", request_model="gpt-4o-mini")).costs == [0.0075]
    assert bench.finish(Call(response_model="deployment-7", request_model="gpt-4o-mini")).costs == [0.00045]
    assert bench.finish(Call(response_model=None, request_model="gpt-4o-mini")).costs == [0.00045]


def test_cached_and_reasoning_counts_reach_the_price(bench: Bench) -> None:
    """Cached input at its own price; reasoning lies in the output."""
    usage = Usage(1000, 500, cache_read_input_tokens=400, cache_write_input_tokens=0, reasoning_output_tokens=300)
    (usd,) = bench.finish(Call(usage=usage)).costs
    assert usd == pytest.approx((600 * 0.15 + 400 * 0.075 + 500 * 0.6) / 1e6, abs=1e-15)


def test_the_service_tier_of_the_response_is_billed(bench: Bench) -> None:
    """A flex call costs the flex price; a tier whose price is not listed has no amount."""
    plain = bench.finish(Call(response_model="gpt-5.4")).costs
    flex = bench.finish(Call(response_model="gpt-5.4", attributes={OpenAI.RESPONSE_SERVICE_TIER: "flex"})).costs
    assert flex == [pytest.approx(plain[0] / 2)]
    scale = bench.finish(Call(attributes={OpenAI.RESPONSE_SERVICE_TIER: "scale"}))
    assert (scale.costs, scale.attributes[Spanloom.COST_STATUS]) == ([], "unknown_price")


def test_the_host_says_who_bills(bench: Bench) -> None:
    """A known host's own list; a server of one's own has no price, which is no 0."""
    assert bench.finish(Call(server_address="api.openai.com")).costs == [0.00045]
    assert bench.finish(Call(server_address="acme.openai.azure.com", response_model="gpt-4o")).costs == [0.0075]
    local = bench.finish(Call(server_address="127.0.0.1"))
    assert (local.attributes, local.unpriced) == ({Spanloom.COST_STATUS: "unknown_deployment"}, 1)


def test_a_free_model_costs_zero(bench: Bench) -> None:
    """Only there the amount is 0, and it is recorded."""
    call = bench.finish(Call(provider="gcp.gemini", response_model="gemma-4-31b-it"))
    assert (call.attributes[Spanloom.COST_STATUS], call.attributes[Spanloom.COST_AMOUNT]) == ("free", 0.0)
    assert call.costs == [0.0]
    assert bench.points(COST)[0].count == 1


def test_a_cache_hit_is_not_billed(bench: Bench) -> None:
    """An answer from a cache has no amount, is no unpriced call and no measurement."""
    call = bench.finish(Call(cache_hit=True))
    assert call.attributes == {Spanloom.COST_STATUS: "cached"}
    assert (call.costs, call.unpriced) == ([], 0)
    assert bench.points(COST) == bench.points(UNPRICED) == []


@pytest.mark.parametrize("operation", ["invoke_agent", "invoke_workflow", "execute_tool", "create_agent", ""])
def test_only_inference_is_priced(bench: Bench, operation: str) -> None:
    """An agent's span carries the usage of the calls below it, which are priced themselves."""
    call = bench.finish(Call(operation=operation))
    assert (call.attributes, call.costs, call.unpriced) == ({}, [], 0)


@pytest.mark.parametrize("operation", ["chat", "text_completion", "generate_content", "embeddings"])
def test_every_kind_of_inference_is_priced(bench: Bench, operation: str) -> None:
    """All operations that are billed by their own usage have an amount."""
    assert bench.finish(Call(operation=operation)).costs == [0.00045]


@pytest.mark.parametrize(
    ("call", "status"),
    [
        (Call(provider="anthropic", request_model="claude-nonexistent-9", response_model=None), "unknown_model"),
        (Call(request_model=None, response_model=None), "unknown_model"),
        (Call(request_model="acme", response_model=None, usage=None), "unknown_model"),
        (Call(usage=None), "unknown_usage"),
        (Call(usage=Usage(output_tokens=None)), "unknown_usage"),
        (Call(usage=Usage(input_tokens=None)), "unknown_usage"),
        (Call(usage=Usage(cache_read_input_tokens=1001)), "unknown_usage"),
        (Call(usage=Usage(reasoning_output_tokens=501)), "unknown_usage"),
        (Call(usage=Usage(input_tokens=-5)), "unknown_usage"),
        (Call(provider="github_copilot", response_model="gpt-4o"), "unknown_price"),
        (Call(provider="azure.ai.openai", request_model="prod-7", response_model=None), "unknown_deployment"),
        (
            Call(provider="azure.ai.openai", request_model="prod-7", response_model=None, usage=None),
            "unknown_deployment",
        ),
        (Call(response_model="gpt-audio"), "unknown_usage"),
        (Call(provider="gcp.gemini", response_model="gemini-2.5-flash-image"), "unknown_usage"),
        (Call(provider="mistral_ai", response_model="voxtral-small-24b-2507"), "unknown_usage"),
    ],
)
def test_what_nobody_can_know_has_no_amount(bench: Bench, call: Call, status: str) -> None:
    """No amount, a status, one unpriced call above and one in the counter with its reason."""
    bench.finish(call)
    assert call.attributes == {Spanloom.COST_STATUS: status}
    assert (call.costs, call.unpriced) == ([], 1)
    (point,) = bench.points(UNPRICED)
    assert isinstance(point, NumberDataPoint)
    assert point.value == 1
    assert point.attributes == {GenAI.OPERATION_NAME: "chat", Spanloom.COST_STATUS: status}
    assert bench.points(COST) == []


def test_an_unknown_model_is_named_once(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    """One line for each distinct model and provider, however often it is called; none for missing usage."""
    with caplog.at_level(logging.INFO, logger="spanloom"):
        for model in ("acme-1", "acme-1", "acme-2", "acme-1"):
            bench.finish(Call(response_model=None, request_model=model))
        bench.finish(Call(usage=None))
    assert [record.getMessage() for record in caplog.records] == [
        f"no price for model {model!r} of provider 'openai': its calls have no cost "
        "(spanloom.cost.status=unknown_model)"
        for model in ("acme-1", "acme-2")
    ]


def test_the_set_of_named_models_is_bounded(
    bench: Bench, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A service with ever new names does not fill log and memory."""
    monkeypatch.setattr(finisher_module, "MAX_NAMED_MODELS", 3)
    with caplog.at_level(logging.INFO, logger="spanloom"):
        for number in range(10):
            bench.finish(Call(response_model=None, request_model=f"acme-{number}"))
    assert len(caplog.records) == 3


def test_the_sum_of_the_histogram_is_the_sum_of_the_spans(bench: Bench) -> None:
    """Over a mix of calls the metric's sum equals what the spans say, and unpriced calls are counted beside it."""
    calls = [bench.finish(Call(usage=Usage(n, 2 * n) if n % 3 else None)) for n in range(1, 60)]
    (point,) = bench.points(COST)
    amounts = [call.attributes[Spanloom.COST_AMOUNT] for call in calls if call.costs]
    assert point.count == len(amounts) == 40
    assert point.sum == pytest.approx(sum(amounts), abs=1e-12)
    assert bench.points(UNPRICED)[0].value == 19


def test_the_version_is_unknown_in_a_tree_that_was_never_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without installation metadata the scope's version says so instead of failing."""

    def missing(name: str) -> str:
        raise finisher_module.PackageNotFoundError(name)

    monkeypatch.setattr(finisher_module, "version", missing)
    assert finisher_module._own_version() == "0+unknown"
