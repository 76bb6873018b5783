"""The telemetry of decorated functions: the instrumentor's while it is active, else one on the global providers."""

from __future__ import annotations

from spanloom.genai import Telemetry

_given: Telemetry | None = None
_own: Telemetry | None = None


def use(telemetry: Telemetry | None) -> None:
    """Take this telemetry from now on; ``None`` goes back to the global providers."""
    global _given
    _given = telemetry


def telemetry() -> Telemetry:
    """What a decorated function reports to, asked at each call: providers are often set after the decoration."""
    global _own
    if _given is not None:
        return _given
    if _own is None:
        _own = Telemetry("spanloom.tools")
    return _own
