"""The kinds of invocation inside the process: tool, agent, workflow, and the steps between them."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from spanloom.genai import _context
from spanloom.genai._content import Content, built_as_json, encodable
from spanloom.genai._invocation import Invocation
from spanloom.genai._secrets import without_secrets
from spanloom.genai._totals import Contribution
from spanloom.semconv import Error, GenAI, Operation, span_name

if TYPE_CHECKING:
    from spanloom.genai._pending import Call
    from spanloom.genai._telemetry import Telemetry


_ONE_TOOL_CALL = Contribution(llm_calls=0, tool_calls=1)


class _Tool(NamedTuple):
    """What each execution of a tool has in common; nobody changes it."""

    name: str
    span_name: str
    at_start: Mapping[str, Any]
    measured: Mapping[str, Any]


@functools.lru_cache(maxsize=1024)
def _tool(name: str, tool_type: str) -> _Tool:
    name = encodable(name)
    measured = {GenAI.TOOL_NAME: name, GenAI.TOOL_TYPE: tool_type}
    at_start = {GenAI.OPERATION_NAME: Operation.EXECUTE_TOOL, **measured}
    return _Tool(name, span_name(Operation.EXECUTE_TOOL, name), at_start, measured)


class ToolExecution(Invocation):
    """One execution of a tool. Its arguments and result are content.

    ``function`` is what runs, where that is known: a recorder of that very function then steps aside.
    """

    __slots__ = ("_tool", "arguments", "asked", "function", "result")

    def __init__(
        self, telemetry: Telemetry, name: str, tool_type: str = "function", description: str | None = None
    ) -> None:
        self._tool = told = _tool(name, tool_type)
        self.function: object = None
        # The model's call that this is the execution of.
        self.asked: Call | None = None
        self.arguments: Content | None = None
        self.result: Content | None = None
        agent = enclosing_agent()
        at_start = told.at_start if agent is None else {**told.at_start, GenAI.AGENT_NAME: agent.name}
        super().__init__(telemetry, told.span_name, at_start)
        if description:
            self.attributes[GenAI.TOOL_DESCRIPTION] = description

    @property
    def tool_name(self) -> str:
        """``gen_ai.tool.name``."""
        return self._tool.name

    def _finish(self) -> None:
        if self.asked is not None:
            self.asked.end(failed=self.error_type is not None)
        if self.around is not None:
            self.around.add(_ONE_TOOL_CALL)

    def _add_content(self, attributes: dict[str, Any]) -> None:
        content: dict[str, Content] = {}
        if self.arguments is not None:
            given = self.arguments
            content[GenAI.TOOL_CALL_ARGUMENTS] = lambda: without_secrets(given())
        if self.result is not None:
            content[GenAI.TOOL_CALL_RESULT] = self.result
        _add_content(self, content, attributes)

    def _record(self, duration_s: float) -> None:
        attributes: Mapping[str, Any] = self._tool.measured
        if self.error_type is not None:
            attributes = {**attributes, Error.TYPE: self.error_type}
        self.telemetry.tool_duration.record(duration_s, attributes, self._context)


def _add_content(invocation: Invocation, content: Mapping[str, Content], attributes: dict[str, Any]) -> None:
    if content and invocation.on_span:
        attributes.update(built_as_json(content, invocation.telemetry.max_content_bytes))


class Step(Invocation):
    """A named part of a program, with ``details`` as attributes; no operation of the conventions fits it."""

    __slots__ = ("__weakref__", "content", "name", "owner")

    operation: ClassVar[str | None] = None

    def __init__(self, telemetry: Telemetry, name: str, owner: object, details: Mapping[str, Any]) -> None:
        """``owner`` is the object that runs (a module), kept so that what is inside can find it; ``None`` has none."""
        self.name = name = encodable(name)
        self.owner = owner
        self.content: Mapping[str, Content] = {}
        super().__init__(telemetry, span_name(self.operation, name) if self.operation else name, self._identity())
        self.attributes.update(details)

    def _identity(self) -> dict[str, Any]:
        return {}

    def _add_content(self, attributes: dict[str, Any]) -> None:
        _add_content(self, self.content, attributes)


class Workflow(Step):
    """A coordinated process that a program starts: the outermost module."""

    __slots__ = ()
    operation = Operation.INVOKE_WORKFLOW

    def _identity(self) -> dict[str, Any]:
        return {GenAI.OPERATION_NAME: self.operation, GenAI.WORKFLOW_NAME: self.name}

    def _record(self, duration_s: float) -> None:
        self.telemetry.workflow_duration.record(duration_s, _measured(self, GenAI.WORKFLOW_NAME), self._context)


class Agent(Step):
    """A loop in which a model decides what to do next."""

    __slots__ = ()
    operation = Operation.INVOKE_AGENT

    def _identity(self) -> dict[str, Any]:
        return {GenAI.OPERATION_NAME: self.operation, GenAI.AGENT_NAME: self.name}

    def _record(self, duration_s: float) -> None:
        telemetry, named = self.telemetry, {GenAI.AGENT_NAME: self.name}
        telemetry.agent_duration.record(duration_s, _measured(self, GenAI.AGENT_NAME), self._context)
        if self.totals is not None:
            inferences, tools = self.totals.calls()
            telemetry.agent_inference_calls.record(inferences, named, self._context)
            telemetry.agent_tool_calls.record(tools, named, self._context)


def _measured(step: Step, key: str) -> dict[str, Any]:
    rows: dict[str, Any] = {key: step.name}
    if step.error_type is not None:
        rows[Error.TYPE] = step.error_type
    return rows


def enclosing_agent() -> Agent | None:
    """The innermost agent around the current code."""
    invocation = _context.current()
    while invocation is not None and not isinstance(invocation, Agent):
        invocation = invocation.parent
    return invocation
