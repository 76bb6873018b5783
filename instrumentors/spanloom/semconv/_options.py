"""One table of the environment variables that are ours, and the one way to read them.

The table lives here because every room may import ``semconv``: a plugin and an exporter read their settings through the
same rows (docs/decisions/001-options-in-semconv.md). The reference page and a test are made from it.

A bad value never stops the service: the default is taken, and one line names the setting, the value and the cure.
"""

from __future__ import annotations

import logging
import os
from typing import Literal, NamedTuple

_log = logging.getLogger("spanloom")

OptionType = Literal["choice", "flag", "integer", "ratio", "text", "names"]


class OptionError(ValueError):
    """A setting has a value that nobody can act on; the message names the setting and the cure."""


class Option(NamedTuple):
    """One setting. ``unit`` is empty for plain numbers; ``choices`` only for ``type="choice"``."""

    name: str
    type: OptionType
    default: str
    about: str
    unit: str = ""
    choices: tuple[str, ...] = ()
    since: str = "0.1.0"


_KIB = 1024
_MIB = 1024 * _KIB
_MAX_DIGITS = 18

_TABLE = (
    Option(
        "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT",
        "choice",
        "NO_CONTENT",
        "Whether prompts, answers, tool arguments and results are written, and to what.",
        choices=("NO_CONTENT", "SPAN_ONLY", "EVENT_ONLY", "SPAN_AND_EVENT", "TRUE", "FALSE"),
    ),
    Option(
        "OTEL_INSTRUMENTATION_GENAI_EMIT_EVENT",
        "choice",
        "AUTO",
        "Whether each inference emits its details as an event; `AUTO` does where the content mode asks for events.",
        choices=("AUTO", "TRUE", "FALSE"),
    ),
    Option(
        "OTEL_INSTRUMENTATION_GENAI_COMPLETION_HOOK",
        "text",
        "",
        "Name of the entry point (group `opentelemetry_genai_completion_hook`) that is given each call's content.",
    ),
    Option(
        "OTEL_SEMCONV_STABILITY_OPT_IN",
        "names",
        "",
        "`gen_ai/dup` writes the names of the conventions v1.41 beside the current ones, `gen_ai/old` instead of them.",
    ),
    Option(
        "SPANLOOM_CONTENT_RATIO",
        "ratio",
        "1",
        "Share of traces whose content is captured where the content mode or a completion hook asks for it.",
    ),
    Option(
        "SPANLOOM_CONTENT_MAX_BYTES",
        "integer",
        str(256 * _KIB),
        "Size of one content attribute; what is longer is cut inside its longest parts and marked.",
        unit="bytes",
    ),
    Option(
        "SPANLOOM_BAGGAGE",
        "names",
        "",
        "Keys of W3C baggage that are written to every span: exact or with a trailing `*`, comma separated.",
    ),
    Option(
        "SPANLOOM_CHUNK_HISTOGRAM",
        "flag",
        "off",
        "Record the time between streamed chunks as a metric, one record a chunk.",
    ),
    Option(
        "SPANLOOM_ON_CONFLICT",
        "choice",
        "YIELD",
        "Where another instrumentation of the same library is active: let it record, record instead of it, or both.",
        choices=("YIELD", "LEAD", "BOTH"),
    ),
    Option(
        "SPANLOOM_PROVIDER_HOSTS",
        "names",
        "",
        "Providers of hosts that spanloom does not know: `host=provider`, exact or `*.suffix`, comma separated.",
    ),
    Option(
        "SPANLOOM_PROPAGATE_HOSTS",
        "names",
        "",
        "Hosts of model servers that are sent `traceparent`: exact or `*.suffix`, comma separated.",
    ),
    Option(
        "SPANLOOM_OPENAI_STREAM_USAGE",
        "flag",
        "off",
        "Ask for token counts on each streamed chat and keep the extra chunk from the reader.",
    ),
    Option(
        "SPANLOOM_OPENAI_RATE_LIMITS",
        "flag",
        "off",
        "Write the remaining requests and tokens that the provider's headers tell to the span.",
    ),
    Option(
        "SPANLOOM_DSPY_MODULES",
        "choice",
        "ALL",
        "Spans of DSPy modules: all, without the predictor inside a `ChainOfThought`, or of agents alone.",
        choices=("ALL", "COLLAPSED", "NONE"),
    ),
    Option(
        "SPANLOOM_DSPY_ADAPTERS",
        "choice",
        "EVENTS",
        "How DSPy's adapters are told: their work and fallbacks as events, as spans, or not at all.",
        choices=("EVENTS", "SPANS", "OFF"),
    ),
    Option(
        "SPANLOOM_DSPY_OPTIMIZERS",
        "choice",
        "FULL",
        "DSPy's optimizers: all below them, nothing below their evaluations, or no span of their own.",
        choices=("FULL", "SUMMARY", "OFF"),
    ),
    Option(
        "SPANLOOM_TOOLS",
        "names",
        "",
        "Plain functions to record as tool calls: `module:function`, `module:Class.method`, comma separated. `*` and "
        "`?` in either part mean what fits and its module defines: `shop.*:lookup_*`, `shop.cart:Cart.*`.",
    ),
    Option(
        "SPANLOOM_TOOL_CALLS_MAX",
        "integer",
        "1024",
        "Tool calls of models that are remembered for their execution, in one trace; 16 times as many in the process.",
        unit="calls",
    ),
    Option(
        "SPANLOOM_TOOL_CALLS_MAX_AGE_S",
        "integer",
        "600",
        "How long a tool call is remembered.",
        unit="seconds",
    ),
    Option(
        "SPANLOOM_RECORD",
        "text",
        ".spanloom",
        "Folder of the local record that is written when no OTLP endpoint is set; `off` writes none.",
    ),
    Option(
        "SPANLOOM_RECORD_MAX_BYTES",
        "integer",
        str(64 * _MIB),
        "Size of the whole record folder; the oldest files go first.",
        unit="bytes",
    ),
    Option(
        "SPANLOOM_SPAN_MAX_BYTES",
        "integer",
        str(2 * _MIB),
        "Size of one span's attributes and events; the longest texts of a larger one are cut and marked.",
        unit="bytes",
    ),
    Option(
        "SPANLOOM_BATCH_MAX_BYTES",
        "integer",
        "3500000",
        "Size of one export request, whatever the exporter; gRPC refuses more than 4 MiB by default.",
        unit="bytes",
    ),
    Option(
        "SPANLOOM_COST_DETAILS",
        "flag",
        "off",
        "Write the parts of a call's cost besides the amount: `spanloom.cost.input`, `.output`, `.cache_read`, "
        "`.cache_write`, `.reasoning`, `.audio`, `.other`. No token is in two of them.",
    ),
    Option(
        "SPANLOOM_COST_COMPAT",
        "names",
        "",
        "Backends under whose names a call's cost is written as well: `logfire` (`operation.cost`), `openinference` "
        "(`llm.cost.total`).",
    ),
    Option(
        "SPANLOOM_BUDGETS",
        "text",
        "",
        "Path of a rule file (YAML) with budgets: limits of what users, tenants, models or the process may spend.",
    ),
    Option(
        "SPANLOOM_SAMPLING",
        "text",
        "",
        "Path of the sampling rules: the head's with `OTEL_TRACES_SAMPLER=spanloom`, and the tail's.",
    ),
    Option(
        "SPANLOOM_PRICES",
        "text",
        "",
        "Path of a file (YAML) with prices of your own, asked before the table; read again when it changes.",
    ),
    Option(
        "SPANLOOM_REDACT_PII",
        "names",
        "",
        "Personal data to redact besides secrets: `email`, `card`, `iban`, `ssn`, `phone`, `ip`, or `all`.",
    ),
    Option(
        "SPANLOOM_REDACTION",
        "text",
        "",
        "Path of a rule file (YAML) with own rules of redaction; secrets are redacted without one.",
    ),
    Option(
        "SPANLOOM_REDACTION_KEY",
        "text",
        "",
        "Key of the hashes that stand for redacted values, where the rule file asks for hashes; 16 bytes or more.",
    ),
    Option(
        "SPANLOOM_FLUSH_ON_SIGTERM",
        "flag",
        "on",
        "Export what is left when the process is told to stop by SIGTERM and nobody else handles the signal.",
    ),
)

OPTIONS: dict[str, Option] = {row.name: row for row in _TABLE}

_warned: set[tuple[str, str]] = set()


def text(name: str) -> str:
    """The raw value, stripped; the default where the variable is unset or empty."""
    return os.environ.get(name, "").strip() or OPTIONS[name].default


def choice_of(name: str) -> str:
    """One of the row's choices, in upper case as the table spells it."""
    option = OPTIONS[name]
    value = text(name).upper()
    if value in option.choices:
        return value
    return _refused(option, text(name), f"one of {', '.join(option.choices)}")


def flag(name: str) -> bool:
    """``true/1/yes/on`` or ``false/0/no/off``."""
    option = OPTIONS[name]
    value = text(name).lower()
    if value not in _FLAGS:
        value = _refused(option, value, "true or false").lower()
    return _FLAGS[value]


def integer(name: str) -> int:
    """A whole number above zero, in the row's unit."""
    option = OPTIONS[name]
    value = text(name)
    if not (value.isascii() and value.isdigit() and len(value) <= _MAX_DIGITS and int(value) > 0):
        value = _refused(option, value, f"a whole number of {option.unit or 'units'} above 0")
    return int(value)


def ratio(name: str) -> float:
    """A number from 0 to 1."""
    option = OPTIONS[name]
    value = _number(text(name))
    # Written so that what is not a number (NaN) is refused, too.
    if value is None or not 0 <= value <= 1:
        value = float(_refused(option, text(name), "a number from 0 to 1"))
    return value


def _number(value: str) -> float | None:
    try:
        return float(value)
    except ValueError:
        return None


def names_of(name: str) -> list[str]:
    """A comma-separated list, empty items dropped."""
    return [part.strip() for part in text(name).split(",") if part.strip()]


_FLAGS = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}


def warn_once(name: str, value: str, wanted: str, instead: str) -> None:
    """Say once what is wrong with a value, and what is taken instead."""
    if (name, value) not in _warned:
        _warned.add((name, value))
        _log.warning("%s=%r is not %s; using %s", name, value, wanted, instead)


def _refused(option: Option, value: str, wanted: str) -> str:
    """Fall back to the default."""
    warn_once(option.name, value, wanted, repr(option.default))
    return option.default
