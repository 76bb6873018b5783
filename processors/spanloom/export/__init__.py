"""Getting telemetry out: OTLP/JSON over HTTP, and a local record for when there is no Collector."""

from __future__ import annotations

from spanloom.export._http import OTLPJsonLogExporter, OTLPJsonMetricExporter, OTLPJsonSpanExporter
from spanloom.export._record import RecordLogExporter, RecordMetricExporter, RecordSpanExporter

__all__ = [
    "OTLPJsonLogExporter",
    "OTLPJsonMetricExporter",
    "OTLPJsonSpanExporter",
    "RecordLogExporter",
    "RecordMetricExporter",
    "RecordSpanExporter",
]
