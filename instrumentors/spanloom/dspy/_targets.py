"""What is patched in DSPy: each part knows its own targets."""

from __future__ import annotations

from collections.abc import Iterator

from spanloom.dspy import (
    _adapters,
    _compile,
    _embeddings,
    _evaluate,
    _frames,
    _interpreters,
    _lm,
    _modules,
    _origins,
    _parallel,
    _retries,
    _retrieval,
    _threads,
    _tools,
)
from spanloom.dspy._settings import Settings
from spanloom.genai import Target, Telemetry

_PARTS = (
    _modules,
    _lm,
    _tools,
    _adapters,
    _interpreters,
    _parallel,
    _evaluate,
    _compile,
    _embeddings,
    _retrieval,
    _retries,
    _threads,
    _origins,
    _frames,
)


def targets(telemetry: Telemetry) -> Iterator[Target]:
    """The targets of all parts."""
    settings = Settings.configured()
    for part in _PARTS:
        yield from part.targets(telemetry, settings)
