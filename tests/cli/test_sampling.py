"""``spanloom sampling``: a file is checked, told in words, and turned into the Collector's policies."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from .conftest import Run

RULES = """\
version: 1
head:
  ratio: 0.5
  spans_per_second: 200
  rules:
    - {name: health, match: {route: ['/health*', /livez], method: GET}, ratio: 0}
    - name: codes
      match: {attributes: {a: {min: 1, max: 2}, b: {min: 1}, c: {max: 2}}, kind: server, span: x}
      ratio: 1
  leaves: [http_under_inference, health]
tail:
  baseline: 0.1
  skeleton: true
  max_age: 1500ms
  rules:
    - {name: errors, error: true}
    - {name: slow, slower_than: 10s}
    - {name: unusual, above_p99: true}
    - {name: dear, cost_above_usd: 0.10}
    - {name: long, tokens_above: 20000}
    - {name: cut, finish_reason: [length, content_filter]}
    - {name: tools, tool_failure: true}
    - {name: bad, evaluation_below: 0.5, evaluation: relevance}
    - {name: asked, keep: true}
    - {name: new, first_seen: 1h}
    - {name: vip, match: {attributes: {user.id: [u1, u2]}}}
"""
WORDS = """\
When a trace begins here, or a span of one whose parent is kept:
  never kept: requests of health checks, and what is below them
  never kept: HTTP requests of model calls that get no trace context, and what is below them
  health: none is kept, where route is /livez or /health* and method is GET
  codes: all are kept, where a is from 1 to 2 and b is 1 or more and c is 2 or less and span is x and kind is server
  of all other traces that begin here 50 % are kept
  and fewer, so that about 200 spans a second are kept at most
When a trace ends, it is kept where
  errors: a span failed
  slow: it took longer than 10 s
  unusual: it was slower than 99 % of its kind
  dear: its model calls cost more than $0.1
  long: its model calls used more than 20,000 tokens
  cut: a model stopped for content_filter or length
  tools: a tool failed
  bad: an evaluation of relevance scored below 0.5
  asked: a span asks for it (spanloom.keep)
  new: its operation, model and error type were not seen for 1 h
  vip: a span's user.id is u1 or u2
  and of all other traces 10 % are kept
  a trace that is dropped keeps its root, without content
  at most 10,000 traces and 67,108,864 bytes wait; one is decided early at 2,000 spans or after 1.5 s
"""


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    file = tmp_path / "rules.yaml"
    file.write_text(RULES)
    return file


def test_the_rules_in_words(run: Run, rules: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the file that is named, or of the one that the service takes."""
    assert (run("sampling", str(rules)).code, run("sampling", str(rules)).out) == (0, WORDS)
    monkeypatch.setenv("SPANLOOM_SAMPLING", str(rules))
    assert run("sampling").out == WORDS


def test_a_file_that_says_nothing(run: Run, rules: Path) -> None:
    """The defaults, in words."""
    rules.write_text("version: 1")
    assert run("sampling", str(rules)).lines == [
        "When a trace begins here, or a span of one whose parent is kept:",
        "  of all other traces that begin here all are kept",
        "When a trace ends: nothing more is decided.",
    ]


def test_mistakes(run: Run, rules: Path) -> None:
    """Exit code 2, and each with its line and field."""
    rules.write_text("version: 1\nhead: {ratio: 3}\ntail:\n  rules:\n    - {eror: true}\n")
    shown = run("sampling", str(rules))
    assert (shown.code, shown.out) == (2, "")
    assert [line.partition("rules.yaml:")[2].split(": ")[:2] for line in shown.err.splitlines()] == [
        ["2", "head.ratio"],
        ["5", "tail.rules[0].eror"],
        ["5", "tail.rules[0]"],
    ]


def test_no_file(run: Run, tmp_path: Path) -> None:
    """Neither named nor set; or named, and not there."""
    shown = run("sampling")
    assert (shown.code, shown.err) == (2, "spanloom: which file? Name it, or set SPANLOOM_SAMPLING\n")
    shown = run("sampling", str(tmp_path / "none.yaml"))
    assert shown.code == 2 and "none.yaml: cannot be read: No such file" in shown.err


def test_the_collectors_policies(run: Run, rules: Path) -> None:
    """A configuration that the Collector merges with its own; what it cannot express stands in comments."""
    shown = run("sampling", str(rules), "--collector")
    assert shown.code == 0
    policies = yaml.safe_load(shown.out)["processors"]["tail_sampling"]["policies"]
    names = ["errors", "slow", "dear", "long", "cut", "tools", "asked", "vip", "baseline"]
    assert [policy["name"] for policy in policies] == names
    comments = " ".join(line.lstrip("# ") for line in shown.lines[1:] if line.startswith("#"))
    for name in ("unusual", "bad", "new"):
        assert f"{name}: not possible" in comments
    assert all(len(line) <= 120 for line in shown.lines[1:] if line.startswith("#"))


def test_no_policies_without_a_tail(run: Run, rules: Path) -> None:
    """A comment says why, and nothing of the Collector's is overwritten."""
    rules.write_text("version: 1")
    shown = run("sampling", str(rules), "--collector")
    assert shown.code == 0 and yaml.safe_load(shown.out) is None and "has no tail" in shown.out
