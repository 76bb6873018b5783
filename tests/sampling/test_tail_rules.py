"""Each rule of the tail alone, rules together, and whose name becomes the reason."""

from __future__ import annotations

import itertools
import time

import pytest
from opentelemetry.trace import StatusCode

from spanloom.sampling import TailRule, TailRules
from spanloom.sampling._match import condition
from spanloom.sampling._rules import Matcher
from tests._support.pipeline import KEEP, MODEL, OP, REASON, Service, remote, tail

SECOND = 1_000_000_000
INPUT, OUTPUT, AMOUNT = "gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens", "gen_ai.usage.cost.amount"
REASONS = "gen_ai.response.finish_reasons"
EVALUATION, SCORE, WHICH = "gen_ai.evaluation.result", "gen_ai.evaluation.score.value", "gen_ai.evaluation.name"


def _error(service):
    service.child(status=StatusCode.ERROR)


def _costs(usd):
    return lambda service: service.child(**{OP: "chat", AMOUNT: usd, "spanloom.cost.status": "priced"})


def _uses(tokens):
    return lambda service: service.child(**{OP: "chat", INPUT: tokens - 10, OUTPUT: 10})


def _ends(*reasons):
    return lambda service: service.child(**{OP: "chat", REASONS: reasons})


def _tool(**attributes):
    return lambda service: service.child(**{OP: "execute_tool", **attributes})


def _scores(score, name="quality"):
    def add(service):
        with service.tracer.start_as_current_span("judge") as span:
            span.add_event(EVALUATION, {SCORE: score, WHICH: name})

    return add


def _says(name, value):
    return lambda service: service.child(**{name: value})


def _nothing(service):
    service.child()


MATCH = TailRule("m", "match", matcher=Matcher((condition("tenant", ("spanloom.tenant",), ["acme"]),)))
CASES = [
    (TailRule("r", "error"), _error, _nothing),
    (TailRule("r", "cost_above_usd", 0.1), _costs(0.2), _costs(0.1)),
    (TailRule("r", "tokens_above", 100), _uses(101), _uses(100)),
    (TailRule("r", "finish_reason", values=frozenset({"length"})), _ends("stop", "length"), _ends("stop")),
    (TailRule("r", "tool_failure"), _tool(**{"error.type": "X"}), _says("error.type", "X")),
    (TailRule("r", "evaluation_below", 0.5), _scores(0.49), _scores(0.5)),
    (TailRule("r", "evaluation_below", 0.5, evaluation="quality"), _scores(0), _scores(0, "tone")),
    (TailRule("r", "keep"), _says(KEEP, True), _says(KEEP, False)),
    (TailRule("r", "match", matcher=MATCH.matcher), _says("spanloom.tenant", "acme"), _says("spanloom.tenant", "x")),
    (TailRule("r", "first_seen", 3600.0), _ends(), _nothing),
]


@pytest.mark.parametrize(("rule", "holds", "fails"), CASES, ids=lambda one: getattr(one, "kind", ""))
@pytest.mark.parametrize("is_remote", [False, True])
def test_one_rule_alone(rule, holds, fails, is_remote):
    """Keeps the whole trace where it holds of one span, nothing where it does not, below a remote parent as well."""
    service = Service(tail(rule))
    for name, step in (("no", fails), ("yes", holds)):
        with service.root(name, remote(5, span_id=9) if is_remote else None):
            step(service)
            service.child("other")
    assert {span.attributes[REASON] for span in service.out.spans} == {"r"}
    assert len(service.out.spans) == 3
    assert service.out.spans[-1].name == "yes"
    assert service.processor.tail.traces == {(True, "r"): 1, (False, ""): 1}


def _took(service, name, duration_ns):
    service.tracer.start_span(name, start_time=1).end(1 + duration_ns)


def test_slower_than():
    """The local root's own duration, above the bound and not at it; slow children do not count."""
    service = Service(tail(TailRule("slow", "slower_than", 2.0)))
    _took(service, "at", 2 * SECOND)
    _took(service, "above", 2 * SECOND + 1)
    root = service.tracer.start_span("child", start_time=1)
    with service.tracer.start_as_current_span("unused", remote(3)):
        pass
    root.end(1 + SECOND)
    assert service.kept == {"above": "slow"}


def test_above_p99_after_200():
    """An operation's own newest durations: nothing is slow before there are 200, then what is above 99 % of them."""
    service = Service(tail(TailRule("unusual", "above_p99")))
    for at in range(200):
        _took(service, "a", SECOND + at)
    _took(service, "b", 100 * SECOND)
    assert service.kept == {}
    _took(service, "a", SECOND + 197)
    assert service.kept == {}
    _took(service, "a", SECOND + 250)
    assert service.kept == {"a": "unusual"}


def test_above_p99_follows_what_is_usual():
    """Where everything becomes slower, slow is the new usual within its window of 1,000."""
    service = Service(tail(TailRule("unusual", "above_p99")))
    for _ in range(1_000):
        _took(service, "a", SECOND)
    for _ in range(1_000):
        _took(service, "a", 2 * SECOND)
    before = len(service.out.spans)
    for _ in range(100):
        _took(service, "a", 2 * SECOND)
    assert 0 < before < 60
    assert len(service.out.spans) == before


def test_sums_are_of_the_whole_trace():
    """Costs and tokens of all calls together; of agents, which carry the sums of others, nothing is added."""
    service = Service(tail(TailRule("dear", "cost_above_usd", 1.0), TailRule("long", "tokens_above", 1000)))
    with service.root("dear"):
        for _ in range(3):
            _costs(0.4)(service)
    with service.root("long"):
        for _ in range(3):
            _uses(400)(service)
    with service.root("agent", attributes={OP: "invoke_agent", AMOUNT: 5.0, INPUT: 5000}):
        _costs(0.4)(service)
    assert service.kept == {"dear": "dear", "long": "long"}


def test_cost_of_foreign_spans_is_known_to_the_rules():
    """A model call of another recorder is priced before the tail decides, and exported with its cost."""
    service = Service(tail(TailRule("dear", "cost_above_usd", 0.0001)))
    called = {OP: "chat", "gen_ai.provider.name": "openai", MODEL: "gpt-4o", INPUT: 100_000, OUTPUT: 100}
    service.trace("r", **called)
    assert service.out.named("r").attributes[AMOUNT] > 0.2


def test_first_seen():
    """Operation, model and error type together are new once, and again when an hour has gone."""
    service = Service(tail(TailRule("new", "first_seen", 3600.0)))
    for name, attributes in {
        "a": {OP: "chat", MODEL: "m"},
        "same": {OP: "chat", MODEL: "m"},
        "model": {OP: "chat", MODEL: "n"},
        "operation": {OP: "embeddings", MODEL: "m"},
        "error": {OP: "chat", MODEL: "m", "error.type": "T"},
        "again": {OP: "chat", MODEL: "m", "error.type": "T"},
        "none": {},
    }.items():
        service.trace(name, **attributes)
    assert list(service.kept) == ["a", "model", "operation", "error"]


def test_first_seen_after_an_hour(monkeypatch):
    """Of its last appearance, not of its first."""
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    service = Service(tail(TailRule("new", "first_seen", 3600.0)))
    for name, waited in (("a", 0.0), ("b", 1800.0), ("c", 3599.0), ("d", 3600.0)):
        now[0] += waited
        service.trace(name, **{OP: "chat"})
    assert list(service.kept) == ["a", "d"]


def test_first_seen_is_bounded():
    """The kind that was not seen for longest is forgotten beyond 4,096."""
    service = Service(tail(TailRule("new", "first_seen", 3600.0)))
    for at in range(4096):
        service.trace(str(at), **{OP: "chat", MODEL: str(at)})
    service.trace("0 again", **{OP: "chat", MODEL: "0"})
    service.trace("one more", **{OP: "chat", MODEL: "x"})
    service.trace("0 still", **{OP: "chat", MODEL: "0"})
    service.trace("1 is new", **{OP: "chat", MODEL: "1"})
    assert len(service.kept) == 4096 + 2
    assert {"one more", "1 is new"} <= set(service.kept)


RULES = {
    "error": (TailRule("error", "error"), _error),
    "long": (TailRule("long", "tokens_above", 100), _uses(200)),
    "cut": (TailRule("cut", "finish_reason", values=frozenset({"length"})), _ends("length")),
    "tool": (TailRule("tool", "tool_failure"), _tool(**{"error.type": "X"})),
    "bad": (TailRule("bad", "evaluation_below", 0.5), _scores(0.1)),
    "asked": (TailRule("asked", "keep"), _says(KEEP, True)),
    "acme": (TailRule("acme", "match", matcher=MATCH.matcher), _says("spanloom.tenant", "acme")),
}


@pytest.mark.parametrize("order", [tuple(RULES), tuple(reversed(RULES)), ("tool", "acme", "error", "bad", "cut")])
def test_the_first_rule_of_the_file_is_the_reason(order):
    """Whatever the order in which spans come, and of every pair of rules that hold."""
    service = Service(tail(*(RULES[name][0] for name in order)))
    for pair in itertools.permutations(order, 2):
        with service.root(" ".join(pair)):
            for name in pair:
                RULES[name][1](service)
    for pair in itertools.permutations(order, 2):
        assert service.kept[" ".join(pair)] == min(pair, key=order.index)


def test_the_first_of_a_kind_is_the_reason():
    """Two rules of one kind with different bounds: each trace has the first that holds of it."""
    rules = (TailRule("dear", "cost_above_usd", 10), TailRule("so so", "cost_above_usd", 1))
    service = Service(tail(*rules, TailRule("e1", "error"), TailRule("e2", "error")))
    for usd in (20.0, 2.0, 0.5):
        with service.root(str(usd)):
            _costs(usd)(service)
    with service.root("error"):
        _error(service)
    assert service.kept == {"20.0": "dear", "2.0": "so so", "error": "e1"}


def test_default_rules():
    """Errors, failed tools, what asks for it, what was filtered, what is new; and a tenth of the rest."""
    service = Service(TailRules(baseline=0.0))
    steps = {"errors": _error, "tools": _tool(**{"error.type": "X"}), "asked": _says(KEEP, True), "new": _ends()}
    steps["filtered"] = _ends("content_filter")
    steps["rest"] = _ends("stop")
    for name, step in steps.items():
        with service.root(name):
            step(service)
    assert service.kept == {name: name for name in steps if name != "rest"}
    assert TailRules().baseline == 0.1


def test_nothing_of_foreign_spans_disturbs_a_rule():
    """Values of types that nobody expects count as nothing: the trace is decided by the rest of it."""
    rules = (TailRule("long", "tokens_above", 100), TailRule("dear", "cost_above_usd", 1), TailRule("e", "error"))
    service = Service(tail(*rules, TailRule("cut", "finish_reason", values=frozenset({"x"}))))
    odd = {INPUT: "12", OUTPUT: (1, 2), AMOUNT: "dear", "spanloom.cost.status": "priced", REASONS: 3}
    service.trace("odd", **{OP: "chat", **odd})
    with service.root("odd and failed"):
        service.child(**{OP: "chat", **odd})
        _error(service)
    assert service.kept == {"odd and failed": "e"}
