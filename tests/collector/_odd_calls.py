"""Random calls that are nearly right: names with wrappings, hosts of others, counts that do not fit."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

from spanloom.semconv import GenAI, OlderGenAI, OpenAI, Server

_HEADS = ("openai/", "azure/", "bedrock/", "models/", "anthropic/", "gemini/", "vertex_ai/", "openrouter/", "azure/eu/",
          "publishers/google/models/", "projects/p/locations/l/publishers/google/models/", "us.", "ft:")  # fmt: skip
_TAILS = ("-2024-07-18", "-20250615", ":free", "-latest", "@20240307", "-v1:0", "-preview", "-2024-07-18-x", " ", "/x")
_HOSTS = ("localhost", "10.0.0.1", "gw.example.com", "a.b.svc", "https://api.openai.com/v1", "API.OpenAI.com.",
          "api.openai.com:443", "bedrock-runtime.us-gov-west-1.amazonaws.com")  # fmt: skip
_PROVIDERS = ("", "OpenAI", "acme", "litellm", "vllm", "ollama")
_COUNTS = (
    GenAI.USAGE_INPUT_TOKENS,
    GenAI.USAGE_OUTPUT_TOKENS,
    GenAI.USAGE_CACHE_READ_INPUT_TOKENS,
    GenAI.USAGE_CACHE_WRITE_INPUT_TOKENS,
    GenAI.USAGE_REASONING_OUTPUT_TOKENS,
)
_OLDER_COUNTS = ("gen_ai.usage.prompt_tokens", "llm.token_count.prompt", "gen_ai.usage.total_tokens",
                 "gen_ai.usage.cache_read_input_tokens", "gen_ai.usage.completion_tokens")  # fmt: skip
_MODES = (GenAI.USAGE_AUDIO_INPUT_TOKENS, GenAI.USAGE_AUDIO_OUTPUT_TOKENS, GenAI.USAGE_IMAGE_OUTPUT_TOKENS)
_USUAL = (1237, 411, 301, 57, 101)
_NUMBERS = (0, 1, 7, 100, 5000, 250_000)
_NO_COUNTS = (-5, 3.0, 2.5, "12", 10**13)


def odd_calls(rows: Mapping[str, Any], how_many: int, seed: int) -> list[dict[str, Any]]:
    """Attributes of calls over the names, providers and hosts of a price table (``collector_config/prices.yaml``)."""
    dice = random.Random(seed)
    models = [key.split("/", 1) for key in rows if "/" in key]
    hosts = [key[5:].replace("*", "x") for key in rows if key.startswith("host:")]
    providers = [key[9:] for key in rows if key.startswith("provider:")]
    return [_odd_call(dice, models, (*hosts, *_HOSTS), (*providers, *_PROVIDERS)) for _ in range(how_many)]


def _odd_call(
    dice: random.Random, models: Sequence[Sequence[str]], hosts: Sequence[str], providers: Sequence[str]
) -> dict[str, Any]:
    def now_and_then(share: float, choices: Sequence[Any], otherwise: Any = None) -> Any:
        return dice.choice(choices) if dice.random() < share else otherwise

    provider, name = dice.choice(models)
    found: dict[str, Any] = {
        GenAI.OPERATION_NAME: now_and_then(0.05, ("embeddings", "text_completion", "rerank"), "chat"),
        GenAI.PROVIDER_NAME: now_and_then(0.2, providers, provider),
        OlderGenAI.SYSTEM: now_and_then(0.05, providers),
        GenAI.REQUEST_MODEL: now_and_then(0.25, _HEADS, "") + name + now_and_then(0.25, _TAILS, ""),
        GenAI.RESPONSE_MODEL: now_and_then(0.05, models, (None, None))[1],
        Server.ADDRESS: now_and_then(0.3, hosts),
        OpenAI.RESPONSE_SERVICE_TIER: now_and_then(0.05, ("auto", "flex", "priority", "default")),
        dice.choice(_OLDER_COUNTS): now_and_then(0.2, _NUMBERS),
        dice.choice(_MODES): now_and_then(0.1, (0, 5)),
    }
    for count, usual in zip(_COUNTS, _USUAL, strict=True):
        found[count] = now_and_then(0.05, (None,), now_and_then(0.01, _NO_COUNTS, now_and_then(0.1, _NUMBERS, usual)))
    return {name: value for name, value in found.items() if value not in (None, "")}
