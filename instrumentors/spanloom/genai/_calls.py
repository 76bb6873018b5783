"""Calls that leave the process: model calls (inference, embeddings), and what else a client of a provider does."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from opentelemetry import context as otel
from opentelemetry.context import Context
from opentelemetry.trace import SpanKind

from spanloom.genai import _completion, _context, _events, _registry
from spanloom.genai._capture import IN_EVENTS
from spanloom.genai._content import Content, as_json, as_plain, as_text, built, built_as_json, encodable, make_encodable
from spanloom.genai._guard import attempt, guard
from spanloom.genai._invocation import Invocation
from spanloom.genai._totals import Contribution, Totals
from spanloom.genai._usage import Peer
from spanloom.semconv import DSpy, Error, GenAI, Operation, Server, Spanloom, span_name

if TYPE_CHECKING:
    from opentelemetry._logs import LogRecord

    from spanloom.genai._telemetry import Telemetry
    from spanloom.genai._usage import Usage

# A context without a span. An exemplar costs a third of a record; the one on the duration leads to the trace.
_NO_EXEMPLAR = otel.set_value("spanloom-no-exemplar", True, Context())
_REASONS = {"tool_calls": "tool_call", "function_call": "tool_call"}


class ClientCall(Invocation):
    """A call to a provider. ``operation`` is ``None`` where the conventions have none for it."""

    __slots__ = (
        "_identity",
        "_metric_attributes",
        "input_content",
        "operation",
        "output_content",
        "peer",
        "propagates",
    )

    kind: ClassVar[SpanKind] = SpanKind.CLIENT
    claim: ClassVar[str] = "call"

    def __init__(
        self,
        telemetry: Telemetry,
        operation: str | None,
        name: str,
        peer: Peer,
        details: Mapping[str, Any],
        owner: object = None,
    ) -> None:
        """``details``: what samplers may use besides operation, provider and address. ``owner``: the client object."""
        self.operation = operation
        self.peer = peer
        self.input_content: Mapping[str, Content] = {}
        self.output_content: Mapping[str, Content] = {}
        # True where the trace context may travel with the request: never to a model provider, unless the user says so.
        self.propagates = False
        self._metric_attributes: dict[str, Any] | None = None
        identity: dict[str, Any] = {}
        if operation is not None:
            identity[GenAI.OPERATION_NAME] = operation
        if peer.provider is not None:
            identity[GenAI.PROVIDER_NAME] = peer.provider
        identity.update(details)
        make_encodable(identity)
        if peer.address is not None:
            identity[Server.ADDRESS] = peer.address
            if peer.port is not None:
                identity[Server.PORT] = peer.port
        self._identity = identity
        super().__init__(telemetry, name, identity, owner)

    @property
    def provider(self) -> str | None:
        """``gen_ai.provider.name``."""
        return self.peer.provider

    @property
    def server_address(self) -> str | None:
        """The host that is called."""
        return self.peer.address

    def learn_provider(self, provider: str) -> None:
        """Who answers, where that is known after the call's start only."""
        if self.peer.provider is None:
            self.peer = Peer(provider, self.peer.address, self.peer.port)
            for told in (self._identity, self.attributes):
                told[GenAI.PROVIDER_NAME] = provider

    def learn_address(self, address: str, port: int) -> None:
        """The host that the call really goes to, where that is known after its start only."""
        if self.peer.address is None:
            self.peer = Peer(self.peer.provider, address, port)
            for told in (self._identity, self.attributes):
                told[Server.ADDRESS], told[Server.PORT] = address, port

    def __enter__(self) -> None:
        if _registry.gates:
            asked = False
            try:
                self._ask()
                asked = True
            finally:
                # Ctrl-C in a gate: the call is never made, and its span ends all the same.
                if not asked:
                    self.fail_as(Error.OTHER)
        super().__enter__()

    def _ask(self) -> None:
        """Raise what the first gate that refuses gives; a gate that fails itself refuses nothing."""
        for gate in _registry.gates:
            with guard("genai.gate"):
                refusal = gate(self)
                if isinstance(refusal, BaseException):
                    break
        else:
            return
        self.fail(refusal)
        raise refusal

    def _make_totals(self, around: Totals | None) -> Totals | None:
        # What is below a call to a provider adds up where the call itself does.
        return around

    def _tell_exception(self, error: BaseException) -> None:
        if self.error_type is not None:
            context = _context.without_invocation(self._context)
            with_text = self.capture != 0 and not self.hides_error_text
            _events.emit_exception(self.telemetry.logger, error, self.error_type, context, with_text)

    def _add_final(self, attributes: dict[str, Any]) -> None:
        """Nothing of the levels below: a call's own figures are all it has."""

    @property
    def metric_attributes(self) -> Mapping[str, Any]:
        """Low-cardinality attributes of every record of this call; made at its end, once. Before it they may change."""
        if not self.ended:
            return self._describe()
        known = self._metric_attributes
        if known is None:
            known = self._metric_attributes = self._describe()
        return known

    def _describe(self) -> dict[str, Any]:
        rows = dict(self._identity)
        if self.error_type is not None:
            rows[Error.TYPE] = encodable(self.error_type)
        return rows

    def _record(self, duration_s: float) -> None:
        if self.operation is not None:
            self.telemetry.operation_duration.record(duration_s, self.metric_attributes, self._context)


class ModelCall(ClientCall):
    """A call that a model answers and that is billed by its tokens. Finishers see it before its span ends."""

    __slots__ = (
        "_built",
        "_cost",
        "_unpriced",
        "cache_hit",
        "chunks",
        "finish_reasons",
        "first_chunk_s",
        "request_model",
        "response_id",
        "response_model",
        "usage",
    )

    is_inference: ClassVar[bool] = True
    claim: ClassVar[str] = "inference"
    # 0 where it is no LLM call.
    llm_calls: ClassVar[int] = 1

    def __init__(
        self, telemetry: Telemetry, operation: str, model: str | None, peer: Peer, owner: object = None
    ) -> None:
        self.request_model = model
        self.response_model: str | None = None
        self.response_id: str | None = None
        self.finish_reasons: list[str] | None = None
        self.usage: Usage | None = None
        self.cache_hit = False
        self.first_chunk_s: float | None = None
        self.chunks = 0
        self._cost: float | None = None
        self._unpriced = False
        # The content, made once for the span, the event and the hook; not before one of these two wants it.
        self._built: dict[str, Any] | None = None
        details = {} if model is None else {GenAI.REQUEST_MODEL: model}
        super().__init__(telemetry, operation, span_name(operation, model), peer, details, owner)

    def add_cost(self, usd: float) -> None:
        """Count this amount (USD) towards the spans above; for finishers."""
        if not math.isfinite(usd):
            raise ValueError(f"a cost is a finite number of USD, not {usd!r}")
        self._cost = usd

    def add_unpriced(self) -> None:
        """Count this call as one without a known price; for finishers."""
        self._unpriced = True

    def _describe(self) -> dict[str, Any]:
        rows = super()._describe()
        if self.response_model is not None:
            rows[GenAI.RESPONSE_MODEL] = encodable(self.response_model)
        return rows

    def _finish(self) -> None:
        for finisher in _registry.finishers:
            attempt("genai.finisher", finisher, self)
        if self.around is not None:
            self.around.add(self._contribution())

    def _contribution(self) -> Contribution:
        usage = None if self.cache_hit else self.usage
        return Contribution(
            llm_calls=self.llm_calls,
            input_tokens=usage.input_tokens if usage else None,
            output_tokens=usage.output_tokens if usage else None,
            cache_hits=int(self.cache_hit),
            cost_usd=self._cost,
            unpriced=self._unpriced,
        )

    def _write(self) -> None:
        telemetry = self.telemetry
        if telemetry.completion is None and not (telemetry.emits_details or self.capture & IN_EVENTS):
            super()._write()
            return
        content = built({**self.input_content, **self.output_content}) if self.captures_content else {}
        self._built = content
        event = self._details(content)
        if telemetry.completion is not None:
            attempt("genai.completion", self._notify, telemetry.completion, content, event)
        super()._write()
        # Whoever keeps the call keeps no messages with it.
        self._built = None
        if event is not None:
            self._emit_details(event)

    def _add_content(self, attributes: dict[str, Any]) -> None:
        if not self.on_span:
            return
        limit = self.telemetry.max_content_bytes
        if self._built is None:
            attributes.update(built_as_json({**self.input_content, **self.output_content}, limit))
        else:
            attributes.update(as_json(self._built, limit))

    def _details(self, content: Mapping[str, Any]) -> LogRecord | None:
        """The event of an inference, if one is wanted; its attributes come last."""
        wanted = self.telemetry.emits_details
        if not (self.in_events if wanted is None else wanted):
            return None
        told = as_plain(content, self.telemetry.max_content_bytes) if self.in_events else {}
        return _events.details(told, _context.without_invocation(self._context))

    def _emit_details(self, event: LogRecord) -> None:
        # What is content of this call is in the event already, or must not be there.
        kept = {name: one for name, one in self.attributes.items() if name not in self._content_names()}
        told = {**self._identity, **kept}
        spelling = self.telemetry.spelling
        event.attributes = {**(spelling.of(told) if spelling else told), **(event.attributes or {})}
        self.telemetry.logger.emit(event)

    def _content_names(self) -> set[str]:
        return {*self.input_content, *self.output_content}

    def _notify(self, hook: Any, content: Mapping[str, Any], event: LogRecord | None) -> None:
        _completion.notify(
            hook,
            inputs=content.get(GenAI.INPUT_MESSAGES) or [],
            outputs=content.get(GenAI.OUTPUT_MESSAGES) or [],
            system_instruction=content.get(GenAI.SYSTEM_INSTRUCTIONS) or [],
            tool_definitions=content.get(GenAI.TOOL_DEFINITIONS),
            span=self.span,
            log_record=event,
        )

    def _add_final(self, attributes: dict[str, Any]) -> None:
        if self.response_model is not None:
            attributes[GenAI.RESPONSE_MODEL] = self.response_model
        if self.response_id is not None:
            attributes[GenAI.RESPONSE_ID] = self.response_id
        if self.finish_reasons is not None:
            attributes[GenAI.RESPONSE_FINISH_REASONS] = [_REASONS.get(one, one) for one in self.finish_reasons]
        if self.first_chunk_s is not None:
            attributes[GenAI.RESPONSE_TIME_TO_FIRST_CHUNK] = self.first_chunk_s
        if self.chunks:
            attributes[Spanloom.STREAM_CHUNKS] = self.chunks
        if self.usage is not None:
            attributes.update(self.usage.attributes())

    def _record(self, duration_s: float) -> None:
        usage = None if self.cache_hit else self.usage
        telemetry, attributes = self.telemetry, self.metric_attributes
        if telemetry.old is not None:
            attempt("genai.metrics.old", self._record_old, duration_s, usage)
        if telemetry.spelling is not None and telemetry.spelling.instead:
            return
        self._record_time(duration_s, {**attributes, DSpy.CACHE_HIT: True} if self.cache_hit else attributes)
        if usage is not None:
            self._record_tokens(usage, attributes)
        elif self.error_type is not None:
            # The conventions count a failed call as one of no tokens, so that rates have a base.
            telemetry.tally.add(self._counted(), "unknown", (0, 0, None, None, None))

    def _record_time(self, duration_s: float, attributes: Mapping[str, Any]) -> None:
        """How long it took; each kind has its own instrument."""
        self.telemetry.operation_duration.record(duration_s, attributes, self._context)

    def _record_tokens(self, usage: Usage, attributes: Mapping[str, Any]) -> None:
        telemetry = self.telemetry
        counted = attributes if self.error_type is None else self._counted()
        for modality, counts in usage.by_modality():
            telemetry.tally.add(counted, modality, counts)
        if usage.input_tokens is not None:
            telemetry.operation_input_tokens.record(usage.input_tokens, attributes, _NO_EXEMPLAR)
        if usage.output_tokens is not None:
            telemetry.operation_output_tokens.record(usage.output_tokens, attributes, _NO_EXEMPLAR)

    def _counted(self) -> Mapping[str, Any]:
        """The attributes of the token counters, which have no error."""
        if self.error_type is None:
            return self.metric_attributes
        return {name: value for name, value in self.metric_attributes.items() if name != Error.TYPE}

    def _has_old_duration(self) -> bool:
        """Whether the older name of its duration is another one, or the current one is not written."""
        return self.telemetry.spelling is not None and self.telemetry.spelling.instead

    def _record_old(self, duration_s: float, usage: Usage | None) -> None:
        """The metrics of v1.41."""
        old, context, attributes = self.telemetry.old, self._context, self.metric_attributes
        assert old is not None
        if self._has_old_duration():
            old.operation_duration.record(duration_s, attributes, context)
        if self.first_chunk_s is not None:
            old.time_to_first_chunk.record(self.first_chunk_s, self._counted(), context)
        if usage is None:
            return
        for kind, count in (("input", usage.input_tokens), ("output", usage.output_tokens)):
            if count is not None:
                old.token_usage.record(count, {**self._counted(), GenAI.TOKEN_TYPE: kind}, context)


class Inference(ModelCall):
    """One inference with all its retries; ``operation`` is ``chat``, ``text_completion`` or ``generate_content``."""

    __slots__ = ()

    def _has_old_duration(self) -> bool:
        return True

    def _record_time(self, duration_s: float, attributes: Mapping[str, Any]) -> None:
        telemetry, context = self.telemetry, self._context
        telemetry.inference_duration.record(duration_s, attributes, context)
        if self.first_chunk_s is not None:
            telemetry.time_to_first_chunk.record(self.first_chunk_s, self._counted(), context)


class Embeddings(ModelCall):
    """Texts made into vectors. The vectors are never recorded."""

    __slots__ = ()

    claim: ClassVar[str] = "embedding"
    llm_calls = 0

    def __init__(self, telemetry: Telemetry, model: str | None, peer: Peer, owner: object = None) -> None:
        super().__init__(telemetry, Operation.EMBEDDINGS, model, peer, owner)

    def _details(self, content: Mapping[str, Any]) -> LogRecord | None:
        """The conventions' event is of inferences alone."""
        del content
        return None


class FetchResponse(ClientCall):
    """A stored response that is fetched. Its tokens were counted when it was made, and are not counted again."""

    __slots__ = ("finish_reasons", "response_model", "status")

    claim: ClassVar[str] = "fetch_response"

    def __init__(self, telemetry: Telemetry, response_id: str, peer: Peer, owner: object = None) -> None:
        self.response_model: str | None = None
        self.finish_reasons: list[str] | None = None
        self.status: str | None = None
        details = {GenAI.RESPONSE_ID: response_id}
        super().__init__(telemetry, Operation.FETCH_RESPONSE, Operation.FETCH_RESPONSE, peer, details, owner)

    def _add_final(self, attributes: dict[str, Any]) -> None:
        rows = (
            (GenAI.RESPONSE_MODEL, self.response_model),
            (GenAI.RESPONSE_STATUS, self.status),
            (GenAI.RESPONSE_FINISH_REASONS, self.finish_reasons),
        )
        attributes.update({name: value for name, value in rows if value is not None})

    def _add_content(self, attributes: dict[str, Any]) -> None:
        if self.on_span:
            attributes.update(built_as_json(self.output_content, self.telemetry.max_content_bytes))

    def _describe(self) -> dict[str, Any]:
        rows = super()._describe()
        # Ids are not for metrics.
        rows.pop(GenAI.RESPONSE_ID, None)
        if self.response_model is not None:
            rows[GenAI.RESPONSE_MODEL] = encodable(self.response_model)
        return rows


class Retrieval(ClientCall):
    """A search in a data source. The query and what was found are content."""

    __slots__ = ("query", "top_k")

    claim: ClassVar[str] = "retrieval"

    def __init__(
        self,
        telemetry: Telemetry,
        data_source_id: str | None,
        peer: Peer,
        model: str | None = None,
        owner: object = None,
    ) -> None:
        self.top_k: int | None = None
        # The text searched for, if it is one.
        self.query: Content | None = None
        rows = ((GenAI.DATA_SOURCE_ID, data_source_id), (GenAI.REQUEST_MODEL, model))
        details = {name: value for name, value in rows if value is not None}
        name = span_name(Operation.RETRIEVAL, data_source_id)
        super().__init__(telemetry, Operation.RETRIEVAL, name, peer, details, owner)

    def _add_final(self, attributes: dict[str, Any]) -> None:
        if self.top_k is not None:
            attributes[GenAI.RETRIEVAL_TOP_K] = self.top_k

    def _add_content(self, attributes: dict[str, Any]) -> None:
        if not self.on_span:
            return
        limit = self.telemetry.max_content_bytes
        attributes.update(built_as_json(self.output_content, limit))
        query = None if self.query is None else built({GenAI.RETRIEVAL_QUERY_TEXT: self.query})
        if query:
            attributes.update(as_plain({name: as_text(text) for name, text in query.items()}, limit))

    def _describe(self) -> dict[str, Any]:
        rows = super()._describe()
        rows.pop(GenAI.DATA_SOURCE_ID, None)
        return rows


class Endpoint(ClientCall):
    """Any other request of a provider's client, so that nothing is invisible. ``name`` is the span's name."""

    __slots__ = ()

    def __init__(self, telemetry: Telemetry, name: str, peer: Peer, owner: object = None) -> None:
        super().__init__(telemetry, None, name, peer, {}, owner)
