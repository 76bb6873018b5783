"""``dspy.Tool``: one span an execution."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from spanloom.dspy._settings import Settings
from spanloom.dspy._wrap import both
from spanloom.genai import Target, Telemetry, ToolExecution, enclosing_agent, guard

# What an agent uses to say that it is done is not a tool of the user's.
_CLOSING = ("finish", "submit")


def targets(telemetry: Telemetry, settings: Settings) -> Iterator[Target]:
    """``dspy.Tool``, called."""
    del settings
    yield from both(telemetry, "dspy.adapters.types.tool", "Tool", begin, conclude)


def begin(telemetry: Telemetry, tool: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> ToolExecution | None:
    """Start the span of one execution; ``None`` for an agent's own ``finish``."""
    del args
    name = tool.name if isinstance(tool.name, str) and tool.name else type(tool).__name__
    if name in _CLOSING and _belongs_to_agent(tool, name):
        return None
    description = tool.desc if isinstance(tool.desc, str) else None
    execution = ToolExecution(telemetry, name, "function", description)
    execution.function = getattr(tool, "func", None)
    if execution.captures_content:
        arguments = dict(kwargs)
        execution.arguments = lambda: arguments
    return execution


def _belongs_to_agent(tool: Any, name: str) -> bool:
    agent = enclosing_agent()
    tools = getattr(agent.owner, "tools", None) if agent is not None else None
    return isinstance(tools, dict) and tools.get(name) is tool  # pyright: ignore[reportUnknownMemberType]


def conclude(execution: ToolExecution, result: Any) -> Any:
    """End it with its result."""
    with guard("dspy.tool.result"):
        if execution.captures_content:
            execution.result = lambda: result
    execution.stop()
    return result
