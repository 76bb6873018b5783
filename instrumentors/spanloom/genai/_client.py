"""Calls to a provider that no model's tokens are billed for: what all have in common, and the ones of each kind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from opentelemetry.trace import SpanKind

from spanloom.genai import _context, _events, _registry
from spanloom.genai._carried import context_attributes
from spanloom.genai._content import Content, as_plain, as_text, built, built_as_json, encodable, make_encodable
from spanloom.genai._guard import guard
from spanloom.genai._invocation import Invocation
from spanloom.genai._totals import Totals
from spanloom.genai._usage import Peer
from spanloom.semconv import Error, GenAI, Operation, Server, span_name

if TYPE_CHECKING:
    from spanloom.genai._pending import Response
    from spanloom.genai._telemetry import Telemetry


class ClientCall(Invocation):
    """A call to a provider. ``operation`` is ``None`` where the conventions have none for it."""

    __slots__ = (
        "_carried",
        "_identity",
        "_metric_attributes",
        "asked",
        "input_content",
        "operation",
        "output_content",
        "peer",
        "propagates",
        "refused",
    )

    kind: ClassVar[SpanKind] = SpanKind.CLIENT
    claim: ClassVar[str] = "call"
    # Only calls that a model answers have one.
    request_model: str | None = None

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
        # True where a gate refused it: nothing was sent, so that nothing is billed or counted.
        self.refused = False
        # The tool calls that its answer asks for.
        self.asked: Response | None = None
        self._metric_attributes: dict[str, Any] | None = None
        self._carried: Mapping[str, Any] | None = None
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
    def answer_id(self) -> str | None:
        """``gen_ai.response.id``, where the answer has one."""
        return None

    @property
    def carried(self) -> Mapping[str, Any]:
        """What ``hooks.context_attributes`` said when the call began."""
        return context_attributes(self._context) if self._carried is None else self._carried

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
        # Kept for the end: a block that a reader of a stream leaves elsewhere says nothing any more by then.
        with guard("genai.carried"):
            self._carried = context_attributes(self._context)
        for gate in _registry.gates:
            with guard("genai.gate"):
                refusal = gate(self)
                if isinstance(refusal, BaseException):
                    break
        else:
            return
        self.refused = True
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

    @property
    def answer_id(self) -> str | None:
        """The response that is fetched."""
        return self._identity.get(GenAI.RESPONSE_ID)

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
