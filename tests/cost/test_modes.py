"""What sound costs where it is counted, and which prices of one's own an amount is from."""

from __future__ import annotations

import random
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from spanloom.cost import load_overrides, price, reset_overrides
from spanloom.cost._judged import Verdict, Writer, judged, price_version
from spanloom.cost._parts import exact_parts, parts_of
from spanloom.cost._rate import SCALE
from spanloom.cost._resolve import finding
from spanloom.cost._table import table
from spanloom.cost._usage import Counts, counts_of
from spanloom.semconv import Spanloom
from tests.cost._support import Usage

RULES = "version: 1\nprices:\n  - match: {model: acme}\n    price: {input: 1, output: 2}\n"
PARTS = {
    f"spanloom.cost.{part}" for part in ("input", "output", "cache_read", "cache_write", "reasoning", "audio", "other")
}
CONTEXT = finding()[1]
# As gpt-realtime has them, but for the price of cached sound, which is the same as that of cached text there.
REALTIME = {
    "cache_audio_read": "0.3",
    "cache_image_read": "0.5",
    "cache_read": "0.4",
    "input": "4",
    "input_audio": "32",
    "input_image": "5",
    "output": "16",
    "output_audio": "64",
}


@pytest.fixture
def overrides() -> Iterator[None]:
    yield
    reset_overrides()


def audio(usage: Usage) -> Verdict:
    return judged("openai", "gpt-audio", None, None, usage)


def test_counted_sound_has_its_price() -> None:
    """As ``price()`` says, and the parts add up to it."""
    found = audio(Usage(1000, 500, audio_input_tokens=900, audio_output_tokens=400))
    wanted = price(
        "gpt-audio",
        provider="openai",
        input_tokens=1000,
        output_tokens=500,
        input_audio_tokens=900,
        output_audio_tokens=400,
    )
    assert (found.status, found.usd) == ("priced", wanted.amount_usd)
    text = price("gpt-audio", provider="openai", input_tokens=1000, output_tokens=500).amount_usd
    assert found.usd is not None
    assert text is not None
    assert found.usd > text


def test_sound_is_a_part_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is heard and what is said; input and output are the text, and without text they are no parts."""
    monkeypatch.setenv("SPANLOOM_COST_DETAILS", "true")
    writer = Writer()
    both = writer.rows(audio(Usage(1000, 500, audio_input_tokens=900, audio_output_tokens=400)))
    assert parts_in(both) == {
        Spanloom.COST_INPUT: 100 * 2.5,
        Spanloom.COST_OUTPUT: 100 * 10,
        Spanloom.COST_AUDIO: 900 * 32 + 400 * 64,
    }
    alone = writer.rows(audio(Usage(1000, 500, audio_input_tokens=1000, audio_output_tokens=500)))
    assert parts_in(alone) == {Spanloom.COST_AUDIO: 1000 * 32 + 500 * 64}
    silent = writer.rows(audio(Usage(1000, 500, audio_input_tokens=0, audio_output_tokens=0)))
    assert parts_in(silent) == {Spanloom.COST_INPUT: 2500, Spanloom.COST_OUTPUT: 5000}


def parts_in(rows: dict[str, Any]) -> dict[str, float]:
    """The parts of an amount, in millionths of a dollar; they are all of it."""
    parts = {name: value for name, value in rows.items() if name in PARTS}
    assert sum(parts.values()) == pytest.approx(rows[Spanloom.COST_AMOUNT], abs=1e-15)
    return {name: round(value * 1e6, 6) for name, value in parts.items()}


def test_cached_sound_is_sound() -> None:
    """It is in no other part; cached text and cached pictures are what was read from the cache."""
    rate = CONTEXT.rate("x/y", REALTIME)
    assert rate is not None
    rest = {"input_audio_tokens": 500, "cache_read_audio_tokens": 200, "output_audio_tokens": 60}
    rest |= {"input_image_tokens": 90, "cache_read_image_tokens": 40}
    counts = counts_of(1000, 100, 300, 0, 10, rest)
    assert counts is not None
    assert {name: round(value * 1e6, 6) for name, value in parts_of(rate, counts).items()} == {
        Spanloom.COST_INPUT: (1000 - 300 - 300 - 50) * 4 + 50 * 5,
        Spanloom.COST_CACHE_READ: 60 * 0.4 + 40 * 0.5,
        Spanloom.COST_OUTPUT: 30 * 16,
        Spanloom.COST_REASONING: 10 * 16,
        Spanloom.COST_AUDIO: 300 * 32 + 200 * 0.3 + 60 * 64,
    }


def test_parts_are_the_whole_for_every_rate_of_the_table() -> None:
    """To the last digit, for any counts that fit together; none is below 0."""
    chance = random.Random(5)
    for provider in table().providers:
        for index in range(len(provider.rows)):
            for phase in CONTEXT.schedule("x/y", provider.model(index), (), own=True).phases:
                if phase.rate is not None:
                    counts = some_counts(chance)
                    parts = exact_parts(phase.rate, counts)
                    assert sum(parts.values()) == phase.rate.amount(counts)
                    assert all(part >= 0 for part in parts.values()), (phase.rate.rule, counts, parts)


def some_counts(chance: random.Random) -> Counts:
    """Counts of everything, of which no part is larger than what it lies in."""

    def upto(most: int) -> int:
        return chance.choice((0, chance.randint(0, most), most))

    cached_audio, cached_image, cached_text, hour = (upto(300) for _ in range(4))
    written, audio, image, video, text = hour + upto(9), upto(400), upto(300), upto(99), upto(500_000)
    out_audio, out_image, out_video, thought, citation = (upto(200) for _ in range(5))
    rest = {
        "cache_write_1h_tokens": hour,
        "input_audio_tokens": audio + cached_audio,
        "cache_read_audio_tokens": cached_audio,
        "output_audio_tokens": out_audio,
        "input_image_tokens": image + cached_image,
        "cache_read_image_tokens": cached_image,
        "output_image_tokens": out_image,
        "input_video_tokens": video,
        "output_video_tokens": out_video,
        "citation_tokens": citation,
        "audio_seconds": upto(60),
        "web_searches": upto(3),
    }
    cached = cached_audio + cached_image + cached_text
    given = cached + written + audio + image + video + text
    made = out_audio + out_image + out_video + thought + citation + upto(500)
    counts = counts_of(given, made, cached, written, thought, rest)
    assert counts is not None
    return counts


def test_more_thought_than_text() -> None:
    """Counts that contradict each other: what is sound is not thought as well, and no part is below 0."""
    rate = CONTEXT.rate("x/y", REALTIME)
    counts = counts_of(10, 100, 0, 0, 60, {"output_audio_tokens": 70})
    assert rate is not None
    assert counts is not None
    parts = exact_parts(rate, counts)
    assert sum(parts.values()) == rate.amount(counts)
    assert Spanloom.COST_OUTPUT not in parts
    assert round(parts[Spanloom.COST_REASONING] / SCALE * 1e6, 6) == 30 * 16


@pytest.mark.parametrize(
    "usage",
    [
        Usage(1000, 500),
        Usage(1000, 500, audio_input_tokens=900),
        Usage(1000, 500, cache_read_input_tokens=5, audio_input_tokens=900, audio_output_tokens=400),
        Usage(1000, 500, audio_input_tokens=1001, audio_output_tokens=0),
        Usage(1000, 500, audio_input_tokens=0, audio_output_tokens=501),
    ],
)
def test_what_does_not_tell_enough(usage: Usage) -> None:
    """No guess of how much was sound."""
    assert audio(usage) == Verdict("unknown_usage", None, None)


def test_video_is_counted_by_nobody() -> None:
    """A model that may answer with it, at a price of its own: whatever else is counted is not enough."""
    usage = Usage(1000, 500, audio_output_tokens=0, image_output_tokens=0)
    assert judged("gcp.gemini", "gemini-omni-1.1-flash", None, None, usage) == Verdict("unknown_usage", None, None)


def test_the_version_names_own_prices(overrides: None, tmp_path: Path) -> None:
    """By the beginning of the file's SHA-256, for as long as they are in effect."""
    file = tmp_path / "prices.yaml"
    file.write_text(RULES)
    assert price_version() == table().source
    load_overrides(str(file))
    digest = sha256(file.read_bytes()).hexdigest()[:12]
    assert price_version() == f"{table().source}, own prices {digest}"
    load_overrides([{"match": {"model": "acme"}, "price": {"input": 1, "output": 2}}])
    assert digest not in price_version()
    assert "own prices" in price_version()
    load_overrides([])
    assert price_version() == table().source
