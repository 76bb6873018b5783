"""Thresholds and trace state, as the specification has them."""

from __future__ import annotations

import random
import re

import pytest
from opentelemetry.trace import TraceState

from spanloom.sampling._trace_state import (
    MIN_RATIO,
    NEVER,
    NOTHING,
    RANDOM_MASK,
    Ot,
    encode,
    parse,
    randomness,
    randomness_below,
    ratio_of,
    threshold_of,
    with_threshold,
)

VALID = re.compile(r"0|[0-9a-f]{0,13}[1-9a-f]")
RATIOS = [1, 0.5, 0.25, 0.1, 1 / 3, 0.01, 0.001, 1e-6, 1e-12, MIN_RATIO, 0.9, 0.99, 0.9999, 1 - 2**-40]


def state(*entries: tuple[str, str]) -> TraceState:
    return TraceState(list(entries))


@pytest.mark.parametrize(
    ("ratio", "text"),
    [
        (1, "0"),
        (0.5, "8"),
        (0.25, "c"),
        (0.125, "e"),
        (0.1, "e666"),
        (1 / 3, "aaab"),
        (0.01, "fd70a"),
        (0.001, "ffbe77"),
    ],
)
def test_the_specifications_thresholds(ratio, text):
    """Its examples, with four digits beyond those that are all f; 0 means every trace."""
    assert encode(threshold_of(ratio)) == text


@pytest.mark.parametrize("ratio", RATIOS)
def test_a_threshold_keeps_its_ratio(ratio):
    """Rounding costs 0.013 % of the ratio at most, and the text is valid and without zeros at its end."""
    threshold = threshold_of(ratio)
    assert abs(ratio_of(threshold) / ratio - 1) <= 0.00013
    assert VALID.fullmatch(encode(threshold))
    assert parse(with_threshold(None, threshold)).threshold == threshold


def test_random_ratios_keep_their_ratio_and_their_order():
    """Over twelve decades, below which 56 bits are too few; a larger ratio never has a larger threshold."""
    numbers = random.Random(3)
    ratios = sorted(10 ** -numbers.uniform(0, 12) for _ in range(2000))
    thresholds = [threshold_of(ratio) for ratio in ratios]
    assert thresholds == sorted(thresholds, reverse=True)
    for ratio, threshold in zip(ratios, thresholds, strict=True):
        assert abs(ratio_of(threshold) / ratio - 1) <= 0.00013
        assert VALID.fullmatch(encode(threshold)) and len(encode(threshold)) <= 14


def test_never_has_no_threshold_that_is_written():
    """A ratio of 0 keeps nothing, and no trace state tells of it."""
    assert threshold_of(0) == NEVER
    assert NEVER > RANDOM_MASK
    assert with_threshold(None, NEVER) is None


@pytest.mark.parametrize("ratio", [-0.1, 1.1, MIN_RATIO / 2, float("nan"), float("inf")])
def test_what_no_threshold_can_express_is_refused(ratio):
    """Also ratios below 2**-56."""
    with pytest.raises(ValueError, match="ratio"):
        threshold_of(ratio)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("th:0", Ot(0, None, ())),
        ("th:8", Ot(1 << 55, None, ())),
        ("th:e666;rv:0123456789abcd", Ot(0xE6660000000000, 0x0123456789ABCD, ())),
        ("rv:ffffffffffffff", Ot(None, RANDOM_MASK, ())),
        ("p:8;th:c;x:y", Ot(0xC << 52, None, ("p:8", "x:y"))),
        ("th:;rv:", NOTHING),
        ("th:E;rv:0123", NOTHING),
        ("th:+1;rv:0x23456789abcd", NOTHING),
        ("th:0123456789abcde", NOTHING),
        ("th:1_0", NOTHING),
        ("junk", Ot(None, None, ("junk",))),
        ("th:8;" + "x" * 256, NOTHING),
    ],
)
def test_what_is_read(value, expected):
    """Valid members; those that are not valid count as absent, other people's stay."""
    assert parse(state(("ot", value))) == expected


def test_nothing_to_read():
    """No state, an empty one, one of others."""
    assert parse(None) == parse(TraceState()) == parse(state(("vendor", "1"))) == NOTHING


def test_a_threshold_is_written_in_front_and_the_rest_stays():
    """Our entry moves to the front; rv, other members and other vendors keep their order."""
    before = state(("a", "1"), ("ot", "x:y;th:8;rv:0123456789abcd;z:1"), ("b", "2"))
    after = with_threshold(before, threshold_of(0.25))
    assert after.to_header() == "ot=th:c;rv:0123456789abcd;x:y;z:1,a=1,b=2"
    assert with_threshold(after, None).to_header() == "ot=rv:0123456789abcd;x:y;z:1,a=1,b=2"


def test_what_does_not_change_is_the_same_object():
    """No new trace state for each span."""
    one, none = state(("a", "1"), ("ot", "th:8")), state(("a", "1"))
    assert with_threshold(one, 1 << 55) is one
    assert with_threshold(none, None) is none
    assert with_threshold(None, None) is None


def test_an_entry_that_is_left_empty_goes():
    """``ot=`` would not be valid."""
    assert with_threshold(state(("ot", "th:8"), ("a", "1")), None).to_header() == "a=1"


def test_the_limits_of_w3c():
    """256 characters and 32 entries: what stands last goes."""
    full = state(*((f"k{at}", "v") for at in range(32)))
    after = with_threshold(full, 0)
    assert len(after) == 32 and next(iter(after)) == "ot" and "k31" not in after and "k30" in after
    long = state(("ot", ";".join(f"k{at}:{'v' * 21}" for at in range(10))))
    value = with_threshold(long, threshold_of(0.1))["ot"]
    assert len(value) <= 256 and value.startswith("th:e666;k0:")


def test_randomness_is_rv_or_the_end_of_the_id():
    """As the specification orders it."""
    assert randomness(0xAAAA << 64 | 0x12_3456_789A_BCDE_F0, NOTHING) == 0x3456789ABCDEF0
    assert randomness(5, Ot(None, 9, ())) == 9


def test_below_a_parent_without_a_threshold_all_bits_count():
    """A stock sampler keeps the lowest ids; among those the mixed randomness is uniform, and the same every time."""
    numbers = random.Random(5)
    low = [numbers.getrandbits(64) << 64 | numbers.getrandbits(60) for _ in range(4000)]
    mixed = [randomness_below(one, NOTHING) for one in low]
    assert mixed == [randomness_below(one, NOTHING) for one in low]
    share = sum(one >= NEVER // 2 for one in mixed) / len(mixed)
    assert abs(share - 0.5) < 4 * 0.5 / len(mixed) ** 0.5
    # 64-bit ids, too.
    assert len({randomness_below(one, NOTHING) for one in range(1, 1000)}) == 999
    assert randomness_below(5, Ot(0, None, ())) == randomness_below(1 << 100, Ot(None, 5, ())) == 5


def test_the_sdk_reads_what_we_write():
    """Its experimental samplers, where this SDK has them, have the same encoding."""
    theirs = pytest.importorskip("opentelemetry.sdk.trace._sampling_experimental._trace_state")
    for ratio in RATIOS:
        threshold = threshold_of(ratio)
        assert theirs.serialize_th(threshold) == encode(threshold)
        assert theirs.OtelTraceState.parse(with_threshold(None, threshold)).threshold == threshold
