"""Reading a response: the SDK's objects, or the same JSON as plain dicts -> the inference. Nothing is invented."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from spanloom.genai import Inference, Usage
from spanloom.openai._messages import output_message
from spanloom.semconv import GenAI, OpenAI

# OTLP has signed 64-bit integers; a Collector refuses a whole batch for one that is greater.
_MOST = 2**63 - 1


def get(value: Any, key: str) -> Any:
    """A field of an SDK object or of a plain dict; ``None`` where it is missing."""
    if isinstance(value, Mapping):
        return cast("Mapping[str, Any]", value).get(key)
    return getattr(value, key, None)


def items_of(value: Any, key: str) -> list[Any]:
    """A list field; empty where it is missing or something else (some gateways send ``null``)."""
    found = get(value, key)
    return list(cast("list[Any]", found)) if isinstance(found, (list, tuple)) else []


def read_response(inference: Inference, response: Any) -> None:
    """Write a whole chat completion onto the inference."""
    read_head(inference, response)
    usage = usage_of(get(response, "usage"))
    if usage is not None:
        inference.usage = usage
    choices = items_of(response, "choices")
    reasons = [get(choice, "finish_reason") for choice in choices]
    if reasons:
        inference.finish_reasons = [reason if isinstance(reason, str) else "error" for reason in reasons]
    if inference.captures_content:
        messages = [get(choice, "message") for choice in choices]
        inference.output_content = {GenAI.OUTPUT_MESSAGES: lambda: [output_message(one) for one in messages]}


def read_head(inference: Inference, response: Any) -> None:
    """What a whole response and each chunk have in common."""
    model, response_id = get(response, "model"), get(response, "id")
    if isinstance(model, str) and model:
        inference.response_model = model
    if isinstance(response_id, str) and response_id:
        inference.response_id = response_id
    for key, name in (
        ("system_fingerprint", OpenAI.RESPONSE_SYSTEM_FINGERPRINT),
        ("service_tier", OpenAI.RESPONSE_SERVICE_TIER),
    ):
        value = get(response, key)
        if isinstance(value, str) and value:
            inference.attributes[name] = value


def usage_of(usage: Any) -> Usage | None:
    """``usage`` of a chat completion; ``None`` where the provider sent none or nothing that can be counted."""
    if usage is None:
        return None
    prompt_details = get(usage, "prompt_tokens_details")
    completion_details = get(usage, "completion_tokens_details")
    found = Usage(
        input_tokens=count(get(usage, "prompt_tokens")),
        output_tokens=count(get(usage, "completion_tokens")),
        cache_read_input_tokens=count(get(prompt_details, "cached_tokens")),
        cache_write_input_tokens=count(get(prompt_details, "cache_write_tokens")),
        reasoning_output_tokens=count(get(completion_details, "reasoning_tokens")),
    )
    return found if found.attributes() else None


def count(value: Any) -> int | None:
    """A token count, or ``None`` for whatever is not one."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MOST else None
