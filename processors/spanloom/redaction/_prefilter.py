"""What a text must have so that any rule can find something in it: a few passes of C code, microseconds for 4 kB.

Characters are mapped to classes, one byte each, so that "a long word" or "seven digits, however they are spaced" is a
search for a fixed string.
"""

from __future__ import annotations

import re
from typing import Final

_ALNUM: Final = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
# Keys and tokens have a run of this many characters of words and hyphens.
LONG: Final = 18
LONG_RUN: Final = b"w" * LONG


def _table(**classes: bytes) -> bytes:
    """Each class is named by the letter that it becomes; all else becomes a blank."""
    found = bytearray(b" " * 256)
    for letter, members in classes.items():
        for one in members:
            found[one] = ord(letter)
    return bytes(found)


WORDS: Final = _table(w=_ALNUM + b"_-")
_LOWER: Final = bytes(
    ord("=") if one == ord(":") else ord(chr(one).lower()) if one < 128 else one for one in range(256)
)
# A pair of JSON may be a header and its value.
_LOWER_JSON: Final = _LOWER.replace(b",", b"=")
# ``"pass\\": "``, ``pass = `` and ``PASS2=`` are the same after this.
_BETWEEN: Final = b" \"'`\\\t>0123456789"
# The last letters of names that may be a secret's. Looked at where an equals sign stands: there are few of them.
_NAMED: Final = re.compile(
    # One look at three letters says no to nearly all of them.
    b"=(?<=(?:ord|ass|uth|ken|ens|ret|ets|eds|swd|ase|ode|rer|kie|der|ion|ure|ial|als|pwd|sig|key|eys)=)"
    b"(?:(?<=pwd=)|(?<=sig=)|(?<=key=)|(?<=keys=)|(?<=(?:word|pass|auth)=)|(?<=(?:token|okens|ecret|crets|creds|asswd)=)"
    b"|(?<=(?:phrase|sscode|bearer|cookie|header|zation|nature|ential|ntials)=))"
)
# Escaped ASCII in JSON text: what is hidden so is looked at decoded.
_ESCAPED: Final = re.compile(r"\\u00[2-7]")
_UNICODE: Final = re.compile(r"\\{1,4}u([0-9a-fA-F]{4})")

_DIGITS: Final = bytes(ord("0") if 48 <= one < 58 else ord(" ") for one in range(256))
_DIGIT_GAPS: Final = b" -().+/?\t"
_SHAPES: Final = bytes(
    ord("0")
    if 48 <= one < 58
    else ord("A")
    if chr(one).isascii() and chr(one).isalpha()
    else one
    if chr(one) in ".:"
    else ord(" ")
    for one in range(256)
)
_DOTTED: Final = re.compile(rb"0\.00?0?\.0")
_COLONS: Final = re.compile(rb":[0A]{0,4}:[0A]{0,4}[:0A]")


def is_hiding(text: str, blanks: bool) -> bool:
    """Whether ASCII, or with ``blanks`` one that stands between digits, is spelt as an escape of JSON."""
    return "\\u" in text and (_ESCAPED.search(text) is not None or (blanks and any(one in text for one in _ODD_BLANKS)))


def unescaped(text: str) -> str:
    r"""The text with its ``\uXXXX`` decoded."""
    return _UNICODE.sub(lambda match: chr(int(match[1], 16)), text)


def places(text: str) -> list[int]:
    """Where each character of ``unescaped(text)`` stands in the text, and the end."""
    found: list[int] = []
    at = 0
    for match in _UNICODE.finditer(text):
        found += range(at, match.start() + 1)
        at = match.end()
    found += range(at, len(text) + 1)
    return found


_ODD_BLANKS: Final = ("\\u00a0", "\\u00A0", "\\u00ad", "\\u200", "\\u201", "\\u202")


def long_runs(text: str, words: bytes) -> str:
    """The long words of a text, each after a line break. ``words``: the text with its characters as classes."""
    at = words.find(LONG_RUN)
    runs: list[str] = []
    while at >= 0:
        end = words.find(b" ", at + LONG)
        end = len(words) if end < 0 else end
        # What stands before may belong to it: ``SG.``, or a backslash.
        runs.append(text[max(at - 6, 0) : end])
        at = words.find(LONG_RUN, end)
    return "\n".join(("", *runs))


def has_named(encoded: bytes, is_json: bool) -> bool:
    """Whether a name such as ``password`` stands before an equals sign or a colon, in JSON also before a comma."""
    return _NAMED.search(encoded.translate(_LOWER_JSON if is_json else _LOWER, _BETWEEN)) is not None


def has_digits(encoded: bytes) -> bool:
    """Whether seven digits follow each other, with whatever people put between them."""
    return b"0000000" in encoded.translate(_DIGITS, _DIGIT_GAPS)


def shapes(encoded: bytes) -> bytes:
    """Digits as ``0``, letters as ``A``, dots and colons as they are."""
    return encoded.translate(_SHAPES)


def has_iban(shape: bytes) -> bool:
    """Two letters and two digits."""
    return b"AA00" in shape


def has_address(shape: bytes) -> bool:
    """Something like ``1.2.3`` or ``a:b:c``."""
    return _DOTTED.search(shape) is not None or (b":" in shape and _COLONS.search(shape) is not None)
