"""``python -m tests.tool_calls.fuzz``: 10,000 random programs; a seed that fails is told, with what went wrong."""

from __future__ import annotations

import argparse
import sys

from spanloom.genai import _guard
from tests.tool_calls._interleaving import faults

SLICE = 500


def main() -> int:
    """1 where an execution had another call's id, or none where it was certain."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10_000, help="programs")
    parser.add_argument("--seed", type=int, default=0, help="seed of the first one")
    given = parser.parse_args()
    _guard.RERAISE = True
    told: list[str] = []
    executed = found = done = 0
    while done < given.count:
        some = min(SLICE, given.count - done)
        bad, more, right = faults(given.seed + done, some)
        told, executed, found, done = told + bad, executed + more, found + right, done + some
        print(f"{done:,} programs, {executed:,} executions, {found:,} linked, {len(told)} faults", flush=True)
    for one in told[:20]:
        print(one)
    return 1 if told else 0


if __name__ == "__main__":
    sys.exit(main())
