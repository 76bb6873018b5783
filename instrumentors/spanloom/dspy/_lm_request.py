"""What an LM is asked: the arguments of its call over its own settings, or a typed request. Nothing is changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, cast

from spanloom.dspy._messages import input_messages, system_instructions, tool_definitions
from spanloom.dspy._parts import field, text_of
from spanloom.genai import Inference
from spanloom.genai._parameters import Write, choices, number, stops, text, whole, write_all
from spanloom.semconv import DSpy, GenAI, OutputType

_TYPED: Final = ("Request", "LMRequest")
_JSON: Final = ("json_object", "json_schema")


def typed_request(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """The request object of the call; ``None`` where it has a prompt or messages."""
    given: Any = args[0] if args else kwargs.get("request")
    kind = cast("Any", type(given))
    return given if kind.__name__ in _TYPED and kind.__module__.startswith("dspy.") else None


def read_settings(inference: Inference, merged: Mapping[str, Any]) -> None:
    """Write the parameters that are set. What is no number where one is wanted is left out."""
    write_all(inference.attributes, _SETTINGS, merged)


def read_typed(inference: Inference, request: Any, kwargs: Mapping[str, Any]) -> None:
    """The same of a request object; what is given beside it is about the cache, or overrides it (DSPy 3.3)."""
    config = field(request, "config")
    rows = {key: field(config, key) for key in _SETTINGS}
    cache = field(config, "cache")
    rows["rollout_id"] = field(cache, "rollout_id")
    read_settings(inference, {**rows, **kwargs})


def keep_content(inference: Inference, args: tuple[Any, ...], kwargs: Mapping[str, Any], merged: Any) -> None:
    """Builders for the messages (a prompt is one) and the tools."""
    messages, prompt = kwargs.get("messages"), args[0] if args else kwargs.get("prompt")
    kept: list[Any] = []
    if isinstance(messages, (list, tuple)):
        kept = list(cast("Sequence[Any]", messages))
    if not kept and isinstance(prompt, str):
        kept = [{"role": "user", "content": prompt}]
    _keep(inference, kept, None, merged.get("tools"))


def keep_typed(inference: Inference, request: Any) -> None:
    """The same of a request object."""
    _keep(inference, field(request, "messages"), field(request, "system"), field(request, "tools"))


def _keep(inference: Inference, messages: Any, system: Any, tools: Any) -> None:
    content: dict[str, Callable[[], Any]] = {}
    if messages:
        content[GenAI.INPUT_MESSAGES] = lambda: input_messages(messages)
        content[GenAI.SYSTEM_INSTRUCTIONS] = lambda: system_instructions(messages, system)
    if tools and isinstance(tools, (list, tuple)):
        content[GenAI.TOOL_DEFINITIONS] = lambda: tool_definitions(cast("Sequence[Any]", tools))
    inference.input_content = content


def _format(attributes: dict[str, Any], value: Any) -> None:
    """A class is what DSPy makes a JSON schema of."""
    if isinstance(value, type) or text_of(value, "type") in _JSON:
        attributes[GenAI.OUTPUT_TYPE] = OutputType.JSON


_level = text(GenAI.REQUEST_REASONING_LEVEL)


def _reasoning(attributes: dict[str, Any], value: Any) -> None:
    _level(attributes, field(value, "effort"))


_SETTINGS: Final[dict[str, Write]] = {
    "temperature": number(GenAI.REQUEST_TEMPERATURE),
    "top_p": number(GenAI.REQUEST_TOP_P),
    "top_k": whole(GenAI.REQUEST_TOP_K),
    "max_tokens": whole(GenAI.REQUEST_MAX_TOKENS),
    "max_completion_tokens": whole(GenAI.REQUEST_MAX_TOKENS),
    "max_output_tokens": whole(GenAI.REQUEST_MAX_TOKENS),
    "seed": whole(GenAI.REQUEST_SEED),
    "frequency_penalty": number(GenAI.REQUEST_FREQUENCY_PENALTY),
    "presence_penalty": number(GenAI.REQUEST_PRESENCE_PENALTY),
    "n": choices,
    "stop": stops,
    "response_format": _format,
    "reasoning_effort": _level,
    "reasoning": _reasoning,
    "rollout_id": whole(DSpy.LM_ROLLOUT_ID),
}
