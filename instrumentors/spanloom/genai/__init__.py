"""The core: one lifecycle for every recorded call. Plugins build on it; other rooms use ``genai.hooks`` only.

Each name is loaded when it is first asked for: a process that never imports an instrumented library, and so never
records a call, pays for the base of the instrumentors only.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spanloom.genai._arguments import arguments_of, default_of, named_arguments
    from spanloom.genai._calls import Embeddings, Inference, ModelCall
    from spanloom.genai._capture import content
    from spanloom.genai._client import ClientCall, Endpoint, FetchResponse, Retrieval
    from spanloom.genai._conflict import Neighbours
    from spanloom.genai._content import as_text, json_text
    from spanloom.genai._context import current, inference_is_recorded, is_suppressed, quiet
    from spanloom.genai._functions import around_calls
    from spanloom.genai._generators import followed, is_generator
    from spanloom.genai._guard import OnError, attempt, guard, guarded, tolerant
    from spanloom.genai._hosts import Hosts, domains_above, hosts_of, providers_of
    from spanloom.genai._instrumentor import Instrumentor
    from spanloom.genai._invocation import Invocation, error_type
    from spanloom.genai._kinds import Agent, Step, ToolExecution, Workflow, enclosing_agent
    from spanloom.genai._patch import Target
    from spanloom.genai._patterns import TargetPattern
    from spanloom.genai._shared import SharedTelemetry
    from spanloom.genai._stream import StreamWatch
    from spanloom.genai._telemetry import Telemetry
    from spanloom.genai._tool_calls import (
        any_tool_call,
        match_tool_call,
        remember_tool_calls,
        tell_tool_history,
    )
    from spanloom.genai._tool_history import AskedCall, ToolHistory, call_in_part, calls_of, tool_history
    from spanloom.genai._usage import Peer, Usage

__all__ = [
    "Agent",
    "AskedCall",
    "ClientCall",
    "Embeddings",
    "Endpoint",
    "FetchResponse",
    "Hosts",
    "Inference",
    "Instrumentor",
    "Invocation",
    "ModelCall",
    "Neighbours",
    "OnError",
    "Peer",
    "Retrieval",
    "SharedTelemetry",
    "Step",
    "StreamWatch",
    "Target",
    "TargetPattern",
    "Telemetry",
    "ToolExecution",
    "ToolHistory",
    "Usage",
    "Workflow",
    "any_tool_call",
    "arguments_of",
    "around_calls",
    "as_text",
    "attempt",
    "call_in_part",
    "calls_of",
    "content",
    "current",
    "default_of",
    "domains_above",
    "enclosing_agent",
    "error_type",
    "followed",
    "guard",
    "guarded",
    "hosts_of",
    "inference_is_recorded",
    "is_generator",
    "is_suppressed",
    "json_text",
    "match_tool_call",
    "named_arguments",
    "providers_of",
    "quiet",
    "remember_tool_calls",
    "tell_tool_history",
    "tolerant",
    "tool_history",
]

_HOMES = {
    "Agent": "_kinds",
    "AskedCall": "_tool_history",
    "ClientCall": "_client",
    "Embeddings": "_calls",
    "Endpoint": "_client",
    "FetchResponse": "_client",
    "Hosts": "_hosts",
    "Inference": "_calls",
    "Instrumentor": "_instrumentor",
    "Invocation": "_invocation",
    "ModelCall": "_calls",
    "Neighbours": "_conflict",
    "OnError": "_guard",
    "Peer": "_usage",
    "Retrieval": "_client",
    "SharedTelemetry": "_shared",
    "Step": "_kinds",
    "StreamWatch": "_stream",
    "Target": "_patch",
    "TargetPattern": "_patterns",
    "Telemetry": "_telemetry",
    "ToolExecution": "_kinds",
    "ToolHistory": "_tool_history",
    "Usage": "_usage",
    "Workflow": "_kinds",
    "any_tool_call": "_tool_calls",
    "arguments_of": "_arguments",
    "around_calls": "_functions",
    "as_text": "_content",
    "attempt": "_guard",
    "call_in_part": "_tool_history",
    "calls_of": "_tool_history",
    "content": "_capture",
    "current": "_context",
    "default_of": "_arguments",
    "domains_above": "_hosts",
    "enclosing_agent": "_kinds",
    "error_type": "_invocation",
    "followed": "_generators",
    "guard": "_guard",
    "guarded": "_guard",
    "hosts_of": "_hosts",
    "inference_is_recorded": "_context",
    "is_generator": "_generators",
    "is_suppressed": "_context",
    "json_text": "_content",
    "match_tool_call": "_tool_calls",
    "named_arguments": "_arguments",
    "providers_of": "_hosts",
    "quiet": "_context",
    "remember_tool_calls": "_tool_calls",
    "tell_tool_history": "_tool_calls",
    "tolerant": "_guard",
    "tool_history": "_tool_history",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"{__name__}.{home}"), name)
    return value
