"""Who answers: by the model's name, by the route that DSPy chose, or by what the user says of a host."""

from __future__ import annotations

import functools
import os
import sys
from typing import Any, Final
from urllib.parse import urlsplit

from spanloom.genai import Peer, hosts_of, providers_of
from spanloom.semconv import OtherProvider, Provider

# The first part of "provider/model", as LiteLLM has it -> the conventions' provider.
_BY_PREFIX: Final = {
    "openai": Provider.OPENAI,
    "azure": Provider.AZURE_OPENAI,
    "azure_ai": Provider.AZURE_INFERENCE,
    "anthropic": Provider.ANTHROPIC,
    "bedrock": Provider.AWS_BEDROCK,
    "cerebras": OtherProvider.CEREBRAS,
    "cohere": Provider.COHERE,
    "databricks": OtherProvider.DATABRICKS,
    "deepinfra": OtherProvider.DEEPINFRA,
    "deepseek": Provider.DEEPSEEK,
    "fireworks_ai": OtherProvider.FIREWORKS_AI,
    "gemini": Provider.GEMINI,
    "groq": Provider.GROQ,
    "hosted_vllm": OtherProvider.VLLM,
    "huggingface": OtherProvider.HUGGINGFACE,
    "lm_studio": OtherProvider.LM_STUDIO,
    "mistral": Provider.MISTRAL,
    "moonshot": Provider.MOONSHOT,
    "nvidia_nim": OtherProvider.NVIDIA,
    "ollama": OtherProvider.OLLAMA,
    "ollama_chat": OtherProvider.OLLAMA,
    "openrouter": OtherProvider.OPENROUTER,
    "perplexity": Provider.PERPLEXITY,
    "sambanova": OtherProvider.SAMBANOVA,
    "together_ai": OtherProvider.TOGETHER_AI,
    "vertex_ai": Provider.VERTEX_AI,
    "watsonx": Provider.WATSONX,
    "xai": Provider.X_AI,
}
# What DSPy's own client calls them, of those that a model's name alone leads to.
BY_ROUTE: Final[dict[Any, str]] = {
    "anthropic": Provider.ANTHROPIC,
    "azure": Provider.AZURE_OPENAI,
    "azure-chat": Provider.AZURE_OPENAI,
    "deepseek": Provider.DEEPSEEK,
    "gemini": Provider.GEMINI,
    "groq": Provider.GROQ,
    "moonshotai": Provider.MOONSHOT,
    "ollama": OtherProvider.OLLAMA,
    "openai": Provider.OPENAI,
    "openai-chat": Provider.OPENAI,
    "openrouter": OtherProvider.OPENROUTER,
    "typesafe": OtherProvider.TYPESAFE,
    "vllm": OtherProvider.VLLM,
    "xai": Provider.X_AI,
}
_PORTS: Final = {"http": 80, "https": 443}
_MOST_KNOWN: Final = 256


@functools.lru_cache(_MOST_KNOWN)
def split_model(name: str) -> tuple[str | None, str | None]:
    """``openai/gpt-4o-mini`` -> (``openai``, ``gpt-4o-mini``); an unknown first part stays in the model's name."""
    first, slash, rest = name.partition("/")
    if slash and rest and first in _BY_PREFIX:
        return _BY_PREFIX[first], rest
    return None, name or None


@functools.lru_cache(_MOST_KNOWN)
def address_of(url: str) -> tuple[str, int] | None:
    """Host and port of an address; ``None`` where it is none: what DSPy makes of it is its business."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    return (host, port or _PORTS.get(parts.scheme, 443)) if host else None


def litellms_base(provider: str | None) -> str | None:
    """The base URL that LiteLLM takes where a call names none: its own setting, and for OpenAI the environment's."""
    set_by_code: Any = getattr(sys.modules.get("litellm"), "api_base", None)
    if isinstance(set_by_code, str) and set_by_code:
        return set_by_code
    if provider != Provider.OPENAI:
        return None
    return os.environ.get("OPENAI_BASE_URL") or os.environ.get("OPENAI_API_BASE")


class Peers:
    """Finds whom a call goes to, and who may learn which trace it belongs to."""

    def __init__(self) -> None:
        self._named = providers_of("SPANLOOM_PROVIDER_HOSTS")
        self._trusted = hosts_of("SPANLOOM_PROPAGATE_HOSTS")

    def of(self, provider: str | None, base: Any) -> Peer:
        """The address only where the program names it: DSPy resolves the rest below us."""
        address = address_of(base) if isinstance(base, str) and base else None
        if address is None:
            return Peer(provider)
        return Peer(self._named.find(*address) or provider, *address)

    def trusts(self, host: str | None, port: int | None) -> bool:
        """True where the user wants the trace context sent."""
        return self._trusted.any and host is not None and self._trusted.find(host, port) is not None
