"""The cost of spans that other recorders made, from what stands on them by the names of each of them.

``gen_ai.*`` of the conventions, new and old; OpenLLMetry, OpenInference, Logfire, OpenLIT (``semconv.ForeignCall``).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from enum import Enum, auto
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, Final

from spanloom.cost import _budgets
from spanloom.cost._calls import OPERATIONS
from spanloom.cost._judged import Verdict, Writer, judged
from spanloom.cost._meters import Meters
from spanloom.genai import hooks
from spanloom.semconv import Error, ForeignCall, GenAI, OlderGenAI, OpenAI, Operation, Server, Spanloom

if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.trace import SpanContext

# Spans that are remembered to have a priced call below them; they end soon after it.
MAX_REMEMBERED: Final = 16_384
# No convention has a total.
_TOTALS: Final = (ForeignCall.TOTAL_TOKENS[0], ForeignCall.TOTAL_TOKENS[1:])
_Get = Callable[[str], Any]
_TYPES: Final = {"chat": Operation.CHAT, "completion": Operation.TEXT_COMPLETION, "embedding": Operation.EMBEDDINGS}
_KINDS: Final = {"LLM": Operation.CHAT, "EMBEDDING": Operation.EMBEDDINGS}
_TIERS: Final = (
    OpenAI.RESPONSE_SERVICE_TIER,
    *ForeignCall.RESPONSE_SERVICE_TIER,
    OpenAI.REQUEST_SERVICE_TIER,
    *ForeignCall.REQUEST_SERVICE_TIER,
)
# In the metrics, as far as they stand on the span.
_IN_METRICS: Final = (Server.ADDRESS, Server.PORT, Error.TYPE)


def operation_of(attributes: Mapping[str, Any]) -> str | None:
    """The operation of a span that is billed by its own usage. ``None`` for any other: agents, tools, HTTP requests."""
    if (told := attributes.get(GenAI.OPERATION_NAME)) is not None:
        # Anything can be an attribute, and not all of that can be looked up.
        return told if isinstance(told, str) and told in OPERATIONS else None
    if (kind := attributes.get(ForeignCall.SPAN_KIND)) is not None:
        return _KINDS.get(kind) if isinstance(kind, str) else None
    request_type = attributes.get(ForeignCall.REQUEST_TYPE)
    return _TYPES.get(request_type) if isinstance(request_type, str) else None


class SpanCall:
    """What a span says of a call, whoever wrote it."""

    __slots__ = ("operation", "provider", "request_model", "response_model", "server_address", "tier", "usage")

    def __init__(self, operation: str, get: _Get) -> None:
        self.operation = operation
        self.provider = _text(get, (GenAI.PROVIDER_NAME, OlderGenAI.SYSTEM, *ForeignCall.PROVIDER))
        self.request_model = _text(get, (GenAI.REQUEST_MODEL, *ForeignCall.REQUEST_MODEL))
        self.response_model = _text(get, (GenAI.RESPONSE_MODEL, *ForeignCall.RESPONSE_MODEL))
        # What was asked for, where nobody tells what it became.
        self.tier = _text(get, _TIERS)
        self.server_address = _text(get, (Server.ADDRESS, *ForeignCall.SERVER_ADDRESS))
        self.usage = SpanUsage(get)

    @property
    def model(self) -> str | None:
        """What answered, else what was asked for."""
        return self.response_model or self.request_model

    def verdict(self) -> Verdict:
        """What it costs."""
        return judged(self.provider, self.model, self.request_model, self.tier, self.usage, self.server_address)

    def metric_attributes(self, attributes: Mapping[str, Any]) -> dict[str, Any]:
        """What every metric of a call has."""
        rows = {
            GenAI.OPERATION_NAME: self.operation,
            GenAI.PROVIDER_NAME: self.provider,
            GenAI.REQUEST_MODEL: self.request_model,
            GenAI.RESPONSE_MODEL: self.response_model,
            **{name: attributes.get(name) for name in _IN_METRICS},
        }
        return {name: value for name, value in rows.items() if value is not None}


class SpanUsage:
    """A span's token counts, as ``spanloom.genai.hooks.UsageView`` has them: input includes what was cached."""

    __slots__ = (
        "audio_input_tokens",
        "audio_output_tokens",
        "cache_read_input_tokens",
        "cache_write_input_tokens",
        "image_input_tokens",
        "image_output_tokens",
        "input_tokens",
        "output_tokens",
        "reasoning_output_tokens",
    )
    # No convention has them.
    web_searches: int | None = None
    storage_searches: int | None = None

    def __init__(self, get: _Get) -> None:
        read = partial(_count, get)
        self.input_tokens: int | None = read(GenAI.USAGE_INPUT_TOKENS, ForeignCall.INPUT_TOKENS)
        self.output_tokens: int | None = read(GenAI.USAGE_OUTPUT_TOKENS, ForeignCall.OUTPUT_TOKENS)
        self.cache_read_input_tokens: int | None = read(
            GenAI.USAGE_CACHE_READ_INPUT_TOKENS, ForeignCall.CACHE_READ_TOKENS
        )
        self.cache_write_input_tokens: int | None = read(
            GenAI.USAGE_CACHE_WRITE_INPUT_TOKENS, ForeignCall.CACHE_WRITE_TOKENS
        )
        self.reasoning_output_tokens: int | None = read(
            GenAI.USAGE_REASONING_OUTPUT_TOKENS, ForeignCall.REASONING_TOKENS
        )
        self.audio_input_tokens: int | None = read(GenAI.USAGE_AUDIO_INPUT_TOKENS, ForeignCall.AUDIO_INPUT_TOKENS)
        self.audio_output_tokens: int | None = read(GenAI.USAGE_AUDIO_OUTPUT_TOKENS, ForeignCall.AUDIO_OUTPUT_TOKENS)
        self.image_input_tokens: int | None = read(GenAI.USAGE_IMAGE_INPUT_TOKENS, ())
        self.image_output_tokens: int | None = read(GenAI.USAGE_IMAGE_OUTPUT_TOKENS, ())
        if self.cache_read_input_tokens or self.cache_write_input_tokens:
            self._include(get)

    def _include(self, get: _Get) -> None:
        """Some write Anthropic's counts as they come, where the input excludes what was cached.

        Of these either the total tells, or there is more cached than there is input.
        """
        told: list[Any] = [
            self.input_tokens,
            self.output_tokens or 0,
            self.cache_read_input_tokens or 0,
            self.cache_write_input_tokens or 0,
        ]
        # What is no count is refused later.
        if not _are_counts(told):
            return
        given, made, read, written = told
        cached, total = read + written, _count(get, *_TOTALS)
        if cached > given or total == given + cached + made:
            self.input_tokens = given + cached


def _text(get: _Get, names: Iterable[str]) -> str | None:
    for name in names:
        value = get(name)
        if isinstance(value, str) and value:
            return value
    return None


def _count(get: _Get, current: str, others: Iterable[str]) -> Any:
    """The first that is there. Floats are counts of some (JavaScript's numbers)."""
    for name in (current, *others):
        value = get(name)
        if value is not None:
            return int(value) if type(value) is float and value.is_integer() else value
    return None


def _are_counts(values: Iterable[Any]) -> bool:
    return all(isinstance(one, int) for one in values)


def call_on(attributes: Mapping[str, Any]) -> SpanCall | None:
    """The call that a span tells of; ``None`` where there is none, or it has a cost already."""
    operation = operation_of(attributes)
    if operation is None or Spanloom.COST_STATUS in attributes or Spanloom.COST_AMOUNT in attributes:
        return None
    return SpanCall(operation, attributes.get)


@lru_cache(maxsize=1)
def _writer() -> Writer:
    return Writer()


def cost_attributes(attributes: Mapping[str, Any]) -> dict[str, Any] | None:
    """What to add to a finished span: ``spanloom.cost.status``, and the amount where it is known.

    ``None`` for what is no inference (agents and workflows carry the usage of those below them) or has a cost already.
    """
    call = call_on(attributes)
    return None if call is None else _writer().rows(call.verdict())


class _Kin(Enum):
    """Why a span is not to be priced."""

    # Somebody records the call around it.
    INSIDE = auto()
    # A call below it is priced.
    ABOVE = auto()


class SpanCosts:
    """Prices the ended spans of other recorders for the pipeline: once each, in attributes, metrics and sums above.

    A span inside an inference that is recorded already is not priced, nor one with a priced call below it: two packages
    that see the same call (a framework's and a client's) are billed for one.
    """

    def __init__(self, meter_provider: MeterProvider | None = None) -> None:
        """``meter_provider``: where the metrics go; default is the global one."""
        self._meters = Meters(meter_provider)
        self._writer = Writer()
        # Spans that are not to be priced, by their ids.
        self._kin: OrderedDict[int, _Kin] = OrderedDict()
        # The span that was judged last: mostly its attributes are asked for next. Read and replaced as a whole. By its
        # context, which the SDK's copy of an ended span has as well.
        self._last: tuple[SpanContext, Verdict] | None = None

    def started_inside(self, span: ReadableSpan) -> None:
        """A span has started below an inference that somebody records."""
        if span.context is not None:
            self._note(span.context.span_id, _Kin.INSIDE)

    def attributes(self, span: ReadableSpan, attributes: Mapping[str, Any]) -> dict[str, Any] | None:
        """What to add to an ended span. May be asked again."""
        last = self._last
        if last is not None and last[0] is span.context:
            return self._writer.rows(last[1])
        call = call_on(attributes)
        if call is None or self._kin_of(span) is not None:
            return None
        return self._writer.rows(call.verdict())

    def ended(self, span: ReadableSpan, attributes: Mapping[str, Any]) -> None:
        """A span ends, and may be kept or not: metrics, sums and budgets. To be called once for each.

        ``span`` is best the span itself: a copy has lost what is above it.
        """
        kin = self._kin_of(span)
        # What lies inside stands for nothing: the call around it has the usage, though an HTTP request be below it.
        if kin is _Kin.INSIDE or (kin is None and operation_of(attributes) is None):
            return
        call = call_on(attributes) if kin is None else None
        if call is None:
            self._note_above(span)
            return
        verdict = call.verdict()
        # What is not known here may be known around it; and an embedding is not the call that it is made for.
        if verdict.usd is not None and call.operation != Operation.EMBEDDINGS:
            self._note_above(span)
        if span.context is not None:
            self._last = (span.context, verdict)
        self._meters.record(verdict, call.metric_attributes(attributes), call.provider, call.model)
        _add(span, call, verdict)
        ledger = _budgets.ledger
        if ledger is not None:
            fields = {GenAI.PROVIDER_NAME: call.provider, GenAI.REQUEST_MODEL: call.request_model}
            ledger.count({**attributes, **fields}, verdict.usd)

    def _note_above(self, span: ReadableSpan) -> None:
        parent = span.parent
        if parent is not None and not parent.is_remote:
            self._note(parent.span_id, _Kin.ABOVE)

    def _kin_of(self, span: ReadableSpan) -> _Kin | None:
        context = span.context
        return None if context is None else self._kin.get(context.span_id)

    def _note(self, span_id: int, kin: _Kin) -> None:
        # The first reason stays: what is inside a call is so whatever comes below it.
        self._kin.setdefault(span_id, kin)
        if len(self._kin) > MAX_REMEMBERED:
            self._kin.popitem(last=False)


def _add(span: ReadableSpan, call: SpanCall, verdict: Verdict) -> None:
    """A call is in the sums of what is above it, as one of ours is."""
    hooks.add_call(
        span,
        input_tokens=_known(call.usage.input_tokens),
        output_tokens=_known(call.usage.output_tokens),
        cost_usd=verdict.usd,
        is_llm_call=call.operation != Operation.EMBEDDINGS,
    )


def _known(count: Any) -> int | None:
    """A count, whoever wrote it; anything else adds nothing."""
    return count if type(count) is int and count >= 0 else None
