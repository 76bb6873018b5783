"""JSON text: each string is decoded, redacted and written anew only where it has changed; the rest stays as it is."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from spanloom.redaction._named import are_names

_TOKEN: Final = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[{}\[\]:,]|[^\s{}\[\]:,"]+', re.DOTALL)
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
# The schema of a field named ``password`` is no password.
_SCHEMA: Final = re.compile(
    r'\s*"(?:type|title|description|\$ref|anyOf|allOf|oneOf|enum|const|default|format|nullable|minLength|maxLength|'
    r'pattern|examples?)"\s*:'
)
_LAST: Final = re.compile(r"\s*\]")
_LITERALS: Final = frozenset(("true", "false", "null"))


class Rules(NamedTuple):
    """What the walk asks: the text of a string, whether a key or a header names a secret, what stands for one."""

    text: Callable[[str], str]
    is_secret: Callable[[str], bool]
    is_header: Callable[[str], bool]
    secret: Callable[[str], str]
    is_word: Callable[[str, str], bool]


def is_json(text: str) -> bool:
    """Whether the text is a JSON object, array or string."""
    if text.lstrip()[:1] not in {"{", "[", '"'}:
        return False
    try:
        # The figures are of no interest, and may be longer than Python reads.
        json.loads(text, parse_int=float, parse_float=float)
    except (ValueError, RecursionError):
        return False
    return True


def redacted(text: str, rules: Rules) -> str:
    """The text, which must be valid JSON, with its strings redacted; the same object where nothing is."""
    parts: list[str] = []
    at = 0
    for start, end, new in _Walk(text, rules).edits():
        parts += text[at:start], new
        at = end
    return "".join((*parts, text[at:])) if parts else text


@dataclass
class _Frame:
    """An object or array that is open. ``secret``: everything in it is; ``key_secret``: the next value is."""

    is_object: bool
    secret: bool
    at_key: bool
    key_secret: bool = False
    key: str = ""
    items: int = 0


class _Walk:
    def __init__(self, text: str, rules: Rules) -> None:
        self._text = text
        self._rules = rules
        self._frames = [_Frame(is_object=False, secret=False, at_key=False)]

    def edits(self) -> Iterator[tuple[int, int, str]]:
        """Tokens that change: where they stand, and what stands there instead."""
        for match in _TOKEN.finditer(self._text):
            token = match[0]
            if token in "{[":
                self._open(token == "{", match.end())
            elif token in "}]":
                self._frames.pop()
            elif token == ",":
                self._next()
            elif token == ":":
                self._frames[-1].at_key = False
            else:
                new = self._string(token, match.end()) if token[0] == '"' else self._figure(token)
                if new is not None:
                    yield match.start(), match.end(), new

    def _open(self, is_object: bool, end: int) -> None:
        around = self._frames[-1]
        is_schema = is_object and _SCHEMA.match(self._text, end) is not None
        secret = around.secret or (around.is_object and around.key_secret and not is_schema)
        self._frames.append(_Frame(is_object, secret, is_object))

    def _next(self) -> None:
        frame = self._frames[-1]
        frame.at_key = frame.is_object
        frame.items += 1
        if frame.is_object or frame.items > 1:
            frame.key_secret = False

    def _string(self, token: str, end: int) -> str | None:
        frame = self._frames[-1]
        text: str = json.loads(token) if "\\" in token else token[1:-1]
        if frame.at_key:
            frame.key, frame.key_secret = text, self._rules.is_secret(text)
            new = self._rules.text(text)
        elif frame.key_secret and frame.is_object and not frame.secret and self._rules.is_word(frame.key, text):
            new = self._rules.text(text)
        elif frame.secret or (frame.key_secret and (frame.is_object or self._is_pair(text, end))):
            new = self._rules.secret(text)
        else:
            new = self._rules.text(text)
            # The first of a pair may be the name of a header.
            if not frame.is_object and frame.items == 0:
                frame.key, frame.key_secret = text, self._rules.is_header(text)
        return None if new is text else quoted(new, token)

    def _is_pair(self, text: str, end: int) -> bool:
        is_last = self._frames[-1].items == 1 and _LAST.match(self._text, end) is not None
        return is_last and not are_names(self._frames[-1].key, text)

    def _figure(self, token: str) -> str | None:
        frame = self._frames[-1]
        if token in _LITERALS or not (frame.secret or (frame.key_secret and frame.is_object)):
            return None
        return quoted(self._rules.secret(token), "")


def quoted(text: str, like: str) -> str:
    """A JSON string; other scripts as they are where ``like`` has them so, and can be encoded."""
    return json.dumps(text, ensure_ascii=like.isascii() or _SURROGATE.search(text) is not None)
