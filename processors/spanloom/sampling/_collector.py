"""The tail rules as policies of the Collector's stock ``tail_sampling``, and what those cannot express.

One condition of one attribute becomes the policy made for it. Several become one ``ottl_condition``: the policy ``and``
would take them from different spans of the trace, and a rule means one span.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any, Final

from spanloom.sampling._match import FIELDS, Condition, Matcher, escaped, regex_of
from spanloom.sampling._rules import SamplingRules, TailKind, TailRule, TailRules
from spanloom.semconv import Error, GenAI, HTTPServer, Operation, Spanloom

# Fixed, so that every Collector takes the same decision about the same trace.
HASH_SALT: Final = "spanloom"
_INT64: Final = 2**63 - 1
_BASELINE: Final = "baseline"
_EVERY_CHARACTER_OF_A_NAME: Final = "A-Za-z0-9_"

Policy = dict[str, Any]

_CANNOT: Final[dict[TailKind, str]] = {
    "above_p99": "a policy knows nothing of the traces before, so it has no percentile",
    "first_seen": "a policy remembers nothing of the traces before",
    "evaluation_below": "evaluations are log records, which the Collector does not bring together with their trace",
}
_DIFFERS: Final[dict[TailKind, str]] = {
    "slower_than": "the Collector measures the whole trace, a process measures its own part",
    "cost_above_usd": "by the sums on the spans above model calls, which only services with spanloom write",
    "tokens_above": "by the sums on the spans above model calls, which only services with spanloom write",
}


def policies(rules: SamplingRules) -> tuple[list[Policy], list[str]]:
    """Policies in the order of the rules, the baseline last; and sentences on what is not, or not quite, the same."""
    if rules.tail is None:
        return [], ["The file has no tail, so there is nothing for the Collector to decide."]
    found: list[Policy] = []
    remarks: list[str] = []
    for rule in rules.tail.rules:
        policy, remark = _policy(rule)
        found += [policy] if policy else []
        remarks += [f"{rule.name}: {remark}."] if remark else []
    if rules.tail.baseline:
        found.append(_baseline(rules.tail))
    return found, [*remarks, *_about_the_rest(rules)]


def _about_the_rest(rules: SamplingRules) -> Iterable[str]:
    yield (
        "max_traces, max_bytes, max_spans_per_trace and max_age are the process's: set num_traces, "
        "maximum_trace_size_bytes and decision_wait here."
    )
    if rules.tail and rules.tail.skeleton:
        yield "skeleton: not possible; a trace is kept or dropped as a whole."
    if rules.head.spans_per_second:
        yield "head.spans_per_second: not here; its ratio follows the traffic of each process."
    if rules.tail and rules.tail.baseline:
        yield (
            "baseline: the Collector hashes the trace id, a process compares its bits: where both sample, "
            "their ratios multiply. Leave tail out of the services' file, or the baseline to one of them."
        )


def _baseline(tail: TailRules) -> Policy:
    name = _BASELINE if all(rule.name != _BASELINE for rule in tail.rules) else "everything else"
    return _named(
        name, "probabilistic", {"hash_salt": HASH_SALT, "sampling_percentage": _number(round(tail.baseline * 100, 9))}
    )


def _named(name: str, kind: str, settings: Policy) -> Policy:
    return {"name": name, "type": kind, kind: settings}


def _ottl(*conditions: str) -> tuple[str, Policy]:
    """Kept where any of them holds of any span."""
    return "ottl_condition", {"error_mode": "ignore", "span": list(conditions)}


def _policy(rule: TailRule) -> tuple[Policy | None, str]:
    if rule.kind in _CANNOT:
        return None, f"not possible ({rule.kind}); {_CANNOT[rule.kind]}"
    if rule.kind == "match":
        kind, settings = _matched(rule.matcher or Matcher())
    else:
        kind, settings = _SIMPLE[rule.kind](rule)
    remark = _DIFFERS.get(rule.kind, "")
    if kind == "numeric_attribute":
        remark = "this policy sees whole numbers only, not 1.5 and not 1.0, and no lists"
    elif rule.matcher and any(one.name not in FIELDS for one in rule.matcher.conditions):
        remark = "a policy looks into no lists; a process keeps a span with a list that has one of the values"
    return _named(rule.name, kind, settings), remark


def _errors(_: TailRule) -> tuple[str, Policy]:
    return "status_code", {"status_codes": ["ERROR"]}


def _slow(rule: TailRule) -> tuple[str, Policy]:
    return "latency", {"threshold_ms": max(1, round((rule.threshold or 0.0) * 1000))}


def _dear(rule: TailRule) -> tuple[str, Policy]:
    bound = _number(rule.threshold or 0.0)
    names = (Spanloom.SUBTREE_COST, Spanloom.COST_AMOUNT)
    return _ottl(*(f"{_attribute(name)} != nil and {_attribute(name)} > {bound}" for name in names))


def _long(rule: TailRule) -> tuple[str, Policy]:
    bound = _number(rule.threshold or 0.0)
    pairs = (
        (Spanloom.SUBTREE_INPUT_TOKENS, Spanloom.SUBTREE_OUTPUT_TOKENS),
        (GenAI.USAGE_INPUT_TOKENS, GenAI.USAGE_OUTPUT_TOKENS),
    )
    told = ((_attribute(one), _attribute(two)) for one, two in pairs)
    return _ottl(*(f"{one} != nil and {two} != nil and {one} + {two} > {bound}" for one, two in told))


def _cut(rule: TailRule) -> tuple[str, Policy]:
    """The attribute is a list: its text has the reasons in quotes."""
    reasons = "|".join(map(escaped, sorted(rule.values)))
    edge = f"[^{_EVERY_CHARACTER_OF_A_NAME}]"
    pattern = f"(^|{edge})({reasons})({edge}|$)"
    return _ottl(f"IsMatch(String({_attribute(GenAI.RESPONSE_FINISH_REASONS)}), {_quoted(pattern)})")


def _failed_tool(_: TailRule) -> tuple[str, Policy]:
    is_tool = f"{_attribute(GenAI.OPERATION_NAME)} == {_quoted(Operation.EXECUTE_TOOL)}"
    return _ottl(
        f"{is_tool} and span.status.code == STATUS_CODE_ERROR", f"{is_tool} and {_attribute(Error.TYPE)} != nil"
    )


def _asked(_: TailRule) -> tuple[str, Policy]:
    return "boolean_attribute", {"key": Spanloom.KEEP, "value": True}


_SIMPLE: Final[dict[TailKind, Callable[[TailRule], tuple[str, Policy]]]] = {
    "error": _errors,
    "slower_than": _slow,
    "cost_above_usd": _dear,
    "tokens_above": _long,
    "finish_reason": _cut,
    "tool_failure": _failed_tool,
    "keep": _asked,
}


def _matched(matcher: Matcher) -> tuple[str, Policy]:
    if len(matcher.conditions) == 1 and matcher.span is None and not matcher.kinds:
        simple = _one_attribute(matcher.conditions[0])
        if simple is not None:
            return simple
    parts = [_condition(one) for one in matcher.conditions]
    parts += [_alternatives("span.name", matcher.span)] if matcher.span else []
    if matcher.kinds:
        names = sorted(kind.name for kind in matcher.kinds)
        parts.append(_any(f"span.kind == SPAN_KIND_{name}" for name in names))
    return _ottl(" and ".join(parts))


def _one_attribute(one: Condition) -> tuple[str, Policy] | None:
    """The policy made for it; ``None`` where there is none."""
    if len(one.keys) != 1:
        return None
    key = one.keys[0]
    is_range = one.low is not None or one.high is not None
    others = bool(one.flags) + bool(one.numbers) + is_range
    if (one.texts or one.globs) and not others:
        return "string_attribute", _strings(key, one)
    if len(one.flags) == 1 and others == 1 and not (one.texts or one.globs):
        return "boolean_attribute", {"key": key, "value": next(iter(one.flags))}
    if is_range and all(bound is None or (bound and bound.is_integer()) for bound in (one.low, one.high)):
        # 0 counts as "not set" there, and both bounds are told, since older versions want both.
        low, high = int(one.low or -_INT64), int(one.high or _INT64)
        return "numeric_attribute", {"key": key, "min_value": low, "max_value": high}
    return None


def _strings(key: str, one: Condition) -> Policy:
    if not one.globs:
        return {"key": key, "values": sorted(one.texts)}
    return {"key": key, "values": [regex_of(text) for text in _texts(one)], "enabled_regex_matching": True}


def _texts(one: Condition) -> list[str]:
    return [*sorted(one.texts), *one.globs]


def _condition(one: Condition) -> str:
    return _any(_alternatives(_attribute(key), one, has_query=key == HTTPServer.TARGET_OLD) for key in one.keys)


def _alternatives(what: str, one: Condition, *, has_query: bool = False) -> str:
    """``what`` has one of the values, in the OpenTelemetry Transformation Language."""
    parts: list[str] = []
    texts = _texts(one)
    if len(texts) == 1 and not one.globs and not has_query:
        parts.append(f"{what} == {_quoted(texts[0])}")
    elif texts:
        bodies = "|".join(regex_of(text)[1:-1] for text in texts)
        query = "([?].*)?" if has_query else ""
        parts.append(f"IsMatch({what}, {_quoted(f'^({bodies}){query}$')})")
    parts += [f"{what} == {str(flag).lower()}" for flag in sorted(one.flags)]
    parts += [f"{what} == {_number(number)}" for number in sorted(one.numbers)]
    bounds = [f"{what} >= {_number(one.low)}"] if one.low is not None else []
    bounds += [f"{what} <= {_number(one.high)}"] if one.high is not None else []
    parts += [" and ".join(bounds)] if bounds else []
    return _any(parts)


def _any(parts: Iterable[str]) -> str:
    told = list(parts)
    return told[0] if len(told) == 1 else f"({' or '.join(told)})"


def _attribute(name: str) -> str:
    return f"span.attributes[{_quoted(name)}]"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _number(value: float) -> int | float:
    return int(value) if float(value).is_integer() else value
