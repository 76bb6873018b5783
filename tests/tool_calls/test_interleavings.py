"""No wrong link, and the right one wherever it is certain: random programs over threads, tasks and contexts."""

from __future__ import annotations

import pytest

from spanloom.genai import _pending, _prints
from tests.tool_calls._interleaving import faults


def test_random_programs():
    """A short slice; ``make fuzz`` runs 10,000."""
    told, executed, found = faults(20_000, 500)
    assert not told, "\n".join(told[:10])
    assert executed > 2000
    assert found > executed / 2


def test_the_oracle_sees_a_guess(monkeypatch: pytest.MonkeyPatch):
    """Taking the first one of several is a fault."""
    monkeypatch.setattr(_pending, "_differs", lambda one, first: False)
    told, _, _ = faults(0, 100)
    assert any("in the place of" in one for one in told)


def test_the_oracle_sees_a_call_that_is_not_found(monkeypatch: pytest.MonkeyPatch):
    """Never finding anything is one, too."""
    monkeypatch.setattr(_prints.Prints, "fits", lambda *given: False)
    told, _, found = faults(0, 20)
    assert told
    assert found == 0
