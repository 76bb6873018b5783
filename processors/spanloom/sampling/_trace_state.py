"""The sampling part of W3C trace state: thresholds and randomness of 56 bits, as OpenTelemetry has them. Pure.

Source: https://opentelemetry.io/docs/specs/otel/trace/tracestate-probability-sampling/. A trace is kept where its
randomness is not below the threshold, so the ratio kept is ``1 - threshold / 2**56``, and ``ot=th:...`` tells everybody
downstream how many traces the kept one stands for.
"""

from __future__ import annotations

import math
import re
from functools import lru_cache
from typing import Final, NamedTuple

from opentelemetry.trace.span import TraceState

BITS: Final = 56
# No randomness reaches it. It has no ``th``: what is never kept has nobody to tell.
NEVER: Final = 1 << BITS
RANDOM_MASK: Final = NEVER - 1
MIN_RATIO: Final = 2.0**-BITS
# Hex digits of a threshold, beyond those that are all f (small ratios) or all 0 (ratios near one). The specification's
# default: a kept ratio (above 1e-12) is off by 0.013 % of itself at most, and the header stays
# short.
PRECISION: Final = 4

_KEY: Final = "ot"
_DIGITS: Final = BITS // 4
_MAX_VALUE_CHARS: Final = 256
_MAX_ENTRIES: Final = 32
_THRESHOLD: Final = re.compile(r"[0-9a-f]{1,14}")
_RANDOMNESS: Final = re.compile(r"[0-9a-f]{14}")


class Ot(NamedTuple):
    """OpenTelemetry's entry of a trace state. ``rest`` has its other members (``key:value``), in their order."""

    threshold: int | None
    randomness: int | None
    rest: tuple[str, ...]


NOTHING: Final = Ot(None, None, ())


def threshold_of(ratio: float) -> int:
    """The threshold that keeps this ratio of all traces; ``NEVER`` for 0. Rounded to ``PRECISION`` digits.

    Raises ``ValueError`` for what is no ratio, and for ratios below 2**-56, which no threshold can express.
    """
    if not (ratio == 0 or MIN_RATIO <= ratio <= 1):
        raise ValueError(f"{ratio!r} is neither 0 nor a ratio from 2**-56 to 1")
    exact = NEVER - round(ratio * NEVER)
    if exact in (0, NEVER):
        return exact
    leading = max(-math.frexp(ratio)[1], -math.frexp(1 - ratio)[1]) // 4
    shift = 4 * (_DIGITS - min(_DIGITS, PRECISION + leading))
    half = 1 << shift >> 1
    return (exact + half) >> shift << shift


def ratio_of(threshold: int) -> float:
    """What a threshold keeps, from 0 to 1. A kept trace stands for ``1 / ratio_of(threshold)`` traces."""
    return (NEVER - threshold) / NEVER


def encode(threshold: int) -> str:
    """A threshold below ``NEVER`` as ``th`` has it: hex digits without the zeros at the end, ``0`` for all traces."""
    return f"{threshold:014x}".rstrip("0") or "0"


def parse(trace_state: TraceState | None) -> Ot:
    """OpenTelemetry's entry; nothing where there is none. A ``th`` or ``rv`` that is not valid counts as absent."""
    value = trace_state.get(_KEY) if trace_state else None
    return _parse_value(value) if value else NOTHING


@lru_cache(256)
def _parse_value(value: str) -> Ot:
    threshold = given = None
    rest: list[str] = []
    for member in value.split(";"):
        key, _, text = member.partition(":")
        if key == "th":
            threshold = int(text.ljust(_DIGITS, "0"), 16) if _THRESHOLD.fullmatch(text) else None
        elif key == "rv":
            given = int(text, 16) if _RANDOMNESS.fullmatch(text) else None
        elif member:
            rest.append(member)
    return Ot(threshold, given, tuple(rest))


def randomness(trace_id: int, ot: Ot) -> int:
    """What a threshold is compared with: ``rv`` where the trace has one, else the low 56 bits of its id.

    Ids are taken to be random whether or not W3C's random flag says so, as the specification asks.
    """
    return trace_id & RANDOM_MASK if ot.randomness is None else ot.randomness


def randomness_below(trace_id: int, ot: Ot) -> int:
    """The same, to thin out a trace that somebody else has sampled.

    With ``th`` it is known which ids that has left over, and the decision must be consistent with it. Without, it is
    not: the stock ``TraceIdRatioBased`` keeps the *lowest* ids, of which a threshold would take none. There the bits
    of the whole id are mixed, which is as random, and the same in every process.
    """
    if ot.threshold is not None or ot.randomness is not None:
        return randomness(trace_id, ot)
    # The finalizer of SplitMix64.
    mixed = (trace_id ^ (trace_id >> 64)) & 0xFFFFFFFFFFFFFFFF
    mixed = (mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9 & 0xFFFFFFFFFFFFFFFF
    mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EB & 0xFFFFFFFFFFFFFFFF
    return (mixed ^ (mixed >> 31)) & RANDOM_MASK


def with_threshold(trace_state: TraceState | None, threshold: int | None) -> TraceState | None:
    """The trace state with this ``th``, or without one (``None``, ``NEVER``); the same object where nothing changes.

    ``rv`` and other members stay, and so do other vendors' entries in their order; W3C wants what is changed in front.
    Where a limit (256 characters, 32 entries) is reached, what stands last goes.
    """
    ot = parse(trace_state)
    wanted = None if threshold == NEVER else threshold
    if wanted == ot.threshold:
        return trace_state
    value = _value(wanted, ot)
    entries = [(key, text) for key, text in trace_state.items() if key != _KEY] if trace_state else []
    return TraceState([(_KEY, value), *entries[: _MAX_ENTRIES - 1]] if value else entries)


def _value(threshold: int | None, ot: Ot) -> str:
    members = [] if threshold is None else [f"th:{encode(threshold)}"]
    if ot.randomness is not None:
        members.append(f"rv:{ot.randomness:014x}")
    members += ot.rest
    while len(";".join(members)) > _MAX_VALUE_CHARS:
        members.pop()
    return ";".join(members)
