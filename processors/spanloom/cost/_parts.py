"""What an amount is made of. Pure."""

from __future__ import annotations

from typing import Final

from spanloom.cost._rate import SCALE, Rate
from spanloom.cost._usage import COUNTED, MEASURES, Counts
from spanloom.semconv import Spanloom

# What is in the output besides text and sound.
_SHOWN: Final = ("output_image", "output_video", "output_citation")


def parts_of(rate: Rate, counts: Counts) -> dict[str, float]:
    """The amount in parts of which none contains another, in USD; parts without tokens are left out.

    ``audio`` is all sound that has a price of its own: input, cached input and output. ``other`` is what no tokens
    cost: searches, and the fee of a request.
    """
    return {name: part / SCALE for name, part in exact_parts(rate, counts).items()}


def exact_parts(rate: Rate, counts: Counts) -> dict[str, int]:
    """The same in 10⁻²⁴ USD; their sum is the amount.

    A part's coefficient is its price less the price of what contains it, so that a token costs the sum over all counts
    that it is in.
    """
    n = dict(zip(COUNTED[:MEASURES], (*counts, *(0,) * MEASURES), strict=False))
    usd = dict(zip(COUNTED, rate.band(counts[0]), strict=True))
    heard, heard_cached, spoken = n["input_audio"], n["cache_audio_read"], n["output_audio"]
    # What is left of the others without sound, which is counted in them as well.
    read, wrote = n["cache_read"] - heard_cached, n["cache_write"]
    fresh = n["input"] - n["cache_read"] - wrote - (heard - heard_cached)
    thought = min(n["output_reasoning"], n["output"] - spoken)
    said = n["output"] - spoken - thought
    seen_cached = n["cache_image_read"]
    seen = n["input_image"] - seen_cached
    costs = {
        Spanloom.COST_INPUT: usd["input"] * fresh + usd["input_image"] * seen + usd["input_video"] * n["input_video"],
        Spanloom.COST_CACHE_READ: (usd["input"] + usd["cache_read"]) * read
        + (usd["input_image"] + usd["cache_image_read"]) * seen_cached,
        Spanloom.COST_CACHE_WRITE: (usd["input"] + usd["cache_write"]) * wrote
        + usd["cache_write_1h"] * n["cache_write_1h"],
        Spanloom.COST_OUTPUT: usd["output"] * said + sum(usd[one] * n[one] for one in _SHOWN),
        Spanloom.COST_REASONING: usd["output"] * thought + usd["output_reasoning"] * n["output_reasoning"],
        Spanloom.COST_AUDIO: (usd["input"] + usd["input_audio"]) * heard
        + (usd["cache_read"] + usd["cache_audio_read"]) * heard_cached
        + (usd["output"] + usd["output_audio"]) * spoken,
    }
    tokens = (fresh, read, wrote, said, thought, heard + spoken)
    parts = {name: cost for (name, cost), count in zip(costs.items(), tokens, strict=True) if count}
    other = rate.amount(counts) - sum(parts.values())
    return {**parts, Spanloom.COST_OTHER: other} if other else parts
