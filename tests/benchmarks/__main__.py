"""``python -m tests.benchmarks`` (``make bench``): CPU that instrumentation adds to a call, ours against the official.

Each contender runs in an environment and a process of its own; blocks are interleaved, process CPU time is taken, the
minimum over the blocks counts. Environments are built with uv in the cache folder, ours from a wheel of this tree.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from tests.benchmarks._run import FULL, QUICK, Result, measure
from tests.benchmarks._table import render, rows
from tests.benchmarks.cases import Case, all_cases
from tests.benchmarks.cases.span import YARDSTICK


def arguments(given: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="a few short blocks: proves that everything runs, no figures"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write results and rows to this file")
    parser.add_argument(
        "--case", action="append", metavar="TEXT", help="only cases with this in their name (repeatable)"
    )
    return parser.parse_args(given)


def chosen_cases(wanted: list[str] | None) -> list[Case]:
    """The cases to run, the yardstick always among them and first."""
    cases = all_cases()
    found = [case for case in cases.values() if not wanted or any(text in case.name for text in wanted)]
    if not found:
        raise SystemExit(f"--case {' '.join(wanted or ())}: no such case; there are: {', '.join(sorted(cases))}")
    return [cases[YARDSTICK], *(case for case in found if case.name != YARDSTICK)]


def main(given: list[str] | None = None) -> int:
    """Measure, print, write."""
    options = arguments(given)
    effort = QUICK if options.quick else FULL
    results: list[Result] = []
    for result in measure(chosen_cases(options.case), effort):
        results.append(result)
        content = "content on" if result.content else "content off"
        print(f"  {result.case}, {content}, {result.contender}: {result.us:,.1f} µs", file=sys.stderr)
    print(render(results))
    if options.quick:
        print("Quick run: the figures mean nothing.")
    if options.json:
        made = {"python": sys.version.split()[0], "results": [one.as_dict() for one in results], "rows": rows(results)}
        options.json.write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
