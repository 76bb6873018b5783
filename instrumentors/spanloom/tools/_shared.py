"""The telemetry of decorated functions: the instrumentor's while it is active, else one on the global providers."""

from __future__ import annotations

from spanloom.genai import SharedTelemetry

telemetry = SharedTelemetry("spanloom.tools")
