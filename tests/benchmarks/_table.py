"""Results as one table of microseconds and ratios. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tests.benchmarks._run import Result
from tests.benchmarks.cases import BARE, OFFICIAL, OURS
from tests.benchmarks.cases.span import YARDSTICK

HEADINGS = ("case", "content", "bare µs", "official", "ours", "ours÷official", "ours÷span")
LEGEND = (
    "CPU of the whole process per call, minimum over interleaved blocks. official, ours: added to bare (absolute\n"
    "where a case has no bare call). ours prices each call as well. span: one attached SDK span, 12 attributes."
)


def rows(results: Iterable[Result]) -> list[dict[str, str | float | None]]:
    """One row for each case and content setting; None where a contender did not take part."""
    by_case: dict[tuple[str, bool], dict[str, float]] = {}
    for result in results:
        by_case.setdefault((result.case, result.content), {})[result.contender] = result.us
    span_us = by_case.get((YARDSTICK, False), {}).get(BARE)
    return [_row(case, content, us, span_us) for (case, content), us in by_case.items()]


def _row(case: str, content: bool, us: dict[str, float], span_us: float | None) -> dict[str, str | float | None]:
    bare = us.get(BARE)
    official, ours = (us[name] - (bare or 0) if name in us else None for name in (OFFICIAL, OURS))
    return {
        "case": case,
        "content": "on" if content else "off",
        "bare_us": bare,
        "official_added_us": official,
        "ours_added_us": ours,
        "ours_to_official": _ratio(ours, official),
        "ours_to_span": _ratio(ours, span_us),
    }


def _ratio(value: float | None, base: float | None) -> float | None:
    return value / base if value is not None and base is not None and base > 0 else None


def render(results: Sequence[Result]) -> str:
    """The table as text."""
    cells = [HEADINGS, *(tuple(_cell(value) for value in row.values()) for row in rows(results))]
    widths = [max(len(line[column]) for line in cells) for column in range(len(HEADINGS))]
    lines = ["  ".join(_aligned(line, widths)) for line in cells]
    return "\n".join((lines[0], "-" * len(lines[0]), *lines[1:], "", LEGEND))


def _aligned(line: Sequence[str], widths: Sequence[int]) -> list[str]:
    """Names to the left, figures to the right."""
    padded = list(zip(line, widths, strict=True))
    return [cell.ljust(width) for cell, width in padded[:2]] + [cell.rjust(width) for cell, width in padded[2:]]


def _cell(value: str | float | None) -> str:
    if value is None:
        return "-"
    return value if isinstance(value, str) else f"{value:,.2f}" if abs(value) < 100 else f"{value:,.0f}"
