"""What a call used, as one tuple of counts. Pure.

Nearly all calls have input, output, cached and reasoning tokens only, and give only those; what else there is follows
in the order of ``COUNTED``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

Counts = tuple[int, ...]

# Units of the table, in the order of ``Counts`` and of a band's coefficients.
COUNTED: Final = (
    "input",
    "output",
    "cache_read",
    "cache_write",
    "output_reasoning",
    "cache_write_1h",
    "input_audio",
    "cache_audio_read",
    "output_audio",
    "input_image",
    "cache_image_read",
    "output_image",
    "input_video",
    "output_video",
    "output_citation",
    "audio_hours",
    "input_audio_hours",
    "input_mchars",
    "input_text_messages_kcount",
    "input_document_kpages",
    "input_annotated_document_kpages",
    "web_searches_kcount",
    "storage_searches_kcount",
)
USUAL: Final = 5
# From here on no tokens: what the content is measured by where it is not by tokens, and last what tools were called.
MEASURES: Final = COUNTED.index("audio_hours")
TOOLS: Final = COUNTED.index("web_searches_kcount")
# Units of sound and pictures, which few models have.
MODES: Final = frozenset({"input_audio", "output_audio", "input_image", "output_image", "output_video"})
# The one unit that is counted by nobody: each call is one.
REQUESTS: Final = "requests_kcount"

# The names of ``price()`` for the counts after the usual ones.
NAMES: Final = (
    "cache_write_1h_tokens",
    "input_audio_tokens",
    "cache_read_audio_tokens",
    "output_audio_tokens",
    "input_image_tokens",
    "cache_read_image_tokens",
    "output_image_tokens",
    "input_video_tokens",
    "output_video_tokens",
    "citation_tokens",
    "audio_seconds",
    "input_audio_seconds",
    "input_characters",
    "input_text_messages",
    "document_pages",
    "annotated_document_pages",
    "web_searches",
    "storage_searches",
)
SECONDS: Final = ("audio_seconds", "input_audio_seconds")
_SECONDS: Final = NAMES.index("audio_seconds")
# Seconds are counted in millionths, so that amounts stay sums of integers.
TICKS: Final = 10**6

# More of anything in one call is a mistake in the count.
MAX_TOKENS: Final = 10**12


def counts_of(
    input_tokens: int | None,
    output_tokens: int | None,
    cache_read: int | None,
    cache_write: int | None,
    reasoning: int | None,
    rest: Mapping[str, object] | None = None,
) -> Counts | None:
    """Counts in the order of ``COUNTED``; None where one is no count, or a part is larger than its whole.

    ``rest`` has the other counts by ``NAMES``; absent, None and 0 are the same.
    """
    tokens_in, tokens_out = input_tokens or 0, output_tokens or 0
    cached, written, thought = cache_read or 0, cache_write or 0, reasoning or 0
    if not (
        type(tokens_in) is type(tokens_out) is type(cached) is type(written) is type(thought) is int
        and cached >= 0
        and written >= 0
        and cached + written <= tokens_in <= MAX_TOKENS
        and 0 <= thought <= tokens_out <= MAX_TOKENS
    ):
        return None
    counts = (tokens_in, tokens_out, cached, written, thought)
    return _with_rest(counts, rest) if rest else counts


def _with_rest(counts: Counts, rest: Mapping[str, object]) -> Counts | None:
    found: list[int] = []
    for name in NAMES:
        value = rest.get(name) or 0
        count = _ticks(value) if name in SECONDS else value
        if type(count) is not int or not 0 <= count <= MAX_TOKENS * (TICKS if name in SECONDS else 1):
            return None
        found.append(count)
    # Who reports seconds of input alone has no others.
    found[_SECONDS] = found[_SECONDS] or found[_SECONDS + 1]
    return (*counts, *found) if _fits(counts, found) else None


def _ticks(seconds: object) -> int | None:
    """Millionths of a second; None for what is no length of time."""
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not 0 <= seconds <= MAX_TOKENS:
        return None
    return round(seconds * TICKS)


def _fits(counts: Counts, rest: list[int]) -> bool:
    """No part is larger than what it lies in."""
    tokens_in, tokens_out, cached, written, reasoning = counts
    hour_write, audio, cached_audio, out_audio, image, cached_image, out_image, video, out_video, citation = rest[:10]
    seconds, input_seconds, _, _, pages, annotated, *_ = rest[10:]
    fresh_in_other_modes = audio - cached_audio + image - cached_image + video
    return (
        hour_write <= written
        and cached_audio <= audio
        and cached_image <= image
        and cached_audio + cached_image <= cached
        and cached + written + fresh_in_other_modes <= tokens_in
        and out_audio + out_image + out_video <= tokens_out
        and reasoning + citation <= tokens_out
        and input_seconds <= seconds
        and annotated <= pages
    )


def uncovered_tokens(counts: Counts) -> tuple[int, int]:
    """Input and output tokens that are not said to be audio, pictures or video."""
    rest = counts[USUAL:] or (0,) * len(NAMES)
    return counts[0] - rest[1] - rest[4] - rest[7], counts[1] - rest[3] - rest[6] - rest[8]


def with_least_seconds(counts: Counts, least: int) -> Counts:
    """The same call with at least so many seconds of audio, if it has any."""
    before, seconds, after = counts[:MEASURES], counts[MEASURES : MEASURES + 2], counts[MEASURES + 2 :]
    if not any(seconds):
        return counts
    return (*before, *(max(one, least * TICKS) for one in seconds), *after)
