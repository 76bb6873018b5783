"""The sampled part of `make stack`: many requests of several users under `rag/sampling.yaml`, and what must be left.

All failures, all slow requests and a tenth of the rest, each found by its user; and the metrics of every single one.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from demo import Call, Sent
from deploy.local import check
from line_check import SERVICE, WAIT_S, Pricing, metric_problems, own_price, traces_of

RULES = Path(__file__).resolve().parent / "rag" / "sampling.yaml"
# As the file has them.
SLOW_S, BASELINE = 1.0, 0.1
ERRORS, SLOW, REST = "errors", "slow", "baseline"
REASON, USER = "spanloom.sampling.reason", "user.id"
DECIDED = "spanloom_sampling_traces_total"

USERS = ("ada", "ben", "cleo", "dan")
REQUESTS, FAILURES, DELAYED = 400, 16, 12
_RANDOM_BITS = 56
# A correct sampler is blamed once in a million runs.
_CHANCE = 1e-6


class Counts(NamedTuple):
    """What was found."""

    failed: int
    slow: int
    others: int
    kept_others: int
    stand_for: float


def sampled_calls() -> list[Call]:
    """Quick requests of all users in turn; some fail, some take longer than the rules allow, each evenly spread."""
    calls: list[Call] = []
    for number in range(REQUESTS):
        user = USERS[number % len(USERS)]
        if _falls_on(number, FAILURES):
            calls.append(Call("/chat", "What does a blinking red lamp mean? [[error:400]]", 502, user))
        elif _falls_on(number, DELAYED):
            calls.append(Call("/chat", f"How far is the radio range? [[delay:{SLOW_S + 0.2}]]", user=user))
        elif number % 7 == 0:
            calls.append(Call("/advise", "Is the Wind Vane in stock, and how many days does delivery take?", user=user))
        else:
            calls.append(Call("/chat", f"How far is the radio range of station {number}?", user=user))
    return calls


def _falls_on(number: int, times: int) -> bool:
    """True for so many of the requests; odd steps, so that every user has some."""
    step = REQUESTS // times | 1
    return number % step == step // 2 and number // step < times


def settings() -> dict[str, str]:
    """What the service is told beside where to send."""
    return {"SPANLOOM_SAMPLING": str(RULES)}


def kept_traces(jaeger_url: str, prometheus_url: str, instance: str, sent: Sequence[Sent]) -> list[list[check.Span]]:
    """Those of a run, once the service has said that all are decided and Jaeger has what it said it kept."""
    where, by = f'instance="{instance}"', ("spanloom_sampling_decision",)

    def decided() -> int | None:
        found = check.prometheus_sum(prometheus_url, DECIDED, by, where)
        return int(found.get(("kept",), 0)) if sum(found.values()) == len(sent) else None

    kept = check.eventually(decided, WAIT_S, f"decision about {len(sent)} traces in Prometheus at {prometheus_url}")

    def arrived() -> list[list[check.Span]] | None:
        traces = traces_of(jaeger_url, instance, kept)
        return traces if all(map(_is_whole, traces)) else None

    return check.eventually(arrived, WAIT_S, f"{kept} whole traces of {SERVICE} {instance}")


def _is_whole(spans: Sequence[check.Span]) -> bool:
    return len(check.span_tree(spans)) == 1 and spans[0]["kind"] == "server"


def sampling_problems(
    jaeger_url: str, traces: Sequence[Sequence[check.Span]], sent: Sequence[Sent]
) -> tuple[list[str], Counts]:
    """What of the kept traces is not as the rules say, in words."""
    problems = [f"POST {one.call.path}: {one.status}, expected {one.call.expected}" for one in sent if not one.ok]
    for user in USERS:
        ids = check.search_ids(jaeger_url, SERVICE, {USER: user})
        found = [spans for spans in traces if spans[0]["trace_id"] in ids]
        problems += [f"{user}: {line}" for line in _of_user(found, [one for one in sent if one.call.user == user])]
    counts = _counted(traces, sent)
    low, high = likely(counts.others, BASELINE)
    if not low <= counts.kept_others <= high:
        problems.append(f"{counts.kept_others} of {counts.others} others are kept, expected {low} to {high}")
    # Each stands for ten (its threshold has four digits, so not to the last one).
    if not math.isclose(counts.stand_for, counts.kept_others / BASELINE, rel_tol=1e-3):
        problems.append(f"{counts.kept_others} kept at {BASELINE} say that they stand for {counts.stand_for:g}")
    return problems, counts


def _of_user(found: Sequence[Sequence[check.Span]], sent: Sequence[Sent]) -> list[str]:
    by_reason = Counter(_reason(spans) for spans in found)
    failing = sum(one.call.expected != 200 for one in sent)
    delayed = sum("[[delay" in one.call.question for one in sent)
    # On a busy machine other requests are slow, too: those for which the client waited about as long, at most.
    most = sum(one.seconds > 0.8 * SLOW_S for one in sent if one.call.expected == 200)
    problems: list[str] = []
    if by_reason[ERRORS] != failing or sum(spans[0]["status"] == "error" for spans in found) != failing:
        problems.append(f"{failing} requests failed, {by_reason[ERRORS]} are kept for it")
    if not delayed <= by_reason[SLOW] <= most:
        problems.append(f"{delayed} to {most} requests were slow, {by_reason[SLOW]} are kept for it")
    if any((_seconds(spans) > SLOW_S) != (_reason(spans) == SLOW) for spans in found if _reason(spans) != ERRORS):
        problems.append(f"kept as {SLOW} and slower than {SLOW_S:g} s are not the same traces")
    unlucky = [spans for spans in found if _reason(spans) == REST and _randomness(spans) < 1 - BASELINE - 1e-4]
    return problems + [f"{spans[0]['trace_id']} is kept, and its random bits say that it is not" for spans in unlucky]


def _counted(traces: Sequence[Sequence[check.Span]], sent: Sequence[Sent]) -> Counts:
    by_reason = Counter(map(_reason, traces))
    others = len(sent) - by_reason[ERRORS] - by_reason[SLOW]
    stand_for = sum(1 / _probability(spans) for spans in traces if _reason(spans) == REST)
    return Counts(by_reason[ERRORS], by_reason[SLOW], others, by_reason[REST], stand_for)


def _reason(spans: Sequence[check.Span]) -> str:
    """Why a trace was kept: all its spans say the same."""
    (reason,) = {span["attributes"].get(REASON, "") for span in spans}
    return reason


def _seconds(spans: Sequence[check.Span]) -> float:
    return (spans[0]["end_ns"] - spans[0]["start_ns"]) / 1e9


def _randomness(spans: Sequence[check.Span]) -> float:
    return (int(spans[0]["trace_id"], 16) % (1 << _RANDOM_BITS)) / (1 << _RANDOM_BITS)


def _probability(spans: Sequence[check.Span]) -> float:
    """How likely it was that a trace is kept, by ``ot=th:…`` in its trace state."""
    (state,) = {span["trace_state"] for span in spans}
    _, _, threshold = state.partition("ot=th:")
    return 1 - int(threshold.ljust(_RANDOM_BITS // 4, "0"), 16) / (1 << _RANDOM_BITS)


def likely(count: int, ratio: float) -> tuple[int, int]:
    """How many of ``count`` are kept at a ratio, at least and at most (binomial)."""
    chances = [math.comb(count, kept) * ratio**kept * (1 - ratio) ** (count - kept) for kept in range(count + 1)]
    low = next(kept for kept in range(count + 1) if sum(chances[: kept + 1]) > _CHANCE / 2)
    high = next(kept for kept in range(count, -1, -1) if sum(chances[kept:]) > _CHANCE / 2)
    return low, high


def told(sent: Sequence[Sent], counts: Counts) -> str:
    """What was checked, for people."""
    percent = 100 * counts.kept_others / counts.others
    return (
        f"Sampled: of {len(sent)} requests all {counts.failed} that failed and all {counts.slow} that were slow are in "
        f"Jaeger, found by user.id;\nof the other {counts.others} a tenth ({counts.kept_others}, {percent:.1f} %), "
        f"which stand for {counts.stand_for:.0f}. Tokens and USD in Prometheus are those of all {len(sent)}."
    )


def all_problems(
    urls: tuple[str, str], instance: str, sent: Sequence[Sent], ledger: Mapping[str, Any], pricing: Pricing = own_price
) -> tuple[list[str], Counts]:
    """Traces and metrics of a sampled run; ``urls`` are those of Jaeger and of Prometheus."""
    jaeger_url, prometheus_url = urls
    traces = kept_traces(jaeger_url, prometheus_url, instance, sent)
    problems, counts = sampling_problems(jaeger_url, traces, sent)
    return problems + metric_problems(prometheus_url, instance, ledger, pricing), counts
