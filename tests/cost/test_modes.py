"""What sound costs where it is counted, and which prices of one's own an amount is from."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from spanloom.cost import load_overrides, price, reset_overrides
from spanloom.cost._judged import Verdict, judged, parts_of, price_version
from spanloom.cost._rate import SCALE
from spanloom.cost._table import table
from tests.cost._support import Usage

RULES = "version: 1\nprices:\n  - match: {model: acme}\n    price: {input: 1, output: 2}\n"


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
    assert found.rate is not None
    assert found.counts is not None
    parts = parts_of(found.rate, found.counts)
    assert sum(parts.values()) == pytest.approx(found.rate.amount(found.counts) / SCALE, abs=1e-15)
    text = price("gpt-audio", provider="openai", input_tokens=1000, output_tokens=500).amount_usd
    assert found.usd is not None
    assert text is not None
    assert found.usd > text


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
