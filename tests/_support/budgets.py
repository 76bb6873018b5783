"""A budget around calls of a real client."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from spanloom.cost import _budgets, add_budget
from spanloom.cost._ledger import Ledger
from tests._support.spans import Recorder

__all__ = ["ledger"]


@pytest.fixture
def ledger(recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ledger]:
    """Each user may spend a dollar a day. The ledger is there to spend it."""
    made = Ledger(recorder.meter_provider)
    monkeypatch.setattr(_budgets, "ledger", made)
    remove = add_budget("users", 1.0, per="day", by="user", action="raise")
    yield made
    remove()
