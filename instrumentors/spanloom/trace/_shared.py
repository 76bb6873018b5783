"""The telemetry of what is recorded by hand."""

from __future__ import annotations

from spanloom.genai import SharedTelemetry

telemetry = SharedTelemetry("spanloom.trace")
