"""``price()``: amounts, steps, dates, names, and everything that must have no amount."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from spanloom.cost import Price, price
from spanloom.cost._match import MAX_NAME, Matcher
from spanloom.cost._rate import SCALE
from spanloom.cost._resolve import CACHED_SCHEDULES, finding, schedule_of, schedules
from spanloom.cost._table import Model, Table, parse, table
from spanloom.cost._usage import MAX_TOKENS
from spanloom.cost._when import unix_s

CONTEXT = finding()[1]
UTC = timezone.utc


def usd(model: str, tokens_in: int | None = 1000, tokens_out: int | None = 500, **more: Any) -> float | None:
    return price(model, input_tokens=tokens_in, output_tokens=tokens_out, **more).amount_usd


def test_a_plain_call_is_count_times_price() -> None:
    """1,000 input tokens at 0.15 and 500 output tokens at 0.60 USD per million are 0.00045 USD."""
    got = price("gpt-4o-mini", provider="openai", input_tokens=1000, output_tokens=500)
    assert got == Price(0.00045, "priced", "openai/gpt-4o-mini", table().source)
    assert got.source.startswith("genai-prices ")


def test_cached_input_has_its_own_price() -> None:
    """Cached tokens lie in the input tokens and are billed at their own price, not twice."""
    got = usd(
        "claude-3-5-sonnet-20241022", 1000, 0, cache_read_tokens=600, cache_write_tokens=300, provider="anthropic"
    )
    assert got == pytest.approx((100 * 3 + 600 * 0.3 + 300 * 3.75) / 1e6, abs=1e-15)


def test_one_hour_writes_cost_more_than_five_minute_ones() -> None:
    """Of 300 written tokens the 100 kept for an hour have their own price."""
    got = usd("claude-3-5-sonnet", 300, 0, cache_write_tokens=300, cache_write_1h_tokens=100, provider="anthropic")
    assert got == pytest.approx((200 * 3.75 + 100 * 6) / 1e6, abs=1e-15)


def test_audio_has_its_own_price() -> None:
    """Audio tokens lie in input and output; cached audio lies in both cached and audio input."""
    got = usd(
        "gpt-4o-realtime-preview",
        100,
        50,
        provider="openai",
        cache_read_tokens=30,
        input_audio_tokens=40,
        cache_read_audio_tokens=20,
        output_audio_tokens=45,
    )
    text_in, cached_text, cached_audio, audio_in = 100 - 30 - 40 + 20, 10, 20, 20
    want = text_in * 5 + cached_text * 2.5 + cached_audio * 2.5 + audio_in * 40 + 5 * 20 + 45 * 80
    assert got == pytest.approx(want / 1e6, abs=1e-15)


def test_a_fee_per_request_is_in_the_amount() -> None:
    """Perplexity bills each request; that fee is due even for an empty answer."""
    assert usd("sonar", 0, 0, provider="perplexity") == pytest.approx(12 / 1000)


def test_a_step_raises_the_price_of_all_tokens() -> None:
    """Up to and including the edge the base price holds; one token more and every token costs the higher price."""
    rate = CONTEXT.rate("x/y", {"input": ["1", [200_000, "2"], [400_000, "3"]], "output": ["10", [200_000, "20"]]})
    assert rate is not None
    edges = (0, 1, 200_000, 200_001, 400_000, 400_001)
    amounts = [rate.amount((count, 1, 0, 0, 0)) * 10**6 // SCALE for count in edges]
    assert amounts == [10, 11, 200_010, 400_022, 800_020, 1_200_023]


def test_prices_hold_from_their_day_in_utc() -> None:
    """The new price starts at midnight UTC; a moment with an offset is converted, a naive one is taken as UTC."""
    rows = [{"prices": {"input": "1", "output": "1"}}, {"from": "2026-06-01", "prices": {"input": "2", "output": "2"}}]
    schedule = CONTEXT.schedule("x/y", Model("y", "y", rows), (), own=True)
    days = [unix_s(datetime(2026, 5, 31, 23, 59, 59)), unix_s(datetime(2026, 6, 1))]
    assert [rate.rule for day in days if (rate := schedule.at(day))] == ["x/y", "x/y from 2026-06-01"]
    last = datetime(2026, 10, 11, 23, 59, 59, tzinfo=UTC)
    east = timezone(timedelta(hours=5))
    flex = {"provider": "openai", "service_tier": "flex"}
    assert usd("gpt-5.4", at=last, **flex) is None
    assert usd("gpt-5.4", at=(last + timedelta(seconds=1)).astimezone(east), **flex) is not None
    assert usd("gpt-5.4", at=datetime(2026, 10, 12), **flex) is not None


def test_a_model_with_one_price_needs_no_clock() -> None:
    """Prices of service tiers that begin some day do not make the standard price depend on the day."""
    schedule, priority = (schedule_of("openai", "gpt-4o-mini", None, tier) for tier in (None, "priority"))
    assert schedule is not None
    assert priority is not None
    assert schedule.always is not None
    assert priority.always is None


def test_a_price_in_the_future_is_not_charged_today() -> None:
    """Without ``at`` the current day counts."""
    now, later = datetime.now(UTC), datetime.now(UTC) + timedelta(days=2)
    rows = [{"prices": {"input": "1"}}, {"from": later.date().isoformat(), "prices": {"input": "2"}}]
    schedule = CONTEXT.schedule("x/y", Model("y", "y", rows), (), own=True)
    rate = schedule.at(unix_s(now))
    assert rate is not None
    assert rate.rule == "x/y"


@pytest.mark.parametrize("tier", [None, "", "default", "auto", "standard", "Default"])
def test_the_standard_tier_costs_the_standard_price(tier: str | None) -> None:
    """What providers call the standard tier changes nothing."""
    assert usd("gpt-5.4", provider="openai", service_tier=tier) == usd("gpt-5.4", provider="openai")


@pytest.mark.parametrize(
    ("model", "provider", "tier"),
    [("gpt-3.5-turbo", "openai", "flex"), ("gpt-4o", "openai", "scale"), ("gpt-4o", "azure.ai.openai", "priority")],
)
def test_a_tier_without_a_price_has_no_amount(model: str, provider: str, tier: str) -> None:
    """A tier that the table does not list for this model, or for the provider that resells it, is not guessed."""
    got = price(model, provider=provider, input_tokens=1, output_tokens=1, service_tier=tier)
    assert (got.amount_usd, got.status) == (None, "unknown_price")


@pytest.mark.parametrize(
    ("provider", "model", "rule"),
    [
        ("openai", "gpt-4o-mini-2024-07-18", "openai/gpt-4o-mini"),
        ("openai", "openai/gpt-4o-mini", "openai/gpt-4o-mini"),
        ("OpenAI", " GPT-4o-mini ", "openai/gpt-4o-mini"),
        ("azure.ai.openai", "gpt-4o-mini", "azure/gpt-4o-mini"),
        ("azure.ai.inference", "gpt-4o-mini", "azure/gpt-4o-mini"),
        ("azure_openai", "azure/gpt-4o-mini", "azure/gpt-4o-mini"),
        ("azure.ai.openai", "azure/eu/gpt-4o-mini", "azure/gpt-4o-mini zone=eu"),
        ("x_ai", "grok-4.3", "x-ai/grok-4.3"),
        ("mistral_ai", "mistral-large-latest", "mistral/mistral-large"),
        ("moonshot_ai", "kimi-k2-0905-preview", "moonshotai/kimi-k2-0905-preview"),
        (
            "aws.bedrock",
            "anthropic.claude-3-haiku-20240307-v1:0",
            "aws/regional.anthropic.claude-3-haiku-20240307-v1:0",
        ),
        (
            "aws.bedrock",
            "arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-3-haiku-20240307-v1:0",
            "aws/regional.anthropic.claude-3-haiku-20240307-v1:0",
        ),
        ("aws.bedrock", "arn:aws:bedrock:us-east-1::foundation-model/openai.gpt-5.4", "aws/openai.gpt-5.4"),
        (None, "bedrock/anthropic.claude-3-haiku-20240307-v1:0", "aws/regional.anthropic.claude-3-haiku-20240307-v1:0"),
        ("gcp.gemini", "models/gemini-2.5-flash", "google/gemini-2.5-flash"),
        ("gcp.vertex_ai", "publishers/google/models/gemini-2.5-flash", "google/gemini-2.5-flash"),
        ("gcp.vertex_ai", "publishers/anthropic/models/claude-3-haiku@20240307", "google/claude-3-haiku"),
        ("openrouter", "openai/gpt-4o-mini", "openrouter/openai/gpt-4o-mini"),
        (None, "openrouter/openai/gpt-4o-mini", "openrouter/openai/gpt-4o-mini"),
        (None, "openai/gpt-4o-mini", "openai/gpt-4o-mini"),
        (None, "gemini/gemini-2.5-flash", "google/gemini-2.5-flash"),
        (None, "models/gemini-2.5-flash", "google/gemini-2.5-flash"),
        (None, "gpt-4o-mini", "openai/gpt-4o-mini"),
        (None, "claude-3-haiku-20240307", "anthropic/claude-3-haiku"),
        ("litellm", "anthropic/claude-3-haiku-20240307", "anthropic/claude-3-haiku"),
    ],
)
def test_names_of_telemetry_find_their_row(provider: str | None, model: str, rule: str) -> None:
    """Provider names of OpenTelemetry, wrapped model names and LiteLLM's ``provider/model`` find the right row."""
    assert price(model, provider=provider, input_tokens=1, output_tokens=1).rule == rule


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        ("anthropic", "claude-nonexistent-9"),
        ("openai", "meta-llama/Llama-3.3-70B-Instruct"),
        ("openai", "anthropic/claude-3-haiku"),
        ("openai", "gpt-4o-mini/extra"),
        ("ibm.watsonx.ai", "gpt-4o-mini"),
        ("acme", "gpt-4o-mini"),
        (None, "acme-llm-7b"),
        (None, "openai/acme-llm-7b"),
        (None, ""),
        (None, "   "),
        ("openai", "gpt-4o-mini" + "x" * MAX_NAME),
    ],
)
def test_an_unknown_model_has_no_amount(provider: str | None, model: str) -> None:
    """What the table does not list is unknown, never 0 and never guessed from a similar name."""
    assert price(model, provider=provider, input_tokens=1000, output_tokens=1000) == Price(
        None, "unknown_model", None, table().source
    )


@pytest.mark.parametrize(
    "usage",
    [
        {"input_tokens": None},
        {"output_tokens": None},
        {"input_tokens": -1},
        {"output_tokens": -1},
        {"cache_read_tokens": -1},
        {"input_tokens": True},
        {"input_tokens": 1.0},
        {"input_tokens": "10"},
        {"input_tokens": float("nan")},
        {"input_tokens": MAX_TOKENS + 1},
        {"input_tokens": 10**400},
        {"cache_read_tokens": 101},
        {"cache_read_tokens": 60, "cache_write_tokens": 41},
        {"reasoning_tokens": 51},
        {"cache_write_tokens": 10, "cache_write_1h_tokens": 11},
        {"input_audio_tokens": 101},
        {"input_audio_tokens": 50, "cache_read_tokens": 51},
        {"input_audio_tokens": 10, "cache_read_tokens": 20, "cache_read_audio_tokens": 11},
        {"input_audio_tokens": 20, "cache_read_tokens": 10, "cache_read_audio_tokens": 11},
        {"output_audio_tokens": 51},
        {"output_audio_tokens": -1},
        {"input_audio_tokens": True},
        {"input_image_tokens": 60, "input_audio_tokens": 41},
        {"output_image_tokens": 30, "output_audio_tokens": 21},
        {"citation_tokens": 26, "reasoning_tokens": 25},
        {"cache_read_image_tokens": 1},
        {"document_pages": 1, "annotated_document_pages": 2},
        {"audio_seconds": 1, "input_audio_seconds": 1.5},
        {"audio_seconds": -0.1},
        {"audio_seconds": float("nan")},
        {"audio_seconds": float("inf")},
        {"audio_seconds": True},
        {"web_searches": 1.5},
        {"web_searches": -1},
    ],
)
def test_impossible_or_missing_counts_have_no_amount(usage: dict[str, Any]) -> None:
    """Missing, negative, fractional and absurd counts, and parts larger than their whole, give ``unknown_usage``."""
    got = price("gpt-4o-mini", **{"provider": "openai", "input_tokens": 100, "output_tokens": 50, **usage})
    assert (got.amount_usd, got.status, got.rule) == (None, "unknown_usage", "openai/gpt-4o-mini")


def test_counts_that_are_not_reported_are_no_part() -> None:
    """None for a part of the input or output means that the provider does not report it."""
    parts = dict.fromkeys(("cache_read_tokens", "cache_write_tokens", "reasoning_tokens", "output_audio_tokens"))
    assert usd("gpt-4o-mini", provider="openai", **parts) == usd("gpt-4o-mini", provider="openai")


def test_the_largest_possible_call_has_an_exact_amount() -> None:
    """Even 10¹² tokens are priced without an overflow."""
    assert usd("gpt-4o-mini", MAX_TOKENS, MAX_TOKENS, provider="openai") == 750_000.0


def test_an_embedding_has_no_output() -> None:
    """A model without an output price needs no output count, and refuses one that is not 0."""
    assert usd("text-embedding-3-small", 1000, None, provider="openai") == pytest.approx(1000 * 0.02 / 1e6)
    got = price("text-embedding-3-small", provider="openai", input_tokens=1000, output_tokens=1)
    assert (got.amount_usd, got.status) == (None, "unknown_price")


def test_free_only_where_the_data_says_so() -> None:
    """A model listed as free costs 0 with that status; one that is listed without a price costs nobody knows what."""
    free = price("gemma-4-31b-it", provider="google", input_tokens=1000, output_tokens=1000)
    assert (free.amount_usd, free.status) == (0.0, "free")
    for provider, model in (("cerebras", "qwen-3-coder-480b"), ("github-copilot", "gpt-4o"), ("google", "gemma-3")):
        got = price(model, provider=provider, input_tokens=1000, output_tokens=1000)
        assert (got.amount_usd, got.status) == (None, "unknown_price")
        assert got.rule == f"{provider}/{model}"


def test_zero_is_only_ever_priced_for_zero_tokens_or_free_models() -> None:
    """Over the whole table, a call with tokens costs more than 0 unless the row is marked free."""
    for provider in table().providers:
        for row in provider.rows:
            got = price(row[0], provider=provider.id, input_tokens=1000, output_tokens=0)
            assert got.amount_usd != 0 or got.status == "free", (provider.id, row[0])


def test_unbounded_names_do_not_fill_the_memory() -> None:
    """However many names a service invents, the cache keeps at most its limit."""
    schedules.cache_clear()
    for number in range(CACHED_SCHEDULES + 1000):
        assert usd(f"ft:acme-{number}", provider="openai") is None
    assert schedules.cache_info().currsize == CACHED_SCHEDULES


def test_names_that_are_too_long_are_not_kept() -> None:
    """A text of any length in the place of a name is unknown, and is no key of the cache."""
    schedules.cache_clear()
    long = "x" * (MAX_NAME + 1)
    for end in range(3):
        assert schedule_of("openai", f"{long}{end}", f"{long}{end}", None) is None
        assert schedule_of("openai", "gpt-4o", None, None, f"{long}{end}.com") is not None
    assert schedules.cache_info().currsize == 2


def small_table(*models: list[Any]) -> Table:
    provider = {"id": "acme", "api": "", "match": ["and", ["start", "ac"], ["end", "me-ai"]], "models": models}
    about = {"source": "test 1", "released": None}
    return parse(json.dumps({"schema": 2, "about": about, "units": {}, "providers": [provider]}))


def test_the_first_row_that_matches_wins() -> None:
    """A pattern that stands before an exact name wins over it, one that stands after does not."""
    first = ["first", ["start", "one"], {}]
    exact = ["exact", ["or", "one-1", "two-1"], {}]
    last = ["last", ["has", "two"], {}]
    matcher = Matcher(small_table(first, exact, last))
    found = [matcher.find("acme", name) for name in ("one-1", "two-1", "two-2", "three")]
    assert [match and match.model.id for match in found] == ["first", "exact", "last", None]


def test_all_parts_of_an_and_must_hold() -> None:
    """A provider's clause with two parts needs both."""
    matcher = Matcher(small_table(["m", None, {}]))
    assert [matcher.find(name, "m") is not None for name in ("acme", "acxx-me-ai", "acxx", "xx-me-ai")] == [
        True,
        True,
        False,
        False,
    ]


def test_a_file_of_another_schema_is_refused() -> None:
    """A table that this version cannot read says so, and what to do."""
    with pytest.raises(ValueError, match=r"schema 99, not 2: run `make prices`"):
        parse('{"schema": 99}')
