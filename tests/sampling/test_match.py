"""Which spans a rule means."""

from __future__ import annotations

import re

import pytest
from opentelemetry.trace import SpanKind

from spanloom.sampling import loads
from spanloom.sampling._match import is_glob, regex_of

CHAT = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o-mini-2024", "gen_ai.provider.name": "openai"}


def matcher(text: str):
    rules = loads(f"version: 1\nhead:\n  rules:\n    - {{match: {text}, ratio: 0.5}}")
    return rules.head.rules[0].matcher


@pytest.mark.parametrize(
    ("text", "attributes", "expected"),
    [
        ("{operation: chat}", CHAT, True),
        ("{operation: [embeddings, chat]}", CHAT, True),
        ("{operation: embeddings}", CHAT, False),
        ("{operation: chat}", {}, False),
        ("{model: 'gpt-4o-mini*'}", CHAT, True),
        ("{model: 'gpt-4o'}", CHAT, False),
        ("{model: m}", {"gen_ai.request.model": "alias", "gen_ai.response.model": "m"}, True),
        ("{provider: openai, operation: chat}", CHAT, True),
        ("{provider: anthropic, operation: chat}", CHAT, False),
        ("{provider: openai}", {"gen_ai.system": "openai"}, True),
        ("{tool: 'search_?'}", {"gen_ai.tool.name": "search_a"}, True),
        ("{agent: shop}", {"gen_ai.agent.name": "shop"}, True),
        ("{method: GET}", {"http.request.method": "GET"}, True),
        ("{method: GET}", {"http.method": "GET"}, True),
        ("{route: '/items/{id}'}", {"http.route": "/items/{id}"}, True),
        ("{route: '/items/*'}", {"url.path": "/items/3"}, True),
        ("{route: /items}", {"http.target": "/items?page=2"}, True),
        ("{route: /items}", {"http.target": "/items/2"}, False),
        ("{attributes: {tier: [free, trial]}}", {"tier": "trial"}, True),
        ("{attributes: {tier: free}}", {"tier": ["paid", "free"]}, True),
        ("{attributes: {tier: free}}", {"tier": ["paid"]}, False),
        ("{attributes: {beta: true}}", {"beta": True}, True),
        ("{attributes: {beta: true}}", {"beta": 1}, False),
        ("{attributes: {n: 1}}", {"n": 1}, True),
        ("{attributes: {n: 1}}", {"n": 1.0}, True),
        ("{attributes: {n: 1}}", {"n": True}, False),
        ("{attributes: {n: 1}}", {"n": "1"}, False),
        ("{attributes: {n: {min: 500, max: 599}}}", {"n": 599}, True),
        ("{attributes: {n: {min: 500, max: 599}}}", {"n": 600}, False),
        ("{attributes: {n: {min: 0.5}}}", {"n": 7}, True),
        ("{attributes: {n: {max: -1}}}", {"n": 7}, False),
        ("{attributes: {n: {max: -1}}}", {"n": None}, False),
    ],
)
def test_attributes(text, attributes, expected):
    """Exact texts, globs, flags, numbers, ranges; any value of a list; older names of HTTP and of the provider."""
    assert matcher(text).matches("s", SpanKind.INTERNAL, attributes) is expected


def test_the_spans_name_and_kind():
    """They need no attribute."""
    both = matcher("{span: 'chat *', kind: [client, producer]}")
    assert both.matches("chat m", SpanKind.CLIENT, {})
    assert not both.matches("chat", SpanKind.CLIENT, {})
    assert not both.matches("chat m", SpanKind.SERVER, {})
    assert not both.matches("chat m", None, {})
    assert both.needs == ()
    assert matcher("{model: m, span: x}").needs == ("gen_ai.request.model", "gen_ai.response.model")


@pytest.mark.parametrize(
    ("glob", "fits", "fits_not"),
    [
        ("a*", ["a", "a/b", "a\nb"], ["ba"]),
        ("a?c", ["abc"], ["ac", "abbc"]),
        ("[ab]c", ["ac", "bc"], ["cc"]),
        ("[!ab]c", ["cc"], ["ac"]),
        ("gpt-4.1", ["gpt-4.1"], ["gpt-4x1"]),
        ("a b(c)+", ["a b(c)+"], ["a bc"]),
        ("[^a]", ["^", "a"], ["b"]),
        ("$[", ["$["], ["$"]),
        ("[&&~~||]", ["&", "~", "|"], ["a", "\\"]),
        ("[a--b]", ["a", "-", "b"], ["+", "."]),
        ("[\\]", ["\\"], ["a"]),
    ],
)
def test_globs(glob, fits, fits_not):
    """The whole value; everything but ``*``, ``?`` and ``[...]`` means itself."""
    pattern = re.compile(regex_of(glob), re.DOTALL)
    assert all(pattern.fullmatch(one) for one in fits)
    assert not any(pattern.fullmatch(one) for one in fits_not)


def test_what_is_a_glob():
    """Braces of a route are none."""
    assert is_glob("a*") and is_glob("a?") and is_glob("[ab]")
    assert not is_glob("/items/{id}") and not is_glob("a[") and not is_glob("a.b")
