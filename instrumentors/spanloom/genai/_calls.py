"""Calls that a model answers: inferences and embeddings, with their tokens, their content and their cost."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from opentelemetry import context as otel
from opentelemetry.context import Context

from spanloom.genai import _completion, _context, _events, _registry
from spanloom.genai._capture import IN_EVENTS
from spanloom.genai._carried import context_attributes
from spanloom.genai._client import ClientCall
from spanloom.genai._content import as_json, as_plain, built, built_as_json, encodable
from spanloom.genai._guard import attempt
from spanloom.genai._totals import Contribution
from spanloom.genai._usage import Peer
from spanloom.semconv import DSpy, Error, GenAI, Operation, Spanloom, span_name

if TYPE_CHECKING:
    from opentelemetry._logs import LogRecord

    from spanloom.genai._telemetry import Telemetry
    from spanloom.genai._usage import Usage

# A context without a span. An exemplar costs a third of a record; the one on the duration leads to the trace.
_NO_EXEMPLAR = otel.set_value("spanloom-no-exemplar", True, Context())
_REASONS = {"tool_calls": "tool_call", "function_call": "tool_call"}


class ModelCall(ClientCall):
    """A call that a model answers and that is billed by its tokens. Finishers see it before its span ends."""

    __slots__ = (
        "_built",
        "_cost",
        "_reported_cost_usd",
        "_ticket",
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
        self._reported_cost_usd: float | None = None
        # The content, made once for the span, the event and the hook; not before one of these two wants it.
        self._built: dict[str, Any] | None = None
        details = {} if model is None else {GenAI.REQUEST_MODEL: model}
        super().__init__(telemetry, operation, span_name(operation, model), peer, details, owner)
        # The last step: what could not be started is not open.
        self._ticket = 0 if self.around is None else self.around.begin()

    @property
    def answer_id(self) -> str | None:
        """``gen_ai.response.id``."""
        return self.response_id

    @property
    def reported_cost_usd(self) -> float | None:
        """What the provider says that the call costs: with the token counts, else beside the answer."""
        told = None if self.usage is None else self.usage.reported_cost_usd
        return self._reported_cost_usd if told is None else told

    def report_cost(self, usd: float) -> None:
        """What somebody between us and the provider says that the call costs."""
        self._reported_cost_usd = usd

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
        around, contribution = self.around, None
        try:
            if not self.refused:
                for finisher in _registry.finishers:
                    attempt("genai.finisher", finisher, self)
                contribution = None if around is None else self._contribution()
        finally:
            # After Ctrl-C in a finisher, too: the call is not open any more.
            if around is not None:
                around.end(self._ticket, contribution)

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
        if self.completion is None and not (telemetry.emits_details or self.capture & IN_EVENTS):
            super()._write()
            return
        content = built({**self.input_content, **self.output_content}) if self.captures_content else {}
        self._built = content
        event = self._details(content)
        if self.completion is not None:
            attempt("genai.completion", self._notify, self.completion, content, event)
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
        own = spelling.of(told) if spelling else told
        event.attributes = {**context_attributes(self._context), **own, **(event.attributes or {})}
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
