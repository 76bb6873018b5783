"""One table of the environment variables that are ours, and the one way to read them.

The table lives here because every room may import ``semconv``: a plugin and an exporter read their settings through the
same rows (docs/decisions/001-options-in-semconv.md). The reference page and a test are made from it.

A bad value never stops the service: the default is taken, and one line names the setting, the value and the cure.
"""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from typing import Literal

_log = logging.getLogger("spanloom")

OptionType = Literal["choice", "flag", "integer", "text", "names"]


class OptionError(ValueError):
    """A setting has a value that nobody can act on; the message names the setting and the cure."""


@dataclass(frozen=True)
class Option:
    """One setting. ``unit`` is empty for plain numbers; ``choices`` only for ``type="choice"``."""

    name: str
    type: OptionType
    default: str
    about: str
    unit: str = ""
    choices: tuple[str, ...] = ()
    since: str = "0.1.0"


_MIB = 1024 * 1024
_MAX_DIGITS = 18

_TABLE = (
    Option(
        "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT",
        "choice",
        "NO_CONTENT",
        "Whether prompts, answers, tool arguments and results are written to spans.",
        choices=("NO_CONTENT", "SPAN_ONLY", "EVENT_ONLY", "SPAN_AND_EVENT", "TRUE", "FALSE"),
    ),
    Option(
        "SPANLOOM_TOOLS",
        "names",
        "",
        "Plain functions to record as tool calls: `module:function`, `module:Class.method`, comma separated.",
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


def names_of(name: str) -> list[str]:
    """A comma-separated list, empty items dropped."""
    return [part.strip() for part in text(name).split(",") if part.strip()]


_FLAGS = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}


def _refused(option: Option, value: str, wanted: str) -> str:
    """Say once what is wrong with a value and fall back to the default."""
    if (option.name, value) not in _warned:
        _warned.add((option.name, value))
        _log.warning("%s=%r is not %s; using %r", option.name, value, wanted, option.default)
    return option.default
