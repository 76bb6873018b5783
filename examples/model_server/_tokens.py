"""Deterministic token counts, and the model names an answer carries. Pure functions.

One token is a run of up to eight word characters, or one other visible character. A message costs four tokens
around its text, an image 85. These are not a real tokenizer's counts; they are the same each time.

Cached tokens: whatever stands before the first user message, rounded down to a multiple of 128.
Reasoning tokens (reasoning models only): 32 and one for each token of the last user message, at most 512.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

_TOKEN = re.compile(r"\w{1,8}|[^\w\s]")
_REASONING = re.compile(r"^(o\d|gpt-5)(?!.*chat)")
MESSAGE_TOKENS = 4
IMAGE_TOKENS = 85
_DATED = {
    "gpt-3.5-turbo": "gpt-3.5-turbo-0125",
    "gpt-4-turbo": "gpt-4-turbo-2024-04-09",
    "gpt-4o": "gpt-4o-2024-08-06",
    "gpt-4o-mini": "gpt-4o-mini-2024-07-18",
    "gpt-4.1": "gpt-4.1-2025-04-14",
    "gpt-4.1-mini": "gpt-4.1-mini-2025-04-14",
    "gpt-4.1-nano": "gpt-4.1-nano-2025-04-14",
    "gpt-5": "gpt-5-2025-08-07",
    "gpt-5-mini": "gpt-5-mini-2025-08-07",
    "gpt-5-nano": "gpt-5-nano-2025-08-07",
    "o1": "o1-2024-12-17",
    "o3": "o3-2025-04-16",
    "o3-mini": "o3-mini-2025-01-31",
    "o4-mini": "o4-mini-2025-04-16",
}
MODEL_NAMES = (*_DATED, "text-embedding-3-large", "text-embedding-3-small")


@dataclass(frozen=True)
class Usage:
    """Tokens of one answer. `cached` is part of `input`, `reasoning` part of `output`."""

    input: int
    output: int = 0
    cached: int = 0
    reasoning: int = 0

    def as_chat(self) -> dict[str, Any]:
        """The ``usage`` object of a chat completion."""
        return {
            "prompt_tokens": self.input,
            "completion_tokens": self.output,
            "total_tokens": self.input + self.output,
            "prompt_tokens_details": {"cached_tokens": self.cached, "audio_tokens": 0},
            "completion_tokens_details": {
                "reasoning_tokens": self.reasoning,
                "audio_tokens": 0,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
        }

    def as_responses(self) -> dict[str, Any]:
        """The ``usage`` object of a Responses answer."""
        return {
            "input_tokens": self.input,
            "input_tokens_details": {"cached_tokens": self.cached, "cache_write_tokens": 0},
            "output_tokens": self.output,
            "output_tokens_details": {"reasoning_tokens": self.reasoning},
            "total_tokens": self.input + self.output,
        }

    def as_embeddings(self) -> dict[str, Any]:
        """The ``usage`` object of an embeddings answer."""
        return {"prompt_tokens": self.input, "total_tokens": self.input}


def count_tokens(text: str) -> int:
    """How many tokens a text has."""
    return sum(1 for _ in _TOKEN.finditer(text))


def cut_to_tokens(text: str, limit: int) -> str:
    """The text up to and including its `limit`-th token; all of it when it has no more."""
    for number, token in enumerate(_TOKEN.finditer(text), start=1):
        if number > limit:
            return text[: token.start()]
    return text


def cached_tokens(prefix_tokens: int) -> int:
    """How many tokens of a prefix count as cached."""
    return prefix_tokens // 128 * 128


def reasoning_tokens(model: str, last_user_text: str) -> int:
    """Hidden tokens of a reasoning model; 0 for any other."""
    return min(512, 32 + count_tokens(last_user_text)) if is_reasoning(model) else 0


def is_reasoning(model: str) -> bool:
    """Whether a model name is one of a reasoning model (``o3``, ``o4-mini``, ``gpt-5`` ...)."""
    return bool(_REASONING.match(model))


def dated_name(model: str) -> str:
    """The dated name that answers carry, as with the real service; unknown names are echoed."""
    return _DATED.get(model, model)
