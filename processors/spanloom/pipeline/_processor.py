"""The one span processor that stands before the exporters' own: it adds, decides, and hands one derived span on.

    start   context attributes, allow-listed baggage → the span
    end     enrich → cost → tail decision                      on the caller's thread, no I/O, no lock while calling on
    shown   without content (skeleton) → redacted → limited    where an exporter first looks, once for all exporters

Each step is on its own: a fault there costs what the step would have done, never the span. What could not be redacted
is not shown.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from opentelemetry.sdk.trace import Span, SpanProcessor
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
from opentelemetry.trace import TraceFlags

from spanloom import semconv
from spanloom.cost import SpanCosts
from spanloom.genai import hooks
from spanloom.pipeline import _probe
from spanloom.pipeline._counters import Counters
from spanloom.pipeline._derived import DerivedSpan, plain_attributes
from spanloom.pipeline._finish import Finisher
from spanloom.pipeline._thresholds import Thresholds
from spanloom.redaction import Redactor
from spanloom.redaction import from_settings as redaction_from_settings
from spanloom.sampling import SamplingRules, TailSampler
from spanloom.sampling import from_settings as sampling_from_settings
from spanloom.semconv import ForeignCall, GenAI, Spanloom

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import ReadableSpan

    from spanloom.pipeline._finish import Redacts
    from spanloom.sampling import Verdict

# What a span that has ended is still to be given, from what stands on it; ``None`` for nothing.
Enricher = Callable[[Mapping[str, Any]], "Mapping[str, Any] | None"]
# What a span has that tells of a call, by anybody's names.
_OF_CALLS = (GenAI.OPERATION_NAME, ForeignCall.SPAN_KIND, ForeignCall.REQUEST_TYPE)
_STOCK = (SpanProcessor, BatchSpanProcessor, SimpleSpanProcessor)
# They do nothing, and each span would pay for a call.
_EMPTY = frozenset({one.on_start for one in _STOCK} | {one._on_ending for one in _STOCK})  # pyright: ignore[reportPrivateUsage]


class SpanloomProcessor(SpanProcessor):
    """Wraps span processors: ``SpanloomProcessor(BatchSpanProcessor(exporter))``.

    For services that build their own ``TracerProvider``; ``opentelemetry-instrument`` makes one by itself. Processors
    that are added to the provider beside it see the original spans, those behind it (here, or by ``wrap``) see what
    exporters see; they are told of every start, but of the ends of those spans alone that are kept. ``sampling`` and
    ``redaction`` default to the settings ``SPANLOOM_SAMPLING``, ``SPANLOOM_REDACTION`` and ``SPANLOOM_REDACT_PII``.
    Never raises into the application; faults are counted in ``spanloom.internal.errors``.
    """

    def __init__(
        self,
        *behind: SpanProcessor,
        sampling: SamplingRules | None = None,
        redaction: Redacts | None = None,
        enrichers: Sequence[Enricher] = (),
    ) -> None:
        self._behind: tuple[SpanProcessor, ...] = ()
        self._starting: tuple[SpanProcessor, ...] = ()
        self._ending: tuple[SpanProcessor, ...] = ()
        self._redactor = redaction if redaction is not None else _redaction()
        # Loaded now: an exporter's thread would do it at its first span, and a fork in the middle of an import leaves
        # the module locked in the child for good.
        hooks.is_secret_name("")
        self._finisher = Finisher(self._redactor, semconv.integer("SPANLOOM_SPAN_MAX_BYTES"))
        rules = sampling if sampling is not None else _sampling()
        self._tail = TailSampler(rules.tail, self._prepared, self._emit) if rules.tail is not None else None
        self._thresholds = Thresholds()
        self._enrichers = tuple(enrichers)
        self._costs = SpanCosts()
        self._writes_at_end = _probe.can_write_at_end()
        # True once a span was shown here before its end, as all are then; a processor around this one may not do that.
        self._sees_ending = False
        # Loads what the limit needs: an import on the exporter's thread may meet a fork, and block the child for ever.
        hooks.cut_content("", 1)
        # What completion hooks are given is redacted as well; whoever has set something else means it.
        hooks.set_redactor(self._redactor.body, unless_set=True)
        self._counters = Counters(self._tail, self._finisher, self._redactor)
        for processor in behind:
            self.wrap(processor)

    def wrap(self, processor: SpanProcessor) -> None:
        """Put one more span processor behind this one: it sees what exporters see."""
        self._behind = (*self._behind, processor)
        if type(processor).on_start not in _EMPTY:
            self._starting = (*self._starting, processor)
        if type(processor)._on_ending not in _EMPTY:  # pyright: ignore[reportPrivateUsage]
            self._ending = (*self._ending, processor)

    @property
    def redactor(self) -> Redacts:
        """What is asked before anything is shown."""
        return self._redactor

    @property
    def tail(self) -> TailSampler | None:
        """The tail sampler, where the rules have one."""
        return self._tail

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Write what the context carries, and note the local root."""
        hooks.span_started(span, parent_context)
        hooks.attempt("pipeline.start", self._start, span, parent_context)
        # Only what lies inside an inference matters to it.
        if hooks.inference_is_recorded(parent_context):
            hooks.attempt("cost.start", self._costs.started_inside, span)
        if self._tail is not None:
            parent = span.parent
            # Only local roots matter to it.
            if parent is None or parent.is_remote:
                hooks.attempt("sampling.start", self._noted, self._tail, span)
        for processor in self._starting:
            hooks.attempt("pipeline.behind", processor.on_start, span, parent_context)

    def _on_ending(self, span: Span) -> None:
        """Where the SDK lets it, what is missing is written to the span itself, so that everybody sees it."""
        self._sees_ending = True
        if self._writes_at_end:
            hooks.attempt("pipeline.ending", self._write, span)
        else:
            hooks.attempt("cost.spent", self._spent, span)
        for processor in self._ending:
            hooks.attempt("pipeline.behind", processor._on_ending, span)  # pyright: ignore[reportPrivateUsage]

    def on_end(self, span: ReadableSpan) -> None:
        """Hand it on, or hold it back until its trace is decided."""
        hooks.attempt("pipeline.end", self._end, span)

    def shutdown(self) -> None:
        """Decide what waits, then shut down everything behind."""
        if self._tail is not None:
            hooks.attempt("pipeline.flush", self._tail.flush, self._flush_behind)
        for processor in self._behind:
            hooks.attempt("pipeline.behind", processor.shutdown)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Decide what waits, and flush everything behind within the time. False where one did not make it."""
        if self._tail is not None:
            hooks.attempt("pipeline.flush", self._tail.flush, self._flush_behind)
        deadline = time.monotonic() + timeout_millis / 1000
        flushed = True
        for processor in self._behind:
            left = max(0, int((deadline - time.monotonic()) * 1000))
            # As the SDK asks: only a clear False is one.
            flushed = hooks.tolerant(processor.force_flush, False, left) is not False and flushed
        return flushed

    def _start(self, span: Span, parent_context: Context | None) -> None:
        attributes = hooks.context_attributes(parent_context)
        if attributes:
            # What the span was given by its maker is nearer than what holds all around it.
            given = plain_attributes(span)
            span.set_attributes({name: value for name, value in attributes.items() if name not in given})

    @staticmethod
    def _noted(tail: TailSampler, span: Span) -> None:
        # Of those that are only recorded the tail never sees the end.
        if span.get_span_context().trace_flags & TraceFlags.SAMPLED:
            tail.started(span)

    def _spent(self, span: Span) -> None:
        # Here, where the span is the one that has started: what is above it is known of that one.
        self._costs.ended(span, plain_attributes(span))

    def _write(self, span: Span) -> None:
        had = plain_attributes(span)
        # Before anything is written: what is ours must not pass for its maker's.
        hooks.attempt("cost.spent", self._costs.ended, span, had)
        attributes = had.copy()
        _add(attributes, self._enrichers)
        self._add_cost(span, attributes)
        added = {name: value for name, value in attributes.items() if name not in had or value is not had[name]}
        if added:
            span.set_attributes(added)

    def _end(self, span: ReadableSpan) -> None:
        context = span.context
        attributes = plain_attributes(span)
        # Money is counted whether the span is kept or not.
        if not self._sees_ending:
            hooks.attempt("cost.spent", self._costs.ended, span, attributes)
        if self._tail is not None and context is not None and context.trace_flags & TraceFlags.SAMPLED:
            self._tail.ended(span, context.trace_id)
            return
        own = attributes if self._complete(span, attributes) else None
        self._hand_on(DerivedSpan(span, self._finisher, context, own))

    def _prepared(self, span: ReadableSpan) -> dict[str, Any]:
        """All attributes of an ended span, for the tail sampler."""
        attributes = plain_attributes(span)
        self._complete(span, attributes)
        return attributes

    def _complete(self, span: ReadableSpan, attributes: dict[str, Any]) -> bool:
        """Add what is missing; True where something was. A cost is missing of other recorders' model calls only."""
        added = False
        if self._enrichers and not self._writes_at_end:
            added = _add(attributes, self._enrichers)
        return self._add_cost(span, attributes) or added

    def _add_cost(self, span: ReadableSpan, attributes: dict[str, Any]) -> bool:
        if Spanloom.COST_STATUS in attributes or attributes.keys().isdisjoint(_OF_CALLS):
            return False
        cost = hooks.attempted("pipeline.cost", None, self._costs.attributes, span, attributes)
        if not cost:
            return False
        attributes.update(cost)
        return True

    def _emit(self, span: ReadableSpan, attributes: dict[str, Any], verdict: Verdict, is_skeleton: bool) -> None:
        """The tail sampler keeps a span."""
        attributes[Spanloom.SAMPLING_REASON] = verdict.reason
        context = span.context
        told = hooks.attempted("pipeline.threshold", context, self._thresholds.told, context, verdict.threshold)
        self._hand_on(DerivedSpan(span, self._finisher, told, attributes, is_skeleton))

    def _flush_behind(self) -> None:
        for processor in self._behind:
            hooks.attempt("pipeline.behind", processor.force_flush)

    def _hand_on(self, span: ReadableSpan) -> None:
        for processor in self._behind:
            hooks.attempt("pipeline.behind", processor.on_end, span)


def _redaction() -> Redacts:
    """By the settings. Secrets go, whatever becomes of those."""
    return hooks.attempted("redaction.settings", None, redaction_from_settings) or Redactor()


def _sampling() -> SamplingRules:
    """By the settings; where even their fault handling fails, everything is kept."""
    return hooks.attempted("sampling.settings", None, sampling_from_settings) or SamplingRules()


def _add(attributes: dict[str, Any], enrichers: Sequence[Enricher]) -> bool:
    """What the enrichers add, each of which sees what those before it have added; True where there is any."""
    any_added = False
    for enrich in enrichers:
        added = hooks.attempted("pipeline.enrich", None, enrich, attributes)
        if added:
            attributes.update(added)
            any_added = True
    return any_added
