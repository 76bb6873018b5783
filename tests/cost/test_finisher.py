"""``CostFinisher``: what it writes for each kind of call, and what it records."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from opentelemetry.metrics import CallbackOptions
from opentelemetry.sdk.metrics.export import HistogramDataPoint, NumberDataPoint

from spanloom.cost import Budget, CostFinisher, MemoryStore, _budgets, _calls, _meters
from spanloom.cost._ledger import Ledger
from spanloom.cost._version import price_version
from spanloom.semconv import GenAI, OpenAI, Spanloom
from spanloom.semconv import metrics as specs
from tests.cost._support import Call, Meter, Usage

if TYPE_CHECKING:
    from spanloom.genai.hooks import FinishedCall


class Bench(Meter):
    """A finisher on a real SDK meter provider."""

    def __init__(self) -> None:
        super().__init__()
        self.finisher = CostFinisher(self.provider)

    def finish(self, call: Call) -> Call:
        finished: FinishedCall = call
        self.finisher(finished)
        return call


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.provider.shutdown()


COST = specs.OPERATION_COST.name
UNPRICED = "spanloom.cost.unpriced.operations"
PARTS = {
    f"spanloom.cost.{part}" for part in ("input", "output", "cache_read", "cache_write", "reasoning", "audio", "other")
}


def test_a_priced_call_has_amount_currency_source_and_status(bench: Bench) -> None:
    """The amount is on the span with its currency and source, and counts towards the spans above."""
    call = bench.finish(Call())
    assert call.attributes == {
        Spanloom.COST_AMOUNT: 0.00045,
        Spanloom.COST_CURRENCY: "USD",
        Spanloom.COST_SOURCE: "local",
        Spanloom.COST_STATUS: "priced",
        Spanloom.COST_PRICE_VERSION: price_version(),
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


def test_a_model_without_a_cost_is_named_once_for_each_reason(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    """However often it is called. Warnings are what can be mended; a failed call and a server of one's own are none."""
    with caplog.at_level(logging.INFO, logger="spanloom"):
        for model in ("acme-1", "acme-1", "acme-2", "acme-1"):
            bench.finish(Call(response_model=None, request_model=model))
        for _ in range(2):
            bench.finish(Call(usage=None))
            bench.finish(Call(server_address="localhost"))
            bench.finish(Call(attributes={OpenAI.RESPONSE_SERVICE_TIER: "flex"}))
    assert [(one.levelname, one.getMessage()) for one in caplog.records] == [
        *(
            (
                "WARNING",
                f"no cost for model {model!r} of provider 'openai': it is not in the price table, nor in prices "
                "of your own (unknown_model)",
            )
            for model in ("acme-1", "acme-2")
        ),
        (
            "INFO",
            "no cost for model 'gpt-4o-mini-2024-07-18' of provider 'openai': its usage is missing or impossible, "
            "or does not tell enough (unknown_usage)",
        ),
        (
            "INFO",
            "no cost for model 'gpt-4o-mini-2024-07-18' of provider 'openai': nobody knows what is behind this host "
            "or name; SPANLOOM_PRICES can say it (unknown_deployment)",
        ),
        (
            "WARNING",
            "no cost for model 'gpt-4o-mini-2024-07-18' of provider 'openai': the price table has none for such a "
            "call (unknown_price)",
        ),
    ]


def test_the_lines_about_models_are_bounded(
    bench: Bench, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A service with ever new names does not fill log and memory."""
    monkeypatch.setattr(_meters, "MAX_LINES", 3)
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


def test_what_the_provider_reports_wins(bench: Bench) -> None:
    """Its amount is on the span, in the sums above and in the metric; ours stands beside it as drift."""
    call = bench.finish(
        Call(
            reported_cost_usd=0.0005, metric_attributes={"gen_ai.provider.name": "openai", "gen_ai.request.model": "m"}
        )
    )
    assert call.attributes == {
        Spanloom.COST_AMOUNT: 0.0005,
        Spanloom.COST_CURRENCY: "USD",
        Spanloom.COST_SOURCE: "provider",
        Spanloom.COST_STATUS: "provider",
    }
    assert call.costs == [0.0005]
    assert bench.points(COST)[0].sum == 0.0005
    drift = {p.attributes["gen_ai.usage.cost.source"]: p.value for p in bench.points("spanloom.cost.drift")}
    assert drift == {"provider": 0.0005, "local": 0.00045}


def test_a_price_that_only_the_provider_knows(bench: Bench) -> None:
    """A model that the table does not have, or counts that are missing, are no obstacle; there is no drift then."""
    for call in (Call(response_model=None, request_model="acme", reported_cost_usd=0.25), Call(usage=None)):
        call.reported_cost_usd = 0.25
        assert bench.finish(call).attributes[Spanloom.COST_STATUS] == "provider"
    assert bench.points(UNPRICED) == bench.points("spanloom.cost.drift") == []


def test_a_reported_zero_is_believed_of_openrouter_only(bench: Bench) -> None:
    """LiteLLM's proxy says 0 of models that it has no price for."""
    free = bench.finish(
        Call(provider="openrouter", request_model="acme:free", response_model=None, reported_cost_usd=0)
    )
    assert (free.attributes[Spanloom.COST_STATUS], free.costs) == ("provider", [0])
    assert bench.finish(Call(reported_cost_usd=0.0)).attributes[Spanloom.COST_STATUS] == "priced"
    unknown = bench.finish(Call(request_model="acme", response_model=None, reported_cost_usd=0.0))
    assert unknown.attributes == {Spanloom.COST_STATUS: "unknown_model"}


@pytest.mark.parametrize(
    "usage",
    [
        Usage(),
        Usage(1000, 500, 400, 0, 300),
        Usage(1000, 500, 1000, None, 500),
        Usage(0, 500),
        Usage(300_000, 7, 1, 2, 3),
    ],
)
@pytest.mark.parametrize("model", ["gpt-4o-mini", "claude-sonnet-4-5", "gemini-2.5-pro", "perplexity/sonar"])
def test_the_parts_of_an_amount(usage: Usage, model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where they are asked for: their sum is the amount, also above a step of the price and with reasoning."""
    monkeypatch.setenv("SPANLOOM_COST_DETAILS", "true")
    bench = Bench()
    call = bench.finish(Call(provider=None, request_model=model, response_model=None, usage=usage))
    parts = {name: value for name, value in call.attributes.items() if name in PARTS}
    assert sum(parts.values()) == pytest.approx(call.costs[0], abs=1e-15)
    assert (Spanloom.COST_REASONING in parts) == bool(usage.reasoning_output_tokens)
    assert (Spanloom.COST_CACHE_READ in parts) == bool(usage.cache_read_input_tokens)
    assert all(value >= 0 for value in parts.values())
    bench.provider.shutdown()


def test_the_parts_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """Input is what was not cached, output what was not reasoning; no parts of what a provider reports."""
    monkeypatch.setenv("SPANLOOM_COST_DETAILS", "true")
    bench = Bench()
    call = bench.finish(Call(usage=Usage(1000, 500, 400, None, 300)))
    assert {name: round(value * 1e6, 6) for name, value in call.attributes.items() if name in PARTS} == {
        Spanloom.COST_INPUT: 90.0,
        Spanloom.COST_CACHE_READ: 30.0,
        Spanloom.COST_OUTPUT: 120.0,
        Spanloom.COST_REASONING: 180.0,
    }
    assert not PARTS & bench.finish(Call(reported_cost_usd=0.5)).attributes.keys()
    bench.provider.shutdown()


def test_copies_for_other_backends(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """Under their names, where they are asked for; a name that nobody knows is one line in the log."""
    monkeypatch.setenv("SPANLOOM_COST_COMPAT", "logfire, OpenInference, acme")
    bench = Bench()
    call = bench.finish(Call())
    assert (call.attributes["operation.cost"], call.attributes["llm.cost.total"]) == (0.00045, 0.00045)
    assert "'acme' is not one of logfire, openinference" in caplog.text
    assert "operation.cost" not in bench.finish(Call(usage=None)).attributes
    bench.provider.shutdown()


def test_totals_by_model_are_exact(bench: Bench) -> None:
    """The sum of all amounts, whatever their order; models beyond the bound are added up in one."""
    calls = [
        bench.finish(Call(usage=Usage(n, 2 * n), metric_attributes={"gen_ai.request.model": f"m{n % 2}"}))
        for n in range(1, 1200)
    ]
    totals = {p.attributes["gen_ai.request.model"]: p.value for p in bench.points("spanloom.cost.total")}
    assert totals == {f"m{k}": math.fsum(c.costs[0] for c in calls[(k + 1) % 2 :: 2]) for k in (0, 1)}
    for n in range(2001):
        bench.finish(Call(metric_attributes={"gen_ai.request.model": f"x{n}"}))
    points = bench.points("spanloom.cost.total")
    assert len(points) == 2001
    assert [p.value for p in points if "otel.metric.overflow" in p.attributes] == [pytest.approx(3 * 0.00045)]


def test_the_sums_of_a_meter_are_kept_and_a_fork_begins_anew() -> None:
    """Two finishers on one meter count together; a child does not report its parent's money again."""
    bench = Bench()
    bench.finish(Call())
    CostFinisher(bench.provider)(Call())
    assert [p.value for p in bench.points("spanloom.cost.total")] == [0.0009]
    _meters._after_fork()
    assert bench.points("spanloom.cost.total") == []
    sums = _meters.Sums()
    sums._settling = True
    sums.add((), 1.0)
    assert sums.observe(CallbackOptions()) == []
    bench.provider.shutdown()


def test_budgets_learn_what_a_call_cost(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The amount, or that nobody knows it; with who it was for, as the call began."""
    ledger = Ledger(bench.provider)
    ledger.add(Budget("users", 0.001, "month", ["user", "model"]), MemoryStore())
    monkeypatch.setattr(_budgets, "ledger", ledger)
    call = bench.finish(Call(carried={"user.id": "ada"}))
    bench.finish(Call(carried={"user.id": "ada"}, usage=None))
    bench.finish(Call(carried={"user.id": "ada"}, cache_hit=True))
    assert bench.values("spanloom.budget.spent") == {("ada,gpt-4o-mini", "users"): 0.00045}
    assert bench.values("spanloom.budget.unpriced") == {("users",): 1}
    assert call.events == []
    assert [name for name, _ in bench.finish(Call(carried={"user.id": "ada"})).events] == [
        "spanloom.budget.threshold_reached",
        "spanloom.budget.threshold_reached",
    ]


def test_the_version_is_unknown_in_a_tree_that_was_never_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without installation metadata the scope's version says so instead of failing."""

    def missing(name: str) -> str:
        raise _calls.PackageNotFoundError(name)

    monkeypatch.setattr(_calls, "version", missing)
    assert _calls.own_version() == "0+unknown"
