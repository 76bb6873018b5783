"""Which rules there are, which of them a text asks for, and what they find in it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from spanloom.redaction import _named, _pii, _prefilter, _tokens
from spanloom.redaction._hit import Action, Finder, Hit
from spanloom.redaction._phones import phones
from spanloom.redaction._prefilter import LONG, LONG_RUN, WORDS

# In the order of their weight where they overlap.
_PII: Final[dict[str, Finder]] = {
    "email": _pii.emails,
    "card": _pii.cards,
    "iban": _pii.ibans,
    "ssn": _pii.ssns,
    "phone": phones,
    "ip": _pii.addresses,
}
KINDS: Final = tuple(_PII)
_OF_DIGITS: Final = frozenset(("card", "ssn", "phone"))

# Bits of what a text may hold.
TOKENS: Final = 1
NAMED: Final = 2
SCHEMES: Final = 4
LOGINS: Final = 8
KEYS: Final = 16
MAILS: Final = 32
DIGITS: Final = 64
IBANS: Final = 128
ADDRESSES: Final = 256
WEBHOOKS: Final = 512
OPTIONS: Final = 1024
OWN: Final = 2048
# Something is spelt as an escape of JSON: it is looked at decoded.
HIDDEN: Final = 4096

# Cutting such a text into words is dearer than reading it.
_SHORT: Final = 128
_JSON: Final = frozenset(("{", "["))
_PLAIN: Final = re.compile(r"[A-Za-z0-9 _.:@#=+*-]*")


@dataclass(frozen=True)
class Own:
    """A rule of the file: of values (``pattern``; ``contains`` is a cheap first look), or of attribute keys (globs)."""

    name: str
    pattern: re.Pattern[str] | None = None
    contains: tuple[str, ...] = ()
    attribute: tuple[str, ...] = ()
    action: Action = "replace"


class _Wanted(NamedTuple):
    mails: bool
    digits: bool
    ibans: bool
    addresses: bool

    @property
    def shapes(self) -> bool:
        return self.ibans or self.addresses


class Scan:
    """The rules of values of one redactor."""

    def __init__(self, pii: frozenset[str], own: tuple[Own, ...]) -> None:
        self.pii = pii
        self.own = own
        self._wanted = _Wanted("email" in pii, bool(pii & _OF_DIGITS), "iban" in pii, "ip" in pii)
        # One that cannot be told from JSON's spelling, or has no literal, is asked of every text.
        self._literals = tuple(one for rule in own for one in rule.contains)
        self._always = any(not rule.contains for rule in own)
        self._escaped = any(_PLAIN.fullmatch(one) is None for one in self._literals)

    def suspect(self, text: str) -> int:
        """The bits of what the text may hold; 0 for most texts, in a microsecond or a few."""
        encoded = text.encode("ascii", "replace")
        found = 0
        if len(encoded) >= LONG:
            # Inline, since this is asked of every value: a word as long as a key, and literals that have a blank.
            if LONG_RUN in (words := encoded.translate(WORDS)):
                found = _in_words(text, words)
            if "asic " in text or "earer " in text or " --" in text or "PRIVATE KEY" in text:
                found |= _between_blanks(text)
        if "=" in text or ":" in text or '"' in text:
            found |= _beside_signs(text, encoded)
        if "\\" in text and _prefilter.is_hiding(text, bool(self.pii)):
            found |= HIDDEN
        if self.pii:
            found |= self._persons(text, encoded)
        if self.own and self._may_be_own(text):
            found |= OWN
        return found

    def _persons(self, text: str, encoded: bytes) -> int:
        wanted = self._wanted
        found = MAILS if wanted.mails and "@" in text else 0
        if wanted.digits and _prefilter.has_digits(encoded):
            found |= DIGITS
        if wanted.shapes:
            shape = _prefilter.shapes(encoded)
            found |= IBANS if wanted.ibans and _prefilter.has_iban(shape) else 0
            found |= ADDRESSES if wanted.addresses and _prefilter.has_address(shape) else 0
        return found

    def _may_be_own(self, text: str) -> bool:
        return self._always or any(one in text for one in self._literals) or (self._escaped and "\\" in text)


def _in_words(text: str, words: bytes) -> int:
    runs = "\n" + text if len(text) < _SHORT else _prefilter.long_runs(text, words)
    found = TOKENS if _tokens.may_have_token(runs) else 0
    return found | WEBHOOKS if "hooks" in text else found


def _between_blanks(text: str) -> int:
    found = KEYS if "PRIVATE KEY" in text else 0
    if "earer " in text or "asic " in text:
        found |= SCHEMES
    if " --" in text and _named.may_have_option(text):
        found |= OPTIONS
    return found


def _beside_signs(text: str, encoded: bytes) -> int:
    found = NAMED if _prefilter.has_named(encoded, text[:1] in _JSON) else 0
    return found | LOGINS if "@" in text and ("://" in text or ":\\/\\/" in text) else found


_BITS: Final[tuple[tuple[int, Finder], ...]] = (
    (KEYS, _tokens.private_keys),
    (TOKENS, _tokens.tokens),
    (WEBHOOKS, _named.webhooks),
    (LOGINS, _named.logins),
    (NAMED, _named.named_values),
    (SCHEMES, _named.schemes),
    (OPTIONS, _named.options),
)
_PII_BITS: Final = {"email": MAILS, "card": DIGITS, "iban": IBANS, "ssn": DIGITS, "phone": DIGITS, "ip": ADDRESSES}


def look(scan: Scan, text: str, found: int) -> Iterator[Hit]:
    """What the rules find; own ones first, then secrets, then what tells of persons."""
    yield from _look(scan, text, found)
    if found & HIDDEN:
        # JSON that was cut off: what hides in escapes is found at its place.
        plain, places = _prefilter.unescaped(text), _prefilter.places(text)
        for start, end, rule in _look(scan, plain, scan.suspect(plain)):
            yield Hit(places[start], places[end], rule)


def _look(scan: Scan, text: str, found: int) -> Iterator[Hit]:
    if found & OWN:
        for rule in scan.own:
            yield from _own(rule, text)
    for bit, finder in _BITS:
        if found & bit:
            yield from finder(text)
    for kind, finder in _PII.items():
        if kind in scan.pii and found & _PII_BITS[kind]:
            yield from finder(text)


def _own(rule: Own, text: str) -> Iterable[Hit]:
    assert rule.pattern is not None
    if rule.contains and not any(one in text for one in rule.contains):
        return ()
    return [Hit(*match.span(), rule.name) for match in rule.pattern.finditer(text) if match.end() > match.start()]
