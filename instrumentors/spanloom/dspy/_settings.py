"""What the user chose to see of DSPy's programs; read when the plugin starts."""

from __future__ import annotations

from dataclasses import dataclass

from spanloom import semconv

ALL, COLLAPSED, NONE = "ALL", "COLLAPSED", "NONE"
EVENTS, SPANS = "EVENTS", "SPANS"
FULL, SUMMARY = "FULL", "SUMMARY"
OFF = "OFF"


@dataclass(frozen=True)
class Settings:
    """``modules``: ALL, COLLAPSED or NONE. ``adapters``: EVENTS, SPANS or OFF. ``optimizers``: FULL, SUMMARY or OFF."""

    modules: str = ALL
    adapters: str = EVENTS
    optimizers: str = FULL

    @classmethod
    def configured(cls) -> Settings:
        """By ``SPANLOOM_DSPY_MODULES``, ``SPANLOOM_DSPY_ADAPTERS`` and ``SPANLOOM_DSPY_OPTIMIZERS``."""
        return cls(
            semconv.choice_of("SPANLOOM_DSPY_MODULES"),
            semconv.choice_of("SPANLOOM_DSPY_ADAPTERS"),
            semconv.choice_of("SPANLOOM_DSPY_OPTIMIZERS"),
        )
