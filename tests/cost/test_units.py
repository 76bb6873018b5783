"""``price()``: what is not a plain count of tokens at one price: hours, pictures, searches, seconds, fast mode."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest

from spanloom.cost import price
from spanloom.cost._price import judge
from spanloom.cost._rate import Phase, schedule
from spanloom.cost._resolve import finding
from spanloom.cost._table import Model, table
from spanloom.cost._usage import COUNTED, REQUESTS, counts_of, with_least_seconds
from spanloom.cost._when import When, unix_s, when_of

CONTEXT = finding()[1]
UTC = timezone.utc


def usd(model: str, tokens_in: int | None = 1000, tokens_out: int | None = 500, **more: Any) -> float | None:
    return price(model, input_tokens=tokens_in, output_tokens=tokens_out, **more).amount_usd


PEAK, OFF_PEAK = 1000 * 1.32 / 1e6, 1000 * 0.66 / 1e6


@pytest.mark.parametrize(
    ("moment", "usd_in"),
    [
        ("2026-11-20T00:59:59", OFF_PEAK),
        ("2026-11-20T01:00:00", PEAK),
        ("2026-11-20T03:59:59", PEAK),
        ("2026-11-20T04:00:00", OFF_PEAK),
        ("2026-11-20T05:59:59", OFF_PEAK),
        ("2026-11-20T09:59:59", PEAK),
        ("2026-11-20T10:00:00", OFF_PEAK),
        ("2026-11-20T09:00:00+08:00", PEAK),
        ("2026-11-21T02:00:00", OFF_PEAK),
        ("2026-11-22T08:00:00", OFF_PEAK),
        ("2026-11-23T01:00:00", PEAK),
        ("2026-08-22T02:00:00", PEAK),
        ("2026-08-23T02:00:00", OFF_PEAK),
        ("2026-08-17T01:00:00", PEAK),
        ("2026-08-16T02:00:00", 1000 * 0.435 / 1e6),
    ],
)
def test_cheap_hours_and_weekends(moment: str, usd_in: float) -> None:
    """DeepSeek's peak hours on workdays, to the second; weekends are off-peak since 23 August, all was flat before."""
    at = datetime.fromisoformat(moment)
    assert usd("deepseek-v4-pro", 1000, 0, provider="deepseek", at=at) == pytest.approx(usd_in, abs=1e-15)


def test_hours_whose_price_was_never_listed_have_no_amount() -> None:
    """Between 17 August and 9 September 2026 the source does not know what V4 Flash cost at peak."""
    price_at = [
        price(
            "deepseek-v4-flash", provider="deepseek", input_tokens=1, output_tokens=1, at=datetime(2026, 9, day, hour)
        )
        for day, hour in ((9, 2), (9, 5), (10, 2))
    ]
    assert [one.status for one in price_at] == ["unknown_price", "priced", "priced"]
    assert price_at[0].rule == "deepseek/deepseek-v4-flash"
    assert price_at[2].rule == "deepseek/deepseek-v4-flash from 2026-09-10 01:00-04:00 UTC mon-fri"


def test_hours_may_pass_midnight() -> None:
    """From ten at night to two: both evenings and the hours after midnight, on the weekday of the moment."""
    night = when_of({"utc": ["22:00", "02:00"], "days": [1, 3]})
    moments = ["2026-11-23T21:59", "2026-11-23T22:00", "2026-11-24T01:59", "2026-11-25T01:59", "2026-11-25T02:00"]
    assert [night.holds(unix_s(datetime.fromisoformat(one))) for one in moments] == [False, True, False, True, False]
    assert night.words() == "22:00-02:00 UTC mon,wed"
    assert When().words() == ""
    assert when_of({"from": "2026-01-01", "until": "2026-02-01"}).words() == "from 2026-01-01 until 2026-02-01"


def test_every_unit_of_the_table_is_counted() -> None:
    """A refresh that brings a new unit must not leave it out of amounts in silence."""
    assert table().dimensions.keys() <= {*COUNTED, REQUESTS}


def test_pictures_and_video_have_their_own_price() -> None:
    """Picture tokens lie in input, cached input and output."""
    got = usd(
        "gpt-image-1",
        1000,
        500,
        provider="openai",
        cache_read_tokens=300,
        input_image_tokens=600,
        cache_read_image_tokens=200,
        output_image_tokens=500,
    )
    want = (1000 - 300 - 600 + 200) * 5 + 100 * 1.25 + 200 * 2.5 + 400 * 10 + 500 * 40
    assert got == pytest.approx(want / 1e6, abs=1e-15)


def test_output_that_is_all_pictures_needs_no_price_for_text() -> None:
    """A model with a price for pictures alone: pictures are priced, any other output is not."""
    rate = CONTEXT.rate("x/y", {"input": "5", "output_image": "40"})
    assert rate is not None
    found = schedule("x/y", [Phase((), rate)])
    drawn, told = (counts_of(10, 50, 0, 0, 0, {"output_image_tokens": pictures}) for pictures in (50, 49))
    assert judge(found, drawn, 10, 50, None)[:2] == ("priced", (10 * 5 + 50 * 40) / 10**6)
    assert judge(found, told, 10, 50, None)[:2] == ("unknown_price", None)


def test_searches_are_billed_each() -> None:
    """Ten dollars per thousand searches; a search of a model whose searches have no price has no amount."""
    assert usd("claude-sonnet-4-5", 0, 0, provider="anthropic", web_searches=3) == pytest.approx(0.03)
    got = price("gpt-3.5-turbo", provider="openai", input_tokens=1, output_tokens=1, web_searches=1)
    assert (got.amount_usd, got.status) == (None, "unknown_price")


def test_what_is_not_billed_by_tokens() -> None:
    """Seconds of audio, characters and pages; without them nobody knows what the call was."""
    none = {"tokens_in": None, "tokens_out": None}
    assert usd("whisper-1", **none, provider="openai", audio_seconds=90.5) == pytest.approx(0.36 * 90.5 / 3600)
    assert usd("whisper-1", **none, provider="openai", input_audio_seconds=60) == pytest.approx(0.006)
    assert usd("whisper-large-v3", **none, provider="groq", audio_seconds=0.5) == pytest.approx(0.111 * 10 / 3600)
    assert usd("whisper-large-v3", **none, provider="groq", web_searches=0, audio_seconds=0) is None
    assert usd("tts-1", **none, provider="openai", input_characters=2000) == pytest.approx(0.03)
    pages = {"document_pages": 10, "annotated_document_pages": 4}
    assert usd("mistral-ocr-2512", **none, provider="mistral_ai", **pages) == pytest.approx((6 * 2 + 4 * 3) / 1000)
    assert price("whisper-1", provider="openai", input_tokens=9, output_tokens=9).status == "unknown_usage"
    assert price("whisper-1", provider="openai", input_tokens=9, output_tokens=9, input_characters=5).status


def test_a_transcription_without_seconds_is_not_rounded_up() -> None:
    """The least that is billed is for calls with audio; characters alone tell nothing of a transcription."""
    got = price("whisper-large-v3", provider="groq", input_tokens=None, output_tokens=None, input_characters=5)
    assert (got.status, got.amount_usd) == ("unknown_usage", None)
    counts = counts_of(5, 5, 0, 0, 0, {"web_searches": 1})
    assert counts is not None
    assert with_least_seconds(counts, 10) == counts


def test_a_first_price_with_a_condition_holds_before_it_too() -> None:
    """Where the source has no price without a condition, its first one is that of all earlier days."""
    rows = [{"from": "2026-01-01", "prices": {"input": "1"}}, {"from": "2026-02-01", "prices": {"input": "2"}}]
    found = CONTEXT.schedule("x/y", Model("y", "y", rows), (), own=True)
    rules = [rate.rule for month in (1, 2) if (rate := found.at(unix_s(datetime(2026 - month % 2, month, 9))))]
    assert rules == ["x/y", "x/y from 2026-02-01"]


def test_fast_mode_and_other_circumstances() -> None:
    """Anthropic's fast mode is a speed, OpenAI's a tier; the data's own conditions can be given as they are."""
    plain = usd("claude-opus-4-8", provider="anthropic")
    fast = usd("claude-opus-4-8", provider="anthropic", service_tier="fast")
    assert plain is not None
    assert fast == usd("claude-opus-4-8", provider="anthropic", conditions={"speed": "fast"})
    assert fast == pytest.approx(2 * plain)
    search = {"provider": "perplexity", "web_searches": 1000, "conditions": {"search_type": "fast"}}
    assert usd("perplexity/sonar", 0, 0, **search) == pytest.approx(1.0)
    both = {"provider": "anthropic", "service_tier": "batch", "conditions": {"search_type": "fast"}}
    assert usd("claude-opus-4-8", **both) is None


def test_a_count_that_is_none_of_ours_is_a_mistake_in_the_call() -> None:
    """Keywords are checked, since a count with a typing error would be missing in the amount."""
    with pytest.raises(TypeError, match=r"no count 'web_search'; there are cache_write_1h_tokens"):
        price("gpt-4o", input_tokens=1, output_tokens=1, web_search=1)  # type: ignore[call-arg]
