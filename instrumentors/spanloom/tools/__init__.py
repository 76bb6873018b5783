"""Plain functions as tool calls: by the decorator ``tool``, or without touching code by ``SPANLOOM_TOOLS``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from spanloom import semconv
from spanloom.genai import Instrumentor, Target, Telemetry
from spanloom.tools import _shared
from spanloom.tools._decorator import tool
from spanloom.tools._targets import targets

__all__ = ["ToolsInstrumentor", "tool"]


class ToolsInstrumentor(Instrumentor):
    """Records the functions that ``SPANLOOM_TOOLS`` names, patched when their module is imported.

    Functions under ``@tool`` are recorded with or without it; while it is active they use its providers.
    """

    scope = "spanloom.tools"
    entry_point = "spanloom_tools"

    def targets(self, telemetry: Telemetry) -> Iterable[Target]:
        """One target for each well-formed entry of ``SPANLOOM_TOOLS``."""
        _shared.telemetry.use(telemetry)
        return targets(telemetry, semconv.names_of("SPANLOOM_TOOLS"))

    def _uninstrument(self, **kwargs: Any) -> None:
        _shared.telemetry.use(None)
        super()._uninstrument(**kwargs)
