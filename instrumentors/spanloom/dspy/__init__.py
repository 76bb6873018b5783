"""DSPy programs as one tree: modules, predictors, model calls and tools."""

from __future__ import annotations

from collections.abc import Iterable

from spanloom.dspy._targets import targets
from spanloom.genai import Instrumentor, Target, Telemetry

__all__ = ["DSPyInstrumentor"]


class DSPyInstrumentor(Instrumentor):
    """Records DSPy (3.3 up to 3.x) by patches of its classes: no callbacks, no ``dspy.configure``, no usage tracker."""

    scope = "spanloom.dspy"
    entry_point = "spanloom_dspy"
    requires = ("dspy >= 3.3, < 4",)

    def targets(self, telemetry: Telemetry) -> Iterable[Target]:
        """The classes and functions of ``_targets``."""
        return targets(telemetry)
