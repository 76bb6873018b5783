"""Whom a client talks to: provider by setting, class of the client and host; address and port by its base URL."""

from __future__ import annotations

import functools
from typing import Any
from urllib.parse import urlsplit

from spanloom.genai import Peer, domains_above, providers_of, tolerant
from spanloom.semconv import OtherProvider, Provider

_CLASSES = {
    "AzureOpenAI": Provider.AZURE_OPENAI,
    "AsyncAzureOpenAI": Provider.AZURE_OPENAI,
    "BedrockOpenAI": Provider.AWS_BEDROCK,
    "AsyncBedrockOpenAI": Provider.AWS_BEDROCK,
}

# Domains that are one provider's own, with everything below them. Others speak OpenAI's protocol for somebody.
_DOMAINS = {
    "openai.azure.com": Provider.AZURE_OPENAI,
    "cognitiveservices.azure.com": Provider.AZURE_OPENAI,
    "openai.azure.us": Provider.AZURE_OPENAI,
    "openai.azure.cn": Provider.AZURE_OPENAI,
    "services.ai.azure.com": Provider.AZURE_INFERENCE,
    "models.ai.azure.com": Provider.AZURE_INFERENCE,
    "anthropic.com": Provider.ANTHROPIC,
    "cohere.com": Provider.COHERE,
    "cohere.ai": Provider.COHERE,
    "deepseek.com": Provider.DEEPSEEK,
    "generativelanguage.googleapis.com": Provider.GEMINI,
    "aiplatform.googleapis.com": Provider.VERTEX_AI,
    "groq.com": Provider.GROQ,
    "mistral.ai": Provider.MISTRAL,
    "moonshot.ai": Provider.MOONSHOT,
    "moonshot.cn": Provider.MOONSHOT,
    "perplexity.ai": Provider.PERPLEXITY,
    "x.ai": Provider.X_AI,
    "openrouter.ai": OtherProvider.OPENROUTER,
    "together.xyz": OtherProvider.TOGETHER_AI,
    "together.ai": OtherProvider.TOGETHER_AI,
    "fireworks.ai": OtherProvider.FIREWORKS_AI,
    "cerebras.ai": OtherProvider.CEREBRAS,
    "integrate.api.nvidia.com": OtherProvider.NVIDIA,
    "models.github.ai": OtherProvider.GITHUB,
    "githubcopilot.com": OtherProvider.GITHUB_COPILOT,
    "huggingface.co": OtherProvider.HUGGINGFACE,
    "huggingface.cloud": OtherProvider.HUGGINGFACE,
    "gateway.ai.cloudflare.com": OtherProvider.CLOUDFLARE,
    "ai-gateway.vercel.sh": OtherProvider.VERCEL_AI_GATEWAY,
    "ai21.com": OtherProvider.AI21,
    "baseten.co": OtherProvider.BASETEN,
    "chutes.ai": OtherProvider.CHUTES,
    "dashscope.aliyuncs.com": OtherProvider.DASHSCOPE,
    "dashscope-intl.aliyuncs.com": OtherProvider.DASHSCOPE,
    "cloud.databricks.com": OtherProvider.DATABRICKS,
    "azuredatabricks.net": OtherProvider.DATABRICKS,
    "deepinfra.com": OtherProvider.DEEPINFRA,
    "featherless.ai": OtherProvider.FEATHERLESS_AI,
    "friendli.ai": OtherProvider.FRIENDLIAI,
    "hyperbolic.xyz": OtherProvider.HYPERBOLIC,
    "lambda.ai": OtherProvider.LAMBDA_AI,
    "api.llama.com": OtherProvider.META_LLAMA,
    "minimax.io": OtherProvider.MINIMAX,
    "nebius.com": OtherProvider.NEBIUS,
    "novita.ai": OtherProvider.NOVITA,
    "nscale.com": OtherProvider.NSCALE,
    "sambanova.ai": OtherProvider.SAMBANOVA,
    "snowflakecomputing.com": OtherProvider.SNOWFLAKE,
    "volces.com": OtherProvider.VOLCENGINE,
    "inference.wandb.ai": OtherProvider.WANDB,
    "z.ai": OtherProvider.ZAI,
    "bigmodel.cn": OtherProvider.ZAI,
}

# Servers on this machine, by the port that is theirs alone by default. 8000 and 8080 are everybody's.
_LOCAL = ("localhost", "127.0.0.1", "::1", "host.docker.internal")
_LOCAL_PORTS = {
    11434: OtherProvider.OLLAMA,
    1234: OtherProvider.LM_STUDIO,
    12434: OtherProvider.DOCKER_MODEL_RUNNER,
}

_PORTS = {"http": 80, "https": 443}
# One entry a base URL; a service has a handful of clients, one that makes them by the thousand starts anew.
_MOST_KNOWN = 256


class Peers:
    """Finds the peer of a client, and keeps it by the client's base URL."""

    def __init__(self) -> None:
        self._named = providers_of("SPANLOOM_PROVIDER_HOSTS")
        # By the identity of the URL object, which is held so that its identity stays its own.
        self._known: dict[int, tuple[Any, type, Peer]] = {}

    def of(self, client: object, path: str = "") -> Peer:
        """The peer of a request; ``path`` may be a whole URL, as an application may ask for."""
        url = _base_url(client)
        if path.startswith(("http://", "https://")):
            return self._make(type(client), urlsplit(path))
        entry = self._known.get(id(url))
        if entry is not None and entry[0] is url and entry[1] is type(client):
            return entry[2]
        if len(self._known) >= _MOST_KNOWN:
            self._known.clear()
        peer = self._make(type(client), url)
        self._known[id(url)] = (url, type(client), peer)
        return peer

    def _make(self, kind: type, url: Any) -> Peer:
        # The SDK's URL is httpx's or httpx2's; both have these, and so has what `urlsplit` gives.
        host = getattr(url, "hostname", None) or getattr(url, "host", None)
        if not isinstance(host, str) or not host:
            return Peer(_by_class(kind) or Provider.OPENAI)
        port = getattr(url, "port", None)
        if not isinstance(port, int):
            port = _PORTS.get(getattr(url, "scheme", ""), 443)
        named = self._named.find(host, port)
        return Peer(named or _by_class(kind) or _by_host(host, port, str(getattr(url, "path", ""))), host, port)


def _base_url(client: object) -> Any:
    """Where requests go. The SDK's own property imports a module each time; what it gives is the field behind it."""
    field = getattr(client, "_base_url", None) if _has_usual_url(type(client)) else None
    return field or tolerant(lambda: getattr(client, "base_url", None), None)


@functools.lru_cache(maxsize=_MOST_KNOWN)
def _has_usual_url(kind: type) -> bool:
    """False for a class with a property of its own, as the client has that `openai.chat` and the like use."""
    home = next((one for one in kind.__mro__ if "base_url" in vars(one)), None)
    return home is not None and home.__module__ == "openai._base_client"


def _by_class(kind: type) -> str | None:
    """By the SDK's own classes; an application's subclass of one is one, too."""
    ours = (_CLASSES.get(one.__name__) for one in kind.__mro__ if one.__module__.partition(".")[0] == "openai")
    return next((provider for provider in ours if provider), None)


def _by_host(host: str, port: int, path: str) -> str:
    if host in _LOCAL:
        return _LOCAL_PORTS.get(port, Provider.OPENAI)
    for domain in (host, *domains_above(host)):
        provider = _DOMAINS.get(domain)
        if provider is not None:
            # Azure's newer resources speak for OpenAI's models below this path.
            openai = provider == Provider.AZURE_INFERENCE and path.startswith("/openai/")
            return Provider.AZURE_OPENAI if openai else provider
    if _is_bedrock(host):
        return Provider.AWS_BEDROCK
    first = host.partition(".")[0]
    return Provider.VERTEX_AI if first.endswith("aiplatform") and host.endswith(_GOOGLE) else Provider.OPENAI


# Behind a region's name, and the endpoints that stay in one.
_GOOGLE = (".googleapis.com",)
_AMAZON = (".amazonaws.com", ".amazonaws.com.cn", ".api.aws")


def _is_bedrock(host: str) -> bool:
    """In a public region, or by an endpoint in the application's own network."""
    first = host.partition(".")[0]
    names = host.split(".")[:2] if first.startswith("vpce-") else [first]
    return host.endswith(_AMAZON) and any(name.startswith(("bedrock-runtime", "bedrock-mantle")) for name in names)
