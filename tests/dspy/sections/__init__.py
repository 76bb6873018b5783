"""Small DSPy programs as people write them: each is run for its tree, and with and without the plugin."""

from __future__ import annotations

from tests.dspy.sections import _agents, _calls, _fan_out, _modules, _optimizers, _searches  # noqa: F401 - they add theirs
from tests.dspy.sections._stage import SECTIONS, Section, Stage

__all__ = ["SECTIONS", "Section", "Stage"]
