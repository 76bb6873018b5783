"""OpenAI calls as spans: chat completions, responses, embeddings, and every other request of the SDK's clients."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from spanloom.genai import Instrumentor

if TYPE_CHECKING:
    from spanloom.genai import Target, Telemetry

__all__ = ["OpenAIInstrumentor"]


class OpenAIInstrumentor(Instrumentor):
    """Records calls of the ``openai`` package (1.66 up to 3.x). The package itself is never imported by us."""

    scope = "spanloom.openai"
    entry_point = "spanloom_openai"
    requires = ("openai >= 1.66, < 4",)
    modules = (
        # Nothing is patched there: a version that is too old or too new may have none of the others, and is told of.
        "openai",
        "openai._base_client",
        "openai._client",
        "openai.resources.beta.chat.completions",
        "openai.resources.chat.completions.completions",
        "openai.resources.embeddings",
        "openai.resources.responses.responses",
    )

    def targets(self, telemetry: Telemetry) -> Iterable[Target]:
        """The methods for models, and the one through which every request of a client goes."""
        from spanloom.openai._targets import targets

        return targets(telemetry)
