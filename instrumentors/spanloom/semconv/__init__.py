"""Every attribute, metric, event and span name that spanloom writes or reads, as data.

Source: the OpenTelemetry GenAI conventions' main branch (autumn 2026). Names which are not in the registry yet stand in
``_extensions`` with their source. Nothing in here imports anything beyond the standard library.
"""

from __future__ import annotations

from spanloom.semconv import _extensions as extensions
from spanloom.semconv import _metrics as metrics
from spanloom.semconv import _names as names
from spanloom.semconv._extensions import DSpy, Spanloom
from spanloom.semconv._metrics import MetricSpec
from spanloom.semconv._names import SCHEMA_URL, Error, GenAI, HTTPServer, OpenAI, Operation, Provider, Server, span_name
from spanloom.semconv._options import OPTIONS, Option, OptionError, choice_of, flag, integer, names_of, text

__all__ = [
    "OPTIONS",
    "SCHEMA_URL",
    "DSpy",
    "Error",
    "GenAI",
    "HTTPServer",
    "MetricSpec",
    "OpenAI",
    "Operation",
    "Option",
    "OptionError",
    "Provider",
    "Server",
    "Spanloom",
    "choice_of",
    "extensions",
    "flag",
    "integer",
    "metrics",
    "names",
    "names_of",
    "span_name",
    "text",
]
