"""Model calls of DSPy: every ``BaseLM``, whichever engine runs it. Usage comes from ``execution.finalize``."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast
from urllib.parse import urlsplit

from spanloom.dspy._messages import input_messages, output_messages, system_instructions
from spanloom.dspy._settings import Settings
from spanloom.dspy._wrap import both
from spanloom.genai import Inference, Peer, Target, Telemetry, Usage, current, guard, guarded, inference_is_recorded
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


def targets(telemetry: Telemetry, settings: Settings) -> Iterator[Target]:
    """Every LM's call, and the functions that know what came of it."""
    del settings
    yield from both(telemetry, "dspy.clients.base_lm", "BaseLM", begin, conclude)
    yield Target("dspy.clients.execution", "finalize", wrap_finalize)
    # DSPy 3.3 has other names for it.
    for method in ("_process_lm_response", "_finalize_lm_response"):
        yield Target("dspy.clients.base_lm", f"BaseLM.{method}", wrap_recording, optional=True)


def begin(telemetry: Telemetry, lm: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Inference | None:
    """Start the span of one model call with all its attempts; ``None`` where one further out records it already."""
    if inference_is_recorded():
        return None
    provider, model = split_model(getattr(lm, "model", None))
    operation = Operation.TEXT_COMPLETION if getattr(lm, "model_type", "chat") == "text" else Operation.CHAT
    given = getattr(lm, "kwargs", None)
    merged: dict[str, Any] = {**(given if isinstance(given, dict) else {}), **kwargs}
    inference = Inference(telemetry, operation, model, _peer(provider, merged))
    with guard("dspy.lm.request"):
        inference.attributes.update(_requested(merged))
        inference.attributes[DSpy.LM_CLASS] = type(lm).__name__
        if inference.captures_content:
            _keep_content(inference, args, kwargs)
    return inference


def conclude(inference: Inference, result: Any) -> Any:
    """End the span with what the program was given."""
    with guard("dspy.lm.result"):
        if inference.captures_content:
            inference.output_content = {GenAI.OUTPUT_MESSAGES: lambda: output_messages(result)}
    inference.stop()
    return result


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
    try:
        parts = urlsplit(base)
        host, port = parts.hostname, parts.port
    except ValueError:  # no address: what DSPy makes of it is its business
        return Peer(provider)
    if not host:
        return Peer(provider)
    return Peer(provider, host, port or (80 if parts.scheme == "http" else 443))


def _requested(merged: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, name in _PLAIN:
        value = merged.get(key)
        if isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 2**63:
            yield name, value
    count = _count(merged.get("n"))
    if count is not None and count != 1:
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
    def finalize(*args: Any, **kwargs: Any) -> Any:
        _read_result(kwargs["result"] if "result" in kwargs else args[-1])
        return original(*args, **kwargs)

    return finalize


def wrap_recording(original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap what records a response in DSPy 3.3: ``(self, response, ...)`` or ``(self, request, response)``."""

    @functools.wraps(original)
    def record(*args: Any, **kwargs: Any) -> Any:
        _read_recorded([*args, *kwargs.values()])
        return original(*args, **kwargs)

    return record


@guarded("dspy.lm.finalize")
def _read_result(result: Any) -> None:
    _write(result, tuple(getattr(result, "responses", None) or ()) or (getattr(result, "raw", None),))


@guarded("dspy.lm.record")
def _read_recorded(given: list[Any]) -> None:
    response = next((one for one in given if hasattr(one, "usage")), None)
    if response is not None:
        _write(response, (response,))


def _write(result: Any, answers: tuple[Any, ...]) -> None:
    """What a result says of itself, onto the inference around it."""
    inference = current()
    if not isinstance(inference, Inference):
        return
    _read_identity(inference, answers)
    reasons = list(_finish_reasons(answers))
    if reasons:
        inference.finish_reasons = reasons
    inference.cache_hit = bool(getattr(result, "cache_hit", False))
    if inference.cache_hit:
        # The stored usage was paid for by an earlier call.
        inference.attributes[DSpy.CACHE_HIT] = True
    else:
        inference.attributes.pop(DSpy.CACHE_HIT, None)
        # Where one LM calls another, the inner one's report stands until the outer one has its own.
        inference.usage = usage_of(getattr(result, "usage", None)) or inference.usage


def _read_identity(inference: Inference, answers: tuple[Any, ...]) -> None:
    """Model and id as the provider gave them. (Where it names no model, DSPy gives the one that was asked for.)"""
    model = getattr(answers[0], "model", None)
    if isinstance(model, str) and model:
        inference.response_model = model
    answer_id = getattr(answers[0], "id", None)
    if len(answers) == 1 and isinstance(answer_id, str) and answer_id:
        inference.response_id = answer_id


def _finish_reasons(answers: tuple[Any, ...]) -> Iterator[str]:
    for answer in answers:
        choices = getattr(answer, "choices", None) or getattr(answer, "outputs", None) or (answer,)
        for one in choices:
            reason = getattr(one, "finish_reason", None)
            if isinstance(reason, str):
                yield str(reason)


def usage_of(usage: Any) -> Usage | None:
    """DSPy's usage (OpenAI-shaped for every provider); ``None`` where nothing was reported."""
    prompt, completion = _field(usage, "prompt_tokens_details"), _field(usage, "completion_tokens_details")
    found = Usage(
        input_tokens=_either(usage, "prompt_tokens", "input_tokens"),
        output_tokens=_either(usage, "completion_tokens", "output_tokens"),
        cache_read_input_tokens=_count(_field(prompt, "cached_tokens")),
        cache_write_input_tokens=_count(_field(prompt, "cache_creation_tokens")),
        reasoning_output_tokens=_count(_field(completion, "reasoning_tokens")),
    )
    return found if found.attributes() else None


def _field(value: Any, key: str) -> Any:
    """An item or an attribute; ``None`` where there is neither."""
    return cast("Mapping[str, Any]", value).get(key) if isinstance(value, Mapping) else getattr(value, key, None)


def _either(usage: Any, name: str, other: str) -> int | None:
    found = _count(_field(usage, name))
    return _count(_field(usage, other)) if found is None else found


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63 else None
