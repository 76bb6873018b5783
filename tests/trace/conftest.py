"""What the tests of this folder share, and telemetry by hand over one recorder."""

from __future__ import annotations

import pytest

from spanloom.genai import Telemetry
from spanloom.tools import _shared as tools_shared
from spanloom.trace import _check, _shared
from tests._support.plugins import clean, content, frozen, recorder
from tests._support.spans import Recorder

__all__ = ["clean", "content", "frozen", "recorder"]


@pytest.fixture(autouse=True)
def nothing_told_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test looks for its telemetry anew, and may be told once of everything."""
    monkeypatch.setattr(_check, "_told", set())
    for shared in (_shared.telemetry, tools_shared.telemetry):
        monkeypatch.setattr(shared, "_own", None)
        monkeypatch.setattr(shared, "_given", None)


@pytest.fixture
def by_hand(recorder: Recorder) -> Recorder:
    """What is recorded by hand, and tools, over the recorder; content off."""
    _shared.telemetry.use(Telemetry("spanloom.trace", **recorder.providers))
    tools_shared.telemetry.use(Telemetry("spanloom.tools", **recorder.providers))
    return recorder


@pytest.fixture
def with_content(content: None, by_hand: Recorder) -> Recorder:
    """The same, content on."""
    return by_hand
