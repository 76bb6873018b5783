"""Reading a request: SDK keyword arguments -> names and values of the conventions. Nothing is changed or consumed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from spanloom.genai import Inference, Peer
from spanloom.openai._messages import input_messages, system_instructions, tool_definitions
from spanloom.semconv import GenAI, OpenAI, Provider

# Host suffix -> provider. Only hosts that are one provider's own; the rest speak OpenAI's protocol for somebody.
_PROVIDERS = (
    (".openai.azure.com", Provider.AZURE_OPENAI),
    (".cognitiveservices.azure.com", Provider.AZURE_OPENAI),
    (".services.ai.azure.com", Provider.AZURE_INFERENCE),
    (".models.ai.azure.com", Provider.AZURE_INFERENCE),
    ("api.anthropic.com", Provider.ANTHROPIC),
    ("api.cohere.com", Provider.COHERE),
    ("api.cohere.ai", Provider.COHERE),
    ("api.deepseek.com", Provider.DEEPSEEK),
    ("generativelanguage.googleapis.com", Provider.GEMINI),
    ("aiplatform.googleapis.com", Provider.VERTEX_AI),
    ("api.groq.com", Provider.GROQ),
    ("api.mistral.ai", Provider.MISTRAL),
    ("api.moonshot.ai", Provider.MOONSHOT),
    ("api.moonshot.cn", Provider.MOONSHOT),
    ("api.perplexity.ai", Provider.PERPLEXITY),
    ("api.x.ai", Provider.X_AI),
)

_PLAIN = (
    ("frequency_penalty", GenAI.REQUEST_FREQUENCY_PENALTY, float),
    ("presence_penalty", GenAI.REQUEST_PRESENCE_PENALTY, float),
    ("temperature", GenAI.REQUEST_TEMPERATURE, float),
    ("top_p", GenAI.REQUEST_TOP_P, float),
    ("max_tokens", GenAI.REQUEST_MAX_TOKENS, int),
    ("max_completion_tokens", GenAI.REQUEST_MAX_TOKENS, int),
    ("seed", GenAI.REQUEST_SEED, int),
    ("reasoning_effort", GenAI.REQUEST_REASONING_LEVEL, str),
    ("service_tier", OpenAI.REQUEST_SERVICE_TIER, str),
)


def provider_of(host: str) -> str:
    """The provider behind a host; ``openai`` where only the protocol is known."""
    for suffix, provider in _PROVIDERS:
        if host.endswith(suffix):
            return provider
    return Provider.OPENAI


def peer_of(resource: Any) -> Peer:
    """Provider, host and port of a resource's client."""
    url = getattr(getattr(resource, "_client", None), "base_url", None)
    host = getattr(url, "host", None)
    if not isinstance(host, str) or not host:
        return Peer(Provider.OPENAI)
    port = getattr(url, "port", None)
    if not isinstance(port, int):
        port = 80 if getattr(url, "scheme", "") == "http" else 443
    return Peer(provider_of(host), host, port)


def read_request(inference: Inference, kwargs: Mapping[str, Any]) -> None:
    """Write what was asked for onto the inference. Values that were not given (``omit``) have other types."""
    attributes = inference.attributes
    attributes[OpenAI.API_TYPE] = "chat_completions"
    for key, name, kind in _PLAIN:
        value = kwargs.get(key)
        if _is_a(value, kind):
            attributes[name] = value
    count = kwargs.get("n")
    if _is_a(count, int) and count != 1:
        attributes[GenAI.REQUEST_CHOICE_COUNT] = count
    stop = _texts(kwargs.get("stop"))
    if stop:
        attributes[GenAI.REQUEST_STOP_SEQUENCES] = stop
    if kwargs.get("stream") is True:
        attributes[GenAI.REQUEST_STREAM] = True
    output = _output_type(kwargs.get("response_format"))
    if output is not None:
        attributes[GenAI.OUTPUT_TYPE] = output
    if inference.captures_content:
        _keep_content(inference, kwargs)


def _is_a(value: Any, kind: type) -> bool:
    """True for a value of the kind that OTLP can carry; a bool is no number, a whole number is a float."""
    if isinstance(value, bool):
        return False
    if isinstance(value, int):
        return kind in (int, float) and abs(value) < 2**63
    return isinstance(value, kind)


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, Sequence):
        return [item for item in cast("Sequence[Any]", value) if isinstance(item, str)]
    return []


def _output_type(response_format: Any) -> str | None:
    if isinstance(response_format, type):
        return "json"
    kind = cast("Mapping[str, Any]", response_format).get("type") if isinstance(response_format, Mapping) else None
    if kind in ("json_object", "json_schema"):
        return "json"
    return "text" if kind == "text" else None


def _keep_content(inference: Inference, kwargs: Mapping[str, Any]) -> None:
    messages = kwargs.get("messages")
    tools = kwargs.get("tools")
    content: dict[str, Any] = {}
    # A generator is the caller's: reading it here would send an empty request.
    if isinstance(messages, (list, tuple)):
        # The caller may go on with the same list while a stream is read.
        kept = list(cast("Sequence[Any]", messages))
        content[GenAI.INPUT_MESSAGES] = lambda: input_messages(kept)
        content[GenAI.SYSTEM_INSTRUCTIONS] = lambda: system_instructions(kept)
    if isinstance(tools, (list, tuple)):
        offered = list(cast("Sequence[Any]", tools))
        content[GenAI.TOOL_DEFINITIONS] = lambda: tool_definitions(offered)
    inference.input_content = content
