"""What is patched in DSPy: each part knows its own targets."""

from __future__ import annotations

from collections.abc import Iterator

from spanloom.dspy import _frames, _lm, _modules, _parallel, _tools
from spanloom.dspy._settings import Settings
from spanloom.genai import Target, Telemetry

_PARTS = (_modules, _lm, _tools, _parallel, _frames)


def targets(telemetry: Telemetry) -> Iterator[Target]:
    """The targets of all parts."""
    settings = Settings.configured()
    for part in _PARTS:
        yield from part.targets(telemetry, settings)
