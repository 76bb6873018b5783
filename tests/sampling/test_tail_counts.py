"""How many traces are kept, and how many each kept span stands for: by fixed seeds, within bounds of chance."""

from __future__ import annotations

import math
import random
import re

import pytest
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, ParentBased, TraceIdRatioBased

from spanloom.sampling import HeadRules, Sampler, SamplingRules, TailRule, TailRules
from tests._support.pipeline import KEEP, REASON, Service, ratio_of, remote, tail, weight

TRACES = 20_000
# The specification's ABNF of both members.
OT = re.compile(r"th:(0|[0-9a-f]{0,13}[1-9a-f])(;rv:[0-9a-f]{14})?(;x:y)?")
ASKED = TailRule("asked", "keep")


def head(ratio):
    return Sampler(SamplingRules(HeadRules(ratio)))


def randomness_of(context):
    members = dict(one.split(":", 1) for one in context.trace_state.get("ot", "").split(";") if one)
    return int(members["rv"], 16) if "rv" in members else context.trace_id & (1 << 56) - 1


def assert_valid(spans):
    """``th`` as the specification has it, and no trace kept that a sampler with this threshold would have dropped."""
    for span in spans:
        entry = span.context.trace_state.get("ot")
        assert OT.fullmatch(entry), entry
        assert randomness_of(span.context) / 2**56 >= 1 - ratio_of(span) - 1e-15, entry


@pytest.mark.parametrize("ratio", [0.01, 0.1, 1 / 3])
def test_the_baseline_keeps_its_ratio(ratio):
    """Within four standard deviations of 20,000 traces; each kept span says the ratio."""
    service = Service(TailRules(baseline=ratio, rules=()), seed=int(ratio * 1000))
    for _ in range(TRACES):
        service.trace()
    bound = 4 * math.sqrt(TRACES * ratio * (1 - ratio))
    assert abs(len(service.out.spans) - TRACES * ratio) < bound
    assert {round(ratio_of(span), 4) for span in service.out.spans} == {round(ratio, 4)}
    assert_valid(service.out.spans)


@pytest.mark.parametrize(("ratio", "kept"), [(0.0, 0), (1.0, 500)])
def test_nothing_and_everything(ratio, kept):
    """A baseline of 0 keeps none of the rest, 1 all of it."""
    service = Service(TailRules(baseline=ratio, rules=()))
    for _ in range(500):
        service.trace()
    assert len(service.out.spans) == kept
    assert {span.context.trace_state.get("ot") for span in service.out.spans} <= {"th:0"}


def estimates(ratio, asked_share, *, skeleton=False, sampler=ALWAYS_ON, traces=3000):
    """The true numbers of roots and children, and what the exported spans say that they are."""
    service = Service(TailRules(baseline=ratio, rules=(ASKED,), skeleton=skeleton), sampler=sampler, seed=7)
    chance = random.Random(11)
    children = 0
    for _ in range(traces):
        with service.root():
            for _ in range(chance.randrange(3)):
                service.child()
                children += 1
            if chance.random() < asked_share:
                service.child(**{KEEP: True})
                children += 1
    spans = service.out.spans
    assert_valid(spans)
    roots = weight([span for span in spans if span.parent is None])
    return (traces, children), (roots, weight([span for span in spans if span.parent is not None]))


@pytest.mark.parametrize("ratio", [0.05, 0.3])
@pytest.mark.parametrize("asked_share", [0.0, 0.3])
@pytest.mark.parametrize("first", [1.0, 0.5])
def test_counts_can_be_scaled_back(ratio, asked_share, first):
    """Rules, a baseline and a ratio of the head together: the sum over what is kept estimates what there was."""
    (traces, children), (roots, others) = estimates(ratio, asked_share, sampler=head(first))
    # A trace that is not sure to be kept has the variance (1 - p) / p, with up to three spans of a kind.
    p = ratio if first > ratio else first
    deviation = math.sqrt(traces * (1 - p * 0.999) / p)
    assert abs(roots - traces) < 4 * deviation
    assert abs(others - children) < 4 * 2 * deviation


def test_counts_of_roots_are_exact_with_skeletons():
    """Every root is exported and stands for one; children are still estimated."""
    (traces, children), (roots, others) = estimates(0.1, 0.2, skeleton=True)
    assert roots == traces
    assert abs(others - children) < 4 * 2 * math.sqrt(traces * 9)


def test_counts_of_roots_with_skeletons_below_a_ratio():
    """What the head has dropped is estimated by the head's ratio alone."""
    (traces, _), (roots, _) = estimates(0.1, 0.2, skeleton=True, sampler=head(0.25))
    assert abs(roots - traces) < 4 * math.sqrt(traces * 3)


def test_two_processes_keep_the_same_traces():
    """The same ratio keeps the same traces; a smaller one keeps a part of those that a larger one keeps."""
    kept = {}
    for name, ratio in (("a", 0.2), ("b", 0.2), ("larger", 0.4)):
        service = Service(TailRules(baseline=ratio, rules=()))
        for at in range(2000):
            service.trace(context=remote((at + 1) * 0x9E3779B97F4A7C15F39CC0605CEDC834 & (1 << 128) - 1))
        kept[name] = {span.context.trace_id for span in service.out.spans}
    assert kept["a"] == kept["b"] < kept["larger"]
    assert len(kept["a"]) > 300


@pytest.mark.parametrize(
    "sampler", [head(1), head(0.5), ALWAYS_ON, ParentBased(TraceIdRatioBased(0.5))], ids=["1", "0.5", "on", "stock"]
)
@pytest.mark.parametrize("state", ["", "ot=th:8", "ot=rv:ffffffffffffff", "ot=th:c;rv:e0000000000000;x:y,vendor=1"])
@pytest.mark.parametrize("rules", [(ASKED,), ()], ids=["rule", "baseline"])
def test_every_kept_span_has_a_valid_threshold(sampler, state, rules):
    """Whoever sampled first: ``th`` is there, is not below what came, and other entries stay."""
    service = Service(TailRules(baseline=0.6, rules=rules), sampler=sampler)
    ids = random.Random(3)
    for _ in range(60):
        trace_id = ids.getrandbits(128)
        if "th:8" in state and trace_id & (1 << 55) == 0:
            continue
        with service.root(context=remote(trace_id, state)):
            service.child(**{KEEP: True})
        service.trace("own")
    assert_valid(service.out.spans)
    came = [span for span in service.out.spans if span.parent is not None and span.name == "root"]
    assert came
    given = {"": 1.0, "ot=th:8": 0.5}.get(state, 1.0 if "th:" not in state else 0.25)
    wanted = given if rules else min(given, 0.6)
    assert {round(ratio_of(span), 3) for span in came} == {round(wanted, 3)}
    if "vendor" in state:
        assert {span.context.trace_state.get("vendor") for span in came} == {"1"}
        assert {span.context.trace_state.get("ot").partition(";")[2] for span in came} == {"rv:e0000000000000;x:y"}


@pytest.mark.parametrize("bound", ["traces", "flush"])
@pytest.mark.parametrize(("rv", "kept"), [("f" * 14, True), ("0" * 14, False)])
def test_a_trace_that_is_decided_before_any_of_its_spans_ends(bound, rv, kept):
    """By the randomness that came along with it, not by its id: later spans follow, with a valid threshold."""
    service = Service(TailRules(baseline=0.5, rules=(), max_traces=1))
    trace_id = (1 << 56) - 1 if not kept else 1 << 60
    span = service.tracer.start_span("root", remote(trace_id, f"ot=rv:{rv}"))
    if bound == "traces":
        service.tracer.start_span("another", remote(99)).end()
    else:
        service.processor.force_flush()
    span.end()
    assert ("root" in service.out.names) is kept
    assert_valid(service.out.spans)
    assert service.processor.tail.early == {bound: 1}


def test_the_reason_stands_on_every_span():
    """Of rules, the baseline, skeletons, and spans that come late."""
    service = Service(tail(ASKED, baseline=0.5, skeleton=True))
    for _ in range(50):
        with service.root() as root:
            late = service.tracer.start_span("late")
            service.child()
        late.end()
        assert root.get_span_context()
    with service.root("asked", attributes={KEEP: True}):
        service.child()
    reasons = {(span.parent is None, span.attributes[REASON]) for span in service.out.spans}
    assert reasons == {(True, "baseline"), (False, "baseline"), (True, "skeleton"), (True, "asked"), (False, "asked")}
    assert service.out.names.count("root") == 50
    assert service.out.names.count("late") == service.out.names.count("child") - 1 > 10
