"""The parameters that a model call may be told of, by the names of the conventions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, TypedDict

from spanloom.genai._parameters import Write, choices, number, only_true, stops, text, whole
from spanloom.semconv import GenAI
from spanloom.trace._check import left_out

if TYPE_CHECKING:
    from spanloom.genai import Inference


class RequestParameters(TypedDict, total=False):
    """What ``InferenceCall.request`` takes. ``None`` is nothing."""

    temperature: float | None
    top_p: float | None
    top_k: int | None
    max_tokens: int | None
    frequency_penalty: float | None
    presence_penalty: float | None
    seed: int | None
    stop_sequences: str | Sequence[str] | None
    choice_count: int | None
    reasoning_level: str | None
    output_type: str | None
    stream: bool | None
    conversation_id: str | None
    previous_response_id: str | None
    prompt_name: str | None
    prompt_version: str | None


_KNOWN: Final[dict[str, Write]] = {
    "temperature": number(GenAI.REQUEST_TEMPERATURE),
    "top_p": number(GenAI.REQUEST_TOP_P),
    "top_k": whole(GenAI.REQUEST_TOP_K),
    "max_tokens": whole(GenAI.REQUEST_MAX_TOKENS),
    "frequency_penalty": number(GenAI.REQUEST_FREQUENCY_PENALTY),
    "presence_penalty": number(GenAI.REQUEST_PRESENCE_PENALTY),
    "seed": whole(GenAI.REQUEST_SEED),
    "stop_sequences": stops,
    "choice_count": choices,
    "reasoning_level": text(GenAI.REQUEST_REASONING_LEVEL),
    "output_type": text(GenAI.OUTPUT_TYPE),
    "stream": only_true(GenAI.REQUEST_STREAM),
    "conversation_id": text(GenAI.CONVERSATION_ID),
    "previous_response_id": text(GenAI.REQUEST_PREVIOUS_RESPONSE_ID),
    "prompt_name": text(GenAI.PROMPT_NAME),
    "prompt_version": text(GenAI.PROMPT_VERSION),
}


def write_request(call: Inference, given: Mapping[str, Any]) -> None:
    """Write what is known. A name that is not is told in the log; a value that does not fit its name is left out."""
    for name, value in given.items():
        write = _KNOWN.get(name)
        if write is None:
            left_out(f"InferenceCall.request({name[:64]})", f"the parameters known are {', '.join(_KNOWN)}")
        elif value is not None:
            write(call.attributes, value)
