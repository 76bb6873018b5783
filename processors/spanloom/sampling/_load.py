"""From a rule file, or the settings, to rules. Every mistake is told with its line and field."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from typing import Any, Final, get_args

from spanloom import semconv
from spanloom.rulefile import RuleFileError, Section, read, read_text
from spanloom.sampling._match import FIELDS, KINDS, SPAN, Condition, Matcher, Plain, condition, glob_mistake
from spanloom.sampling._rules import LEAVES, HeadRule, HeadRules, SamplingRules, TailKind, TailRule, TailRules
from spanloom.sampling._trace_state import MIN_RATIO

SETTING: Final = "SPANLOOM_SAMPLING"
RATIO_SETTING: Final = "OTEL_TRACES_SAMPLER_ARG"
VERSION: Final = 1

_log = logging.getLogger("spanloom")
_told: set[str] = set()


def load(path: str) -> SamplingRules:
    """The rules of a file. Raises ``RuleFileError`` with every mistake, one a line: ``file:line: field: ...``."""
    return _rules(read(path))


def loads(text: str, name: str = "sampling.yaml") -> SamplingRules:
    """The rules of a file's text; ``name`` stands before each mistake."""
    return _rules(read_text(text, name))


def from_settings() -> SamplingRules:
    """The rules of ``SPANLOOM_SAMPLING``; without it the ratio of ``OTEL_TRACES_SAMPLER_ARG``, else 1.

    Never raises: what is wrong is logged once, a line for each mistake, and the service runs as without a file.
    """
    path = semconv.text(SETTING)
    if path:
        try:
            return load(path)
        except RuleFileError as error:
            for line in str(error).splitlines():
                _tell(f"{SETTING}: {line}")
            _tell(f"{SETTING}: the file is not used, sampling is as without one")
    return SamplingRules(HeadRules(_plain_ratio()))


def _plain_ratio() -> float:
    value = os.environ.get(RATIO_SETTING, "").strip()
    try:
        ratio = float(value) if value else 1.0
    except ValueError:
        ratio = -1.0
    if ratio == 0 or MIN_RATIO <= ratio <= 1:
        return ratio
    _tell(f"{RATIO_SETTING}={value!r} is not a ratio from 0 to 1; using 1.0")
    return 1.0


def _tell(line: str) -> None:
    """Once: the head and the tail both read the settings."""
    if line not in _told:
        _told.add(line)
        _log.warning("spanloom: %s", line)


def _rules(top: Section) -> SamplingRules:
    top.version(VERSION)
    head, tail = top.section("head"), top.section("tail")
    rules = SamplingRules(_head(head) if head else HeadRules(), _tail(tail) if tail else None)
    top.close()
    top.check()
    return rules


def _ratio(section: Section, name: str, default: float) -> float:
    value = section.ratio(name, default)
    if value is not None and 0 < value < MIN_RATIO:
        section.fail(name, "is below 2**-56, which no threshold can express; write 0 for never")
    return default if value is None else value


def _head(section: Section) -> HeadRules:
    limit = section.number("spans_per_second")
    if limit == 0:
        section.fail("spans_per_second", "0 would keep nothing; write ratio: 0 for that")
    leaves = frozenset(section.texts("leaves", LEAVES))
    names: set[str] = set()
    rules = tuple(_head_rule(row, f"rule {at}", names) for at, row in enumerate(section.sections("rules"), 1))
    ratio = _ratio(section, "ratio", 1.0)
    section.close()
    return HeadRules(ratio, limit, rules, leaves)


def _head_rule(row: Section, default: str, names: set[str]) -> HeadRule:
    name = _name(row, default, names)
    below = row.section("match")
    if below is None and "match" not in row:
        row.fail("", "has no match; the ratio of everything else stands in head.ratio")
    if "ratio" not in row:
        row.fail("", "has no ratio")
    rule = HeadRule(name, _matcher(below) if below else Matcher(), _ratio(row, "ratio", 1.0))
    row.close()
    return rule


def _name(row: Section, default: str, names: set[str]) -> str:
    name = row.text("name", default)
    if name in names:
        row.fail("name", f"{name} is the name of an earlier rule; a name tells why a trace was kept")
    names.add(name)
    return name


def _matcher(section: Section) -> Matcher:
    conditions = [_condition(section, name, keys) for name, keys in FIELDS.items() if name in section]
    span = _condition(section, SPAN, ()) if SPAN in section else None
    kinds = frozenset(KINDS[one] for one in section.texts("kind", tuple(KINDS)))
    below = section.section("attributes")
    if below is not None:
        conditions += [_attribute(below, name) for name in below.names()]
    section.close(*FIELDS, SPAN)
    if not section.names():
        section.fail("", "is empty, and would mean every span")
    return Matcher(tuple(conditions), span, kinds)


def _condition(section: Section, name: str, keys: tuple[str, ...]) -> Condition:
    return condition(name, keys, _fitting(section, name, section.texts(name)))


def _fitting(section: Section, name: str, values: Sequence[Plain]) -> list[Plain]:
    """Those that mean something."""
    _refuse_empty(section, name)
    found: list[Plain] = []
    for value in values:
        mistake = glob_mistake(value) if isinstance(value, str) else ""
        if mistake:
            section.fail(name, f"{value!r} is no glob: {mistake}")
        else:
            found.append(value)
    return found


def _refuse_empty(section: Section, name: str) -> None:
    if section.is_empty(name):
        section.fail(name, "is an empty list, which nothing fits")


def _attribute(section: Section, name: str) -> Condition:
    if not section.is_mapping(name):
        return condition(name, (name,), _fitting(section, name, section.values(name)))
    bounds = section.section(name)
    assert bounds is not None
    low, high = (bounds.number(one, low=float("-inf")) for one in ("min", "max"))
    if low is None and high is None:
        bounds.fail("", "needs min, max or both")
    elif low is not None and high is not None and low > high:
        bounds.fail("min", "is above max")
    bounds.close()
    return Condition(name, (name,), low=low, high=high)


def _tail(section: Section) -> TailRules:
    default = TailRules()
    names: set[str] = set()
    rules = tuple(rule for row in section.sections("rules") if (rule := _tail_rule(row, names)) is not None)
    found = TailRules(
        baseline=_ratio(section, "baseline", default.baseline),
        skeleton=section.flag("skeleton", default.skeleton),
        max_traces=section.integer("max_traces", default.max_traces),
        max_bytes=section.integer("max_bytes", default.max_bytes),
        max_spans_per_trace=section.integer("max_spans_per_trace", default.max_spans_per_trace),
        max_age_s=_age(section, default.max_age_s),
        rules=rules if "rules" in section else default.rules,
    )
    section.close()
    return found


def _age(section: Section, default: float) -> float:
    age_s = section.duration_s("max_age", default)
    if age_s == 0:
        section.fail("max_age", "0 would decide every trace as it begins; leave tail out for that")
    return age_s or default


def _tail_rule(row: Section, names: set[str]) -> TailRule | None:
    kinds: list[TailKind] = [kind for kind in _READERS if kind in row]
    rule = None
    if len(kinds) == 1:
        rule = TailRule(_name(row, kinds[0], names), kinds[0], **_READERS[kinds[0]](row, kinds[0]))
    elif kinds:
        row.fail("", f"has the conditions {' and '.join(kinds)}; write two rules, since any rule keeps a trace")
    else:
        row.fail("", f"has no condition; there are {', '.join(_READERS)}")
    row.close("name", *_READERS)
    return rule


def _set(row: Section, kind: str) -> dict[str, Any]:
    if kind in row and row.flag(kind, True) is False:
        row.fail(kind, "can only be true; leave the rule out instead")
    return {}


def _bound(row: Section, kind: str) -> dict[str, Any]:
    return {"threshold": row.number(kind)}


def _span_of_time(row: Section, kind: str) -> dict[str, Any]:
    return {"threshold": row.duration_s(kind)}


def _score(row: Section, kind: str) -> dict[str, Any]:
    bound = row.number(kind, low=float("-inf"))
    return {"threshold": bound, "evaluation": row.text("evaluation") or None}


def _reasons(row: Section, kind: str) -> dict[str, Any]:
    values = row.texts(kind)
    _refuse_empty(row, kind)
    return {"values": frozenset(values)}


def _matched(row: Section, kind: str) -> dict[str, Any]:
    below = row.section(kind)
    return {"matcher": _matcher(below) if below else None}


_READERS: Final[dict[TailKind, Callable[[Section, str], dict[str, Any]]]] = {
    "error": _set,
    "slower_than": _span_of_time,
    "above_p99": _set,
    "cost_above_usd": _bound,
    "tokens_above": _bound,
    "finish_reason": _reasons,
    "tool_failure": _set,
    "evaluation_below": _score,
    "keep": _set,
    "first_seen": _span_of_time,
    "match": _matched,
}
assert set(_READERS) == set(get_args(TailKind))
