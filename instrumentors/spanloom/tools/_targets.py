"""``SPANLOOM_TOOLS`` -> patches."""

from __future__ import annotations

import functools
import logging
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from spanloom.genai import Target, Telemetry
from spanloom.tools._execution import ToolInfo, recorded

_log = logging.getLogger("spanloom")
_DOTTED = r"[^\W\d]\w*(?:\.[^\W\d]\w*)*"
_ENTRY = re.compile(rf"({_DOTTED}):({_DOTTED})")


def targets(telemetry: Telemetry, entries: Iterable[str]) -> Iterator[Target]:
    """One target an entry ``module:function`` or ``module:Class.method``; a malformed entry costs one log line."""
    for entry in entries:
        match = _ENTRY.fullmatch(entry)
        if match is None:
            _log.warning("SPANLOOM_TOOLS: %r is not module:function or module:Class.method; it is left out", entry)
            continue
        yield Target(match[1], match[2], functools.partial(_wrap, telemetry), setting="SPANLOOM_TOOLS")


def _wrap(telemetry: Telemetry, original: Callable[..., Any]) -> Callable[..., Any]:
    return recorded(original, ToolInfo.of(original), lambda: telemetry)
