"""Reading a request: SDK keyword arguments -> names and values of the conventions. Nothing is changed or consumed."""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, cast

from spanloom.genai import Embeddings, FetchResponse, Inference, attempt
from spanloom.genai._fields import get, text_of
from spanloom.genai._messages import input_messages, tool_definitions
from spanloom.genai._parameters import (
    Attributes,
    Write,
    choices,
    is_whole,
    number,
    only_true,
    stops,
    text,
    whole,
    write_all,
)
from spanloom.genai._parts import part_of, text_part
from spanloom.openai import _items
from spanloom.openai._tool_calls import tell_chat_history, tell_responses_history
from spanloom.semconv import ApiType, GenAI, OpenAI, OutputType, Spanloom

_Builders = dict[str, Callable[[], Any]]

_MAX_VARIABLES: Final = 64


def read_chat(call: Inference, kwargs: Mapping[str, Any]) -> None:
    """Write what a chat completion was asked for onto the call. Values that were not given have other types."""
    attributes = call.attributes
    attributes[OpenAI.API_TYPE] = ApiType.CHAT_COMPLETIONS
    _write(attributes, _CHAT, kwargs)
    attempt("openai.tool_history", tell_chat_history, call, kwargs.get("messages"))
    if call.captures_content:
        call.input_content = chat_content(kwargs.get("messages"), kwargs.get("tools"), kwargs.get("functions"))


def read_responses(call: Inference, kwargs: Mapping[str, Any]) -> None:
    """Write what a response was asked for onto the call."""
    attributes = call.attributes
    attributes[OpenAI.API_TYPE] = ApiType.RESPONSES
    _write(attributes, _RESPONSES, kwargs)
    attempt("openai.tool_history", tell_responses_history, call, kwargs)
    if call.captures_content:
        call.input_content = {
            **responses_content(kwargs.get("input"), kwargs.get("instructions"), kwargs.get("tools")),
            **_variables(get(kwargs.get("prompt"), "variables")),
        }


def read_embeddings(call: Embeddings, kwargs: Mapping[str, Any]) -> None:
    """Write what embeddings were asked for onto the call."""
    _write(call.attributes, _EMBEDDINGS, kwargs)
    given = kwargs.get("input")
    if call.captures_content and isinstance(given, (str, list, tuple)):
        kept = given if isinstance(given, str) else list(cast("Sequence[Any]", given))
        call.input_content = {Spanloom.EMBEDDINGS_INPUT: lambda: _embedded(kept)}


def read_fetch(call: FetchResponse, kwargs: Mapping[str, Any]) -> None:
    """Write from where on the events of a stored response are asked for."""
    call.attributes[OpenAI.API_TYPE] = ApiType.RESPONSES
    cursor = kwargs.get("starting_after")
    if is_whole(cursor):
        call.attributes[GenAI.REQUEST_STREAM_CURSOR] = str(cursor)


def chat_content(messages: Any, tools: Any = None, functions: Any = None) -> _Builders:
    """Builders for the messages and tools that are lists. A generator is the caller's: read, it would be empty."""
    content: _Builders = {}
    if isinstance(messages, (list, tuple, deque)):
        # The caller may go on with the same list while a stream is read.
        content[GenAI.INPUT_MESSAGES] = functools.partial(input_messages, _kept(messages))
    for offered in (tools, functions):
        if isinstance(offered, (list, tuple)):
            content[GenAI.TOOL_DEFINITIONS] = functools.partial(tool_definitions, _kept(offered))
            break
    return content


def responses_content(given: Any, instructions: Any = None, tools: Any = None) -> _Builders:
    """Builders for the input (a text or items), the instructions beside it, and the tools."""
    content: _Builders = {}
    if isinstance(given, (str, list, tuple, deque)):
        kept = given if isinstance(given, str) else _kept(given)
        content[GenAI.INPUT_MESSAGES] = functools.partial(_items.input_messages, kept)
    if isinstance(instructions, str) and instructions:
        content[GenAI.SYSTEM_INSTRUCTIONS] = lambda: [text_part(instructions)]
    if isinstance(tools, (list, tuple)):
        content[GenAI.TOOL_DEFINITIONS] = functools.partial(tool_definitions, _kept(tools))
    return content


def _kept(items: Any) -> list[Any]:
    return list(cast("Iterable[Any]", items))


def _variables(variables: Any) -> _Builders:
    """What a stored prompt is filled with: texts, or parts."""
    if not isinstance(variables, Mapping):
        return {}
    rows = list(cast("Mapping[Any, Any]", variables).items())[:_MAX_VARIABLES]
    return {f"{GenAI.PROMPT_VARIABLE}.{key}": functools.partial(_variable, value) for key, value in rows}


def _variable(value: Any) -> Any:
    return value if isinstance(value, str) else part_of(value)


def _embedded(given: str | list[Any]) -> list[Any]:
    """Texts as they are; of token ids only how many they are."""
    if isinstance(given, str):
        return [given]
    if given and all(map(is_whole, given)):
        return [{"token_count": len(given)}]
    return [found for one in given if (found := _embedded_one(one)) is not None]


def _embedded_one(given: Any) -> Any:
    if isinstance(given, (list, tuple)):
        return {"token_count": len(cast("Sequence[Any]", given))}
    return given if isinstance(given, str) else None


def _write(attributes: Attributes, table: Mapping[str, Write], kwargs: Mapping[str, Any]) -> None:
    write_all(attributes, table, kwargs)
    # The SDK merges it over the rest of the body: there stand the parameters of other providers.
    extra = kwargs.get("extra_body")
    if isinstance(extra, Mapping):
        for key, write in table.items():
            value = cast("Mapping[str, Any]", extra).get(key)
            if value is not None:
                write(attributes, value)


def _older_max_tokens(attributes: Attributes, value: Any) -> None:
    if is_whole(value):
        attributes.setdefault(GenAI.REQUEST_MAX_TOKENS, value)


def _format(attributes: Attributes, value: Any) -> None:
    """``response_format``, or the ``format`` of ``text``. A class is what ``parse`` makes a JSON schema of."""
    if isinstance(value, type):
        attributes.setdefault(GenAI.OUTPUT_TYPE, OutputType.JSON)
        return
    kind = text_of(value, "type")
    found = _FORMATS.get(kind) if kind is not None else None
    if found is not None:
        attributes.setdefault(GenAI.OUTPUT_TYPE, found)


_FORMATS: Final = {"json_object": OutputType.JSON, "json_schema": OutputType.JSON, "text": OutputType.TEXT}


def _text_config(attributes: Attributes, value: Any) -> None:
    _format(attributes, get(value, "format"))


def _modalities(attributes: Attributes, value: Any) -> None:
    """Speech comes with its text: who asks for it gets it whatever the text's format is."""
    if isinstance(value, (list, tuple)) and "audio" in value:
        attributes[GenAI.OUTPUT_TYPE] = OutputType.SPEECH


def _reasoning(attributes: Attributes, value: Any) -> None:
    _level(attributes, get(value, "effort"))


_level = text(GenAI.REQUEST_REASONING_LEVEL)
_conversation_id = text(GenAI.CONVERSATION_ID)
_prompt_name = text(GenAI.PROMPT_NAME)
_prompt_version = text(GenAI.PROMPT_VERSION)


def _conversation(attributes: Attributes, value: Any) -> None:
    _conversation_id(attributes, value if isinstance(value, str) else get(value, "id"))


def _prompt(attributes: Attributes, value: Any) -> None:
    _prompt_name(attributes, get(value, "id"))
    _prompt_version(attributes, get(value, "version"))


def _compacted(attributes: Attributes, value: Any) -> None:
    """A history that begins with what a compaction left of it."""
    if isinstance(value, (list, tuple)):
        for item in cast("Sequence[Any]", value):
            if get(item, "type") == "compaction":
                attributes[GenAI.CONVERSATION_COMPACTED] = True
                return


def _formats(attributes: Attributes, value: Any) -> None:
    if isinstance(value, str) and value:
        attributes[GenAI.REQUEST_ENCODING_FORMATS] = [str.__str__(value)]


_SHARED: Final[dict[str, Write]] = {
    "temperature": number(GenAI.REQUEST_TEMPERATURE),
    "top_p": number(GenAI.REQUEST_TOP_P),
    # Of those who speak OpenAI's protocol, but for OpenAI itself.
    "top_k": whole(GenAI.REQUEST_TOP_K),
    "stream": only_true(GenAI.REQUEST_STREAM),
    # "auto" asks for none.
    "service_tier": text(OpenAI.REQUEST_SERVICE_TIER, "auto"),
    # In chat completions it is OpenRouter's.
    "reasoning": _reasoning,
}
_CHAT: Final[dict[str, Write]] = {
    **_SHARED,
    "frequency_penalty": number(GenAI.REQUEST_FREQUENCY_PENALTY),
    "presence_penalty": number(GenAI.REQUEST_PRESENCE_PENALTY),
    "max_tokens": _older_max_tokens,
    "max_completion_tokens": whole(GenAI.REQUEST_MAX_TOKENS),
    "seed": whole(GenAI.REQUEST_SEED),
    "n": choices,
    "stop": stops,
    "reasoning_effort": _level,
    "response_format": _format,
    "modalities": _modalities,
}
_RESPONSES: Final[dict[str, Write]] = {
    **_SHARED,
    "max_output_tokens": whole(GenAI.REQUEST_MAX_TOKENS),
    "previous_response_id": text(GenAI.REQUEST_PREVIOUS_RESPONSE_ID),
    "conversation": _conversation,
    "prompt": _prompt,
    "text": _text_config,
    "text_format": _format,
    "background": only_true(Spanloom.RESPONSE_BACKGROUND),
    "input": _compacted,
}
_EMBEDDINGS: Final[dict[str, Write]] = {
    "dimensions": whole(GenAI.EMBEDDINGS_DIMENSION_COUNT),
    "encoding_format": _formats,
}
