"""Reading a request: SDK keyword arguments -> names and values of the conventions. Nothing is changed or consumed."""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, cast

from spanloom.genai import Embeddings, FetchResponse, Inference, attempt
from spanloom.openai import _items
from spanloom.openai._fields import get, text_of
from spanloom.openai._messages import input_messages, tool_definitions
from spanloom.openai._parts import part_of, text_part
from spanloom.openai._tool_calls import tell_chat_history, tell_responses_history
from spanloom.semconv import ApiType, GenAI, OpenAI, OutputType, Spanloom

_Attributes = dict[str, Any]
_Write = Callable[[_Attributes, Any], None]
_Builders = dict[str, Callable[[], Any]]

# The API takes four.
_MAX_STOPS: Final = 16
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
    if _is_whole(cursor):
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
    if given and all(map(_is_whole, given)):
        return [{"token_count": len(given)}]
    return [found for one in given if (found := _embedded_one(one)) is not None]


def _embedded_one(given: Any) -> Any:
    if isinstance(given, (list, tuple)):
        return {"token_count": len(cast("Sequence[Any]", given))}
    return given if isinstance(given, str) else None


def _write(attributes: _Attributes, table: Mapping[str, _Write], kwargs: Mapping[str, Any]) -> None:
    for key, value in kwargs.items():
        write = table.get(key)
        if write is not None and value is not None:
            write(attributes, value)
    # The SDK merges it over the rest of the body: there stand the parameters of other providers.
    extra = kwargs.get("extra_body")
    if isinstance(extra, Mapping):
        for key, write in table.items():
            value = cast("Mapping[str, Any]", extra).get(key)
            if value is not None:
                write(attributes, value)


def _is_whole(value: Any) -> bool:
    """True for a number that OTLP can carry; a bool is none."""
    return isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value < 2**63


def _int(name: str) -> _Write:
    def write(attributes: _Attributes, value: Any) -> None:
        if _is_whole(value):
            attributes[name] = value

    return write


def _float(name: str) -> _Write:
    def write(attributes: _Attributes, value: Any) -> None:
        if isinstance(value, float) or _is_whole(value):
            attributes[name] = float(value)

    return write


def _text(name: str, *but: str) -> _Write:
    """Any text ``but`` these, which say nothing."""

    def write(attributes: _Attributes, value: Any) -> None:
        if isinstance(value, str) and value and value not in but:
            # An enum's member may be a text: exporters want a plain one.
            attributes[name] = str.__str__(value)

    return write


def _older_max_tokens(attributes: _Attributes, value: Any) -> None:
    if _is_whole(value):
        attributes.setdefault(GenAI.REQUEST_MAX_TOKENS, value)


def _choices(attributes: _Attributes, value: Any) -> None:
    if _is_whole(value) and value != 1:
        attributes[GenAI.REQUEST_CHOICE_COUNT] = value


def _stops(attributes: _Attributes, value: Any) -> None:
    texts = [value] if isinstance(value, str) else value
    if isinstance(texts, (list, tuple)):
        found = [one for one in cast("Sequence[Any]", texts)[:_MAX_STOPS] if isinstance(one, str)]
        if found:
            attributes[GenAI.REQUEST_STOP_SEQUENCES] = found


def _stream(attributes: _Attributes, value: Any) -> None:
    if value is True:
        attributes[GenAI.REQUEST_STREAM] = True


def _background(attributes: _Attributes, value: Any) -> None:
    if value is True:
        attributes[Spanloom.RESPONSE_BACKGROUND] = True


def _format(attributes: _Attributes, value: Any) -> None:
    """``response_format``, or the ``format`` of ``text``. A class is what ``parse`` makes a JSON schema of."""
    if isinstance(value, type):
        attributes.setdefault(GenAI.OUTPUT_TYPE, OutputType.JSON)
        return
    kind = text_of(value, "type")
    found = _FORMATS.get(kind) if kind is not None else None
    if found is not None:
        attributes.setdefault(GenAI.OUTPUT_TYPE, found)


_FORMATS: Final = {"json_object": OutputType.JSON, "json_schema": OutputType.JSON, "text": OutputType.TEXT}


def _text_config(attributes: _Attributes, value: Any) -> None:
    _format(attributes, get(value, "format"))


def _modalities(attributes: _Attributes, value: Any) -> None:
    """Speech comes with its text: who asks for it gets it whatever the text's format is."""
    if isinstance(value, (list, tuple)) and "audio" in value:
        attributes[GenAI.OUTPUT_TYPE] = OutputType.SPEECH


def _reasoning(attributes: _Attributes, value: Any) -> None:
    _level(attributes, get(value, "effort"))


_level = _text(GenAI.REQUEST_REASONING_LEVEL)
_conversation_id = _text(GenAI.CONVERSATION_ID)
_prompt_name = _text(GenAI.PROMPT_NAME)
_prompt_version = _text(GenAI.PROMPT_VERSION)


def _conversation(attributes: _Attributes, value: Any) -> None:
    _conversation_id(attributes, value if isinstance(value, str) else get(value, "id"))


def _prompt(attributes: _Attributes, value: Any) -> None:
    _prompt_name(attributes, get(value, "id"))
    _prompt_version(attributes, get(value, "version"))


def _compacted(attributes: _Attributes, value: Any) -> None:
    """A history that begins with what a compaction left of it."""
    if isinstance(value, (list, tuple)):
        for item in cast("Sequence[Any]", value):
            if get(item, "type") == "compaction":
                attributes[GenAI.CONVERSATION_COMPACTED] = True
                return


def _formats(attributes: _Attributes, value: Any) -> None:
    if isinstance(value, str) and value:
        attributes[GenAI.REQUEST_ENCODING_FORMATS] = [str.__str__(value)]


_SHARED: Final[dict[str, _Write]] = {
    "temperature": _float(GenAI.REQUEST_TEMPERATURE),
    "top_p": _float(GenAI.REQUEST_TOP_P),
    # Of those who speak OpenAI's protocol, but for OpenAI itself.
    "top_k": _int(GenAI.REQUEST_TOP_K),
    "stream": _stream,
    # "auto" asks for none.
    "service_tier": _text(OpenAI.REQUEST_SERVICE_TIER, "auto"),
    # In chat completions it is OpenRouter's.
    "reasoning": _reasoning,
}
_CHAT: Final[dict[str, _Write]] = {
    **_SHARED,
    "frequency_penalty": _float(GenAI.REQUEST_FREQUENCY_PENALTY),
    "presence_penalty": _float(GenAI.REQUEST_PRESENCE_PENALTY),
    "max_tokens": _older_max_tokens,
    "max_completion_tokens": _int(GenAI.REQUEST_MAX_TOKENS),
    "seed": _int(GenAI.REQUEST_SEED),
    "n": _choices,
    "stop": _stops,
    "reasoning_effort": _level,
    "response_format": _format,
    "modalities": _modalities,
}
_RESPONSES: Final[dict[str, _Write]] = {
    **_SHARED,
    "max_output_tokens": _int(GenAI.REQUEST_MAX_TOKENS),
    "previous_response_id": _text(GenAI.REQUEST_PREVIOUS_RESPONSE_ID),
    "conversation": _conversation,
    "prompt": _prompt,
    "text": _text_config,
    "text_format": _format,
    "background": _background,
    "input": _compacted,
}
_EMBEDDINGS: Final[dict[str, _Write]] = {
    "dimensions": _int(GenAI.EMBEDDINGS_DIMENSION_COUNT),
    "encoding_format": _formats,
}
