"""What a rule has found in a text, and how overlapping finds become one."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Final, Literal, NamedTuple

Action = Literal["replace", "hash", "drop"]
# In the place of what could not be looked at.
FAILED: Final = "[redaction failed]"


class Hit(NamedTuple):
    """A place in a text, in characters, and the rule that found it."""

    start: int
    end: int
    rule: str


Finder = Callable[[str], Iterable[Hit]]

# What we write ourselves. It is no secret when it comes by a second time.
MARKER: Final = re.compile(
    r"\[(?:redact(?:ed:[A-Za-z0-9_.-]{1,64}|ion failed)|[A-Za-z0-9_.-]{1,64}:[0-9a-f]{16}|hidden)\]"
)


def merged(hits: Iterable[Hit]) -> Iterator[Hit]:
    """In the order of the text, none overlapping: such become one, of the rule that stands first in ``hits``."""
    weight: dict[str, int] = {}
    for hit in (rows := list(hits)):
        weight.setdefault(hit.rule, len(weight))
    rows.sort(key=lambda hit: hit.start)
    last: Hit | None = None
    for hit in rows:
        if last is None:
            last = hit
        elif hit.start >= last.end:
            yield last
            last = hit
        else:
            rule = min(last.rule, hit.rule, key=weight.__getitem__)
            last = Hit(last.start, max(last.end, hit.end), rule)
    if last is not None:
        yield last
