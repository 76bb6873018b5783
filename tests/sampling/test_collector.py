"""The Collector's policies of a rule file, and what is said of those that cannot be."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pytest

from spanloom.sampling import loads, policies

NO_QUERY = '"^({})([?].*)?$"'


def policy(rule: str) -> tuple[dict[str, Any] | None, list[str]]:
    """Of one rule, without the baseline; and what is said of it."""
    found, remarks = policies(loads(f"version: 1\ntail: {{baseline: 0, rules: [{rule}]}}"))
    assert len(found) <= 1
    told = [one for one in remarks if not one.startswith("max_traces")]
    return (found[0] if found else None), told


def ottl(rule: str) -> list[str]:
    """The conditions of a policy in OTTL."""
    found, _ = policy(rule)
    assert found is not None and found["type"] == "ottl_condition"
    assert found["ottl_condition"]["error_mode"] == "ignore"
    return found["ottl_condition"]["span"]


@pytest.mark.parametrize(
    ("rule", "kind", "settings"),
    [
        ("{error: true}", "status_code", {"status_codes": ["ERROR"]}),
        ("{slower_than: 1.5s}", "latency", {"threshold_ms": 1500}),
        ("{keep: true}", "boolean_attribute", {"key": "spanloom.keep", "value": True}),
        ("{match: {attributes: {beta: false}}}", "boolean_attribute", {"key": "beta", "value": False}),
        ("{match: {attributes: {t: [b, a]}}}", "string_attribute", {"key": "t", "values": ["a", "b"]}),
        (
            "{match: {tool: ['a.*', b.c]}}",
            "string_attribute",
            {"key": "gen_ai.tool.name", "values": [r"^b\.c$", r"^a\..*$"], "enabled_regex_matching": True},
        ),
        (
            "{match: {attributes: {code: {min: 500, max: 599}}}}",
            "numeric_attribute",
            {"key": "code", "min_value": 500, "max_value": 599},
        ),
        (
            "{match: {attributes: {code: {min: 500}}}}",
            "numeric_attribute",
            {"key": "code", "min_value": 500, "max_value": 2**63 - 1},
        ),
    ],
)
def test_what_has_a_policy_of_its_own(rule, kind, settings):
    """Errors, latency, texts, numbers, flags."""
    found, _ = policy(rule)
    assert found == {"name": found["name"], "type": kind, kind: settings}


@pytest.mark.parametrize(
    ("rule", "conditions"),
    [
        (
            "{match: {operation: chat, agent: a}}",
            ['span.attributes["gen_ai.operation.name"] == "chat" and span.attributes["gen_ai.agent.name"] == "a"'],
        ),
        (
            "{match: {model: [m, 'n*']}}",
            [
                '(IsMatch(span.attributes["gen_ai.request.model"], "^(m|n.*)$") or '
                'IsMatch(span.attributes["gen_ai.response.model"], "^(m|n.*)$"))'
            ],
        ),
        (
            "{match: {route: /a}}",
            [
                '(span.attributes["http.route"] == "/a" or span.attributes["url.path"] == "/a" or '
                f'IsMatch(span.attributes["http.target"], {NO_QUERY.format("/a")}))'
            ],
        ),
        ("{match: {span: 'x y', kind: [server, client]}}",
         ['span.name == "x y" and (span.kind == SPAN_KIND_CLIENT or span.kind == SPAN_KIND_SERVER)']),
        ("{match: {attributes: {n: {min: 0, max: 0.5}}}}",
         ['span.attributes["n"] >= 0 and span.attributes["n"] <= 0.5']),
        ("{match: {attributes: {n: {max: 0}}}}", ['span.attributes["n"] <= 0']),
        ("{match: {attributes: {n: [1, true, 'x\"y']}}}",
         ['(span.attributes["n"] == "x\\"y" or span.attributes["n"] == true or span.attributes["n"] == 1)']),
        ("{tool_failure: true}",
         ['span.attributes["gen_ai.operation.name"] == "execute_tool" and span.status.code == STATUS_CODE_ERROR',
          'span.attributes["gen_ai.operation.name"] == "execute_tool" and span.attributes["error.type"] != nil']),
        ("{cost_above_usd: 0.5}",
         ['span.attributes["spanloom.subtree.cost"] != nil and span.attributes["spanloom.subtree.cost"] > 0.5',
          'span.attributes["gen_ai.usage.cost.amount"] != nil and span.attributes["gen_ai.usage.cost.amount"] > 0.5']),
    ],
)  # fmt: skip
def test_what_is_a_condition_on_one_span(rule, conditions):
    """Several conditions of a rule mean the same span; and what no policy is made for."""
    assert ottl(rule) == conditions


def test_tokens_are_those_of_the_sums():
    """In and out together, as the process counts them."""
    first, second = ottl("{tokens_above: 20000}")
    assert first.endswith(
        'span.attributes["spanloom.subtree.input_tokens"] + span.attributes["spanloom.subtree.output_tokens"] > 20000'
    )
    assert second.endswith(
        'span.attributes["gen_ai.usage.input_tokens"] + span.attributes["gen_ai.usage.output_tokens"] > 20000'
    )


def test_finish_reasons_are_looked_for_in_the_text_of_the_list():
    """Whole words of it."""
    (told,) = ottl("{finish_reason: [length, content_filter]}")
    pattern = re.fullmatch(r'IsMatch\(String\(span\.attributes\["gen_ai\.response\.finish_reasons"\]\), "(.*)"\)', told)
    assert pattern is not None
    assert re.search(pattern[1], '["stop","length"]') and re.search(pattern[1], '["content_filter"]')
    assert not re.search(pattern[1], '["max_length","stop"]')


@pytest.mark.parametrize(
    ("rule", "word"),
    [
        ("{name: unusual, above_p99: true}", "percentile"),
        ("{name: new, first_seen: 1h}", "remembers nothing"),
        ("{name: bad, evaluation_below: 0.5}", "log records"),
    ],
)
def test_what_cannot_be_is_named(rule, word):
    """With the rule's name, its condition and the reason."""
    found, (told,) = policy(rule)
    assert found is None
    assert re.match(r"\w+: not possible \(\w+\); ", told) and word in told


@pytest.mark.parametrize(
    ("rule", "word"),
    [
        ("{slower_than: 1s}", "the whole trace"),
        ("{cost_above_usd: 1}", "sums"),
        ("{tokens_above: 1}", "sums"),
        ("{match: {attributes: {n: {min: 1}}}}", "whole numbers only"),
    ],
)
def test_what_is_not_quite_the_same_is_said(rule, word):
    """Beside the policy."""
    found, (told,) = policy(rule)
    assert found is not None and word in told


def test_the_rest_of_a_file():
    """The baseline is last, with the salt that all share; limits, skeleton and rate are said to be the process's."""
    found, remarks = policies(
        loads("version: 1\nhead: {spans_per_second: 5}\ntail: {skeleton: true, baseline: 0.07, rules: [{error: true}]}")
    )
    assert [one["name"] for one in found] == ["error", "baseline"]
    assert found[-1]["probabilistic"] == {"hash_salt": "spanloom", "sampling_percentage": 7}
    assert [one.partition(":")[0].partition(",")[0] for one in remarks] == [
        "max_traces and max_bytes"[:10],
        "skeleton",
        "head.spans_per_second",
        "baseline",
    ]


def test_without_a_tail_there_is_nothing_to_decide():
    """And one sentence says so."""
    assert policies(loads("version: 1")) == (
        [],
        ["The file has no tail, so there is nothing for the Collector to decide."],
    )


def test_a_rule_may_be_called_baseline():
    """Names of policies are unique."""
    found, _ = policies(loads("version: 1\ntail: {rules: [{name: baseline, error: true}]}"))
    assert [one["name"] for one in found] == ["baseline", "everything else"]


def test_every_condition_is_either_a_policy_or_named():
    """The default rules, and one of each kind."""
    kinds: Mapping[str, str] = {
        "error": "true", "slower_than": "1s", "above_p99": "true", "cost_above_usd": "1", "tokens_above": "1",
        "finish_reason": "length", "tool_failure": "true", "evaluation_below": "1", "keep": "true", "first_seen": "1h",
        "match": "{model: m}",
    }  # fmt: skip
    rows = ", ".join(f"{{{kind}: {value}}}" for kind, value in kinds.items())
    for text in (f"version: 1\ntail: {{rules: [{rows}]}}", "version: 1\ntail: {}"):
        rules = loads(text)
        found, remarks = policies(rules)
        assert rules.tail is not None
        for rule in rules.tail.rules:
            is_named = any(one.startswith(f"{rule.name}: not possible") for one in remarks)
            assert is_named != any(one["name"] == rule.name for one in found)
