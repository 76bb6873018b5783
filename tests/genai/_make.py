"""Telemetry on a recorder, and invocations of each kind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from spanloom.genai import Agent, Inference, Invocation, Peer, Step, Telemetry, ToolExecution, Usage, Workflow
from tests._support.spans import Recorder


def telemetry(recorder: Recorder, scope: str = "spanloom.test") -> Telemetry:
    """One instrumentor's telemetry."""
    return Telemetry(scope, recorder.tracer_provider, recorder.meter_provider, recorder.logger_provider)


def inference(of: Telemetry, model: str | None = "m", peer: Peer | None = None) -> Inference:
    """A chat call that has started."""
    return Inference(of, "chat", model, peer or Peer("openai", "api.openai.com", 443))


def usage(given: int | None = None, made: int | None = None, **more: int | None) -> Usage:
    """Token counts; absent where they are not given."""
    return Usage(
        input_tokens=given,
        output_tokens=made,
        cache_read_input_tokens=more.get("cache_read"),
        cache_write_input_tokens=more.get("cache_write"),
        reasoning_output_tokens=more.get("reasoning"),
    )


def module(name: str = "Program") -> Any:
    """An owner of steps."""
    return type(name, (), {})()


KINDS: dict[str, Callable[[Telemetry], Invocation]] = {
    "inference": inference,
    "tool": lambda of: ToolExecution(of, "search"),
    "step": lambda of: Step(of, "Predict x", module(), {}),
    "workflow": lambda of: Workflow(of, "Program", module(), {}),
    "agent": lambda of: Agent(of, "ReAct", module(), {}),
}
