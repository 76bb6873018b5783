"""OpenAI calls as inference spans: chat completions, plain and streamed, sync and async."""

from __future__ import annotations

from collections.abc import Iterable

from spanloom.genai import Instrumentor, Target, Telemetry
from spanloom.openai._targets import targets

__all__ = ["OpenAIInstrumentor"]


class OpenAIInstrumentor(Instrumentor):
    """Records calls of the ``openai`` package (2.8 up to 3.x). The package itself is never imported by us."""

    scope = "spanloom.openai"
    entry_point = "spanloom_openai"
    requires = ("openai >= 2.8, < 4",)

    def targets(self, telemetry: Telemetry) -> Iterable[Target]:
        """The resource methods of ``_targets``."""
        return targets(telemetry)
