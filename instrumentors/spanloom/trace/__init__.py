"""What people call in their own code. Nothing here needs an SDK, and all of it is harmless without one."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from spanloom.genai import content
from spanloom.trace._agent import agent
from spanloom.trace._around import context
from spanloom.trace._inference import inference

if TYPE_CHECKING:
    from spanloom.trace._agent_run import AgentRun
    from spanloom.trace._inference_call import InferenceCall

__all__ = ["AgentRun", "InferenceCall", "agent", "content", "context", "inference"]

# What a block gives, for annotations: with it comes the core, which is loaded where a block begins.
_HOMES = {"AgentRun": "_agent_run", "InferenceCall": "_inference_call"}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"{__name__}.{home}"), name)
    return value
