"""Model calls of DSPy: every ``BaseLM``, whichever engine runs it. Usage comes from ``execution.finalize``."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast
from urllib.parse import urlsplit

from spanloom.dspy._messages import input_messages, output_messages, system_instructions
from spanloom.genai import Inference, Peer, Telemetry, Usage, current, guard, guarded
from spanloom.semconv import DSpy, GenAI, Operation, Provider

# The first part of "provider/model" -> the conventions' provider.
_PROVIDERS = {
    "openai": Provider.OPENAI,
    "azure": Provider.AZURE_OPENAI,
    "azure_ai": Provider.AZURE_INFERENCE,
    "anthropic": Provider.ANTHROPIC,
    "bedrock": Provider.AWS_BEDROCK,
    "cohere": Provider.COHERE,
    "deepseek": Provider.DEEPSEEK,
    "gemini": Provider.GEMINI,
    "groq": Provider.GROQ,
    "mistral": Provider.MISTRAL,
    "moonshot": Provider.MOONSHOT,
    "perplexity": Provider.PERPLEXITY,
    "vertex_ai": Provider.VERTEX_AI,
    "watsonx": Provider.WATSONX,
    "xai": Provider.X_AI,
}
_PLAIN = (
    ("temperature", GenAI.REQUEST_TEMPERATURE),
    ("top_p", GenAI.REQUEST_TOP_P),
    ("max_tokens", GenAI.REQUEST_MAX_TOKENS),
    ("max_completion_tokens", GenAI.REQUEST_MAX_TOKENS),
    ("seed", GenAI.REQUEST_SEED),
    ("frequency_penalty", GenAI.REQUEST_FREQUENCY_PENALTY),
    ("presence_penalty", GenAI.REQUEST_PRESENCE_PENALTY),
)


def begin(telemetry: Telemetry, lm: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Inference:
    """Start the span of one model call with all its attempts."""
    provider, model = split_model(lm.model)
    operation = Operation.TEXT_COMPLETION if getattr(lm, "model_type", "chat") == "text" else Operation.CHAT
    merged: dict[str, Any] = {**(getattr(lm, "kwargs", None) or {}), **kwargs}
    inference = Inference(telemetry, operation, model, _peer(provider, merged))
    with guard("dspy.lm.request"):
        inference.attributes.update(_requested(merged))
        inference.attributes[DSpy.LM_CLASS] = type(lm).__name__
        if inference.captures_content:
            _keep_content(inference, args, kwargs)
    return inference


def conclude(inference: Inference, result: Any) -> None:
    """End the span with what the program was given."""
    with guard("dspy.lm.result"):
        if inference.captures_content:
            inference.output_content = {GenAI.OUTPUT_MESSAGES: lambda: output_messages(result)}
    inference.stop()


def split_model(name: Any) -> tuple[str | None, str | None]:
    """``openai/gpt-4o-mini`` -> (``openai``, ``gpt-4o-mini``); an unknown first part stays in the model's name."""
    if not isinstance(name, str) or not name:
        return None, None
    first, slash, rest = name.partition("/")
    if slash and first in _PROVIDERS:
        return _PROVIDERS[first], rest
    return None, name


def _peer(provider: str | None, merged: Mapping[str, Any]) -> Peer:
    """The address only where the program names it: DSPy resolves the rest below us."""
    base = merged.get("api_base") or merged.get("base_url")
    if not isinstance(base, str):
        return Peer(provider)
    parts = urlsplit(base)
    if not parts.hostname:
        return Peer(provider)
    return Peer(provider, parts.hostname, parts.port or (80 if parts.scheme == "http" else 443))


def _requested(merged: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, name in _PLAIN:
        value = merged.get(key)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            yield name, value
    count = merged.get("n")
    if isinstance(count, int) and count != 1:
        yield GenAI.REQUEST_CHOICE_COUNT, count


def _keep_content(inference: Inference, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
    messages, prompt = kwargs.get("messages"), args[0] if args else kwargs.get("prompt")
    if isinstance(messages, list):
        kept = list(cast("list[Any]", messages))
    elif isinstance(prompt, str):
        kept = [{"role": "user", "content": prompt}]
    else:
        return
    inference.input_content = {
        GenAI.INPUT_MESSAGES: lambda: input_messages(kept),
        GenAI.SYSTEM_INSTRUCTIONS: lambda: system_instructions(kept),
    }


def wrap_finalize(original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap ``finalize(lm, call, result)``: the one place that knows usage, ids and whether the cache answered."""

    @functools.wraps(original)
    def finalize(lm: Any, call: Any, result: Any) -> Any:
        _read(result)
        return original(lm, call, result)

    return finalize


@guarded("dspy.lm.finalize")
def _read(result: Any) -> None:
    inference = current()
    if not isinstance(inference, Inference):
        return
    inference.cache_hit = bool(getattr(result, "cache_hit", False))
    if isinstance(result.response_model, str):
        inference.response_model = result.response_model
    responses: tuple[Any, ...] = tuple(getattr(result, "responses", ()) or ())
    if len(responses) == 1 and isinstance(responses[0].id, str):
        inference.response_id = responses[0].id
    reasons = list(_finish_reasons(result, responses))
    if reasons:
        inference.finish_reasons = reasons
    if inference.cache_hit:
        # The stored usage was paid for by an earlier call.
        inference.attributes[DSpy.CACHE_HIT] = True
    else:
        inference.usage = usage_of(result.usage)


def _finish_reasons(result: Any, responses: tuple[Any, ...]) -> Iterator[str]:
    choices = responses or tuple(getattr(result.raw, "choices", None) or ())
    for one in choices:
        reason = getattr(one, "finish_reason", None)
        if isinstance(reason, str):
            yield str(reason)


def usage_of(usage: Any) -> Usage | None:
    """DSPy's usage (OpenAI-shaped for every provider); ``None`` where nothing was reported."""
    if not isinstance(usage, Mapping):
        return None
    rows = cast("Mapping[str, Any]", usage)
    prompt, completion = _details(rows, "prompt_tokens_details"), _details(rows, "completion_tokens_details")
    found = Usage(
        input_tokens=_count(rows.get("prompt_tokens", rows.get("input_tokens"))),
        output_tokens=_count(rows.get("completion_tokens", rows.get("output_tokens"))),
        cache_read_input_tokens=_count(prompt.get("cached_tokens")),
        cache_write_input_tokens=_count(prompt.get("cache_creation_tokens")),
        reasoning_output_tokens=_count(completion.get("reasoning_tokens")),
    )
    return found if found.attributes() else None


def _details(rows: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = rows.get(key)
    return cast("Mapping[str, Any]", found) if isinstance(found, Mapping) else {}


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
