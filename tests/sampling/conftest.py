"""What the tests of this folder share."""

from __future__ import annotations

import pytest

from spanloom.sampling import _load
from tests._support.plugins import clean, frozen

__all__ = ["clean", "frozen"]


@pytest.fixture(autouse=True)
def forget(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test may be told of mistakes anew."""
    monkeypatch.setattr(_load, "_told", set())
