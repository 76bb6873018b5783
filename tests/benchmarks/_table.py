"""Results as one table: what each contender adds, against the official and against the floor. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tests.benchmarks._bars import ADDED, BARS, PER_CHUNK, TO_OFFICIAL, Bar
from tests.benchmarks._run import Result
from tests.benchmarks._startup import Start
from tests.benchmarks.cases import BARE, FLOOR, OFFICIAL, OURS, PRICED, Case

PASS, MISS = "PASS", "MISS"
HEADINGS = ("case", "", "bare", "official", "ours", "ours+cost", "ours÷official", "bar", "", "floor", "ours÷floor")
LEGEND = """\
Calls: CPU of the whole process in µs a call (a chunk), minima over interleaved blocks. official, ours, ours+cost and
floor: added to the bare call of the same process (absolute where a case has none). ours: the plugin alone, as the
official one is; ours+cost: each call priced as well. floor: by hand, one span, one set_attributes, the records of ours.
±: by how much the bare call differs between the processes; what differs by less is noise.
Start-up: ms, MB, modules; its floor is what OpenTelemetry's own loader imports before it starts any plugin."""


@dataclass(frozen=True)
class Row:
    """One line: the bare figure, and what each contender adds to it; ``None`` for one that records nothing."""

    case: str
    setting: str
    bare: float | None
    figures: Mapping[str, float | None]
    # By how much the same bare call differs between the processes: what is less than this is noise.
    noise: float | None = None

    def added(self, contender: str) -> float | None:
        return self.figures.get(contender)

    @property
    def bar(self) -> Bar | None:
        return BARS.get((self.case, self.setting))

    @property
    def to_official(self) -> float | None:
        return _ratio(self.added(OURS), self.added(OFFICIAL))

    @property
    def to_floor(self) -> float | None:
        return _ratio(self.added(OURS), self.added(FLOOR))

    @property
    def verdict(self) -> str | None:
        """PASS or MISS where there is a bar; what could not be compared is no pass."""
        if self.bar is None:
            return None
        value = self._barred(self.bar)
        return PASS if value is not None and value <= self.bar.limit else MISS

    def _barred(self, bar: Bar) -> float | None:
        if bar.of == TO_OFFICIAL:
            return self.to_official
        ours, floor = self.added(OURS), self.added(FLOOR)
        if bar.of == ADDED:
            return ours
        return None if ours is None or floor is None else ours - floor

    def as_dict(self) -> dict[str, str | float | None]:
        added = {f"{name}_added": self.added(name) for name in (OFFICIAL, OURS, PRICED, FLOOR)}
        return {
            "case": self.case,
            "setting": self.setting,
            "bare": self.bare,
            "noise": self.noise,
            **added,
            "ours_to_official": self.to_official,
            "bar": self.bar.limit if self.bar else None,
            "verdict": self.verdict,
            "ours_to_floor": self.to_floor,
        }


def _ratio(value: float | None, base: float | None) -> float | None:
    return value / base if value is not None and base is not None and base > 0 else None


def rows(results: Iterable[Result], starts: Iterable[Start], cases: Mapping[str, Case]) -> list[Row]:
    """One row for each case and setting, one more for what a chunk of a stream costs, then the start."""
    groups: dict[tuple[str, str], list[Result]] = {}
    for one in results:
        groups.setdefault((one.case, one.setting), []).append(one)
    plain = {key: _row(group) for key, group in groups.items()}
    made: list[Row] = []
    for (case, setting), row in plain.items():
        made.append(row)
        shorter = cases[case].shorter
        if shorter and (shorter, setting) in plain:
            made.append(_per_chunk(row, plain[shorter, setting], cases[case].chunks - cases[shorter].chunks))
    return [*made, *_start_rows(starts)]


def _row(group: list[Result]) -> Row:
    first = group[0]
    bare = [one.bare_us for one in group if one.bare_us is not None]
    noise = max(bare) - min(bare) if len(bare) > 1 else None
    added = {one.contender: one.added_us for one in group}
    return Row(first.case, first.setting, min(bare, default=None), added, noise)


def _per_chunk(long: Row, short: Row, chunks: int) -> Row:
    def share(more: float | None, less: float | None) -> float | None:
        return None if more is None or less is None else (more - less) / chunks

    figures = {name: share(more, short.added(name)) for name, more in long.figures.items()}
    noise = None if long.noise is None else long.noise / chunks
    return Row(f"{long.case}{PER_CHUNK}", long.setting, share(long.bare, short.bare), figures, noise)


def _start_rows(starts: Iterable[Start]) -> list[Row]:
    groups: dict[tuple[str, str], dict[str, float]] = {}
    for one in starts:
        groups.setdefault((one.case, one.measure), {})[one.contender] = one.value
    return [
        Row(case, measure, by[BARE], {name: value - by[BARE] for name, value in by.items() if name != BARE})
        for (case, measure), by in groups.items()
    ]


def misses(made: Iterable[Row]) -> list[Row]:
    return [row for row in made if row.verdict == MISS]


def render(made: Sequence[Row]) -> str:
    """The table as text."""
    cells = [HEADINGS, *(_line(row) for row in made)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(HEADINGS))]
    lines = ["  ".join(_aligned(line, widths)).rstrip() for line in cells]
    return "\n".join((lines[0], "-" * max(map(len, lines)), *lines[1:], "", LEGEND))


def _line(row: Row) -> tuple[str, ...]:
    figures = (*(row.added(name) for name in (OFFICIAL, OURS, PRICED)), row.to_official)
    bare = _cell(row.bare) + ("" if row.noise is None else f" ±{_cell(row.noise)}")
    bar = "" if row.bar is None else f"≤ {row.bar.limit:g}{'' if row.bar.of == TO_OFFICIAL else ' ' + row.bar.of}"
    nearness = (_cell(row.added(FLOOR)), _cell(row.to_floor))
    return (row.case, row.setting, bare, *map(_cell, figures), bar, row.verdict or "", *nearness)


def _aligned(line: Sequence[str], widths: Sequence[int]) -> list[str]:
    """Names to the left, figures to the right."""
    padded = list(zip(line, widths, strict=True))
    return [cell.ljust(width) for cell, width in padded[:2]] + [cell.rjust(width) for cell, width in padded[2:]]


def _cell(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.2f}" if abs(value) < 100 else f"{value:,.0f}"
