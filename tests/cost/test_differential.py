"""Our amounts against ``genai_prices.calc_price``, for every model; where they differ, the reason is checked too."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime, time, timedelta, timezone
from typing import Any

import genai_prices
import pytest
from genai_prices import Usage
from genai_prices.data import providers
from genai_prices.data_snapshot import get_snapshot
from genai_prices.types import ModelInfo, Provider, TieredPrices, TimeOfDateConstraint

from spanloom.cost import Price, price
from spanloom.cost._match import Matcher
from spanloom.cost._table import table

NOON = datetime(2026, 11, 21, 12, tzinfo=timezone.utc)
EXACT_USD = 1e-9
# (input, output, cache read, cache write); the steps' edges are tried for each model on its own.
GRID = (
    (0, 0, 0, 0),
    (1, 0, 0, 0),
    (1, 1, 1, 0),
    (1_000, 500, 0, 0),
    (12_345, 678, 9_876, 0),
    (12_345, 678, 0, 9_876),
    (300_000, 2_000, 100_000, 50_000),
    (1_500_000, 64_000, 1_000_000, 500_000),
)


def models() -> Iterator[tuple[Provider, ModelInfo]]:
    for provider in providers:
        for model in provider.models:
            yield provider, model


def theirs(
    provider: Provider, model: str, at: datetime, context: dict[str, str] | None = None, **usage: int
) -> Any | None:
    """Their calculation, or None where they know no such model."""
    try:
        return genai_prices.calc_price(
            Usage(**usage), model, provider_id=provider.id, genai_request_timestamp=at, price_context=context
        )
    except LookupError:
        return None


def reason_for_none(calculation: Any, usage: dict[str, int]) -> str | None:
    """Why we give no amount although they give one; None where we must agree with them."""
    prices = {key for key, value in vars(calculation.model_price).items() if value is not None}
    conditional = calculation.model.prices if isinstance(calculation.model.prices, list) else []
    if any(isinstance(row.constraint, TimeOfDateConstraint) for row in conditional):
        return "by time of day"
    if not prices:
        return None if said_free(calculation.model) else "no price at all"
    if not prices & {"input_mtok", "output_mtok"}:
        return "no price for tokens"
    if usage["output_tokens"] and "output_mtok" not in prices:
        return "output without a price"
    return None


def said_free(model: ModelInfo) -> bool:
    return model.id.endswith(":free") or "free of charge" in f"{model.description} {model.price_comments}".lower()


def ours(provider: Provider, model: str, at: datetime, tier: str | None = None, **usage: int) -> Price:
    renamed = {"output_reasoning_tokens": "reasoning_tokens", "cache_audio_read_tokens": "cache_read_audio_tokens"}
    counts: dict[str, Any] = {renamed.get(key, key): value for key, value in usage.items()}
    return price(model, provider=provider.id, service_tier=tier, at=at, **counts)


def grid(model: ModelInfo) -> Iterator[dict[str, int]]:
    edges = {
        tier.start
        for row in (model.prices if isinstance(model.prices, list) else [model])
        for value in vars(row.prices).values()
        if isinstance(value, TieredPrices)
        for tier in value.tiers
    }
    around = [(edge + step, 10, edge // 2, 0) for edge in sorted(edges) for step in (-1, 0, 1)]
    for row in (*GRID, *around):
        yield dict(zip(("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens"), row, strict=True))


def compare(provider: Provider, model: str, at: datetime, usage: dict[str, int]) -> str:
    """The outcome of one comparison; fails where the two disagree without a reason."""
    want, got = theirs(provider, model, at, **usage), ours(provider, model, at, **usage)
    if want is None:
        assert (got.amount_usd, got.status) == (None, "unknown_model"), (provider.id, model, got)
        return "unknown to both"
    reason = reason_for_none(want, usage)
    if reason is not None:
        assert (got.amount_usd, got.status) == (None, "unknown_price"), (provider.id, model, got, reason)
        return reason
    assert got.amount_usd is not None, (provider.id, model, usage, got, want)
    assert abs(got.amount_usd - float(want.total_price)) <= EXACT_USD, (provider.id, model, usage, got, want)
    assert (got.status == "free") == said_free(want.model), (provider.id, model, got)
    assert got.rule is not None
    assert got.rule.split(" ")[0].endswith(f"/{want.model.id}")
    return "equal"


def test_every_model_costs_what_genai_prices_says() -> None:
    """Every model on a grid of usages and around its steps: equal to 1e-9 USD, or None for one of four reasons."""
    outcomes = Counter(
        compare(provider, model.id, NOON, usage) for provider, model in models() for usage in grid(model)
    )
    assert outcomes.keys() == {
        "equal",
        "unknown to both",
        "by time of day",
        "no price at all",
        "no price for tokens",
        "output without a price",
    }
    assert outcomes["equal"] > 0.9 * sum(outcomes.values())
    assert outcomes["equal"] > 15_000


def test_dated_prices_change_on_their_day() -> None:
    """Around each day on which a price changes, the last moment before and the first of the day agree with theirs."""
    seen = 0
    usage = {"input_tokens": 250_000, "output_tokens": 999, "cache_read_tokens": 7, "cache_write_tokens": 9}
    for provider, model in models():
        for row in model.prices if isinstance(model.prices, list) else []:
            start = getattr(row.constraint, "start_date", None)
            if start is None:
                continue
            midnight = datetime.combine(start, time(), timezone.utc)
            for moment in (midnight - timedelta(seconds=1), midnight, midnight + timedelta(days=1)):
                seen += compare(provider, model.id, moment, usage) == "equal"
    assert seen > 600


def test_service_tiers_cost_what_genai_prices_says() -> None:
    """Flex, priority, fast and batch: equal while the source lists the tier, and no amount before it did."""
    outcomes: Counter[str] = Counter()
    usage = {"input_tokens": 280_000, "output_tokens": 999, "cache_read_tokens": 70_000, "cache_write_tokens": 9}
    for provider, model in models():
        found = theirs(provider, model.id, NOON, **usage)
        if found is None or found.model is not model or reason_for_none(found, usage):
            continue
        for tier, context in tiers_of(model):
            for at in (NOON, datetime(2026, 1, 1, tzinfo=timezone.utc)):
                outcomes[compare_tier(provider, model, tier, context, at, usage)] += 1
    assert outcomes["equal"] > 150
    assert outcomes["not listed then"] > 100


def tiers_of(model: ModelInfo) -> Iterator[tuple[str, dict[str, str]]]:
    for variant in model.price_variants or ():
        if variant.when.get("service_tier", "default") != "default":
            yield variant.when["service_tier"], dict(variant.when)
        elif variant.when == {"processing": "batch"}:
            yield "batch", dict(variant.when)


def compare_tier(
    provider: Provider, model: ModelInfo, tier: str, context: dict[str, str], at: datetime, usage: dict[str, int]
) -> str:
    got = ours(provider, model.id, at, tier, **usage)
    listed = any(
        variant.when == context and (variant.constraint is None or variant.constraint.active(at))
        for variant in model.price_variants or ()
    )
    if not listed:
        assert (got.amount_usd, got.status) == (None, "unknown_price"), (model.id, got)
        return "not listed then"
    want = theirs(provider, model.id, at, context, **usage)
    assert want is not None
    assert got.amount_usd == pytest.approx(float(want.total_price), abs=EXACT_USD), (model.id, tier)
    return "equal"


@pytest.mark.parametrize(
    ("unit", "usage"),
    [
        ("cache_write_1h_mtok", {"cache_write_tokens": 60, "cache_write_1h_tokens": 25}),
        ("output_reasoning_mtok", {"output_reasoning_tokens": 33}),
        ("input_audio_mtok", {"input_audio_tokens": 40, "cache_audio_read_tokens": 20, "cache_read_tokens": 30}),
        ("output_audio_mtok", {"output_audio_tokens": 49, "input_audio_tokens": 50}),
    ],
)
def test_parts_with_a_price_of_their_own(unit: str, usage: dict[str, int]) -> None:
    """One-hour cache writes, reasoning and audio: equal for every model that has a price for them."""
    whole = {"input_tokens": 100, "output_tokens": 50, "cache_read_tokens": 0, "cache_write_tokens": 0, **usage}
    outcomes = Counter(
        compare(provider, model.id, NOON, whole)
        for provider, model in models()
        if unit in vars(model.get_prices(NOON)) and theirs(provider, model.id, NOON, **whole) is not None
    )
    assert outcomes["equal"] >= (2 if unit == "output_reasoning_mtok" else 10)


SPELLINGS = ("{}", "{}-20260115", "{}-2026-01-15", "{}:free", "{}-latest", "{}@default", "x{}", "{}x", "models-{}")


def literals(clause: Any) -> Iterator[str]:
    """The names and parts of names that a clause is written with."""
    for value in vars(clause).values():
        if isinstance(value, str):
            yield value
        else:
            for part in value:
                yield from literals(part)


def test_names_match_the_same_row() -> None:
    """Every listed name, and each with usual and unusual additions, finds the row that genai-prices finds."""
    matcher, snapshot, hits = Matcher(table()), get_snapshot(), 0
    for provider, model in models():
        for name in (*(spelling.format(model.id) for spelling in SPELLINGS), *literals(model.match)):
            want = provider.find_model(name.lower(), all_providers=snapshot.providers)
            found = matcher.find(provider.id, name)
            assert (found.model.id if found else None) == (want.id if want else None), (provider.id, name)
            hits += found is not None
    assert hits > 5_000


def test_names_without_a_provider_match_the_same_row() -> None:
    """A bare model name finds the provider and row that genai-prices finds."""
    matcher, snapshot, hits = Matcher(table()), get_snapshot(), 0
    for _, model in models():
        if "/" in model.id:
            continue
        try:
            provider, want = snapshot.find_provider_model(model.id, None, None, None)
        except LookupError:
            assert matcher.find(None, model.id) is None, model.id
            continue
        found = matcher.find(None, model.id)
        assert found is not None
        assert (found.provider, found.model.id) == (provider.id, want.id)
        hits += 1
    assert hits > 300
