"""``SPANLOOM_TOOLS`` -> patches."""

from __future__ import annotations

import functools
import logging
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from spanloom.genai import Target, Telemetry
from spanloom.tools._execution import ToolInfo, recorded, recorded_below

_log = logging.getLogger("spanloom")
# A name, or a pattern of names: letters, ``*``, ``?`` and ``[abc]``.
_NAME = r"(?!\d)(?:[\w*?]|\[!?\w[\w-]*\])+"
_DOTTED = rf"{_NAME}(?:\.{_NAME})*"
_WILD = re.compile(r"[*?\[]")
_ENTRY = re.compile(rf"({_DOTTED}):({_DOTTED})")


def targets(telemetry: Telemetry, entries: Iterable[str]) -> Iterator[Target]:
    """One target an entry ``module:function`` or ``module:Class.method``, whole names or patterns.

    A malformed entry costs one log line; a pattern that fits nothing is silent.
    """
    wrap = functools.partial(_wrap, telemetry)
    for entry in entries:
        match = _ENTRY.fullmatch(entry)
        if match is None:
            _log.warning(
                "SPANLOOM_TOOLS: %r is not module:function or module:Class.method (* and ? in either part fit many); "
                "it is left out",
                entry,
            )
            continue
        make = _pattern if _WILD.search(entry) else Target
        yield make(match[1], match[2], wrap, setting="SPANLOOM_TOOLS")


def _pattern(module: str, path: str, wrap: Callable[..., Any], setting: str) -> Target:
    from spanloom.genai import TargetPattern  # only where somebody uses patterns

    return TargetPattern(module, path, wrap, setting)


def _wrap(telemetry: Telemetry, original: Callable[..., Any]) -> Callable[..., Any]:
    # Somebody's own wrapper around a tool is that tool, where nobody says otherwise.
    if recorded_below(original) is not None:
        return original
    return recorded(original, ToolInfo.of(original), lambda: telemetry)
