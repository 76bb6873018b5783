"""What the in-process tests of this room need: clean surroundings, and nothing remembered of other recorders."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from spanloom.genai import _conflict, _recorders
from tests._support.plugins import clean, frozen

__all__ = ["clean", "forgotten", "frozen"]


@pytest.fixture(autouse=True)
def forgotten(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No setting, no line told, nobody seen."""
    monkeypatch.setattr(_conflict, "_state", _conflict._State())
    monkeypatch.setattr(_conflict, "_told", set())
    monkeypatch.setattr(_conflict, "_claims", {})
    monkeypatch.setattr(_conflict, "_removed", [])
    monkeypatch.setattr(_recorders, "_known_tracers", {})
    monkeypatch.setattr(_recorders, "_known_layers", {})
    yield
