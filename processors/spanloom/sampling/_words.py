"""Rules in plain words, for people who check a file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from spanloom.sampling._match import Condition, Matcher
from spanloom.sampling._rules import HTTP_UNDER_INFERENCE, HeadRules, SamplingRules, TailKind, TailRule, TailRules
from spanloom.semconv import Spanloom

_LEAF_WORDS = {True: "HTTP requests of model calls that get no trace context", False: "requests of health checks"}


def summary(rules: SamplingRules) -> list[str]:
    """Lines that say what the rules do."""
    return [*_head(rules.head), *(_tail(rules.tail) if rules.tail else ["When a trace ends: nothing more is decided."])]


def _head(head: HeadRules) -> Iterator[str]:
    yield "When a trace begins here, or a span of one whose parent is kept:"
    for leaf in sorted(head.leaves):
        yield f"  never kept: {_LEAF_WORDS[leaf == HTTP_UNDER_INFERENCE]}, and what is below them"
    for rule in head.rules:
        yield f"  {rule.name}: {_share(rule.ratio)}, where {words(rule.matcher)}"
    yield f"  of all other traces that begin here {_share(head.ratio)}"
    if head.spans_per_second:
        yield f"  and fewer, so that about {head.spans_per_second:g} spans a second are kept at most"


def _tail(tail: TailRules) -> Iterator[str]:
    yield "When a trace ends, it is kept where"
    for rule in tail.rules:
        yield f"  {rule.name}: {_reason(rule)}"
    yield f"  and of all other traces {_share(tail.baseline)}"
    if tail.skeleton:
        yield "  a trace that is dropped keeps its root, without content"
    yield (
        f"  at most {tail.max_traces:,} traces and {tail.max_bytes:,} bytes wait; one is decided early "
        f"at {tail.max_spans_per_trace:,} spans or after {_time(tail.max_age_s)}"
    )


def _share(ratio: float) -> str:
    if ratio in (0, 1):
        return "all are kept" if ratio else "none is kept"
    return f"{ratio * 100:g} % are kept"


def _time(seconds: float) -> str:
    for unit, length in (("h", 3600), ("m", 60), ("s", 1)):
        if seconds >= length and seconds % length == 0:
            return f"{seconds / length:g} {unit}"
    return f"{seconds:g} s"


def _reason(rule: TailRule) -> str:
    if rule.kind == "match":
        return f"a span's {words(rule.matcher or Matcher())}"
    bound = rule.threshold or 0.0
    return _REASONS[rule.kind].format(
        bound=bound,
        time=_time(bound),
        values=_either(sorted(rule.values)) if rule.values else "",
        evaluation=f"of {rule.evaluation} " if rule.evaluation else "",
    )


_REASONS: Final[dict[TailKind, str]] = {
    "error": "a span failed",
    "slower_than": "it took longer than {time}",
    "above_p99": "it was slower than 99 % of its kind",
    "cost_above_usd": "its model calls cost more than ${bound:g}",
    "tokens_above": "its model calls used more than {bound:,.0f} tokens",
    "finish_reason": "a model stopped for {values}",
    "tool_failure": "a tool failed",
    "evaluation_below": "an evaluation {evaluation}scored below {bound:g}",
    "keep": f"a span asks for it ({Spanloom.KEEP})",
    "first_seen": "its operation, model and error type were not seen for {time}",
}


def words(matcher: Matcher) -> str:
    """``model is gpt-4o* and provider is openai``"""
    parts = [_condition(one) for one in matcher.conditions]
    parts += [_condition(matcher.span)] if matcher.span else []
    parts += [f"kind is {_either(sorted(kind.name.lower() for kind in matcher.kinds))}"] if matcher.kinds else []
    return " and ".join(parts)


def _condition(one: Condition) -> str:
    if one.low is not None and one.high is not None:
        return f"{one.name} is from {one.low:g} to {one.high:g}"
    if one.low is not None or one.high is not None:
        return f"{one.name} is {one.low:g} or more" if one.low is not None else f"{one.name} is {one.high:g} or less"
    values = [*sorted(one.texts), *one.globs, *(str(flag).lower() for flag in sorted(one.flags))]
    return f"{one.name} is {_either([*values, *(f'{number:g}' for number in sorted(one.numbers))])}"


def _either(values: Iterable[str]) -> str:
    *first, last = values
    return f"{', '.join(first)} or {last}" if first else last
