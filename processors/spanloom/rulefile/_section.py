"""One mapping of a rule file. Fields are taken by name; what is wrong is noted, and told all at once at the end."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, cast

# How many mistakes are told; one typing error in a long list must not fill the log.
MAX_TOLD: Final = 20
_MAX_SHOWN: Final = 60
_DURATION: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*(ms|s|m|h)")
_UNIT_S: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


class RuleFileError(ValueError):
    """A rule file that cannot be used; the message has a line for each mistake: ``file:line: field: what is wrong``."""


class Node(NamedTuple):
    """A value with its place: a plain one (text, number, flag, ``None``), a list of nodes, or a dict of nodes."""

    value: Any
    line: int


@dataclass
class Problems:
    """The mistakes of one file."""

    name: str
    rows: list[tuple[int, str]] = field(default_factory=list[tuple[int, str]])

    def add(self, line: int, path: str, text: str) -> None:
        """Note one."""
        self.rows.append((line, f"{self.name}:{line}: {path + ': ' if path else ''}{text}"))

    def raise_any(self) -> None:
        """Tell all of them, in the order of the file."""
        if not self.rows:
            return
        told = [text for _, text in sorted(self.rows)[:MAX_TOLD]]
        more = len(self.rows) - len(told)
        raise RuleFileError("\n".join([*told, f"... and {more} more"] if more else told))


class Section:
    """A mapping of the file. Each getter takes one field and returns the default where it is absent or wrong.

    ``close`` notes fields that nobody took. Call ``check`` of the outermost section when all is read: it raises
    ``RuleFileError`` with every mistake that any section of the file has noted.
    """

    def __init__(self, node: Node, path: str, problems: Problems) -> None:
        self.line = node.line
        self.path = path
        self._problems = problems
        value = cast("object", node.value)
        self._rows = cast("dict[str, Node]", value) if isinstance(value, dict) else {}
        self._taken: set[str] = set()

    def __contains__(self, name: str) -> bool:
        return name in self._rows

    def names(self) -> tuple[str, ...]:
        """Every field that stands here, in the order of the file."""
        return tuple(self._rows)

    def is_mapping(self, name: str) -> bool:
        """True where a field is a mapping, and ``section`` has it."""
        return name in self._rows and isinstance(self._rows[name].value, dict)

    def is_empty(self, name: str) -> bool:
        """True where a field is a list or a mapping without anything in it."""
        return name in self._rows and self._rows[name].value in ([], {})

    def fail(self, name: str, text: str) -> None:
        """Note a mistake of a field, or of the section itself (``name`` empty)."""
        node = self._rows.get(name)
        self._problems.add(node.line if node else self.line, self._field(name), text)

    def text(self, name: str, default: str = "", choices: Collection[str] = ()) -> str:
        """A text; one of ``choices`` where there are any."""
        value = self._take(name, (str,), "a text")
        if value is None:
            return default
        if not value or (choices and value not in choices):
            self.fail(
                name, f"{_shown(value)} is not {_either(choices) if choices else 'a text of one character or more'}"
            )
            return default
        return value

    def texts(self, name: str, choices: Collection[str] = ()) -> tuple[str, ...]:
        """A text, or a list of texts; empty where the field is absent."""
        node = self._rows.get(name)
        if node is not None and not isinstance(node.value, list):
            one = self.text(name, choices=choices)
            return (one,) if one else ()
        found: list[str] = []
        for place, item in self._items(name):
            if not isinstance(item.value, str) or not item.value or (choices and item.value not in choices):
                wanted = _either(choices) if choices else "a text of one character or more"
                self._problems.add(item.line, place, f"{_shown(item.value)} is not {wanted}")
            else:
                found.append(item.value)
        return tuple(found)

    def values(self, name: str) -> tuple[str | bool | int | float, ...]:
        """A plain value of any type, or a list of them; empty where the field is absent."""
        node = self._node(name)
        if node is None:
            return ()
        items = self._items(name) if isinstance(node.value, list) else [(self._field(name), node)]
        found: list[str | bool | int | float] = []
        for place, item in items:
            if isinstance(item.value, (str, bool, int, float)):
                found.append(item.value)
            else:
                self._problems.add(item.line, place, f"{_shown(item.value)} is not a text, a number, true or false")
        return tuple(found)

    def flag(self, name: str, default: bool = False) -> bool:
        """``true`` or ``false``."""
        value = self._take(name, (bool,), "true or false")
        return default if value is None else value

    def number(self, name: str, default: float | None = None, low: float = 0.0, high: float = math.inf) -> float | None:
        """A number from ``low`` to ``high``."""
        wanted = f"a number from {low:g} to {high:g}" if high < math.inf else f"a number of {low:g} or more"
        value = self._take(name, (int, float), wanted)
        if value is None:
            return default
        if not low <= value <= high or math.isinf(value):
            self.fail(name, f"{_shown(value)} is not {wanted}")
            return default
        return float(value)

    def integer(self, name: str, default: int, low: int = 1) -> int:
        """A whole number of ``low`` or more."""
        value = self._take(name, (int,), f"a whole number of {low} or more")
        if value is None:
            return default
        if value < low:
            self.fail(name, f"{value} is not a whole number of {low} or more")
            return default
        return value

    def version(self, known: int) -> None:
        """Take ``version``, which every file has: one of another form is not read as if it were this one."""
        if "version" not in self:
            self.fail("version", f"is missing; write version: {known}")
        elif self.integer("version", known) != known:
            self.fail("version", f"is not known here; this spanloom reads version {known}")

    def ratio(self, name: str, default: float | None = None) -> float | None:
        """A number from 0 to 1."""
        return self.number(name, default, 0.0, 1.0)

    def duration_s(self, name: str, default: float | None = None) -> float | None:
        """Seconds: ``10s``, ``500ms``, ``2m``, ``1h``. A bare number is a mistake, since nobody can know its unit."""
        value = self._take(name, (str,), "a duration such as 10s, 500ms, 2m or 1h")
        if value is None:
            return default
        match = _DURATION.fullmatch(value.strip())
        if match is None:
            self.fail(name, f"{_shown(value)} is not a duration such as 10s, 500ms, 2m or 1h")
            return default
        return float(match[1]) * _UNIT_S[match[2]]

    def section(self, name: str) -> Section | None:
        """A mapping below; ``None`` where the field is absent or no mapping."""
        node = self._node(name)
        if node is None or not self._is(node, dict, self._field(name), "a mapping of fields"):
            return None
        return Section(node, self._field(name), self._problems)

    def sections(self, name: str) -> Iterator[Section]:
        """The mappings of a list; what is none is noted and left out."""
        for place, item in self._items(name):
            if self._is(item, dict, place, "a mapping of fields"):
                yield Section(item, place, self._problems)

    def pairs(self, name: str) -> dict[str, Any]:
        """A mapping of names to plain values or lists of them, as it stands."""
        below = self.section(name)
        if below is None:
            return {}
        found: dict[str, Any] = {}
        for key, node in below._rows.items():
            is_list = isinstance(node.value, list)
            values = cast("list[Node]", node.value) if is_list else [node]
            plain: list[Any] = [one.value for one in values]
            if any(isinstance(one, (dict, list)) or one is None for one in plain):
                below.fail(key, "neither a plain value nor a list of plain values")
            else:
                found[key] = plain if is_list else plain[0]
        return found

    def close(self, *known: str) -> None:
        """Note every field that was not taken. ``known``: fields that may stand here and were not looked at."""
        names = {*self._taken, *known}
        for name in self._rows.keys() - names:
            near = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
            hint = f"did you mean {near[0]}?" if near else f"known here: {', '.join(sorted(names)) or 'nothing'}"
            self.fail(name, f"no such field; {hint}")

    def check(self) -> None:
        """Raise ``RuleFileError`` where anything in the file is wrong."""
        self._problems.raise_any()

    def _field(self, name: str) -> str:
        return f"{self.path}.{name}" if self.path and name else self.path or name

    def _node(self, name: str) -> Node | None:
        self._taken.add(name)
        return self._rows.get(name)

    def _take(self, name: str, kinds: tuple[type, ...], wanted: str) -> Any:
        node = self._node(name)
        if node is None:
            return None
        # True is a number in Python, and none in a file.
        if (
            not isinstance(node.value, kinds)
            or (isinstance(node.value, bool) and bool not in kinds)
            or node.value != node.value
        ):
            self.fail(name, f"{_shown(node.value)} is not {wanted}")
            return None
        return node.value

    def _items(self, name: str) -> list[tuple[str, Node]]:
        node = self._node(name)
        if node is None or not self._is(node, list, self._field(name), "a list"):
            return []
        return [(f"{self._field(name)}[{index}]", item) for index, item in enumerate(cast("list[Node]", node.value))]

    def _is(self, node: Node, kind: type, place: str, wanted: str) -> bool:
        if isinstance(node.value, kind):
            return True
        self._problems.add(node.line, place, f"{_shown(node.value)} is not {wanted}")
        return False


def _shown(value: object) -> str:
    if isinstance(value, (dict, list)):
        return "a mapping" if isinstance(value, dict) else "a list"
    text = "nothing" if value is None else repr(value)
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}..."


def _either(choices: Collection[str]) -> str:
    return f"one of {', '.join(choices)}"
