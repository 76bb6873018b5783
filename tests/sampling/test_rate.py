"""The adaptive ratio, in simulated time: steady, bursts, quiet, large traces, slow ones, remote parents."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest

from spanloom.sampling._head import Sampler
from spanloom.sampling._rate import LEAST_SHARE, MIN_RATIO, AdaptiveRate
from spanloom.sampling._rules import HeadRules, SamplingRules
from spanloom.sampling._trace_state import NEVER, ratio_of, threshold_of

from ._make import adjusted_count, below, decide

LIMIT = 200


class Clock:
    """Nanoseconds that a test sets."""

    def __init__(self) -> None:
        self.ns = 0

    def __call__(self) -> int:
        return self.ns


class Run(NamedTuple):
    """What came of a simulation: own spans kept in each second, and the estimate of traces over their true number."""

    kept: list[int]
    estimate: float

    def mean(self, first: int) -> float:
        rest = self.kept[first:]
        return sum(rest) / len(rest)


class Simulation:
    """Traces that begin at random moments; the spans of each come at once, or over ``spread_s`` seconds."""

    def __init__(self, limit: float = LIMIT, *, size: int = 1, spread_s: float = 0.0, seed: int = 1) -> None:
        self._random = random.Random(seed)
        self._clock = Clock()
        self.rate = AdaptiveRate(limit, self._clock)
        self._size, self._spread_s = size, spread_s
        self._later: list[float] = []

    def run(self, seconds: int, traces: Callable[[int], int], *, ratio: float = 1.0, remote: int = 0) -> Run:
        kept: list[int] = []
        estimate = true = 0.0
        for second in range(seconds):
            began, count = self._second(second, traces(second), ratio, remote)
            true += traces(second)
            estimate += began
            kept.append(count)
        return Run(kept, estimate / true if true else 1.0)

    def _second(self, second: int, traces: int, ratio: float, remote: int) -> tuple[float, int]:
        estimate, kept = 0.0, 0
        for at, what in self._events(second, traces, remote):
            self._clock.ns = round(at * 1e9)
            if what == "remote":
                self.rate.kept_child(True)
            elif what == "later":
                self.rate.kept_child(False)
                kept += 1
            else:
                threshold = max(self.rate.root(ratio), threshold_of(ratio))
                if self._random.getrandbits(56) >= threshold:
                    estimate += 1 / ratio_of(threshold)
                    kept += self._keep(at)
        return estimate, kept

    def _events(self, second: int, traces: int, remote: int) -> Iterator[tuple[float, str]]:
        rows = [(second + self._random.random(), "root") for _ in range(traces)]
        rows += [(second + self._random.random(), "remote") for _ in range(remote)]
        rows += [(at, "later") for at in self._later if at < second + 1]
        self._later = [at for at in self._later if at >= second + 1]
        return iter(sorted(rows))

    def _keep(self, at: float) -> int:
        self.rate.kept_root()
        if self._spread_s:
            self._later += [at + 1 + self._random.random() * self._spread_s for _ in range(self._size - 1)]
            return 1
        for _ in range(self._size - 1):
            self.rate.kept_child(False)
        return self._size


def test_below_the_limit_everything_is_kept():
    """th stays 0."""
    found = Simulation().run(10, lambda _: 50)
    assert found.kept == [50] * 10 and found.estimate == 1.0


def test_steady_traffic_meets_the_limit():
    """Ten times too much: within 5 % of the limit on average, and no second above it by a quarter, but the first."""
    found = Simulation().run(30, lambda _: 2000)
    assert abs(found.mean(5) / LIMIT - 1) < 0.05
    assert found.kept[0] < 2.5 * LIMIT and max(found.kept[2:]) < 1.25 * LIMIT


def test_a_burst_is_bounded_and_the_ratio_comes_back():
    """A hundred times the traffic for five seconds: the first one keeps four times the limit at most."""
    found = Simulation().run(40, lambda second: 20_000 if 10 <= second < 15 else LIMIT // 2)
    assert found.kept[10] <= 4 * LIMIT
    assert max(found.kept[11:15]) <= 1.5 * LIMIT
    assert found.kept[15] < LIMIT // 2  # not at once: it could be a short gap
    assert found.kept[-5:] == [LIMIT // 2] * 5


def test_silence_gives_the_ratio_back():
    """After a burst, and half a minute of nothing, everything is kept again."""
    one = Simulation()
    one.run(3, lambda second: 20_000 if second < 2 else 0)
    assert one.rate.ratio < 0.1
    one._clock.ns = 33 * 10**9
    assert one.rate.root(1.0) == 0


def test_large_traces():
    """Spans count, not traces: twenty in each."""
    found = Simulation(size=20).run(40, lambda _: 200)
    assert 0.75 * LIMIT < found.mean(5) < 1.05 * LIMIT


def test_slow_traces_do_not_make_it_swing():
    """The spans of an agent come for eight seconds after its root."""
    found = Simulation(size=20, spread_s=8).run(60, lambda _: 200)
    assert 0.8 * LIMIT < found.mean(25) < 1.2 * LIMIT
    assert max(found.kept[25:]) < 1.5 * LIMIT


@pytest.mark.parametrize(("remote", "expected"), [(100, LIMIT - 100), (1000, LIMIT * LEAST_SHARE)])
def test_what_others_ask_for_uses_the_limit_up(remote, expected):
    """It cannot be refused; traces that begin here get the rest, and a tenth of the limit at least."""
    found = Simulation().run(30, lambda _: 2000, remote=remote)
    assert abs(found.mean(5) / expected - 1) < 0.15


@pytest.mark.parametrize(("ratio", "expected"), [(0.02, 40), (0.3, LIMIT)])
def test_a_rule_that_keeps_less_does_not_feel_it(ratio, expected):
    """The limit is for what would be kept, not for what begins."""
    found = Simulation().run(30, lambda _: 2000, ratio=ratio)
    assert abs(found.mean(5) / expected - 1) < 0.1


def test_adjusted_counts_are_unbiased_whatever_the_traffic_does():
    """Bursts and gaps, forty runs: the mean of the estimates is the truth, within three standard errors."""
    found = [
        Simulation(limit=50, seed=seed).run(12, lambda second: (20, 500, 2000, 0)[second // 3]).estimate
        for seed in range(40)
    ]
    mean = sum(found) / len(found)
    error = (sum((one - mean) ** 2 for one in found) / (len(found) - 1) / len(found)) ** 0.5
    assert error < 0.03
    assert abs(mean - 1) < 3 * error


def test_the_ratio_has_a_floor_that_a_threshold_can_express():
    """However much comes."""
    clock = Clock()
    rate = AdaptiveRate(0.001, clock)
    for _ in range(300):
        rate.root(1.0)
        rate.kept_root()
    assert rate.ratio == MIN_RATIO and 0 < rate.root(1.0) < NEVER


def test_the_real_clock_is_the_default():
    """Monotonic: the wall clock may jump."""
    assert AdaptiveRate(1)._clock is time.monotonic_ns


def test_the_sampler_uses_it_for_roots_and_counts_children():
    """th is the greater of both thresholds; children use the limit up without being refused."""
    clock = Clock()
    sampler = Sampler(SamplingRules(HeadRules(0.5, spans_per_second=10)), clock)
    high = 0xFFFF << 40 | 1 << 120
    assert decide(sampler, high) == (True, "ot=th:8")
    for _ in range(30):
        assert decide(sampler, high, below(high, state="ot=th:8", is_remote=False))[0]
    kept, state = decide(sampler, high)
    assert kept and adjusted_count(state) > 2
    assert decide(sampler, 1 << 120) == (False, None)
