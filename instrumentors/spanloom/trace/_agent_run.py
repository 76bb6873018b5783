"""One run of an agent: what a person tells of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from spanloom.genai import Agent, guarded, is_suppressed
from spanloom.genai._content import as_json, as_plain, json_text, parsed_json
from spanloom.genai._secrets import without_secrets
from spanloom.semconv import GenAI, Spanloom, SpanloomEvent
from spanloom.trace._check import text_or_none
from spanloom.trace._messages import Messages, builder
from spanloom.trace._shared import telemetry
from spanloom.trace._told import Told


@guarded("trace.agent")
def started(name: str, description: str | None, agent_id: str | None, version: str | None) -> Agent | None:
    """A run that has begun; ``None`` where nothing is to be recorded."""
    if is_suppressed():
        return None
    rows = (
        (GenAI.AGENT_DESCRIPTION, description),
        (Spanloom.AGENT_ID, agent_id),
        (Spanloom.AGENT_VERSION, version),
    )
    return Agent(telemetry(), name, None, {key: value for key, value in rows if value is not None})


class AgentRun(Told[Agent]):
    """One run of an agent, as ``with spanloom.trace.agent(name) as run`` gives it.

    Thoughts, actions and observations are events of its span, in their order; a span keeps the last 128 events
    (``OTEL_SPAN_EVENT_COUNT_LIMIT``). Messages, and the texts, arguments and results of events, are content: recorded
    only where that is switched on. No method raises.
    """

    __slots__ = ()

    def input(self, messages: Messages) -> None:
        """What the agent was asked: a text (of the user), or messages in the form that ``InferenceCall.input`` takes.

        The last ``input`` of a run counts.
        """
        self._keep(GenAI.INPUT_MESSAGES, messages, "user")

    def output(self, messages: Messages) -> None:
        """What the agent answered: a text (of the assistant), or messages. The last one counts."""
        self._keep(GenAI.OUTPUT_MESSAGES, messages, "assistant")

    def thought(self, text: str) -> None:
        """What the agent thinks before it acts."""
        said = text_or_none("AgentRun.thought(text)", text)
        self._tell(SpanloomEvent.AGENT_THOUGHT, {}, {Spanloom.AGENT_THOUGHT: said})

    def action(self, tool: str, arguments: Any = None, *, call_id: str | None = None) -> None:
        """The tool that the agent chooses, by name, and what it gives to it: any value.

        ``call_id`` is the model's id of the call, where it has one. The tool's execution is a span of its own where the
        tool is recorded (``spanloom.tools.tool``).
        """
        rows = {
            GenAI.TOOL_NAME: text_or_none("AgentRun.action(tool)", tool),
            GenAI.TOOL_CALL_ID: text_or_none("AgentRun.action(call_id)", call_id),
        }
        self._tell(SpanloomEvent.AGENT_ACTION, rows, {GenAI.TOOL_CALL_ARGUMENTS: arguments})

    def observation(self, result: Any = None, *, call_id: str | None = None) -> None:
        """What the agent sees of its action: any value."""
        rows = {GenAI.TOOL_CALL_ID: text_or_none("AgentRun.observation(call_id)", call_id)}
        self._tell(SpanloomEvent.AGENT_OBSERVATION, rows, {GenAI.TOOL_CALL_RESULT: result})

    @guarded("trace.agent.messages")
    def _keep(self, name: str, messages: Messages, role: str) -> None:
        run = self._with_content()
        build = None if run is None else builder(f"AgentRun {role} messages", messages, role)
        if run is not None and build is not None:
            run.content = {**run.content, name: build}

    @guarded("trace.agent.event")
    def _tell(self, event: str, known: Mapping[str, str | None], content: Mapping[str, Any]) -> None:
        run = self._recording()
        if run is None:
            return
        rows = {name: value for name, value in known.items() if value is not None}
        if run.on_span:
            rows.update(_content(content, run.telemetry.max_content_bytes))
        run.add_event(event, rows)


def _content(values: Mapping[str, Any], limit: int) -> dict[str, str]:
    """Texts as they are, anything else as JSON: as a tool's own span has it."""
    told = {name: value for name, value in values.items() if value is not None}
    if GenAI.TOOL_CALL_ARGUMENTS in told:
        told[GenAI.TOOL_CALL_ARGUMENTS] = _hidden(told[GenAI.TOOL_CALL_ARGUMENTS])
    thought = {name: told.pop(name) for name in (Spanloom.AGENT_THOUGHT,) if name in told}
    return {**as_json(told, limit), **as_plain(thought, limit)}


def _hidden(arguments: Any) -> Any:
    """What a tool's own span does not tell; models give arguments as JSON text."""
    given = parsed_json(arguments) if isinstance(arguments, str) else arguments
    told = without_secrets(given)
    if not isinstance(arguments, str):
        return told
    return arguments if told == given else json_text(told)
