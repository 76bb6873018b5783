"""Every attribute, metric, event and span name that spanloom writes or reads, as data.

Source: the OpenTelemetry GenAI conventions' main branch (autumn 2026), from which ``_names`` and ``_metrics`` are
generated (``make semconv``). Names that are not in the registry yet stand in ``_extensions``, ``_dspy`` and
``_own_metrics`` with their source. Nothing in here imports anything beyond the standard library.
"""

from __future__ import annotations

from spanloom.semconv import _extensions as extensions
from spanloom.semconv import _metrics as metrics
from spanloom.semconv import _names as names
from spanloom.semconv._dspy import DSpy, DSpyEvent, DSpySpan
from spanloom.semconv._extensions import (
    Caller,
    CostCopy,
    ForeignCall,
    HTTPServer,
    Link,
    OlderGenAI,
    OtherProvider,
    Spanloom,
    SpanloomEvent,
)
from spanloom.semconv._names import (
    SCHEMA_URL,
    ApiType,
    Client,
    Error,
    Event,
    Exceptions,
    FinishReason,
    GenAI,
    JsonRpc,
    Mcp,
    Modality,
    Network,
    OpenAI,
    Operation,
    OutputType,
    Provider,
    ResponseStatus,
    Rpc,
    Server,
    TokenType,
    ToolType,
)
from spanloom.semconv._options import (
    OPTIONS,
    Option,
    OptionError,
    choice_of,
    flag,
    integer,
    names_of,
    ratio,
    text,
    warn_once,
)
from spanloom.semconv._rules import OLD_ATTRIBUTES, modes, span_name
from spanloom.semconv._spec import MetricSpec

__all__ = [
    "OLD_ATTRIBUTES",
    "OPTIONS",
    "SCHEMA_URL",
    "ApiType",
    "Caller",
    "Client",
    "CostCopy",
    "DSpy",
    "DSpyEvent",
    "DSpySpan",
    "Error",
    "Event",
    "Exceptions",
    "FinishReason",
    "ForeignCall",
    "GenAI",
    "HTTPServer",
    "JsonRpc",
    "Link",
    "Mcp",
    "MetricSpec",
    "Modality",
    "Network",
    "OlderGenAI",
    "OpenAI",
    "Operation",
    "Option",
    "OptionError",
    "OtherProvider",
    "OutputType",
    "Provider",
    "ResponseStatus",
    "Rpc",
    "Server",
    "Spanloom",
    "SpanloomEvent",
    "TokenType",
    "ToolType",
    "choice_of",
    "extensions",
    "flag",
    "integer",
    "metrics",
    "modes",
    "names",
    "names_of",
    "ratio",
    "span_name",
    "text",
    "warn_once",
]
