"""``explain()``: why a name has its price, or none."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from spanloom.cost import explain, load_overrides, reset_overrides
from spanloom.cost._match import MAX_NAME


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    """No rules of another test."""
    reset_overrides()
    yield
    reset_overrides()


def lines(model: str, **more: Any) -> list[str]:
    return list(explain(model, **more).lines)


def test_a_name_that_matches() -> None:
    """The provider, the names that were tried, the row and its prices."""
    got = explain("openai/gpt-4o-mini-2024-07-18", provider="openai", server_address="api.openai.com")
    assert got.rule == "openai/gpt-4o-mini"
    assert list(got.lines) == [
        "the host api.openai.com means the table's provider openai",
        "names that were tried: openai/gpt-4o-mini-2024-07-18, gpt-4o-mini-2024-07-18",
        "the first row that matches is gpt-4o-mini of openai",
        "openai/gpt-4o-mini holds; USD: input 0.15 per million, output 0.6 per million, cache_read 0.075 per million, "
        "web_searches_kcount 10 per thousand, storage_searches_kcount 2.5 per thousand",
    ]


def test_prices_by_time_and_size() -> None:
    """Steps by input tokens, hours, and what holds at other times; parts have their whole price."""
    got = lines("deepseek-v4-pro", provider="deepseek", at=datetime(2026, 11, 27, 2))
    assert got[-2] == (
        "deepseek/deepseek-v4-pro from 2026-08-23 01:00-04:00 UTC mon-fri holds; USD: input 1.32 per million, "
        "output 3.96 per million, cache_read 0.044 per million"
    )
    assert "; deepseek/deepseek-v4-pro from 2026-08-17 until 2026-08-23 01:00-04:00 UTC;" in got[-1]
    (told,) = (line for line in lines("claude-sonnet-4-5", provider="anthropic") if " holds; " in line)
    assert "cache_write_1h 6 per million" in told
    assert "cache_write_1h 12 per million above 200,000 input tokens" in told
    assert "audio_hours 0.36 per hour" in lines("whisper-1", provider="openai")[-1]
    assert "0.012 per request" in lines("sonar", provider="perplexity")[-1]
    assert lines("gemma-4-31b-it", provider="gcp.gemini")[-1] == "google/gemma-4-31b-it holds; USD: free"


@pytest.mark.parametrize(
    ("model", "more", "told"),
    [
        ("gpt-4p", {"provider": "openai"}, "no row of openai matches; near are gpt-4, gpt-4o, gpt-5.4"),
        ("zzzzzz", {"provider": "openai"}, "no row of openai matches"),
        ("gpt-4o", {"provider": "acme"}, "the table has no provider for 'acme'"),
        ("gpt-4o", {"server_address": "llm.acme.com"}, "the table has no provider for 'llm.acme.com'"),
        ("acme-7b", {}, "no provider has such names"),
        ("gpt-4o", {"provider": "openai", "server_address": "10.0.0.1"}, "the host 10.0.0.1 is a server of one's own"),
        ("arn:aws:bedrock:us-east-1:1:provisioned-model/x", {}, "the name is one that its owner gave it"),
        ("arn:aws-cn:bedrock:x::foundation-model/y", {"provider": "aws.bedrock"}, "names that were tried: none"),
        ("x" * (MAX_NAME + 1), {}, "the name is longer than any of a model"),
        (
            "gpt-4o",
            {"provider": "openai", "service_tier": "scale"},
            "has no price for this moment and these conditions",
        ),
        ("gpt-4o", {}, "no provider is given; the name is one of openai"),
        ("azure/DeepSeek-V3.2", {}, "deepseek-v3.2 of azure, which resells it (by the list of openai, anthropic,"),
        (
            "perplexity/sonar",
            {"provider": "perplexity", "conditions": {"search_type": "fast"}},
            "search_type=fast holds",
        ),
    ],
)
def test_why_there_is_none(model: str, more: dict[str, Any], told: str) -> None:
    """Each reason for which a call has no price, or an unusual one, is said."""
    assert told in "\n".join(lines(model, **more))


def test_rules_of_one_s_own() -> None:
    """Every rule up to the one that holds, with what does not fit."""
    load_overrides(
        [
            {"name": "a", "match": {"model": "x"}, "free": True},
            {"name": "b", "match": {"provider": "acme"}, "free": True},
            {"name": "c", "match": {"model": "acme-*"}, "until": "2026-01-01", "free": True},
            {"name": "d", "match": {"model": "acme-*"}, "per_request": 0.5},
            {"name": "e", "match": {"model": "*"}, "free": True},
        ]
    )
    assert lines("acme-7b") == [
        "own price a (overrides:1) is not for it: its model does not fit 'acme-7b'",
        "own price b (overrides:2) is not for it: its provider does not fit ''",
        "own price c (overrides:3) does not hold then, but until 2026-01-01",
        "own price d (overrides:4) is for it",
        "no provider has such names",
        "d holds; USD: 0.5 per request",
        "at other times: c",
    ]
