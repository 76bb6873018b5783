"""``python -m tests.benchmarks`` (``make bench``): CPU that instrumentation adds to a call, ours against the official.

Each contender runs in an environment and a process of its own, where blocks with and without its instrumentation take
turns; contenders are interleaved, process CPU time is taken, the minimum over the blocks counts. Environments are built
with uv in the cache folder, ours from a wheel of this tree.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

from tests.benchmarks._bars import NEVER, USES
from tests.benchmarks._run import FULL, QUICK, Result, measure
from tests.benchmarks._startup import Start, measure_start
from tests.benchmarks._table import misses, render, rows
from tests.benchmarks.cases import Case, all_cases
from tests.benchmarks.cases.span import YARDSTICK


def arguments(given: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="a few short blocks: proves that everything runs, no figures"
    )
    parser.add_argument("--check", action="store_true", help="exit with 1 where a bar is missed")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write results and rows to this file")
    parser.add_argument(
        "--only", "--case", action="append", metavar="TEXT", help="only cases with this in their name (repeatable)"
    )
    return parser.parse_args(given)


def chosen_cases(wanted: list[str] | None) -> list[Case]:
    """The cases to run, the yardstick always among them and first."""
    cases = all_cases()
    found = [case for case in cases.values() if _wanted(case.name, wanted)]
    if not found and not start_is_chosen(wanted):
        known = ", ".join(sorted((*cases, USES, NEVER)))
        raise SystemExit(f"--only {' '.join(wanted or ())}: no such case; there are: {known}")
    return [cases[YARDSTICK], *(case for case in found if case.name != YARDSTICK)]


def start_is_chosen(wanted: list[str] | None) -> bool:
    return _wanted(USES, wanted) or _wanted(NEVER, wanted)


def _wanted(name: str, wanted: list[str] | None) -> bool:
    return not wanted or any(text in name for text in wanted)


def busy_machine() -> str | None:
    """A warning where others work at the same time: their heat is on all figures, however they are interleaved."""
    load, cores = os.getloadavg()[0], os.cpu_count() or 1
    return f"Busy machine (load {load:.1f} on {cores} cores): take the figures with care." if load > cores else None


def main(given: list[str] | None = None) -> int:
    """Measure, print, write."""
    options = arguments(given)
    effort = QUICK if options.quick else FULL
    cases = chosen_cases(options.only)
    results: list[Result] = []
    for result in measure(cases, effort):
        results.append(result)
        figure = "records nothing" if result.added_us is None else f"{result.added_us:,.1f} µs"
        print(f"  {result.case}, {result.setting}, {result.contender}: {figure}", file=sys.stderr)
    starts: list[Start] = list(measure_start(effort.starts)) if start_is_chosen(options.only) else []
    made = rows(results, starts, {case.name: case for case in cases})
    print(render(made))
    if busy := busy_machine():
        print(busy)
    if options.quick:
        print("Quick run: the figures mean nothing.")
    if options.json:
        kept = {"results": [one.as_dict() for one in (*results, *starts)], "rows": [row.as_dict() for row in made]}
        options.json.write_text(json.dumps({"python": sys.version.split()[0], **kept}, indent=1) + "\n", "utf-8")
    missed = misses(made)
    print(f"Bars missed: {'; '.join(f'{row.case}, {row.setting}' for row in missed) or 'none'}.")
    return 1 if missed and options.check else 0


if __name__ == "__main__":
    sys.exit(main())
