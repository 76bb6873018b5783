"""What the tests of this folder share, and the tools' plugin over one recorder."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from spanloom.tools import ToolsInstrumentor, _shared
from tests._support.plugins import clean, content, frozen, recorder
from tests._support.spans import Recorder

__all__ = ["clean", "content", "frozen", "recorder"]


@pytest.fixture(autouse=True)
def no_telemetry_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test's decorated functions look for their telemetry anew."""
    monkeypatch.setattr(_shared.telemetry, "_own", None)
    monkeypatch.setattr(_shared.telemetry, "_given", None)


@pytest.fixture
def plugin(recorder: Recorder) -> Iterator[ToolsInstrumentor]:
    """The plugin, content off."""
    one = ToolsInstrumentor()
    one.instrument(**recorder.providers)
    yield one
    if one.is_instrumented_by_opentelemetry:
        one.uninstrument()


@pytest.fixture
def plugin_with_content(content: None, plugin: ToolsInstrumentor) -> ToolsInstrumentor:
    """The plugin, content on."""
    return plugin


@pytest.fixture
def set_tools(monkeypatch: pytest.MonkeyPatch, recorder: Recorder) -> Iterator[Callable[..., ToolsInstrumentor]]:
    """Set the variable and switch the plugin on."""
    started: list[ToolsInstrumentor] = []

    def start(*entries: str) -> ToolsInstrumentor:
        monkeypatch.setenv("SPANLOOM_TOOLS", ",".join(entries))
        one = ToolsInstrumentor()
        one.instrument(**recorder.providers)
        started.append(one)
        return one

    yield start
    for one in started:
        if one.is_instrumented_by_opentelemetry:
            one.uninstrument()
