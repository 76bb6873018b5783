"""The statistics of the head, with fixed seeds: ratios, adjusted counts, agreement of processes, valid trace states."""

from __future__ import annotations

import math
import random
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable

import pytest
from opentelemetry.trace import TraceState

from spanloom.sampling import HeadRules, SamplingRules
from spanloom.sampling._head import Sampler
from spanloom.sampling._trace_state import parse, randomness

from ._make import adjusted_count, below, decide, head, ids

COUNT = 20_000
# Four standard deviations: with a fixed seed, a failure is a fault and no bad luck.
SIGMAS = 4
OT = re.compile(r"ot=th:(0|[0-9a-f]{0,13}[1-9a-f])")

MIX = """
ratio: 0.3
rules:
  - {match: {operation: chat, model: 'mini*'}, ratio: 0.05}
  - {match: {operation: chat}, ratio: 0.5}
  - {match: {tool: [search, fetch]}, ratio: 0.01}
  - {match: {attributes: {tier: gold}}, ratio: 1}
"""
POPULATION = (
    {"gen_ai.operation.name": "chat", "gen_ai.request.model": "mini-1"},
    {"gen_ai.operation.name": "chat", "gen_ai.request.model": "large"},
    {"gen_ai.tool.name": "search"},
    {"tier": "gold"},
    {},
)


def bound(ratio: float, count: int) -> float:
    """Standard deviation of a share."""
    return SIGMAS * math.sqrt(ratio * (1 - ratio) / count)


@pytest.mark.parametrize("ratio", [0.5, 0.1, 0.01, 0.9])
def test_a_ratio_is_within_its_binomial_bound(ratio):
    """Of twenty thousand random ids."""
    sampler = Sampler(SamplingRules(HeadRules(ratio)))
    kept = sum(decide(sampler, one)[0] for one in ids(COUNT))
    assert abs(kept / COUNT - ratio) <= bound(ratio, COUNT)


def test_each_rules_ratio_and_count():
    """A mix of rules: each class keeps its ratio, and its adjusted counts add up to its population."""
    sampler = head(MIX)
    expected = dict(zip(range(5), (0.05, 0.5, 0.01, 1.0, 0.3), strict=True))
    kept: dict[int, list[float]] = defaultdict(list)
    total: dict[int, int] = defaultdict(int)
    choice = random.Random(11)
    for one in ids(COUNT):
        which = choice.randrange(len(POPULATION))
        total[which] += 1
        was_kept, state = decide(sampler, one, attributes=POPULATION[which])
        if was_kept:
            kept[which].append(adjusted_count(state))
    for which, ratio in expected.items():
        count = total[which]
        assert abs(len(kept[which]) / count - ratio) <= bound(ratio, count)
        assert abs(sum(kept[which]) - count) <= SIGMAS * math.sqrt(count * (1 - ratio) / ratio) + 0.001 * count
    assert abs(sum(map(sum, kept.values())) / COUNT - 1) < 0.2


def test_counts_of_children_stay_unbiased_through_two_services():
    """The first keeps half of its traces; the second thins out its own spans to a tenth. th is right in both."""
    first, second = Sampler(SamplingRules(HeadRules(0.5))), head("rules:\n  - {match: {operation: chat}, ratio: 0.1}")
    roots = calls = 0.0
    for one in ids(COUNT):
        kept, state = decide(first, one)
        if not kept:
            continue
        roots += adjusted_count(state)
        kept, state = decide(second, one, below(one, state=state or ""), attributes=POPULATION[1])
        calls += adjusted_count(state) if kept else 0.0
    assert abs(roots - COUNT) <= SIGMAS * math.sqrt(COUNT)
    assert abs(calls - COUNT) <= SIGMAS * math.sqrt(COUNT * 9) + 0.001 * COUNT


def test_every_trace_state_is_valid_and_consistent():
    """No zeros at the end, 14 digits at most, and the randomness of what is kept is not below the threshold."""
    sampler = head(MIX)
    for one, attributes in zip(ids(COUNT // 4), POPULATION * COUNT, strict=False):
        kept, state = decide(sampler, one, attributes=attributes)
        if kept:
            assert OT.fullmatch(state or "")
            ot = parse(TraceState.from_header([state or ""]))
            assert ot.threshold is not None and randomness(one, ot) >= ot.threshold
        else:
            assert state is None


def kept_of(rules: str, parents: bool) -> str:
    """One character a trace."""
    sampler = head(rules)
    found: Iterable[bool] = (
        decide(sampler, one, below(one) if parents else None, attributes=POPULATION[one % 5])[0]
        for one in ids(3000, seed=13)
    )
    return "".join("01"[kept] for kept in found)


def test_two_processes_decide_alike():
    """Roots by their ids; and what both thin out below a parent that says nothing of its ratio."""
    code = f"from tests.sampling.test_statistics import *\nprint(kept_of({MIX!r}, False), kept_of({MIX!r}, True))"
    # Another seed of hashes: nothing may depend on it.
    environment = {"PYTHONHASHSEED": "99", "PYTHONPATH": "."}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.split() == [kept_of(MIX, False), kept_of(MIX, True)]
    assert 0 < done.stdout.count("1") < 6000


def test_a_smaller_ratio_keeps_a_part_of_what_a_larger_one_keeps():
    """So a service with 10 % has only whole traces of one with 50 %."""
    large, small = Sampler(SamplingRules(HeadRules(0.5))), Sampler(SamplingRules(HeadRules(0.1)))
    assert all(decide(large, one)[0] for one in ids(COUNT // 4) if decide(small, one)[0])
