"""Reading an answer: the SDK's objects, or the same JSON as plain dicts -> the call. Nothing is invented."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, Final

from spanloom.genai import Embeddings, FetchResponse, Inference, ModelCall, Usage, remember_tool_calls
from spanloom.genai._fields import get, items_of, text_of
from spanloom.genai._messages import output_message, tool_definitions
from spanloom.genai._parts import text_part
from spanloom.genai._reasons import MAX_REASON, finish_reason
from spanloom.openai import _items
from spanloom.openai._server_tools import count_searches, tell_server_tools
from spanloom.openai._tool_calls import call_in, calls_in
from spanloom.openai._usage import usage_of
from spanloom.semconv import Error, FinishReason, GenAI, OpenAI, ResponseStatus

# Why a response is incomplete.
_CAUSES: Final = {
    "max_output_tokens": FinishReason.LENGTH,
    "max_messages": FinishReason.LENGTH,
    "content_filter": FinishReason.CONTENT_FILTER,
}
_STATUSES: Final = frozenset(value for key, value in vars(ResponseStatus).items() if key.isupper())
_UNFINISHED: Final = (ResponseStatus.QUEUED, ResponseStatus.IN_PROGRESS)

Failure = tuple[str, "str | None"]


def read_chat_answer(call: Inference, response: Any) -> None:
    """Write a whole chat completion onto the call."""
    read_head(call, response)
    call.usage = usage_of(get(response, "usage")) or call.usage
    choices = items_of(response, "choices")
    if choices:
        call.finish_reasons = [finish_reason(get(choice, "finish_reason")) or FinishReason.ERROR for choice in choices]
        remember_tool_calls(call, calls_in(choices))
        if call.captures_content:
            call.output_content = {GenAI.OUTPUT_MESSAGES: functools.partial(_chat_messages, choices)}


def _chat_messages(choices: Sequence[Any]) -> list[dict[str, Any]]:
    return [output_message(get(choice, "message")) for choice in choices]


def read_responses_answer(call: Inference, response: Any) -> None:
    """Write a whole response onto the call, or what is known of one that is still being made."""
    read_responses_end(call, response)
    output = items_of(response, "output")
    count_searches(call.usage, tell_tools(call, output))
    if output and call.captures_content:
        call.output_content = {GenAI.OUTPUT_MESSAGES: lambda: [_items.output_message(output)]}


def read_responses_end(call: Inference, response: Any) -> None:
    """All of a response but what the model said."""
    read_head(call, response)
    call.usage = usage_of(get(response, "usage")) or call.usage
    reason = responses_reason(response)
    if reason is not None:
        call.finish_reasons = [reason]
    conversation = text_of(get(response, "conversation"), "id")
    if conversation is not None:
        call.attributes[GenAI.CONVERSATION_ID] = conversation
    if any(get(item, "type") == "compaction" for item in items_of(response, "output")):
        call.attributes[GenAI.CONVERSATION_COMPACTED] = True


def read_embeddings_answer(call: Embeddings, response: Any) -> None:
    """Write the answer to an embeddings request onto the call; its vectors are not looked at."""
    model = text_of(response, "model")
    if model is not None:
        call.response_model = model
    usage = usage_of(get(response, "usage"))
    if usage is not None and usage.input_tokens is not None:
        # Nothing is made but vectors, whatever a gateway counts.
        call.usage = Usage(usage.input_tokens)


def read_fetched(call: FetchResponse, response: Any) -> None:
    """Write a stored response onto the call that fetched it. Its tokens were counted when it was made."""
    read_fetched_end(call, response)
    tell_tools(call, items_of(response, "output"))
    if call.captures_content:
        call.output_content = {
            GenAI.OUTPUT_MESSAGES: functools.partial(_fetched_messages, items_of(response, "output")),
            GenAI.SYSTEM_INSTRUCTIONS: functools.partial(_fetched_instructions, get(response, "instructions")),
            GenAI.TOOL_DEFINITIONS: functools.partial(_fetched_tools, items_of(response, "tools")),
        }


def read_fetched_end(call: FetchResponse, response: Any) -> None:
    """All of a stored response but what the model said."""
    model, status, reason = text_of(response, "model"), text_of(response, "status"), responses_reason(response)
    if model is not None:
        call.response_model = model
    if status in _STATUSES:
        call.status = status
    if reason is not None:
        call.finish_reasons = [reason]
    _read_tier(call.attributes, response)


def tell_tools(call: Inference | FetchResponse, items: Sequence[Any]) -> list[str]:
    """What these items tell of tools: those that the provider ran, and those that the model asks for.

    Gives the tools of the searches that are billed.
    """
    searches = tell_server_tools(call, items)
    remember_tool_calls(call, [one for item in items if (one := call_in(item)) is not None])
    return searches


def _fetched_messages(output: Sequence[Any]) -> list[dict[str, Any]] | None:
    return [_items.output_message(output)] if output else None


def _fetched_instructions(instructions: Any) -> list[dict[str, Any]] | None:
    return [text_part(instructions)] if isinstance(instructions, str) and instructions else None


def _fetched_tools(tools: Sequence[Any]) -> list[dict[str, Any]] | None:
    return tool_definitions(tools) or None


def read_head(call: ModelCall, response: Any) -> None:
    """What a whole answer and each chunk of a stream have in common."""
    model, response_id = text_of(response, "model"), text_of(response, "id")
    if model is not None:
        call.response_model = model
    if response_id is not None:
        call.response_id = response_id
    fingerprint = text_of(response, "system_fingerprint")
    if fingerprint is not None:
        call.attributes[OpenAI.RESPONSE_SYSTEM_FINGERPRINT] = fingerprint
    _read_tier(call.attributes, response)


def _read_tier(attributes: dict[str, Any], response: Any) -> None:
    tier = text_of(response, "service_tier")
    if tier is not None:
        attributes[OpenAI.RESPONSE_SERVICE_TIER] = tier


def responses_reason(response: Any) -> str | None:
    """Why a response ended; ``None`` where it did not, or does not tell."""
    status = text_of(response, "status")
    if status == ResponseStatus.COMPLETED:
        waits = any(map(_items.asks_for_tool, items_of(response, "output")))
        return FinishReason.TOOL_CALL if waits else FinishReason.STOP
    if status == ResponseStatus.INCOMPLETE:
        cause = text_of(get(response, "incomplete_details"), "reason")
        return _CAUSES.get(cause, cause[:MAX_REASON]) if cause is not None else FinishReason.ERROR
    return FinishReason.ERROR if status in (ResponseStatus.FAILED, ResponseStatus.CANCELLED) else None


def failure_of(response: Any) -> Failure | None:
    """``error.type`` and message of a failure that was answered with a 200; ``None`` where there is none.

    That is a response whose status is ``failed``, and an ``error`` where the answer should be, as gateways send it. A
    response that was cancelled did what it was told.
    """
    error = get(response, "error")
    if error is None:
        return (Error.OTHER, None) if get(response, "status") == ResponseStatus.FAILED else None
    return failure(error)


def failure(error: Any) -> Failure | None:
    """The same for the error itself: a text, or an object with a code; ``None`` where it is neither."""
    if isinstance(error, str):
        return (Error.OTHER, error) if error else None
    code, message = get(error, "code"), text_of(error, "message")
    for told in (code, get(error, "type")):
        if isinstance(told, (str, int)) and not isinstance(told, bool) and told and len(str(told)) <= MAX_REASON:
            return str(told), message
    return (Error.OTHER, message) if message is not None else None
