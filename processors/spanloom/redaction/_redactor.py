"""The redactor: what of a value is looked at by which rules, and what stands there afterwards."""

from __future__ import annotations

import hashlib
import hmac
from collections import UserString
from collections.abc import Collection, Mapping, Sequence, Set
from functools import partial
from typing import Any, Final, cast

from spanloom.genai.hooks import guard, guarded
from spanloom.redaction import _json
from spanloom.redaction._hit import FAILED, MARKER, Action, Hit, merged
from spanloom.redaction._keys import DROP, SCAN, Keys
from spanloom.redaction._named import NAMED, are_names, is_word, secret_header, secret_name
from spanloom.redaction._rules import KINDS, Own, Scan, look

# Longer texts that may hold something are replaced whole: the work on one value is bounded, and nothing slips through.
MAX_TEXT: Final = 4 << 20
# JSON in JSON in JSON; deeper ones are read as plain text.
MAX_JSON: Final = 8
MAX_DEPTH: Final = 64
SECRET_NUMBER: Final = 100_000
_PLACE: Final = "redaction"
# It has no state of its own, so one serves all.
_GUARD: Final = guard(_PLACE)


class Redactor:
    """Takes secrets, and on demand what tells of persons, out of texts, attributes and bodies.

    ``pii``: kinds from ``PII``. ``action`` of the built-in rules: ``replace`` writes ``[redacted:<rule>]``, ``hash``
    writes ``[<rule>:<16 hex digits>]``, the first 64 bits of the HMAC-SHA256 with ``hash_key``. ``rules``: own ones, as
    ``load`` makes them. ``keep``: globs of attribute keys that only an own rule of attributes may touch.

    It does not change after it is made but for its counts, holds no text, and may be used from any thread. Where it
    fails the value becomes ``[redaction failed]``. Raises ``ValueError`` for unknown kinds and a hash without a key.
    """

    def __init__(
        self,
        *,
        pii: Collection[str] = (),
        action: Action = "replace",
        rules: Sequence[Own] = (),
        keep: Sequence[str] = (),
        hash_key: bytes = b"",
    ) -> None:
        unknown = sorted(set(pii) - set(KINDS))
        if unknown:
            raise ValueError(f"unknown kinds: {', '.join(unknown)}; known: {', '.join(KINDS)}")
        hashed = {rule.name for rule in rules if rule.action == "hash"}
        if not hash_key and (hashed or action == "hash"):
            raise ValueError("the action hash needs a key")
        self._scan = Scan(frozenset(pii), tuple(rule for rule in rules if rule.pattern is not None))
        self._keys = Keys(tuple(rule for rule in rules if rule.attribute), tuple(keep), action, self._text)
        self._actions: dict[str, Action] = {rule.name: rule.action for rule in rules}
        self._action: Action = action
        self._hash_key = hash_key
        self._counts: dict[str, int] = {}

    def counts(self) -> dict[str, int]:
        """Redactions so far by rule; a few may be missing where threads met."""
        return dict(self._counts)

    @guarded(_PLACE, FAILED)
    def text(self, value: str) -> str:
        """The text without what the rules find; the same object where that is nothing."""
        found = self._scan.suspect(value)
        return self._redacted(value, found, 0) if found else value

    def attributes(self, attributes: Mapping[str, Any]) -> dict[str, Any] | None:
        """The attributes as a new dict, without those that are to be dropped; ``None`` where nothing is to change.

        Where even reading them fails the dict is empty.
        """
        with _GUARD:
            return self._attributes(attributes)
        return {}

    @guarded(_PLACE, FAILED)
    def body(self, value: Any) -> Any:
        """A text, bytes, or lists, tuples and mappings of such; the same object where nothing is found."""
        return self._any(value, ())

    def _attributes(self, attributes: Mapping[str, Any]) -> dict[str, Any] | None:
        changed: dict[str, Any] = {}
        names: dict[str, str] = {}
        known, suspect = self._keys.known, self._scan.suspect
        for key, value in attributes.items():
            decision = known.get(key) or self._keys.decide(key)
            if decision is SCAN:
                kind = cast("type[object]", type(value))
                if kind is int or kind is float or kind is bool or (kind is str and not suspect(value)):
                    continue
            elif decision.keep:
                continue
            if decision.name:
                names[key] = decision.name
            new = self._attribute(decision, value)
            if new is not value:
                changed[key] = new
        if not changed and not names:
            return None
        return {
            names.get(key, key): new
            for key, value in attributes.items()
            if (new := changed.get(key, value)) is not DROP
        }

    def _attribute(self, decision: Any, value: Any) -> Any:
        result: Any = FAILED
        with _GUARD:
            if not decision.rule:
                result = self._any(value, ())
            elif decision.action == "drop":
                self._count(decision.rule)
                result = DROP
            elif decision.rule == NAMED and _is_figure(value):
                result = value
            else:
                result = self._whole(value, decision.rule, decision.action)
        return result

    def _whole(self, value: Any, rule: str, action: Action) -> Any:
        """What stands for a value that is a secret by its name. Flags and nothing stay, as do our own markers."""
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, (list, tuple)):
            return _like(
                cast("Sequence[Any]", value), [self._whole(one, rule, action) for one in cast("Sequence[Any]", value)]
            )
        text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
        if not text or MARKER.fullmatch(text):
            return value
        self._count(rule)
        return self._mark(rule, action, text)

    def _any(self, value: Any, around: tuple[int, ...]) -> Any:
        """``around`` are the ids of the containers it stands in."""
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, (bytes, bytearray)):
            return self._bytes(value)
        if value is None or isinstance(value, (bool, int, float)):
            return value
        return self._other(value, around)

    def _other(self, value: Any, around: tuple[int, ...]) -> Any:
        """Containers, and what exporters write as its text."""
        if not isinstance(value, (Mapping, Sequence, Set)) or isinstance(value, (UserString, memoryview)):
            text = _text_of(cast("object", value))
            return cast("object", value) if (told := self._text(text)) is text else told
        if id(cast("object", value)) in around or len(around) >= MAX_DEPTH:
            return FAILED
        within = (*around, id(cast("object", value)))
        if isinstance(value, Mapping):
            return self._mapping(cast("Mapping[Any, Any]", value), within)
        given = cast("Any", value)
        items: list[Any] = list(given)
        new = self._pair(items) or [self._any(item, within) for item in items]
        return given if all(map(_is, items, new)) else _like(given, new)

    def _pair(self, items: Sequence[Any]) -> list[Any] | None:
        """A header and its value, where the header is a secret's."""
        if len(items) != 2:
            return None
        name = items[0].decode("latin-1") if isinstance(items[0], bytes) else items[0]
        if not isinstance(name, str) or not secret_header(name):
            return None
        value = items[1]
        if not isinstance(value, (str, bytes)) or (isinstance(value, str) and are_names(name, value)):
            return None
        return [items[0], self._whole(value, NAMED, self._action)]

    def _mapping(self, rows: Mapping[Any, Any], within: tuple[int, ...]) -> Any:
        new: dict[Any, Any] = {}
        same = True
        for key, value in rows.items():
            name = self._text(key) if isinstance(key, str) else key
            said = key.decode("latin-1") if isinstance(key, bytes) else key
            if isinstance(key, bytes):
                name = self._bytes(key)
            if isinstance(said, str) and secret_name(said) and not (_is_schema(value) or is_word(said, value)):
                item = self._leaves(value, within)
            else:
                item = self._any(value, within)
            same = same and name is key and item is value
            new[name] = item
        return rows if same else new

    def _leaves(self, value: Any, around: tuple[int, ...]) -> Any:
        """Everything below a secret's name."""
        if isinstance(value, (Mapping, list, tuple)):
            if id(cast("Any", value)) in around or len(around) >= MAX_DEPTH:
                return FAILED
            within = (*around, id(cast("Any", value)))
            if isinstance(value, Mapping):
                rows = cast("Mapping[Any, Any]", value)
                return {key: self._leaves(one, within) for key, one in rows.items()}
            items = cast("Sequence[Any]", value)
            return _like(items, [self._leaves(one, within) for one in items])
        return self._whole(value, NAMED, self._action)

    def _bytes(self, value: bytes | bytearray) -> Any:
        """As text of one character a byte: places stay the same, whatever the encoding is."""
        try:
            text, encoding = value.decode("utf-8"), "utf-8"
        except UnicodeDecodeError:
            text, encoding = value.decode("latin-1"), "latin-1"
        new = self._text(text)
        return value if new is text else type(value)(new.encode(encoding))

    def _text(self, value: str, depth: int = 0) -> str:
        found = self._scan.suspect(value)
        return self._redacted(value, found, depth) if found else value

    def _redacted(self, value: str, found: int, depth: int) -> str:
        if len(value) > MAX_TEXT:
            self._count("too_long")
            return self._mark("too_long", "replace", "")
        if depth < MAX_JSON and _json.is_json(value):
            rules = _json.Rules(partial(self._text, depth=depth + 1), secret_name, secret_header, self._secret, is_word)
            return _json.redacted(value, rules)
        hits = list(merged(look(self._scan, value, found)))
        return self._replaced(value, hits) if hits else value

    def _secret(self, text: str) -> str:
        return cast("str", self._whole(text, NAMED, self._action))

    def _replaced(self, value: str, hits: list[Hit]) -> str:
        parts: list[str] = []
        at = 0
        for start, end, rule in hits:
            self._count(rule)
            parts += value[at:start], self._mark(rule, self._actions.get(rule, self._action), value[start:end])
            at = end
        return "".join((*parts, value[at:]))

    def _mark(self, rule: str, action: Action, text: str) -> str:
        if action != "hash":
            return f"[redacted:{rule}]"
        digest = hmac.new(self._hash_key, text.encode("utf-8", "surrogatepass"), hashlib.sha256)
        return f"[{rule}:{digest.hexdigest()[:16]}]"

    def _count(self, rule: str) -> None:
        self._counts[rule] = self._counts.get(rule, 0) + 1


def _is_figure(value: object) -> bool:
    """A measure or a short number, or a list of such: a secret is a text, or a number of six digits or more."""
    if isinstance(value, (list, tuple)):
        return all(map(_is_figure, cast("Sequence[object]", value)))
    return isinstance(value, float) or (isinstance(value, int) and abs(value) < SECRET_NUMBER)


def _is(one: object, other: object) -> bool:
    return one is other


def _like(items: Sequence[Any], new: list[Any]) -> Any:
    """A tuple where it was one; a named tuple keeps its type."""
    if not isinstance(items, tuple):
        return new
    make = getattr(type(items), "_make", tuple)
    return make(new)


def _is_schema(value: object) -> bool:
    """Whether it describes a field that is named as a secret, as tools' definitions do."""
    return isinstance(value, Mapping) and any(one in value for one in ("type", "$ref", "anyOf", "allOf", "oneOf"))


def _text_of(value: object) -> str:
    return value.tobytes().decode("latin-1") if isinstance(value, memoryview) else str(value)
