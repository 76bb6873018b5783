"""What came of a model call: usage, identity, reasons, and whether the cache answered."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, cast

from spanloom.dspy._frames import at_home
from spanloom.dspy._lm_call import LMCall, current_call
from spanloom.dspy._messages import output_messages
from spanloom.dspy._parts import field
from spanloom.dspy._settings import Settings
from spanloom.genai import AskedCall, Target, Telemetry, Usage, call_in_part, guarded, remember_tool_calls
from spanloom.genai._amounts import cost_of
from spanloom.genai._fields import fields
from spanloom.semconv import DSpy, GenAI, OpenAI, OtherProvider

_EXECUTION: Final = "dspy.clients.execution"
_WAITS: Final = ("tool_call", "tool_calls")
_COUNTS: Final = (
    "input_tokens",
    "output_tokens",
    "cache_read_input_tokens",
    "cache_write_input_tokens",
    "reasoning_output_tokens",
    "audio_input_tokens",
    "audio_output_tokens",
)


def targets(telemetry: Telemetry, settings: Settings) -> Iterator[Target]:
    """The functions that know what came of a call; DSPy 3.3 has other ones."""
    del telemetry, settings
    yield Target(_EXECUTION, "finalize", wrap_finalize, optional=True)
    yield Target(_EXECUTION, "_account_failed_call", wrap_failed, optional=True)
    for method in ("_process_lm_response", "_finalize_lm_response"):
        yield Target("dspy.clients.base_lm", f"BaseLM.{method}", wrap_recording, optional=True)


def wrap_finalize(original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap ``finalize(lm, call, result)``: the one place that knows usage, ids and whether the cache answered."""

    def finalize(*args: Any, **kwargs: Any) -> Any:
        _read_result(kwargs["result"] if "result" in kwargs else args[-1])
        return original(*args, **kwargs)

    return at_home(finalize, original)


def wrap_failed(original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap ``_account_failed_call(lm, results, error)``: what came before the failure is billed all the same."""

    def account(lm: Any, results: Any, *args: Any, **kwargs: Any) -> Any:
        _read_billed(lm, results)
        return original(lm, results, *args, **kwargs)

    return at_home(account, original)


def wrap_recording(original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap what records a response in DSPy 3.3: ``(self, response, ...)`` or ``(self, request, response)``."""

    def record(*args: Any, **kwargs: Any) -> Any:
        _read_recorded([*args[1:], *kwargs.values()])
        return original(*args, **kwargs)

    return at_home(record, original)


@guarded("dspy.lm.finalize")
def _read_result(result: Any) -> None:
    inference = current_call()
    if inference is None:
        return
    responses: tuple[Any, ...] = tuple(field(result, "responses") or ())
    write(inference, result, responses or (field(result, "raw"),))
    if inference.captures_content:
        outputs = responses or field(result, "outputs")
        inference.output_content = {GenAI.OUTPUT_MESSAGES: lambda: output_messages(outputs)}


@guarded("dspy.lm.billed")
def _read_billed(lm: object, results: Sequence[Any]) -> None:
    inference = current_call()
    if inference is None or inference.lm is not lm:
        return
    found = [usage for one in results if (usage := usage_of(field(one, "usage"))) is not None]
    if found:
        inference.usage = Usage(**{name: _sum(found, name) for name in _COUNTS})


def _sum(usages: list[Usage], name: str) -> int | None:
    counts = [getattr(one, name) for one in usages if getattr(one, name) is not None]
    return sum(counts) if counts else None


@guarded("dspy.lm.record")
def _read_recorded(given: list[Any]) -> None:
    inference = current_call()
    response = next((one for one in given if hasattr(one, "usage")), None)
    if inference is not None and response is not None:
        write(inference, response, (response,))


def write(inference: LMCall, result: Any, answers: tuple[Any, ...]) -> None:
    """What a result says of itself, onto its call."""
    _read_identity(inference, answers)
    if inference.recording:
        inference.finish_reasons = _finish_reasons(answers) or inference.finish_reasons
    inference.cache_hit = field(result, "cache_hit") is True
    if inference.cache_hit:
        # The stored usage was paid for by an earlier call.
        inference.attributes[DSpy.CACHE_HIT] = True
        inference.usage = None
        return
    inference.attributes.pop(DSpy.CACHE_HIT, None)
    if not inference.usage_is_estimated:
        # Where one LM calls another, the inner one's report stands until the outer one has its own.
        inference.usage = usage_of(field(result, "usage")) or inference.usage
    if inference.provider == OtherProvider.OPENROUTER:
        _read_cost(inference, answers)


def _read_cost(inference: LMCall, answers: tuple[Any, ...]) -> None:
    """What OpenRouter says that each answer costs, in USD. Of several answers all have to tell."""
    told = [fields(field(one, "usage")) for one in answers]
    amounts = [usd for one in told if (usd := cost_of(one.get("cost"), one)) is not None]
    if len(amounts) == len(told):
        inference.report_cost(sum(amounts))


def _read_identity(inference: LMCall, answers: tuple[Any, ...]) -> None:
    """Model and id as the provider gave them. (Where it names no model, DSPy gives the one that was asked for.)"""
    model = field(answers[0], "model")
    if isinstance(model, str) and model:
        inference.response_model = model
    answer_id = field(answers[0], "id") if len(answers) == 1 else None
    if isinstance(answer_id, str) and answer_id:
        inference.response_id = answer_id
    tier = field(answers[0], "service_tier")
    if isinstance(tier, str) and tier:
        inference.attributes[OpenAI.RESPONSE_SERVICE_TIER] = tier


def _finish_reasons(answers: tuple[Any, ...]) -> list[str]:
    reasons: list[str] = []
    for answer in answers:
        choices = field(answer, "choices") or field(answer, "outputs")
        for one in cast("Sequence[Any]", choices if isinstance(choices, (list, tuple)) else (answer,)):
            reason = field(one, "finish_reason")
            if isinstance(reason, str):
                reasons.append(str(reason))
    return reasons


def usage_of(usage: Any) -> Usage | None:
    """DSPy's usage (OpenAI-shaped for every provider); ``None`` where nothing was reported."""
    if not usage:
        return None
    given = field(usage, "prompt_tokens_details") or field(usage, "input_tokens_details")
    made = field(usage, "completion_tokens_details") or field(usage, "output_tokens_details")
    found = Usage(_either(usage, "prompt_tokens", "input_tokens"), _either(usage, "completion_tokens", "output_tokens"))
    if given:
        found.cache_read_input_tokens = count(field(given, "cached_tokens"))
        found.cache_write_input_tokens = _either(given, "cache_creation_tokens", "cache_write_tokens")
        found.audio_input_tokens = count(field(given, "audio_tokens")) or None
    if made:
        found.reasoning_output_tokens = count(field(made, "reasoning_tokens"))
        found.audio_output_tokens = count(field(made, "audio_tokens")) or None
    # Most tell these two: the rest need not be looked at.
    is_told = found.input_tokens is not None or found.output_tokens is not None
    return found if is_told or found.attributes() else None


def _either(usage: Any, name: str, other: str) -> int | None:
    found = count(field(usage, name))
    return count(field(usage, other)) if found is None else found


def count(value: Any) -> int | None:
    """A count that OTLP can carry; ``None`` for whatever is none."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63 else None


def conclude(inference: LMCall, result: Any) -> Any:
    """End the span with what the program was given, where nothing has told more."""
    _read_given(inference, result)
    inference.stop()
    return result


@guarded("dspy.lm.result")
def _read_given(inference: LMCall, result: Any) -> None:
    if inference.recording and _asks_for_tools(inference, result):
        remember_tool_calls(inference, _asked_in(result))
    if inference.captures_content and not inference.output_content:
        inference.output_content = {GenAI.OUTPUT_MESSAGES: lambda: output_messages(result)}


def _asks_for_tools(inference: LMCall, result: Any) -> bool:
    """Programs are given texts and dictionaries; of a typed response its reason tells."""
    if isinstance(result, list):
        return any(bool(field(one, "tool_calls")) for one in cast("list[Any]", result) if not isinstance(one, str))
    return any(reason in _WAITS for reason in inference.finish_reasons or ())


def _asked_in(result: Any) -> Iterator[AskedCall]:
    for choice, message in enumerate(output_messages(result) or ()):
        for part in message["parts"]:
            asked = call_in_part(part, choice)
            if asked is not None:
                yield asked
