"""The core: one lifecycle for every recorded call. Plugins build on it; other rooms use ``genai.hooks`` only."""

from __future__ import annotations

from spanloom.genai._calls import ClientCall, Embeddings, Endpoint, FetchResponse, Inference, ModelCall, Retrieval
from spanloom.genai._capture import content
from spanloom.genai._content import as_text, json_text
from spanloom.genai._context import current, inference_is_recorded, is_suppressed
from spanloom.genai._guard import guard, guarded
from spanloom.genai._instrumentor import Instrumentor
from spanloom.genai._invocation import Invocation, error_type
from spanloom.genai._kinds import Agent, Step, ToolExecution, Workflow, enclosing_agent
from spanloom.genai._patch import Target
from spanloom.genai._stream import StreamWatch
from spanloom.genai._telemetry import Telemetry
from spanloom.genai._usage import Peer, Usage

__all__ = [
    "Agent",
    "ClientCall",
    "Embeddings",
    "Endpoint",
    "FetchResponse",
    "Inference",
    "Instrumentor",
    "Invocation",
    "ModelCall",
    "Peer",
    "Retrieval",
    "Step",
    "StreamWatch",
    "Target",
    "Telemetry",
    "ToolExecution",
    "Usage",
    "Workflow",
    "as_text",
    "content",
    "current",
    "enclosing_agent",
    "error_type",
    "guard",
    "guarded",
    "inference_is_recorded",
    "is_suppressed",
    "json_text",
]
