"""Spans and traces as the record has them. Plain data; times in nanoseconds since 1970, tokens as counts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Union

from spanloom.semconv import DSpy, Error, GenAI, Operation, Spanloom

Value = Union[str, bool, int, float, None, "list[Value]", "dict[str, Value]"]

KINDS = ("", "internal", "server", "client", "producer", "consumer")

_ERROR = 2
_AGGREGATES = frozenset((Operation.INVOKE_AGENT, Operation.INVOKE_WORKFLOW))
# A record may hold anything; what is beyond these is no duration and no amount.
_LONGEST_S = 366 * 86_400.0
_MOST = Decimal(10) ** 15
# What ``spanloom.cost.status`` says of calls that have no amount and miss none.
_NOTHING_DUE = frozenset(("cached", "free", "priced", "provider"))


@dataclass(slots=True)
class Event:
    """A point in time on a span."""

    name: str
    time_ns: int
    attributes: Mapping[str, Value]


@dataclass(slots=True)
class Link:
    """Another span that this one has to do with, of whichever trace."""

    trace_id: str
    span_id: str
    attributes: Mapping[str, Value]


@dataclass(slots=True)
class Span:
    """One recorded span. ``parent_id`` is empty for a root; ``kind`` is empty where the record does not say."""

    trace_id: str
    span_id: str
    parent_id: str
    name: str
    kind: str
    start_ns: int
    end_ns: int
    status_code: int
    status_message: str
    service: str
    scope: str
    attributes: Mapping[str, Value]
    events: list[Event] = field(default_factory=list[Event])
    links: list[Link] = field(default_factory=list[Link])

    @property
    def duration_ns(self) -> int | None:
        """None where the span has no end, or one before its start."""
        return self.end_ns - self.start_ns if self.end_ns >= self.start_ns > 0 else None

    @property
    def failed(self) -> bool:
        return self.status_code == _ERROR

    @property
    def error_type(self) -> str | None:
        """``error.type``, of failed spans only; None where it is not said."""
        return self.text(Error.TYPE) if self.failed else None

    @property
    def operation(self) -> str | None:
        return self.text(GenAI.OPERATION_NAME)

    @property
    def cached(self) -> bool:
        """Answered from DSPy's cache: nothing was used and nothing is due, whatever else stands there."""
        return self.attributes.get(DSpy.CACHE_HIT) is True

    @property
    def input_tokens(self) -> int | None:
        return None if self.cached else self.count(GenAI.USAGE_INPUT_TOKENS)

    @property
    def output_tokens(self) -> int | None:
        return None if self.cached else self.count(GenAI.USAGE_OUTPUT_TOKENS)

    @property
    def has_usage(self) -> bool:
        return self.input_tokens is not None or self.output_tokens is not None

    @property
    def aggregates(self) -> bool:
        """An agent or a workflow: usage on it, as some plugins write it, is that of the calls below."""
        return self.operation in _AGGREGATES

    @property
    def cost(self) -> Decimal | None:
        """The amount, in ``currency``."""
        return None if self.cached else self.amount(Spanloom.COST_AMOUNT)

    @property
    def currency(self) -> str:
        """ISO 4217; a record may hold anything, and this goes to a terminal."""
        found = self.text(Spanloom.COST_CURRENCY) or "USD"
        return found if len(found) == 3 and found.isascii() and found.isalpha() else "???"

    @property
    def unpriced(self) -> bool:
        """A model call that costs something nobody knows."""
        if self.cost is not None or self.cached or self.aggregates:
            return False
        status = self.text(Spanloom.COST_STATUS)
        return self.has_usage if status is None else status not in _NOTHING_DUE

    @property
    def first_chunk_s(self) -> float | None:
        """Seconds to the first streamed chunk."""
        value = self.attributes.get(GenAI.RESPONSE_TIME_TO_FIRST_CHUNK)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return None
        return float(value) if 0 <= value <= _LONGEST_S else None

    def text(self, name: str) -> str | None:
        """A string attribute; None where it is absent, empty or something else."""
        value = self.attributes.get(name)
        return value if isinstance(value, str) and value else None

    def count(self, name: str) -> int | None:
        """A whole, non-negative number; None where it is anything else."""
        value = self.attributes.get(name)
        return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None

    def amount(self, name: str) -> Decimal | None:
        """A finite, non-negative number, as it was written: 0.1 and 0.2 add up to 0.3."""
        value = self.attributes.get(name)
        if isinstance(value, bool) or not isinstance(value, (int, float, str)):
            return None
        try:
            amount = Decimal(str(value))
        except InvalidOperation:
            return None
        return amount if amount.is_finite() and 0 <= amount <= _MOST else None


@dataclass(slots=True)
class Figures:
    """Sums over spans. Tokens are None where no span says any; ``costs`` by currency.

    ``unpriced``: calls whose cost nobody knows, so that ``costs`` is less than what is due. ``errors``: failures where
    they began; a failed span above another failed one is its consequence and not counted.
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    costs: dict[str, Decimal] = field(default_factory=dict[str, Decimal])
    unpriced: int = 0
    errors: int = 0

    @property
    def used(self) -> bool:
        """Whether any model call is in it."""
        return bool(self.costs or self.unpriced or self.input_tokens is not None or self.output_tokens is not None)

    def add(self, span: Span) -> None:
        """Count one model call."""
        self.merge(Figures(span.input_tokens, span.output_tokens, unpriced=int(span.unpriced)))
        if span.cost is not None:
            self.costs[span.currency] = self.costs.get(span.currency, Decimal(0)) + span.cost

    def merge(self, other: Figures) -> None:
        """Count all that another one counted."""
        self.input_tokens = _plus(self.input_tokens, other.input_tokens)
        self.output_tokens = _plus(self.output_tokens, other.output_tokens)
        for currency, amount in other.costs.items():
            self.costs[currency] = self.costs.get(currency, Decimal(0)) + amount
        self.unpriced += other.unpriced
        self.errors += other.errors


def _plus(total: int | None, more: int | None) -> int | None:
    return total if more is None else (total or 0) + more


@dataclass(slots=True)
class Node:
    """A place in a trace's tree. ``span`` is None for a parent that its children name and the record does not have.

    ``total``: figures of this span and all below it; usage that an agent repeats from the calls below counts once.
    """

    span_id: str
    span: Span | None
    children: list[Node] = field(default_factory=list["Node"])
    total: Figures = field(default_factory=Figures)

    @property
    def start_ns(self) -> int:
        if self.span is not None:
            return self.span.start_ns
        return min((child.start_ns for child in self.children), default=0)

    def walk(self) -> Iterator[tuple[int, Node]]:
        """Depth below this node and node, parents first."""
        pending: list[tuple[int, Node]] = [(0, self)]
        while pending:
            depth, node = pending.pop()
            yield depth, node
            pending.extend((depth + 1, child) for child in reversed(node.children))


@dataclass(slots=True)
class Trace:
    """All recorded spans of one trace id, as trees; ``roots`` and children in the order of their start."""

    trace_id: str
    roots: list[Node]

    @property
    def figures(self) -> Figures:
        """Sums over the whole trace."""
        total = Figures()
        for root in self.roots:
            total.merge(root.total)
        return total

    def walk(self) -> Iterator[tuple[int, Node]]:
        """Depth and node, parents first."""
        for root in self.roots:
            yield from root.walk()

    @property
    def spans(self) -> list[Span]:
        """In the order of the tree."""
        return [node.span for _, node in self.walk() if node.span is not None]

    @property
    def root(self) -> Span:
        """The span the trace is named after: the first real root, else the first span of all."""
        for node in self.roots:
            if node.span is not None:
                return node.span
        return min(self.spans, key=lambda span: span.start_ns)

    @property
    def start_ns(self) -> int:
        return min(span.start_ns for span in self.spans)

    @property
    def end_ns(self) -> int:
        return max(span.end_ns for span in self.spans)

    @property
    def duration_ns(self) -> int:
        """From the first start to the last end."""
        return max(0, self.end_ns - self.start_ns)

    @property
    def services(self) -> list[str]:
        """Each once, in the order of appearance."""
        return list(dict.fromkeys(span.service for span in self.spans if span.service))

    @property
    def missing(self) -> int:
        """How many parents are not in the record."""
        return sum(node.span is None for node in self.roots)
