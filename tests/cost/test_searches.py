"""Searches that a provider's tools made: counted beside the tokens, and priced with them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from spanloom.cost import price
from spanloom.cost._judged import Verdict, judged
from spanloom.cost._parts import parts_of
from spanloom.semconv import Spanloom
from tests.cost._support import Usage

# Thought lies in the output, and is dearer nowhere here.
USAGE = Usage(1000, 500, cache_read_input_tokens=400, reasoning_output_tokens=100, web_searches=3, storage_searches=2)


@pytest.mark.parametrize("model", ["gpt-5", "gpt-5.5", "o3-deep-research"])
def test_they_are_in_the_amount(model: str) -> None:
    """As ``price()`` says of the same counts, also of a model whose prices rise in steps."""
    found = judged("openai", model, None, None, USAGE)
    wanted = price(
        model,
        provider="openai",
        input_tokens=1000,
        output_tokens=500,
        cache_read_tokens=400,
        reasoning_tokens=100,
        web_searches=3,
        storage_searches=2,
    )
    assert (found.status, found.usd) == ("priced", wanted.amount_usd)
    without = judged("openai", model, None, None, replace(USAGE, web_searches=None, storage_searches=0))
    assert found.usd is not None
    assert without.usd is not None
    assert found.usd - without.usd == pytest.approx(3 * 0.01 + 2 * 0.0025, abs=1e-15)


def test_they_are_in_no_part_of_tokens() -> None:
    """They are what costs money besides tokens."""
    found = judged("openai", "gpt-5", None, None, USAGE)
    assert found.rate is not None
    assert found.counts is not None
    parts = parts_of(found.rate, found.counts)
    assert parts[Spanloom.COST_OTHER] == 0.035
    assert sum(parts.values()) == pytest.approx(found.usd, abs=1e-15)


def test_a_model_with_sound_and_searches() -> None:
    """Either is counted with the other."""
    usage = Usage(1000, 500, audio_input_tokens=600, web_searches=1)
    found = judged("gcp.gemini", "gemini-2.5-flash", None, None, usage)
    assert found.usd == pytest.approx((400 * 0.3 + 600 * 1 + 500 * 2.5) / 1e6 + 0.035, abs=1e-15)


@pytest.mark.parametrize(
    ("provider", "model", "usage", "status"),
    [
        ("openai", "gpt-3.5-turbo", Usage(web_searches=1), "unknown_price"),
        ("openai", "gpt-3.5-turbo", Usage(storage_searches=1), "unknown_price"),
        ("anthropic", "claude-sonnet-4-5", Usage(storage_searches=1), "unknown_price"),
        (
            "openai",
            "gpt-audio",
            Usage(1, 1, audio_input_tokens=0, audio_output_tokens=0, web_searches=1),
            "unknown_price",
        ),
        ("openai", "acme", Usage(web_searches=1), "unknown_model"),
        ("openai", "gpt-5", Usage(None, 5, web_searches=1), "unknown_usage"),
        ("openai", "gpt-5", Usage(5, 5, 6, web_searches=1), "unknown_usage"),
        ("openai", "gpt-audio", Usage(5, 5, web_searches=1), "unknown_usage"),
        ("openai", "gpt-5", Usage(web_searches=-1), "unknown_usage"),
    ],
)
def test_what_nobody_can_price(provider: str, model: str, usage: Usage, status: str) -> None:
    """A search without a price, and whatever has no price without it."""
    assert judged(provider, model, None, None, usage) == Verdict(status, None, None)


def test_what_is_free_stays_free() -> None:
    """Where the data says that a model costs nothing."""
    found = judged("gcp.gemini", "gemma-4-31b-it", None, None, Usage(web_searches=1))
    assert (found.status, found.usd) == ("free", 0.0)
