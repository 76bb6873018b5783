"""Rule files: what is right is read, every mistake is told with its line and field, and the service starts anyway."""

from __future__ import annotations

import math
import random
import re
import subprocess
import sys
from typing import Any, get_args

import pytest

from spanloom import sampling
from spanloom.rulefile import RuleFileError
from spanloom.sampling import (
    HeadRules,
    Sampler,
    SamplingRules,
    TailRule,
    TailRules,
    from_settings,
    load,
    loads,
    policies,
    summary,
)
from spanloom.sampling._rules import DEFAULT_TAIL, TailKind
from tests._support.wheel import ROOT

ALL = """\
version: 1
head:
  ratio: 0.5
  spans_per_second: 200
  rules:
    - name: health
      match: {route: ['/health*', '/livez'], method: GET}
      ratio: 0
    - match: {operation: chat}
      ratio: 0.2
  leaves: [http_under_inference, health]
tail:
  baseline: 0.2
  skeleton: true
  max_traces: 100
  max_bytes: 1000
  max_spans_per_trace: 50
  max_age: 30s
  rules:
    - {name: errors, error: true}
    - {name: slow, slower_than: 1.5s}
    - {name: unusual, above_p99: true}
    - {name: dear, cost_above_usd: 0.10}
    - {name: long, tokens_above: 20000}
    - {name: cut, finish_reason: [length, content_filter]}
    - {name: tools, tool_failure: true}
    - {name: bad, evaluation_below: 0.5, evaluation: relevance}
    - {name: worse, evaluation_below: -1}
    - {name: asked, keep: true}
    - {name: new, first_seen: 1h}
    - match: {attributes: {user.id: [u1]}}
"""


def test_a_whole_file():
    """Every field of head and tail; a name that is left out is the rule's number, or its condition."""
    rules = loads(ALL)
    assert rules.head.ratio == 0.5
    assert rules.head.spans_per_second == 200
    assert [(rule.name, rule.ratio) for rule in rules.head.rules] == [("health", 0), ("rule 2", 0.2)]
    assert rules.head.leaves == {"http_under_inference", "health"}
    tail = rules.tail
    assert tail is not None
    assert (tail.baseline, tail.skeleton, tail.max_traces, tail.max_bytes) == (0.2, True, 100, 1000)
    assert (tail.max_spans_per_trace, tail.max_age_s) == (50, 30.0)
    *plain, last = tail.rules
    assert plain == [
        TailRule("errors", "error"),
        TailRule("slow", "slower_than", 1.5),
        TailRule("unusual", "above_p99"),
        TailRule("dear", "cost_above_usd", 0.1),
        TailRule("long", "tokens_above", 20000),
        TailRule("cut", "finish_reason", values=frozenset(("length", "content_filter"))),
        TailRule("tools", "tool_failure"),
        TailRule("bad", "evaluation_below", 0.5, evaluation="relevance"),
        TailRule("worse", "evaluation_below", -1),
        TailRule("asked", "keep"),
        TailRule("new", "first_seen", 3600),
    ]
    assert (last.name, last.kind) == ("match", "match")
    assert last.matcher is not None and last.matcher.matches("s", None, {"user.id": "u1"})


def test_what_is_left_out_has_its_default():
    """An empty file keeps all and has no tail; a tail without rules has the usual ones, one with none has none."""
    assert loads("version: 1") == SamplingRules(HeadRules(), None)
    assert loads("version: 1\ntail: {}") == SamplingRules(HeadRules(), TailRules())
    assert TailRules().rules == DEFAULT_TAIL
    assert loads("version: 1\ntail: {rules: []}").tail == TailRules(rules=())


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{}", "1: version: is missing; write version: 1"),
        ("version: 2", "1: version: is not known here; this spanloom reads version 1"),
        ("version: 1\nhaed: 1", "2: haed: no such field; did you mean head?"),
        ("version: 1\nhead: {ratio: 2}", "2: head.ratio: 2 is not a number from 0 to 1"),
        ("version: 1\nhead: {ratio: 1.0e-20}", "2: head.ratio: is below 2**-56"),
        ("version: 1\nhead: {spans_per_second: 0}", "2: head.spans_per_second: 0 would keep nothing"),
        ("version: 1\nhead: {leaves: [x]}", "2: head.leaves[0]: 'x' is not one of http_under_inference, health"),
        ("version: 1\nhead:\n  rules:\n    - {ratio: 1}", "4: head.rules[0]: has no match"),
        ("version: 1\nhead:\n  rules:\n    - {match: {tool: x}}", "4: head.rules[0]: has no ratio"),
        ("version: 1\nhead:\n  rules:\n    - {match: {}, ratio: 1}", "4: head.rules[0].match: is empty"),
        ("version: 1\nhead:\n  rules:\n    - {match: 3, ratio: 1}", "4: head.rules[0].match: 3 is not a mapping"),
        ("version: 1\nhead: {rules: [{match: {modl: x}, ratio: 1}]}", "match.modl: no such field; did you mean model?"),
        ("version: 1\nhead: {rules: [{match: {model: []}, ratio: 1}]}", "match.model: is an empty list"),
        ("version: 1\nhead: {rules: [{match: {kind: web}, ratio: 1}]}", "match.kind: 'web' is not one of internal"),
        ("version: 1\nhead: {rules: [{match: {model: 4}, ratio: 1}]}", "match.model: 4 is not a text"),
        (
            "version: 1\nhead: {rules: [{match: {attributes: {a: {min: 2, max: 1}}}, ratio: 1}]}",
            "attributes.a.min: is above max",
        ),
        (
            "version: 1\nhead: {rules: [{match: {attributes: {a: {}}}, ratio: 1}]}",
            "attributes.a: needs min, max or both",
        ),
        (
            "version: 1\nhead: {rules: [{match: {attributes: {a: [null]}}, ratio: 1}]}",
            "attributes.a[0]: nothing is not",
        ),
        ("version: 1\nhead: {rules: [{match: {attributes: {a: []}}, ratio: 1}]}", "attributes.a: is an empty list"),
        ("version: 1\nhead: {rules: [{match: {model: ['[z-a]']}, ratio: 1}]}", "match.model: '[z-a]' is no glob: bad"),
        ("version: 1\ntail: {max_age: 5}", "2: tail.max_age: 5 is not a duration"),
        ("version: 1\ntail: {max_traces: 0}", "2: tail.max_traces: 0 is not a whole number of 1 or more"),
        ("version: 1\ntail:\n  rules:\n    - {name: a}", "4: tail.rules[0]: has no condition; there are error"),
        (
            "version: 1\ntail:\n  rules:\n    - {error: true, slower_than: 1s}",
            "4: tail.rules[0]: has the conditions error and slower_than; write two rules",
        ),
        ("version: 1\ntail: {rules: [{error: false}]}", "rules[0].error: can only be true; leave the rule out instead"),
        ("version: 1\ntail: {rules: [{finish_reason: []}]}", "rules[0].finish_reason: is an empty list"),
        ("version: 1\ntail: {rules: [{error: true, evaluation: x}]}", "rules[0].evaluation: no such field"),
        (
            "version: 1\ntail:\n  rules:\n  - {error: true}\n  - {error: true}",
            "5: tail.rules[1].name: error is the name of an earlier rule",
        ),
        ("version: 1\ntail: [", "no YAML"),
        ("- 1", "1: the file is no mapping of fields"),
    ],
)
def test_each_mistake_has_its_line_and_field(text, told):
    """And says what to write instead, where that is known."""
    with pytest.raises(RuleFileError) as raised:
        loads(text, "f.yaml")
    assert str(raised.value).startswith("f.yaml:")
    assert told in str(raised.value)


def test_all_mistakes_are_told_at_once():
    """In the order of the file."""
    with pytest.raises(RuleFileError) as raised:
        loads("version: 1\nhead: {ratio: x, leaves: [y]}\ntail:\n  baseline: 3\n  rules:\n  - {eror: true}", "f")
    assert [line.split(": ")[0] for line in str(raised.value).splitlines()] == ["f:2", "f:2", "f:4", "f:6", "f:6"]


def test_a_file_by_its_setting(tmp_path, monkeypatch, caplog):
    """``SPANLOOM_SAMPLING`` names it; its ratio wins over the standard variable."""
    file = tmp_path / "rules.yaml"
    file.write_text(ALL)
    monkeypatch.setenv("SPANLOOM_SAMPLING", str(file))
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "0.9")
    assert from_settings() == load(str(file)) == loads(ALL)
    assert not caplog.records


@pytest.mark.parametrize("content", [None, "version: 1\nhead: {ratio: 7}\ntail:\n  rules: 3\n", "\xff", "a: b: c"])
def test_a_bad_file_costs_lines_and_the_defaults_hold(content, tmp_path, monkeypatch, caplog):
    """Missing, wrong, no UTF-8, no YAML: each mistake is logged once, and the standard ratio is taken."""
    file = tmp_path / "rules.yaml"
    if content is not None:
        file.write_text(content, encoding="latin-1")
    monkeypatch.setenv("SPANLOOM_SAMPLING", str(file))
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "0.25")
    for _ in range(2):
        assert from_settings() == SamplingRules(HeadRules(0.25), None)
    *mistakes, last = [record.getMessage() for record in caplog.records]
    assert mistakes and all(line.startswith(f"spanloom: SPANLOOM_SAMPLING: {file}") for line in mistakes)
    assert last == "spanloom: SPANLOOM_SAMPLING: the file is not used, sampling is as without one"
    if content and content.startswith("version"):
        assert [line.partition("rules.yaml:")[2].split(": ")[:2] for line in mistakes] == [
            ["2", "head.ratio"],
            ["4", "tail.rules"],
        ]


@pytest.mark.parametrize(("value", "ratio"), [("", 1.0), (" 0.25 ", 0.25), ("0", 0.0), ("1", 1.0)])
def test_the_standard_ratio(value, ratio, monkeypatch, caplog):
    """``OTEL_TRACES_SAMPLER_ARG``, where no file is named."""
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", value)
    assert from_settings() == SamplingRules(HeadRules(ratio))
    assert not caplog.records


@pytest.mark.parametrize("value", ["much", "2", "-0.1", "nan", "inf", "1e-20", "root=0.5"])
def test_a_bad_ratio_costs_a_line(value, monkeypatch, caplog):
    """It names variable and value, once, and everything is kept."""
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", value)
    for _ in range(2):
        assert from_settings() == SamplingRules()
    (record,) = caplog.records
    assert record.getMessage() == (f"spanloom: OTEL_TRACES_SAMPLER_ARG={value!r} is not a ratio from 0 to 1; using 1.0")


def test_reading_rules_needs_no_sdk():
    """The command line reads them; the sampler comes where somebody asks for it."""
    code = (
        "import sys; from spanloom import sampling; sampling.loads('version: 1')\n"
        "assert not any(m.startswith('opentelemetry.sdk') or m == 'spanloom.genai' for m in sys.modules)\n"
        "assert sampling.Sampler.__module__ == 'spanloom.sampling._head'"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_what_is_public():
    """Every name is there, and nothing else is made up."""
    assert all(hasattr(sampling, name) for name in sampling.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = sampling.nothing


PAGE = (ROOT / "docs" / "sampling.md").read_text(encoding="utf-8")


def test_the_file_of_the_page_is_one():
    """With each condition of the tail once, and each field."""
    (text,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    tail = loads(text).tail
    assert tail is not None
    assert sorted(rule.kind for rule in tail.rules) == sorted(get_args(TailKind))


def test_the_count_of_the_page_is_right():
    """Its function, for the thresholds of its table; unknown is no number."""
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    found: dict[str, Any] = {}
    exec(code, found)
    count = found["adjusted_count"]
    for text, share in re.findall(r"^\| `(\w+)` \| \S+(?: %)? \| (\d+) \|$", PAGE, re.MULTILINE):
        assert count(f"a=1,ot=rv:0123456789abcd;th:{text}") == pytest.approx(int(share), rel=0.0002)
    assert math.isnan(count("a=1")) and math.isnan(count("ot=x:y")) and math.isnan(count(""))


ODD = (
    "", "null", "true", "-1", "0", "[]", "{}", ".inf", ".nan", "x", "'*'", "'['", "'[z-a]'", "'[!'", "2024-01-01", "&a",
    "*a", "!!binary x", "\t", ":", "- ", "9" * 30, "~", "[[1]]", "{a: {b: c}}",
)  # fmt: skip


def test_whatever_a_file_says_is_read_or_refused():
    """Two hundred changes to the page's file, some of them still rules: nothing but ``RuleFileError`` is raised."""
    (text,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    tokens = re.findall(r"\w+|\s+|[^\w\s]", text)
    numbers = random.Random(5)
    read = 0
    for _ in range(200):
        changed = list(tokens)
        for _ in range(numbers.choice((1, 1, 3))):
            changed[numbers.randrange(len(changed))] = numbers.choice(ODD)
        try:
            rules = loads("".join(changed))
        except RuleFileError as error:
            assert str(error).startswith("sampling.yaml:")
        else:
            read += 1
            assert Sampler(rules).get_description() and policies(rules) and summary(rules)
    assert 20 < read < 180
