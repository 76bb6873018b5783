"""The sampler: decides as a span starts, by the trace's own randomness, and tells how much a kept trace stands for.

Semantics: https://opentelemetry.io/docs/specs/otel/trace/tracestate-probability-sampling/. A trace that begins here is
kept where its randomness is not below the threshold, which goes along as ``ot=th``. A span with a parent, of this
process or another, follows it. A rule that fits such a span can only thin out: it is kept where it is kept by both.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple

from opentelemetry import context as otel
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import sampling
from opentelemetry.sdk.trace.sampling import Decision, SamplingResult
from opentelemetry.trace import DEFAULT_TRACE_STATE, Link, SpanContext, SpanKind, TraceFlags, TraceState
from opentelemetry.util.types import Attributes

from spanloom.genai import hooks
from spanloom.sampling import _load
from spanloom.sampling._leaves import Leaves
from spanloom.sampling._rate import AdaptiveRate
from spanloom.sampling._rules import HeadRule, SamplingRules
from spanloom.sampling._trace_state import (
    NEVER,
    RANDOM_MASK,
    parse,
    randomness_below,
    threshold_of,
    with_threshold,
)

# The API keeps it private; a context with nothing but a span in it shows it. Not `get_current_span`, whose check of an
# abstract class costs as much as the whole decision.
_SPAN_KEY: Final = next(iter(trace.set_span_in_context(trace.INVALID_SPAN, Context())))
_SAMPLED: Final = int(TraceFlags.SAMPLED)
_KEEP: Final = Decision.RECORD_AND_SAMPLE
# Shared: the SDK only reads it.
_DROPPED: Final = SamplingResult(Decision.DROP)
_NONE: Final[Mapping[str, Any]] = {}


class Share(NamedTuple):
    """A ratio with its threshold."""

    ratio: float
    threshold: int


class FirstFit:
    """Rules in their order. A span that has none of the attributes that they need costs one comparison of sets."""

    def __init__(self, rules: Sequence[HeadRule]) -> None:
        self._rows = tuple(
            (rule.matcher.needs, rule.matcher.matches, Share(rule.ratio, threshold_of(rule.ratio))) for rule in rules
        )
        self._keys = frozenset(key for rule in rules for key in rule.matcher.needs)
        self._asks_all = any(not rule.matcher.needs for rule in rules)

    def find(self, name: str, kind: SpanKind | None, attributes: Mapping[str, Any]) -> Share | None:
        """What the first rule that fits says."""
        if not self._asks_all and self._keys.isdisjoint(attributes):
            return None
        for needs, matches, share in self._rows:
            if _has_any(attributes, needs) and matches(name, kind, attributes):
                return share
        return None


def _has_any(attributes: Mapping[str, Any], needs: tuple[str, ...]) -> bool:
    for key in needs:
        if key in attributes:
            return True
    return not needs


class Sampler(sampling.Sampler):
    """For ``TracerProvider(sampler=...)``, or ``OTEL_TRACES_SAMPLER=spanloom``.

    Without rules it keeps every trace that begins here. ``rules.tail`` is not its business, but stays readable in
    ``rules``. A fault of ours keeps the span, without a word on how much it stands for.
    """

    def __init__(self, rules: SamplingRules | None = None, clock: Callable[[], int] = time.monotonic_ns) -> None:
        self.rules = rules or SamplingRules()
        head = self.rules.head
        self._default = Share(head.ratio, threshold_of(head.ratio))
        self._threshold = self._default.threshold
        self._state = None if self._threshold == NEVER else _state_of(self._threshold)
        self._fits = FirstFit(head.rules)
        self._leaves = Leaves(head.leaves)
        self._rate = AdaptiveRate(head.spans_per_second, clock) if head.spans_per_second else None
        self._plain = not (head.rules or head.leaves or self._rate)

    @classmethod
    def from_settings(cls) -> Sampler:
        """By ``SPANLOOM_SAMPLING``, or ``OTEL_TRACES_SAMPLER_ARG``; what is wrong there is logged, and never raised."""
        return cls(hooks.attempted("sampling.settings", None, _load.from_settings))

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,  # noqa: ARG002 - the SDK's signature
        trace_state: TraceState | None = None,  # noqa: ARG002 - as above; the SDK never gives one
    ) -> SamplingResult:
        """What the SDK asks as it starts a span. The parent's trace state is passed on as the object it is."""
        context = otel.get_current() if parent_context is None else parent_context
        span: Any = context.get(_SPAN_KEY)
        parent: SpanContext | None = None if span is None else span.get_span_context()
        if parent is None or not parent.is_valid:
            if not self._plain:
                return self._root(context, trace_id, name, kind, attributes)
            if trace_id & RANDOM_MASK >= self._threshold:
                return SamplingResult(_KEEP, attributes, self._state)
            return _DROPPED
        state = parent.trace_state
        if not parent.trace_flags & _SAMPLED:
            return _DROPPED if state is DEFAULT_TRACE_STATE else SamplingResult(Decision.DROP, None, state)
        if self._plain:
            return SamplingResult(_KEEP, attributes, state)
        return self._child(context, parent, name, kind, attributes)

    def _root(
        self, context: Context, trace_id: int, name: str, kind: SpanKind | None, attributes: Attributes
    ) -> SamplingResult:
        with hooks.guard("sampling.root"):
            known = attributes or _NONE
            if self._leaves.has(context, kind, known):
                return _DROPPED
            share = self._fits.find(name, kind, known) or self._default
            threshold = share.threshold
            if self._rate is not None:
                threshold = max(threshold, self._rate.root(share.ratio))
            if trace_id & RANDOM_MASK < threshold:
                return _DROPPED
            if self._rate is not None:
                self._rate.kept_root()
            return SamplingResult(_KEEP, attributes, _state_of(threshold))
        return SamplingResult(_KEEP, attributes)

    def _child(
        self, context: Context, parent: SpanContext, name: str, kind: SpanKind | None, attributes: Attributes
    ) -> SamplingResult:
        state = parent.trace_state
        with hooks.guard("sampling.child"):
            known = attributes or _NONE
            share = self._fits.find(name, kind, known)
            if self._leaves.has(context, kind, known) or (share is not None and not _is_kept(parent, share)):
                return SamplingResult(Decision.DROP, None, with_threshold(state, None))
            if self._rate is not None:
                self._rate.kept_child(parent.is_remote)
            return SamplingResult(_KEEP, attributes, state if share is None else _thinned(state, share))
        return SamplingResult(_KEEP, attributes, state)

    def get_description(self) -> str:
        """For people who look at what a provider has."""
        head = self.rules.head
        more = [f"rules={len(head.rules)}"] if head.rules else []
        more += [f"spans_per_second={head.spans_per_second:g}"] if head.spans_per_second else []
        more += [f"leaves={'+'.join(sorted(head.leaves))}"] if head.leaves else []
        return f"SpanloomSampler{{{','.join([f'ratio={head.ratio:g}', *more])}}}"


def _is_kept(parent: SpanContext, share: Share) -> bool:
    """Whether a rule lets a span live whose parent is kept."""
    ot = parse(parent.trace_state)
    if ot.threshold is not None and share.threshold <= ot.threshold:
        return True
    return randomness_below(parent.trace_id, ot) >= share.threshold


def _thinned(state: TraceState, share: Share) -> TraceState | None:
    """Where nobody knows how much the parent stands for, nobody does of the child."""
    known = parse(state).threshold
    return state if known is None or known >= share.threshold else with_threshold(state, share.threshold)


# An adaptive ratio gives a new one now and then.
@lru_cache(256)
def _state_of(threshold: int) -> TraceState | None:
    return with_threshold(None, threshold)


def from_environment(argument: str | None = None) -> Sampler:
    """The entry point of ``OTEL_TRACES_SAMPLER=spanloom``. Never raises.

    ``argument`` is ``OTEL_TRACES_SAMPLER_ARG``, which the settings read themselves.
    """
    del argument
    with hooks.guard("sampling.from_environment"):
        return Sampler.from_settings()
    return Sampler()
