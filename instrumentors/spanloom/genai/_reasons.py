"""Why an answer ended, in the conventions' words."""

from __future__ import annotations

from typing import Any, Final

from spanloom.semconv import FinishReason

# Of OpenAI, of those who answer like it, and of Anthropic; a reason unknown here is passed on.
_REASONS: Final = {
    "tool_calls": FinishReason.TOOL_CALL,
    "function_call": FinishReason.TOOL_CALL,
    "eos": FinishReason.STOP,
    "end_turn": FinishReason.STOP,
    "max_tokens": FinishReason.LENGTH,
    "model_length": FinishReason.LENGTH,
    "safety": FinishReason.CONTENT_FILTER,
    "abort": FinishReason.ERROR,
    "insufficient_system_resource": FinishReason.ERROR,
}
MAX_REASON: Final = 64


def finish_reason(reason: Any) -> str | None:
    """In the conventions' words; ``None`` where there is none."""
    return _REASONS.get(reason, reason[:MAX_REASON]) if isinstance(reason, str) and reason else None
