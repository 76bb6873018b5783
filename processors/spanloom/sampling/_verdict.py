"""Which rules hold for a trace, and what follows."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

from opentelemetry.trace import StatusCode

from spanloom.sampling._seen import Durations, Kinds, Memory
from spanloom.sampling._trace_state import threshold_of
from spanloom.semconv import Error, Event, GenAI, Operation, Spanloom

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

    from spanloom.sampling._rules import TailKind, TailRule, TailRules

BASELINE: Final = "baseline"
SKELETON: Final = "skeleton"
FAULT: Final = "fault"
# Operations with a usage of their own; agents and workflows carry the sum of what is below them.
_INFERENCE: Final = frozenset(
    {Operation.CHAT, Operation.TEXT_COMPLETION, Operation.GENERATE_CONTENT, Operation.EMBEDDINGS}
)
# A span without attributes and events (measured), and what one attribute takes beside the text of its value.
SPAN_BYTES: Final = 2_600
_ATTRIBUTE_BYTES: Final = 80


class Verdict(NamedTuple):
    """What happens to a trace. ``threshold``: the least of ``ot=th`` that its kept spans carry."""

    keep: bool
    reason: str
    threshold: int = 0


DROPPED: Final = Verdict(False, "")
# A fault of ours costs the decision, not the trace.
KEPT_BY_FAULT: Final = Verdict(True, FAULT)


class Judge:
    """The rules, ready to be asked. Thread-safe; the only memory is that of ``Durations`` and ``Kinds``."""

    def __init__(self, rules: TailRules) -> None:
        self._names = [rule.name for rule in rules.rules]
        self._baseline = threshold_of(rules.baseline) if rules.baseline > 0 else None
        bits = [(1 << index, rule) for index, rule in enumerate(rules.rules)]

        def of(kind: TailKind) -> list[tuple[int, TailRule]]:
            return [(bit, rule) for bit, rule in bits if rule.kind == kind]

        self._error = _either(of("error"))
        self._tool_failure = _either(of("tool_failure"))
        self._keep = _either(of("keep"))
        self._unusual = _either(of("above_p99"))
        self._slow = [(bit, _threshold(rule) * 1e9) for bit, rule in of("slower_than")]
        self._cost = [(bit, _threshold(rule)) for bit, rule in of("cost_above_usd")]
        self._tokens = [(bit, _threshold(rule)) for bit, rule in of("tokens_above")]
        self._finish = [(bit, rule.values) for bit, rule in of("finish_reason")]
        self._evaluation = [(bit, rule.evaluation, _threshold(rule)) for bit, rule in of("evaluation_below")]
        self._new = [(bit, Kinds(_threshold(rule))) for bit, rule in of("first_seen")]
        self._matching = [(bit, rule.matcher) for bit, rule in of("match") if rule.matcher is not None]
        self._durations = Durations()
        # What nobody asks for is not looked at.
        self._asks_operations = bool(self._tool_failure or self._finish or self._new)
        self._asks_usage = bool(self._cost or self._tokens)
        self._asks_more = bool(self._matching or self._evaluation or self._slow or self._unusual)

    def by_rules(
        self, spans: Sequence[ReadableSpan], attributes: Sequence[Mapping[str, Any]], mask: int
    ) -> Verdict | None:
        """The first rule that holds; ``None`` where none does.

        ``attributes`` are those of each span, with what was added to them since; ``mask`` has the rules that hold by
        what was known before.
        """
        cost_usd = tokens = 0.0
        for span, rows in zip(spans, attributes, strict=True):
            failed = span.status.status_code is StatusCode.ERROR
            if failed:
                mask |= self._error
            operation = rows.get(GenAI.OPERATION_NAME)
            if operation.__class__ is str:
                if self._asks_operations:
                    mask |= self._of_operation(operation, rows, failed)
                if self._asks_usage and operation in _INFERENCE:
                    cost_usd += _number(rows.get(Spanloom.COST_AMOUNT))
                    tokens += _number(rows.get(GenAI.USAGE_INPUT_TOKENS))
                    tokens += _number(rows.get(GenAI.USAGE_OUTPUT_TOKENS))
            # As a text where a caller asks for it, by baggage that is let in.
            if self._keep and Spanloom.KEEP in rows and rows[Spanloom.KEEP] in (True, "true"):
                mask |= self._keep
            if self._asks_more:
                mask |= self._of_span(span, rows)
        mask |= self._of_sums(cost_usd, tokens)
        return Verdict(True, self._names[(mask & -mask).bit_length() - 1]) if mask else None

    def of_evaluation(self, attributes: Mapping[str, Any]) -> int:
        """The rules that hold by an evaluation's event: one of the span itself, or a log record of the trace."""
        mask = 0
        score = attributes.get(GenAI.EVALUATION_SCORE_VALUE)
        if isinstance(score, (int, float)):
            name = attributes.get(GenAI.EVALUATION_NAME)
            for bit, wanted, below in self._evaluation:
                if score < below and wanted in (None, name):
                    mask |= bit
        return mask

    @property
    def asks_for_evaluations(self) -> bool:
        """Whether any rule is about them."""
        return bool(self._evaluation)

    def by_baseline(self, randomness: int) -> Verdict:
        """What is kept of the rest: by the trace's own randomness, so that every process takes the same ones."""
        if self._baseline is None or randomness < self._baseline:
            return DROPPED
        return Verdict(True, BASELINE, self._baseline)

    def after_fork(self) -> None:
        """In the child: another thread of the parent may have held a lock."""
        for memory in self._memories():
            memory.after_fork()

    def free_locks(self, timeout_s: float) -> None:
        """Give up on a lock that is not given back in this time."""
        for memory in self._memories():
            memory.free_lock(timeout_s)

    def _memories(self) -> tuple[Memory, ...]:
        return self._durations, *(kinds for _, kinds in self._new)

    def _of_operation(self, operation: Any, attributes: Mapping[str, Any], failed: bool) -> int:
        mask = 0
        if self._tool_failure and operation == Operation.EXECUTE_TOOL and (failed or Error.TYPE in attributes):
            mask = self._tool_failure
        for bit, reasons in self._finish:
            if not reasons.isdisjoint(_texts(attributes.get(GenAI.RESPONSE_FINISH_REASONS))):
                mask |= bit
        if self._new:
            model = attributes.get(GenAI.RESPONSE_MODEL) or attributes.get(GenAI.REQUEST_MODEL)
            # As texts: recorders may write anything, also what cannot be a key.
            kind = (operation, str(model), str(attributes.get(Error.TYPE)))
            now_s = time.monotonic()
            for bit, kinds in self._new:
                if kinds.is_new(kind, now_s):
                    mask |= bit
        return mask

    def _of_span(self, span: ReadableSpan, rows: Mapping[str, Any]) -> int:
        mask = 0
        parent = span.parent
        if parent is None or parent.is_remote:
            mask = self._of_root(span)
        for bit, matcher in self._matching:
            if matcher.matches(span.name, span.kind, rows):
                mask |= bit
        return mask | self._of_events(span) if self._evaluation else mask

    def _of_root(self, root: ReadableSpan) -> int:
        """The rules that hold by how long a local root took."""
        if root.start_time is None or root.end_time is None:
            return 0
        mask = 0
        duration_ns = root.end_time - root.start_time
        for bit, limit_ns in self._slow:
            if duration_ns > limit_ns:
                mask |= bit
        if self._unusual and self._durations.is_unusual(root.name, duration_ns):
            mask |= self._unusual
        return mask

    def _of_sums(self, cost_usd: float, tokens: float) -> int:
        mask = 0
        for bit, limit in self._cost:
            if cost_usd > limit:
                mask |= bit
        for bit, most in self._tokens:
            if tokens > most:
                mask |= bit
        return mask

    def _of_events(self, span: ReadableSpan) -> int:
        """The rules that hold by evaluations among a span's events."""
        mask = 0
        for event in span.events:
            if event.name == Event.EVALUATION_RESULT:
                mask |= self.of_evaluation(event.attributes or {})
        return mask


def size_of(span: ReadableSpan) -> int:
    """What a span takes in memory, in bytes: an estimate, from what a span takes at least and its values."""
    attributes: Any = span.attributes
    size = SPAN_BYTES + sum(map(_value_size, attributes.copy().values()))
    for part in (*span.events, *span.links):
        size += SPAN_BYTES // 2 + sum(map(_value_size, (part.attributes or {}).values()))
    return size


def _value_size(value: Any) -> int:
    if value.__class__ is str or value.__class__ is bytes:
        return _ATTRIBUTE_BYTES + value.__sizeof__()
    if isinstance(value, tuple):
        return _ATTRIBUTE_BYTES + sum(map(_value_size, cast("tuple[Any, ...]", value)))
    if isinstance(value, Mapping):
        return _ATTRIBUTE_BYTES + sum(map(_value_size, cast("Mapping[str, Any]", value).values()))
    return _ATTRIBUTE_BYTES


def _either(rules: list[tuple[int, TailRule]]) -> int:
    """Only the first of several rules of a kind can be a reason."""
    return rules[0][0] if rules else 0


def _threshold(rule: TailRule) -> float:
    return rule.threshold or 0.0


def _number(value: object) -> float:
    """Recorders may write anything."""
    return value if isinstance(value, (int, float)) else 0


def _texts(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    return (
        tuple(one for one in cast("tuple[object, ...]", value) if isinstance(one, str))
        if isinstance(value, tuple)
        else ()
    )
