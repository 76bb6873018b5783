"""The core: one lifecycle for every recorded call. Plugins build on it; other rooms use ``genai.hooks`` only."""

from __future__ import annotations

from spanloom.genai._content import as_text, json_text
from spanloom.genai._context import current, inference_is_recorded, is_suppressed
from spanloom.genai._guard import guard, guarded
from spanloom.genai._instrumentor import Instrumentor
from spanloom.genai._invocation import Invocation, error_type
from spanloom.genai._kinds import Agent, Inference, Peer, Step, ToolExecution, Usage, Workflow, enclosing_agent
from spanloom.genai._patch import Target
from spanloom.genai._stream import StreamWatch
from spanloom.genai._telemetry import Telemetry

__all__ = [
    "Agent",
    "Inference",
    "Instrumentor",
    "Invocation",
    "Peer",
    "Step",
    "StreamWatch",
    "Target",
    "Telemetry",
    "ToolExecution",
    "Usage",
    "Workflow",
    "as_text",
    "current",
    "enclosing_agent",
    "error_type",
    "guard",
    "guarded",
    "inference_is_recorded",
    "is_suppressed",
    "json_text",
]
