"""What a rule file says, as data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal

from spanloom.sampling._match import Matcher

# Leaves that can be filtered.
HTTP_UNDER_INFERENCE: Final = "http_under_inference"
HEALTH: Final = "health"
LEAVES: Final = (HTTP_UNDER_INFERENCE, HEALTH)

TailKind = Literal[
    "error",
    "slower_than",
    "above_p99",
    "cost_above_usd",
    "tokens_above",
    "finish_reason",
    "tool_failure",
    "evaluation_below",
    "keep",
    "first_seen",
    "match",
]
_MIB: Final = 1024 * 1024


@dataclass(frozen=True)
class HeadRule:
    """A ratio of its own (0 to 1) for the spans that ``matcher`` means."""

    name: str
    matcher: Matcher
    ratio: float


@dataclass(frozen=True)
class HeadRules:
    """What is decided as a span starts. ``ratio`` is of the traces that begin here, where no rule fits."""

    ratio: float = 1.0
    spans_per_second: float | None = None
    rules: tuple[HeadRule, ...] = ()
    leaves: frozenset[str] = frozenset()


@dataclass(frozen=True)
class TailRule:
    """One reason to keep a whole trace.

    ``threshold``: of the kinds with a bound: seconds (``slower_than``, ``first_seen``), USD, tokens, or a score.
    ``values``: finish reasons. ``matcher``: of kind ``match``. ``evaluation``: the name of the evaluation that
    ``evaluation_below`` looks at; ``None`` for any.
    """

    name: str
    kind: TailKind
    threshold: float | None = None
    values: frozenset[str] = frozenset()
    matcher: Matcher | None = None
    evaluation: str | None = None


# Where a file has ``tail`` without ``rules``.
DEFAULT_TAIL: Final = (
    TailRule("errors", "error"),
    TailRule("tools", "tool_failure"),
    TailRule("asked", "keep"),
    TailRule("filtered", "finish_reason", values=frozenset(("content_filter",))),
    TailRule("new", "first_seen", threshold=3600.0),
)


@dataclass(frozen=True)
class TailRules:
    """What is decided as a trace ends, and how much may wait for it. ``baseline``: the ratio of all other traces."""

    baseline: float = 0.1
    skeleton: bool = False
    max_traces: int = 10_000
    max_bytes: int = 64 * _MIB
    max_spans_per_trace: int = 2_000
    max_age_s: float = 120.0
    rules: tuple[TailRule, ...] = DEFAULT_TAIL


@dataclass(frozen=True)
class SamplingRules:
    """A whole file. Without one: every trace that begins here is kept, remote parents decide the rest, no tail."""

    head: HeadRules = field(default_factory=HeadRules)
    tail: TailRules | None = None
