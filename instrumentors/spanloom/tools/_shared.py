"""The telemetry of decorated functions: the instrumentor's while it is active, else one on the global providers."""

from __future__ import annotations

from spanloom.genai import SharedTelemetry, Telemetry

telemetry = SharedTelemetry("spanloom.tools")


def source() -> Telemetry:
    """The same by a name that can be imported: a function that is sent to another process uses what is there."""
    return telemetry()
