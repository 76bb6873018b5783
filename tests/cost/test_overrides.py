"""Prices of one's own: what a rule may say, and what it makes of a call's price."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from spanloom.cost import load_overrides, price
from tests.cost._own_prices import NIGHT, NOON, SOURCE, cost, fresh

__all__ = ["fresh"]


def with_rules(*rules: dict[str, Any]) -> None:
    assert load_overrides(rules) == len(rules)


def test_a_price_for_a_model_that_nobody_lists() -> None:
    """Dollars per million tokens, as in the table; what has no price of its own is part of the whole."""
    with_rules({"name": "acme", "match": {"model": "acme-*"}, "price": {"input": 2, "output": 6, "cache_read": 0.5}})
    assert cost() == (pytest.approx(0.005), "priced", "acme")
    assert cost(cache_read_tokens=400) == (pytest.approx((600 * 2 + 400 * 0.5 + 500 * 6) / 1e6), "priced", "acme")
    assert price("acme-7b", input_tokens=1, output_tokens=1).source == "overrides:1"
    assert cost("other")[1] == "unknown_model"
    assert cost("gpt-4o") == (0.0075, "priced", "openai/gpt-4o")


def test_steps_by_input_tokens() -> None:
    """A mapping of edges: above the edge all tokens cost the higher price."""
    with_rules({"match": {"model": "acme-*"}, "price": {"input": {0: 1, 1000: 2}, "output": 3}})
    assert cost(output_tokens=0)[0] == pytest.approx(0.001)
    assert cost(input_tokens=1001, output_tokens=0)[0] == pytest.approx(0.002002)


def test_the_first_rule_that_fits_wins() -> None:
    """Rules are asked in their order; each needs all of its fields."""
    with_rules(
        {"name": "one", "match": {"model": "acme-*", "service_tier": "priority"}, "price": {"input": 9, "output": 9}},
        {"name": "two", "match": {"model": ["x", "ACME-*"]}, "price": {"input": 1, "output": 1}},
        {"name": "three", "match": {"model": "*"}, "free": True},
    )
    assert cost(service_tier="priority")[2] == "one"
    assert cost(service_tier="default")[2] == cost()[2] == "two"
    assert cost("gpt-4o") == (0.0, "free", "three")


@pytest.mark.parametrize(
    ("match", "fits"),
    [
        ({"provider": "azure"}, True),
        ({"provider": "azure.ai.*"}, True),
        ({"provider": "openai"}, False),
        ({"model": "prod-?"}, True),
        ({"model": "rod-7"}, False),
        ({"model_regex": r"^PROD-\d$"}, True),
        ({"model_regex": "rod"}, True),
        ({"model_regex": r"^\d"}, False),
        ({"server_address": "*.azure.com"}, True),
        ({"server_address": ["a", "acme.openai.azure.com"]}, True),
        ({"server_address": "azure.com"}, False),
        ({"service_tier": "standard"}, True),
        ({"service_tier": "flex"}, False),
        ({"provider": "azure", "model": "prod-7", "server_address": "acme*", "service_tier": "standard"}, True),
    ],
)
def test_what_a_rule_matches(match: dict[str, Any], fits: bool) -> None:
    """Globs over provider (OpenTelemetry's name or the table's), model, host and tier; a regular expression as well."""
    with_rules({"match": match, "price": {"input": 1, "output": 1}})
    got = cost("prod-7", provider="azure.ai.openai", server_address="https://acme.openai.azure.com:443/x")
    assert (got[1] == "priced") == fits


def test_an_alias_has_the_prices_of_a_listed_model() -> None:
    """A deployment's name stands for a model, tiers and all; with a discount and a fee on top."""
    with_rules(
        {"name": "prod", "match": {"model": "prod-*"}, "alias": "azure/gpt-4o"},
        {"name": "sold", "match": {"model": "sold"}, "alias": "openai/gpt-5.4", "discount": 0.2, "per_request": 0.01},
    )
    got = price("prod-7", provider="azure.ai.openai", input_tokens=1000, output_tokens=500)
    assert (got.amount_usd, got.status, got.rule) == (0.0075, "priced", "prod: azure/gpt-4o")
    assert got.source == f"overrides:1 on {SOURCE}"
    listed = cost("gpt-5.4", service_tier="flex")[0]
    assert listed is not None
    assert cost("sold", service_tier="flex")[0] == pytest.approx(0.8 * listed + 0.01)
    assert cost("sold", service_tier="scale")[1] == "unknown_price"


def test_a_discount_on_what_the_table_says() -> None:
    """A part off, or (negative) on top; models that have no price get none from it, and later rules are asked."""
    with_rules(
        {"name": "deal", "match": {"provider": "openai"}, "discount": 0.15},
        {"name": "region", "match": {"provider": "anthropic"}, "discount": -0.1},
        {"name": "rest", "match": {"model": "acme-*"}, "per_request": 0.5},
    )
    assert cost("gpt-4o", provider="openai") == (pytest.approx(0.0075 * 0.85), "priced", "deal: openai/gpt-4o")
    assert cost("claude-3-haiku", provider="anthropic")[0] == pytest.approx(1.1 * (0.25 + 0.5 * 1.25) / 1e3)
    assert cost(provider="openai") == (0.5, "priced", "rest")
    assert cost("gpt-4o", provider="openai", server_address="localhost")[1] == "unknown_deployment"
    assert cost("gpt-nonexistent", provider="openai")[1] == "unknown_model"


def test_a_gateway_on_the_own_network() -> None:
    """A local proxy is no server of a cloud, unless a rule says who bills."""
    with_rules({"name": "gateway", "match": {"server_address": ["localhost", "*.svc"]}, "billed_by": "openai"})
    for host in ("localhost", "llm.prod.svc"):
        assert cost("gpt-4o", server_address=host) == (0.0075, "priced", "gateway: openai/gpt-4o")
    assert cost("gpt-4o", server_address="10.0.0.1")[1] == "unknown_deployment"
    assert cost("acme-7b", server_address="localhost")[1] == "unknown_deployment"


def test_fees_need_no_tokens() -> None:
    """What is billed by the call alone has an amount without any usage."""
    with_rules({"match": {"model": "acme-*"}, "per_request": 0.25})
    assert cost(input_tokens=None, output_tokens=None)[:2] == (0.25, "priced")
    with_rules({"match": {"model": "acme-*"}, "price": {"requests_kcount": 250, "web_searches_kcount": 10}})
    assert cost(input_tokens=None, output_tokens=None, web_searches=2)[:2] == (pytest.approx(0.27), "priced")


def test_rules_hold_at_their_times() -> None:
    """Dates, hours and weekdays in UTC; while a rule does not hold the next one is asked, and then the table."""
    with_rules(
        {"name": "night", "match": {"model": "gpt-4o"}, "hours": "22:00-06:00", "days": "mon-fri", "discount": 0.5},
        {"name": "year", "match": {"model": "gpt-4o"}, "from": "2026-01-01", "until": "2026-06-01", "discount": 0.1},
    )
    assert cost("gpt-4o", at=NIGHT) == (pytest.approx(0.00375), "priced", "night: openai/gpt-4o")
    assert cost("gpt-4o", at=NOON) == (0.0075, "priced", "openai/gpt-4o")
    assert cost("gpt-4o", at=datetime(2026, 11, 28, 23))[2] == "openai/gpt-4o"
    assert cost("gpt-4o", at=datetime(2026, 1, 1, 12))[2] == "year: openai/gpt-4o"
    assert cost("gpt-4o", at=datetime(2025, 12, 31, 12))[2] == "openai/gpt-4o"
    assert cost("gpt-4o", at=datetime(2026, 5, 31, 12))[0] == pytest.approx(0.00675)
    assert cost("gpt-4o", at=datetime(2026, 6, 1, 12))[0] == 0.0075


def test_a_rule_for_some_time_of_a_model_that_nobody_lists() -> None:
    """Outside its hours the model is as unknown as without the rule; days may pass the week's end."""
    with_rules({"match": {"model": "acme-*"}, "days": "sat-mon", "price": {"input": 1, "output": 1}})
    days = [cost(at=datetime(2026, 11, day))[1] for day in range(27, 32 - 1)]
    assert days == ["unknown_model", "priced", "priced", "priced"]
    assert cost(at=NOON) == (None, "unknown_model", None)


def test_other_units_have_prices_too() -> None:
    """Any unit of the table: a local transcription by the hour."""
    with_rules({"match": {"server_address": "localhost"}, "price": {"audio_hours": 0.06}})
    none = {"input_tokens": None, "output_tokens": None, "server_address": "localhost"}
    assert cost(**none, audio_seconds=60)[:2] == (pytest.approx(0.001), "priced")
    assert cost(**none)[:2] == (None, "unknown_usage")
