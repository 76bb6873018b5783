"""A slice of the soak for every change; ``python -m tests.dspy.soak`` makes many times as many calls."""

from __future__ import annotations

import os
import subprocess
import sys

import dspy
import pytest

from tests._support.wheel import ROOT
from tests.no_harm import soak as other

if not hasattr(dspy, "lm15"):
    pytest.skip("its engines are for the newest DSPy", allow_module_level=True)

from tests.dspy import soak

SLICE = 3_900


def test_memory_is_flat():
    """Thousands of programs of every kind: no object, no thread and no memory is left, no span is lost."""
    # In a process of its own, which is not measured: coverage keeps something of each thread that there was.
    plain = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    command = [sys.executable, "-m", "tests.dspy.soak", "--calls", str(SLICE)]
    paths = os.pathsep.join(map(str, (ROOT, ROOT / "examples")))
    done = subprocess.run(
        command, env={**plain, "PYTHONPATH": paths}, cwd=ROOT, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_leak_is_seen(monkeypatch):
    """Where something is kept of each span, or a span is lost, it is found out: the soak can fail."""
    kept = []

    def on_end(self, span):
        self.ended += len(kept) % 50 > 0
        kept.append([span.attributes, "x" * 400])

    monkeypatch.setattr(soak.Tally, "on_end", on_end)
    monkeypatch.setattr(other, "TRACED_CALLS", 130)
    found = " ".join(soak.soak(390).problems())
    assert "spans" in found
    assert "left" in found
