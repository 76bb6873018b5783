"""The kinds of invocation: model call, tool, agent, workflow, and the steps between them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from opentelemetry.trace import SpanKind

from spanloom.genai import _context, _registry
from spanloom.genai._content import json_text
from spanloom.genai._guard import guard
from spanloom.genai._invocation import Invocation
from spanloom.genai._totals import Contribution
from spanloom.semconv import DSpy, Error, GenAI, Operation, Server, Spanloom, span_name

if TYPE_CHECKING:
    from opentelemetry.context import Context

    from spanloom.genai._telemetry import Telemetry

# A provider that reports no split by modality says nothing about it, and neither do we.
_UNKNOWN_MODALITY = {GenAI.TOKEN_MODALITY: "unknown"}

Content = Callable[[], Any]


@dataclass
class Usage:
    """Token counts of one call as the provider reported them; ``None`` where it did not."""

    __slots__ = (
        "cache_read_input_tokens",
        "cache_write_input_tokens",
        "input_tokens",
        "output_tokens",
        "reasoning_output_tokens",
    )

    input_tokens: int | None
    output_tokens: int | None
    cache_read_input_tokens: int | None
    cache_write_input_tokens: int | None
    reasoning_output_tokens: int | None

    def attributes(self) -> dict[str, int]:
        """``gen_ai.usage.*`` for what is known; a reported 0 is data, an absent count is not."""
        rows = (
            (GenAI.USAGE_INPUT_TOKENS, self.input_tokens),
            (GenAI.USAGE_OUTPUT_TOKENS, self.output_tokens),
            (GenAI.USAGE_CACHE_READ_INPUT_TOKENS, self.cache_read_input_tokens),
            (GenAI.USAGE_CACHE_WRITE_INPUT_TOKENS, self.cache_write_input_tokens),
            (GenAI.USAGE_REASONING_OUTPUT_TOKENS, self.reasoning_output_tokens),
        )
        return {name: count for name, count in rows if count is not None}


@dataclass(frozen=True)
class Peer:
    """Whom a client call goes to. ``port`` only together with an address."""

    provider: str | None = None
    address: str | None = None
    port: int | None = None


class Inference(Invocation):
    """One model call with all its retries; ``operation`` is ``chat`` or ``text_completion``."""

    __slots__ = (
        "_cost",
        "_metric_attributes",
        "_unpriced",
        "cache_hit",
        "chunks",
        "finish_reasons",
        "first_chunk_s",
        "input_content",
        "operation",
        "output_content",
        "peer",
        "request_model",
        "response_id",
        "response_model",
        "usage",
    )

    kind: ClassVar[SpanKind] = SpanKind.CLIENT

    def __init__(self, telemetry: Telemetry, operation: str, model: str | None, peer: Peer) -> None:
        self.operation = operation
        self.request_model = model
        self.peer = peer
        self.response_model: str | None = None
        self.response_id: str | None = None
        self.finish_reasons: list[str] | None = None
        self.usage: Usage | None = None
        self.cache_hit = False
        self.first_chunk_s: float | None = None
        self.chunks = 0
        self.input_content: Mapping[str, Content] = {}
        self.output_content: Mapping[str, Content] = {}
        self._metric_attributes: dict[str, Any] | None = None
        self._cost: float | None = None
        self._unpriced = False
        super().__init__(telemetry, span_name(operation, model), self._identity())

    def _make_context(self, context: Context) -> Context:
        return _context.below_inference(context)

    # What finishers read (genai.hooks.FinishedCall).
    @property
    def provider(self) -> str | None:
        return self.peer.provider

    @property
    def server_address(self) -> str | None:
        return self.peer.address

    def add_cost(self, usd: float) -> None:
        if not math.isfinite(usd):
            raise ValueError(f"a cost is a finite number of USD, not {usd!r}")
        self._cost = usd

    def add_unpriced(self) -> None:
        self._unpriced = True

    def _identity(self) -> dict[str, Any]:
        rows = (
            (GenAI.OPERATION_NAME, self.operation),
            (GenAI.PROVIDER_NAME, self.peer.provider),
            (GenAI.REQUEST_MODEL, self.request_model),
            (Server.ADDRESS, self.peer.address),
            (Server.PORT, self.peer.port),
        )
        return {name: value for name, value in rows if value is not None}

    @property
    def metric_attributes(self) -> Mapping[str, Any]:
        """Low-cardinality attributes of every record of this call; made at its end, once."""
        if self._metric_attributes is None:
            self._metric_attributes = self._describe()
        return self._metric_attributes

    def _describe(self) -> dict[str, Any]:
        rows = self._identity()
        if self.response_model is not None:
            rows[GenAI.RESPONSE_MODEL] = self.response_model
        if self.error_type is not None:
            rows[Error.TYPE] = self.error_type
        return rows

    def _finish(self) -> None:
        for finisher in _registry.finishers:
            with guard("genai.finisher"):
                finisher(self)
        self.totals.add(self._contribution())

    def _contribution(self) -> Contribution:
        usage = None if self.cache_hit else self.usage
        return Contribution(
            input_tokens=usage.input_tokens if usage else None,
            output_tokens=usage.output_tokens if usage else None,
            cache_hits=int(self.cache_hit),
            cost_usd=self._cost,
            unpriced=self._unpriced,
        )

    def _final_attributes(self) -> Mapping[str, Any]:
        rows = (
            (GenAI.RESPONSE_MODEL, self.response_model),
            (GenAI.RESPONSE_ID, self.response_id),
            (GenAI.RESPONSE_FINISH_REASONS, _normal_reasons(self.finish_reasons)),
            (GenAI.RESPONSE_TIME_TO_FIRST_CHUNK, self.first_chunk_s),
            (Spanloom.STREAM_CHUNKS, self.chunks or None),
        )
        final = {name: value for name, value in rows if value is not None}
        if self.usage is not None:
            final.update(self.usage.attributes())
        if self.telemetry.capture_content:
            final.update(_rendered(self.input_content))
            final.update(_rendered(self.output_content))
        return final

    def _record(self, duration_s: float) -> None:
        telemetry, attributes = self.telemetry, self.metric_attributes
        context = self._context
        timed = {**attributes, DSpy.CACHE_HIT: True} if self.cache_hit else attributes
        telemetry.inference_duration.record(duration_s, timed, context)
        if self.first_chunk_s is not None:
            telemetry.time_to_first_chunk.record(self.first_chunk_s, attributes, context)
        if self.usage is not None and not self.cache_hit:
            self._record_tokens(self.usage, attributes)

    def _record_tokens(self, usage: Usage, attributes: Mapping[str, Any]) -> None:
        telemetry, context = self.telemetry, self._context
        counted = {**attributes, **_UNKNOWN_MODALITY}
        for counter, count in (
            (telemetry.input_tokens, usage.input_tokens),
            (telemetry.output_tokens, usage.output_tokens),
            (telemetry.cache_read_tokens, usage.cache_read_input_tokens),
            (telemetry.cache_write_tokens, usage.cache_write_input_tokens),
            (telemetry.reasoning_tokens, usage.reasoning_output_tokens),
        ):
            if count:
                counter.add(count, counted, context)
        if usage.input_tokens is not None:
            telemetry.operation_input_tokens.record(usage.input_tokens, attributes, context)
        if usage.output_tokens is not None:
            telemetry.operation_output_tokens.record(usage.output_tokens, attributes, context)


def _normal_reasons(reasons: list[str] | None) -> list[str] | None:
    """OpenAI's ``tool_calls`` and ``function_call`` are ``tool_call`` in the conventions."""
    if reasons is None:
        return None
    return ["tool_call" if one in ("tool_calls", "function_call") else one for one in reasons]


def _rendered(content: Mapping[str, Content]) -> dict[str, str]:
    """Content attributes, each built on its own so that one that fails costs only itself."""
    rows: dict[str, str] = {}
    for name, build in content.items():
        with guard("genai.content"):
            value = build()
            if value is not None:
                rows[name] = json_text(value)
    return rows


class ToolExecution(Invocation):
    """One execution of a tool. Its arguments and result are content.

    ``function`` is what runs, where that is known: a recorder of that very function then steps aside.
    """

    __slots__ = ("arguments", "function", "result", "tool_name", "tool_type")

    def __init__(
        self, telemetry: Telemetry, name: str, tool_type: str = "function", description: str | None = None
    ) -> None:
        self.tool_name = name
        self.tool_type = tool_type
        self.function: object = None
        self.arguments: Content | None = None
        self.result: Content | None = None
        at_start = {GenAI.OPERATION_NAME: Operation.EXECUTE_TOOL, GenAI.TOOL_NAME: name, GenAI.TOOL_TYPE: tool_type}
        agent = enclosing_agent()
        if agent is not None:
            at_start[GenAI.AGENT_NAME] = agent.name
        super().__init__(telemetry, span_name(Operation.EXECUTE_TOOL, name), at_start)
        if description:
            self.attributes[GenAI.TOOL_DESCRIPTION] = description

    def _final_attributes(self) -> Mapping[str, Any]:
        final = dict(super()._final_attributes())
        if self.telemetry.capture_content:
            content = {GenAI.TOOL_CALL_ARGUMENTS: self.arguments, GenAI.TOOL_CALL_RESULT: self.result}
            final.update(_rendered({name: build for name, build in content.items() if build is not None}))
        return final

    def _record(self, duration_s: float) -> None:
        attributes = {GenAI.TOOL_NAME: self.tool_name, GenAI.TOOL_TYPE: self.tool_type}
        if self.error_type is not None:
            attributes[Error.TYPE] = self.error_type
        self.telemetry.tool_duration.record(duration_s, attributes, self._context)


class Step(Invocation):
    """A named part of a program, with ``details`` as attributes; no operation of the conventions fits it."""

    __slots__ = ("content", "name", "owner")

    operation: ClassVar[str | None] = None

    def __init__(self, telemetry: Telemetry, name: str, owner: object, details: Mapping[str, Any]) -> None:
        """``owner`` is the object that runs (a module), kept so that what is inside can find it."""
        self.name = name
        self.owner = owner
        self.content: Mapping[str, Content] = {}
        super().__init__(telemetry, span_name(self.operation, name) if self.operation else name, self._identity())
        self.attributes.update(details)

    def _identity(self) -> dict[str, Any]:
        return {}

    def _final_attributes(self) -> Mapping[str, Any]:
        final = dict(super()._final_attributes())
        if self.telemetry.capture_content:
            final.update(_rendered(self.content))
        return final


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
        self.telemetry.agent_duration.record(duration_s, _measured(self, GenAI.AGENT_NAME), self._context)


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
