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

MEASURES = {
    "audio_seconds": "audio_seconds",
    "input_audio_seconds": "input_audio_seconds",
    "input_characters": "input_characters",
    "input_text_messages": "input_text_messages",
    "input_document_pages": "document_pages",
    "input_annotated_document_pages": "annotated_document_pages",
}
TOOLS = {"web_searches": "web_searches_kcount", "storage_searches": "storage_searches_kcount"}
# Their names of counts for ours, where these differ.
RENAMED = {
    **MEASURES,
    "output_reasoning_tokens": "reasoning_tokens",
    "output_citation_tokens": "citation_tokens",
    "cache_audio_read_tokens": "cache_read_audio_tokens",
    "cache_image_read_tokens": "cache_read_image_tokens",
}
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


def reason_for_none(calculation: Any, usage: dict[str, int]) -> tuple[str, str] | None:
    """(status, reason) where we give no amount although they give one; None where we must agree with them."""
    prices = {key for key, value in vars(calculation.model_price).items() if value is not None}
    if not prices:
        return None if said_free(calculation.model) else ("unknown_price", "no price at all")
    if not any(key.endswith("_mtok") for key in prices):
        measured = any(usage.get(key) for key in MEASURES)
        return None if measured else ("unknown_usage", "billed by the second, page or character, and none is given")
    if usage["output_tokens"] and "output_mtok" not in prices:
        return "unknown_price", "output without a price"
    if any(usage.get(key) and unit not in prices for key, unit in TOOLS.items()):
        return "unknown_price", "a tool's call without a price"
    return None


def said_free(model: ModelInfo) -> bool:
    return model.id.endswith(":free") or "free of charge" in f"{model.description} {model.price_comments}".lower()


def ours(provider: Provider, model: str, at: datetime, tier: str | None = None, **usage: int) -> Price:
    counts: dict[str, Any] = {RENAMED.get(key, key): value for key, value in usage.items()}
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
        assert (got.amount_usd, got.status) == (None, reason[0]), (provider.id, model, got, reason)
        return reason[1]
    assert got.amount_usd is not None, (provider.id, model, usage, got, want)
    assert abs(got.amount_usd - float(want.total_price)) <= EXACT_USD, (provider.id, model, usage, got, want)
    assert (got.status == "free") == said_free(want.model), (provider.id, model, got)
    assert got.rule is not None
    assert got.rule.split(" ")[0].endswith(f"/{want.model.id}")
    return "equal"


def test_every_model_costs_what_genai_prices_says() -> None:
    """Every model on a grid of usages and around its steps: equal to 1e-9 USD, or None for one of three reasons."""
    outcomes = Counter(
        compare(provider, model.id, NOON, usage) for provider, model in models() for usage in grid(model)
    )
    assert outcomes.keys() == {
        "equal",
        "unknown to both",
        "no price at all",
        "billed by the second, page or character, and none is given",
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
    """Each tier on the grid of usages: equal while the source lists the tier, and no amount before it did."""
    outcomes: Counter[str] = Counter()
    for provider, model in models():
        tiers = list(tiers_of(model))
        for usage in grid(model) if tiers else ():
            found = theirs(provider, model.id, NOON, **usage)
            if found is None or found.model is not model or reason_for_none(found, usage):
                continue
            for tier, context in tiers:
                for at in (NOON, datetime(2026, 1, 1, tzinfo=timezone.utc)):
                    outcomes[compare_tier(provider, model, tier, context, at, usage)] += 1
    assert outcomes["equal"] > 1500
    assert outcomes["not listed then"] > 1000


def tiers_of(model: ModelInfo) -> Iterator[tuple[str, dict[str, str]]]:
    for variant in model.price_variants or ():
        if variant.when.get("service_tier", "default") != "default":
            yield variant.when["service_tier"], dict(variant.when)
        elif variant.when == {"speed": "fast"}:
            yield "fast", dict(variant.when)
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
    ("unit", "usage", "models_at_least"),
    [
        ("cache_write_1h_mtok", {"cache_write_tokens": 60, "cache_write_1h_tokens": 25}, 60),
        ("output_reasoning_mtok", {"output_reasoning_tokens": 33}, 2),
        ("output_citation_mtok", {"output_citation_tokens": 20, "output_reasoning_tokens": 30}, 1),
        ("input_audio_mtok", {"input_audio_tokens": 40, "cache_audio_read_tokens": 20, "cache_read_tokens": 30}, 10),
        (
            "cache_audio_read_mtok",
            {"input_audio_tokens": 30, "cache_audio_read_tokens": 30, "cache_read_tokens": 30},
            8,
        ),
        ("output_audio_mtok", {"output_audio_tokens": 49, "input_audio_tokens": 50}, 10),
        ("input_image_mtok", {"input_image_tokens": 40, "cache_image_read_tokens": 20, "cache_read_tokens": 30}, 10),
        ("cache_image_read_mtok", {"input_image_tokens": 9, "cache_image_read_tokens": 9, "cache_read_tokens": 9}, 8),
        ("output_image_mtok", {"output_image_tokens": 49, "input_image_tokens": 50}, 8),
        ("input_video_mtok", {"input_video_tokens": 50, "input_image_tokens": 10}, 3),
        ("output_video_mtok", {"output_video_tokens": 50}, 2),
        ("web_searches_kcount", {"web_searches": 7}, 90),
        ("storage_searches_kcount", {"storage_searches": 7}, 20),
        ("requests_kcount", {}, 3),
        ("audio_hours", {"audio_seconds": 90, "input_audio_seconds": 60}, 15),
        ("input_audio_hours", {"audio_seconds": 4, "input_audio_seconds": 4}, 8),
        ("input_mchars", {"input_characters": 12_345}, 3),
        ("input_text_messages_kcount", {"input_text_messages": 3, "audio_seconds": 10}, 2),
        ("input_document_kpages", {"input_document_pages": 9}, 4),
        ("input_annotated_document_kpages", {"input_document_pages": 9, "input_annotated_document_pages": 4}, 3),
    ],
)
def test_parts_with_a_price_of_their_own(unit: str, usage: dict[str, int], models_at_least: int) -> None:
    """Every other unit: equal for every model that has a price for it."""
    outcomes: Counter[str] = Counter()
    for provider, model in models():
        if getattr(model.get_prices(NOON), unit) is None:
            continue
        has_output = model.get_prices(NOON).output_mtok is not None
        whole = {"input_tokens": 100, "output_tokens": 50 * has_output, "cache_read_tokens": 0, "cache_write_tokens": 0}
        outcomes[compare(provider, model.id, NOON, {**whole, **usage})] += 1
    assert outcomes["equal"] >= models_at_least
    assert outcomes.keys() <= {"equal", "unknown to both", "a tool's call without a price"}


def test_hours_of_the_day_cost_what_genai_prices_says_on_workdays() -> None:
    """At each edge of each window, on every day of a week: equal on workdays; they know no weekends, on which ours is
    the price of midnight where the source's words say so."""
    outcomes: Counter[str] = Counter()
    usage = {"input_tokens": 250_000, "output_tokens": 999, "cache_read_tokens": 7, "cache_write_tokens": 0}
    for provider, model in models():
        rows = model.prices if isinstance(model.prices, list) else []
        windows = [row.constraint for row in rows if isinstance(row.constraint, TimeOfDateConstraint)]
        for window in windows:
            for edge in (window.start_time, window.end_time):
                for moment in around(edge):
                    outcomes[compare_hour(provider, model, moment, usage)] += 1
    assert outcomes["equal"] > 150
    assert outcomes["they know no weekends"] == 3 * 2 * 2 * 2


def around(edge: time) -> Iterator[datetime]:
    """The last second before a time of day and its first, on each day of the week of NOON."""
    for day in range(7):
        moment = datetime.combine(NOON.date() + timedelta(days=day), edge.replace(tzinfo=None), timezone.utc)
        yield from (moment - timedelta(seconds=1), moment)


def compare_hour(provider: Provider, model: ModelInfo, moment: datetime, usage: dict[str, int]) -> str:
    midnight = datetime.combine(moment.date(), time(), timezone.utc)
    want, base = theirs(provider, model.id, moment, **usage), theirs(provider, model.id, midnight, **usage)
    daily = "issues/582" not in (model.price_comments or "")
    assert want is not None
    assert base is not None
    if moment.weekday() < 5 or daily or want.total_price == base.total_price:
        return compare(provider, model.id, moment, usage)
    got = ours(provider, model.id, moment, **usage)
    assert got.amount_usd == pytest.approx(float(base.total_price), abs=EXACT_USD), (model.id, moment)
    return "they know no weekends"


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
