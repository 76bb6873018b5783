"""Which spans a rule means. Values are exact texts, globs (``*``, ``?``, ``[abc]``), numbers, flags or a range."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, cast

from opentelemetry.trace import SpanKind

from spanloom.semconv import GenAI, HTTPServer, OlderGenAI

# Field of a rule file → the attributes that it looks at; any of them may fit.
FIELDS: Final[Mapping[str, tuple[str, ...]]] = {
    "operation": (GenAI.OPERATION_NAME,),
    "model": (GenAI.REQUEST_MODEL, GenAI.RESPONSE_MODEL),
    "provider": (GenAI.PROVIDER_NAME, OlderGenAI.SYSTEM),
    "route": (HTTPServer.ROUTE, HTTPServer.URL_PATH, HTTPServer.TARGET_OLD),
    "method": (HTTPServer.METHOD, HTTPServer.METHOD_OLD),
    "tool": (GenAI.TOOL_NAME,),
    "agent": (GenAI.AGENT_NAME,),
}
SPAN: Final = "span"
ROUTE: Final = "route"
KINDS: Final = {kind.name.lower(): kind for kind in SpanKind}

_SPECIAL: Final = frozenset("\\.+*?()|[]{}^$")
_GLOB: Final = re.compile(r"\[(!?)([^\[\]]+)\]|([*?])")
_IN_SET: Final = re.compile(r"([\\^&~|])")

Plain = str | bool | int | float


def is_glob(text: str) -> bool:
    """True where a text has something that means more than itself."""
    return _GLOB.search(text) is not None


def glob_mistake(text: str) -> str:
    """What is wrong with a glob; empty where nothing is."""
    try:
        re.compile(regex_of(text))
    except re.error as error:
        return str(error)
    return ""


def regex_of(text: str) -> str:
    """A text or a glob as a regular expression of the whole value, in what Python and the Collector's RE2 share."""
    parts: list[str] = []
    at = 0
    for found in _GLOB.finditer(text):
        parts.append(escaped(text[at : found.start()]))
        parts.append(_wildcard(found))
        at = found.end()
    return f"^{''.join(parts)}{escaped(text[at:])}$"


def _wildcard(found: re.Match[str]) -> str:
    if found[3]:
        return ".*" if found[3] == "*" else "."
    # Only ``-`` between two characters means something there; Python warns of what other engines take for sets of sets.
    inside = _IN_SET.sub(r"\\\1", found[2]).replace("--", r"\-\-")
    return f"[{'^' if found[1] else ''}{inside}]"


def escaped(text: str) -> str:
    """A text that means itself in an expression. Not ``re.escape``: it escapes blanks, which RE2 refuses."""
    return "".join(f"\\{one}" if one in _SPECIAL else one for one in text)


@dataclass(frozen=True)
class Condition:
    """One field of a matcher: any of the attributes ``keys`` (none: the span's name) must have one of these values.

    ``low`` and ``high`` belong to a range of numbers, both included.
    """

    name: str
    keys: tuple[str, ...]
    texts: frozenset[str] = frozenset()
    globs: tuple[str, ...] = ()
    flags: frozenset[bool] = frozenset()
    numbers: frozenset[float] = frozenset()
    low: float | None = None
    high: float | None = None
    _patterns: tuple[re.Pattern[str], ...] = field(default=(), init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_patterns", tuple(re.compile(regex_of(one), re.DOTALL) for one in self.globs))

    def fits(self, attributes: Mapping[str, Any]) -> bool:
        """Whether any of the attributes ``keys`` has one of these values."""
        # Plain loops here and below: every span that starts comes through them, and a generator costs twice as much.
        for key in self.keys:  # noqa: SIM110
            if key in attributes and self.holds(attributes[key]):
                return True
        return False

    def holds(self, value: Any) -> bool:
        """Whether a value is one of these; of a list of values, whether any is."""
        if isinstance(value, str):
            return self._is_one(value)
        if isinstance(value, bool):
            return value in self.flags
        if isinstance(value, (int, float)):
            return value in self.numbers or self._in_range(value)
        if isinstance(value, Sequence):
            return any(self.holds(one) for one in cast("Sequence[Any]", value))
        return False

    def _is_one(self, value: str) -> bool:
        # The older attribute of the path has the query, too.
        text = value.partition("?")[0] if self.name == ROUTE else value
        if text in self.texts:
            return True
        for pattern in self._patterns:  # noqa: SIM110 - as above
            if pattern.fullmatch(text):
                return True
        return False

    def _in_range(self, value: float) -> bool:
        if self.low is None and self.high is None:
            return False
        return (self.low is None or value >= self.low) and (self.high is None or value <= self.high)


def condition(name: str, keys: tuple[str, ...], values: Sequence[Plain]) -> Condition:
    """From the values as they stand in a file."""
    texts = [one for one in values if isinstance(one, str)]
    return Condition(
        name,
        keys,
        texts=frozenset(one for one in texts if not is_glob(one)),
        globs=tuple(one for one in texts if is_glob(one)),
        flags=frozenset(one for one in values if isinstance(one, bool)),
        numbers=frozenset(one for one in values if isinstance(one, (int, float)) and not isinstance(one, bool)),
    )


@dataclass(frozen=True)
class Matcher:
    """What all has to hold of one span. ``conditions`` are of attributes, ``span`` is of its name."""

    conditions: tuple[Condition, ...] = ()
    span: Condition | None = None
    kinds: frozenset[SpanKind] = frozenset()

    def matches(self, name: str, kind: SpanKind | None, attributes: Mapping[str, Any]) -> bool:
        """Whether a span with this name, kind and these attributes is meant."""
        if self.kinds and kind not in self.kinds:
            return False
        if self.span is not None and not self.span.holds(name):
            return False
        for one in self.conditions:  # noqa: SIM110 - as above
            if not one.fits(attributes):
                return False
        return True

    @property
    def needs(self) -> tuple[str, ...]:
        """Attributes of which a span that is meant has at least one; empty where it needs none."""
        return self.conditions[0].keys if self.conditions else ()
