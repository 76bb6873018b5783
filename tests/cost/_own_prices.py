"""What the tests of one's own prices share."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from spanloom.cost import price, reset_overrides
from spanloom.cost._table import table

NIGHT, NOON = datetime(2026, 11, 27, 23), datetime(2026, 11, 27, 12)
SOURCE = table().source


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Each test begins and ends as a new process does."""
    monkeypatch.delenv("SPANLOOM_PRICES", raising=False)
    reset_overrides()
    yield
    reset_overrides()


def cost(model: str = "acme-7b", **more: Any) -> tuple[float | None, str, str | None]:
    got = price(model, **{"input_tokens": 1000, "output_tokens": 500, **more})
    return got.amount_usd, got.status, got.rule
