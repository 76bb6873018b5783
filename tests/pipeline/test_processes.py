"""Forks under load, and very many tasks at once."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections import Counter

import pytest

from spanloom.sampling import TailRule
from tests._support.pipeline import KEEP, Service, tail
from tests._support.wheel import ROOT


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_forks_under_load():
    """The parent exports all of its own once; each child its own, nothing that waited in the parent, and none hangs."""
    # Not measured: the lock of coverage's own tracer may be held as a thread's work is forked, and block the child.
    plain = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    command = [sys.executable, "-m", "tests.pipeline._forking"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=ROOT, env=plain)
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    parent = told["parent"]
    assert parent["work"] == parent["made"] > 0
    assert parent["parent"] == 11
    assert parent["all"] == parent["work"] + parent["parent"]
    for child in told["children"]:
        assert child == {"held": [0, 0], "names": {"child": 100, "below the parent's": 1}}


def test_a_thousand_tasks():
    """Each with a trace of its own, all open at once: each is decided by itself."""
    service = Service(tail(TailRule("asked", "keep")))

    async def task(at: int) -> None:
        with service.root(f"{at}", attributes={"n": at}):
            await asyncio.sleep(0)
            service.child(f"{at}")
            await asyncio.gather(*(below(at) for _ in range(2)))
            if at % 3 == 0:
                service.child(f"{at}", **{KEEP: True})

    async def below(at: int) -> None:
        await asyncio.sleep(0)
        service.child(f"{at}")

    async def main() -> None:
        await asyncio.gather(*(task(at) for at in range(1000)))

    asyncio.run(main())
    assert Counter(service.out.names) == Counter({f"{at}": 5 for at in range(0, 1000, 3)})
    assert all(span.parent is not None or span.attributes["n"] == int(span.name) for span in service.out.spans)
    assert service.processor.tail.held == (0, 0)
    assert sum(service.processor.tail.traces.values()) == 1000
