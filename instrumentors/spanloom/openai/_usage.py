"""Token counts as chat completions, responses and embeddings report them, OpenAI's and its imitators'."""

from __future__ import annotations

from typing import Any, Final

from spanloom.genai import Usage
from spanloom.genai._amounts import cost_of
from spanloom.genai._fields import Fields, fields

# OTLP has signed 64-bit integers; a Collector refuses a whole batch for one that is greater.
_MOST: Final = 2**63 - 1
# Input, output, details of either: chat completions and embeddings; responses.
_CHAT: Final = ("prompt_tokens", "completion_tokens", "prompt_tokens_details", "completion_tokens_details")
_RESPONSES: Final = ("input_tokens", "output_tokens", "input_tokens_details", "output_tokens_details")
# Where those who have no details put them: Moonshot, DeepSeek, and what LiteLLM translates from Anthropic.
_CACHE_READ: Final = ("cached_tokens", "prompt_cache_hit_tokens", "cache_read_input_tokens")
_CACHE_WRITE: Final = ("cache_creation_input_tokens",)
# Most report 0 of each for a call that has none.
_GIVEN: Final = tuple((f"{kind}_tokens", f"{kind}_input_tokens") for kind in ("audio", "image", "text"))
_MADE: Final = tuple((f"{kind}_tokens", f"{kind}_output_tokens") for kind in ("audio", "image", "text"))


def count(value: Any) -> int | None:
    """A token count, or ``None`` for whatever is not one."""
    return value if type(value) is int and 0 <= value <= _MOST else None


def usage_of(usage: Any) -> Usage | None:
    """The counts that were reported; ``None`` where there are none."""
    if usage is None:
        return None
    told = fields(usage)
    found = _read(told, *_CHAT)
    if found.input_tokens is None and found.output_tokens is None:
        found = _read(told, *_RESPONSES)
    return found if found.attributes() else None


def _read(told: Fields, given: str, made: str, given_details: str, made_details: str) -> Usage:
    details, made_of = fields(told.get(given_details)), fields(told.get(made_details))
    found = Usage(
        count(told.get(given)),
        count(told.get(made)),
        _first(details, "cached_tokens", told, _CACHE_READ),
        _first(details, "cache_write_tokens", told, _CACHE_WRITE),
        count(made_of.get("reasoning_tokens")),
    )
    if found.reasoning_output_tokens:
        _complete(found, told)
    if (cost := told.get("cost")) is not None:
        found.reported_cost_usd = cost_of(cost, told)
    # Most have none: asked for here, that costs no call.
    for key, slot in _GIVEN:
        if told_count := details.get(key):
            _add(found, slot, told_count)
    for key, slot in _MADE:
        if told_count := made_of.get(key):
            _add(found, slot, told_count)
    return found


def _first(details: Fields, key: str, told: Fields, otherwise: tuple[str, ...]) -> int | None:
    found = count(details.get(key))
    for other in otherwise if found is None else ():
        found = count(told.get(other))
        if found is not None:
            break
    return found


def _complete(found: Usage, told: Fields) -> None:
    """Where the total tells that the output is without reasoning (xAI's): the conventions' output includes it."""
    made = (found.output_tokens or 0) + (found.reasoning_output_tokens or 0)
    if told.get("total_tokens") == (found.input_tokens or 0) + made:
        found.output_tokens = made


def _add(found: Usage, slot: str, value: Any) -> None:
    if count(value):
        setattr(found, slot, value)
