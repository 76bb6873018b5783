"""Secrets that are known by what stands before them: ``password=``, ``Authorization:``, ``scheme://user:``."""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

from spanloom.genai.hooks import is_secret_name
from spanloom.redaction._hit import MARKER, Hit

NAMED: Final = "named_secret"
AUTHORIZATION: Final = "authorization"

# The last word of a name, what may close its quotes, and what stands between it and the value.
_NAME: Final = re.compile(
    r"""(?:passw(?:or)?d|passphrase|passcode|pwd|pass|secrets?|tokens?|keys?|authorization|auth|bearer|credentials?|creds
    |cookie|signature|sig|_header)[12]?
    (?:\\*["'])?([\ \t]{0,4}(?:=>?|:(?![:/=]))[\ \t]{0,4})""",
    re.VERBOSE | re.IGNORECASE,
)
_LEFT: Final = re.compile(r"[A-Za-z0-9_.-]{0,64}")
_OPEN: Final = re.compile(r"""\\*["'`]""")
_BARE: Final = re.compile(r"""[^\s"'`<>,;&)\]}\\|]+""")
_COOKIES: Final = re.compile(r"""[^\s=;,"'`\\]{1,128}=[^\n\r"'`\\]*""")
_CREDENTIAL: Final = re.compile(r"[A-Za-z0-9._~+/:-][A-Za-z0-9._~+/:=-]{5,}")
_SCHEME: Final = re.compile(r"(?:bearer|basic|token|digest|apikey|negotiate)[ \t]+", re.IGNORECASE)

# What stands for a secret in examples and in code.
_NO_VALUE: Final = re.compile(
    r"""[*.x•_\-…]+|\$\{[^{}]*\}?|(?-i:\$[A-Z_][A-Z0-9_]*)|\$\(\w[^()]*\)?|\$?\{\{?[^{}]*\}?\}?|<[^<>]*>?|%\([a-z_]+\)s|%s|%[A-Za-z_]+%
    |\[[A-Za-z\ _-]*\]
    |(?:none|null|nil|true|false|undefined|str|string|bytes|int|integer|float|bool|boolean|any|object|optional|required
    |yes|no|self|text|empty|missing|unset|invalid|expired|secretstr|type|const|let|var|new|if|else|and|or|not|in|is
    |your[-_\ ].*|my[-_]?(?:password|token|key|secret))""",
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)
_CODE: Final = re.compile(
    r"(?:self|this|os|env|environ|process|settings|config|conf|cfg|args|kwargs|request|req|data|params|options|opts)"
    r"(?:[.\[(].*)?|[A-Za-z_][\w.]*[(\[].*|[\[({].*",
    re.DOTALL,
)
_IDENTIFIER: Final = re.compile(r"[A-Za-z_]+(?:\d?\.[A-Za-z_]+|\d_[A-Za-z_]+)*")
_TYPE: Final = re.compile(r"[A-Z]+[a-z][A-Za-z]*")
_FIGURE: Final = re.compile(r"-?\d+\.\d+(?:e-?\d+)?|\d{1,3}|\de-?\d+")
_NEXT_ARGUMENT: Final = re.compile(r"\)|,\s")
_EVIDENT: Final = re.compile(r"\d|[a-z][A-Z]|\w[^\w\s.:/-]|[^\w\s.:/-]\w")
# What is told about a secret is none.
_ABOUT: Final = re.compile(
    r".*per[_-]token|.*[_.-](?:type|url|uri|endpoint|expires(?:[_-](?:in|at))?|expiry|expiration|ttl|policy|length|hint|name|version"
    r"|status|provider|scopes?)",
    re.IGNORECASE | re.DOTALL,
)


# Tokens of a model, flags and figures.
_COUNTED: Final = re.compile(
    r".*(?:to_?first|(?<![a-z])(?:per_output|between|inter|eos|bos|pad|mask|stop|new|last|output|input))_?token"
    r"(?:_(?:ids?|ms|s|seconds|latency(?:_m?s)?))?"
    r"|.*token_(?:index|text|logprobs?|latency(?:_m?s)?)|.*tokens?[_.]remaining|.*[_.]count|(?:.*\.)?(?:has|is|num)_.*",
    re.IGNORECASE | re.DOTALL,
)
_TOKEN_MIN: Final = 6


@lru_cache(maxsize=2048)
def secret_name(name: str) -> bool:
    """Whether a key, header or variable of this name holds a secret."""
    if len(name) > MAX_NAME or "[" in name or _ABOUT.fullmatch(name) or _COUNTED.fullmatch(name):
        return False
    return is_secret_name(name) or name.lower().endswith(("password", "passwd", "passphrase"))


def is_word(name: str, value: object) -> bool:
    """Whether it is what a model reads and writes, ``{"token": "Hello"}``, and no secret."""
    if not isinstance(value, str) or name.lower() != "token" or MARKER.fullmatch(value):
        return False
    if len(value) >= _LONG_ENOUGH and not any(map(str.isspace, value)):
        return False
    return len(value) < _TOKEN_MIN or any(map(str.isspace, value)) or not any(map(str.isdigit, value))


def secret_header(name: str) -> bool:
    """The same for the first of a pair, which may be any text."""
    return _HEADER.fullmatch(name) is not None and secret_name(name)


def are_names(first: str, second: str) -> bool:
    """Whether two texts are names, as in ``"required": ["token", "email"]``, and no header with its value."""
    return "-" not in first and _WORDS.fullmatch(second) is not None


# Small letters alone, in short words; a header's scheme has a capital, and what is random has digits.
_WORDS: Final = re.compile(r"[a-z]{1,14}(?:[ _-][a-z]{1,14}){0,4}")
_SIGNATURES: Final = re.compile(r"(?:x-(?:amz|goog)-)?(?:sig|signature)|key|code", re.IGNORECASE)
_LONG_ENOUGH: Final = 16
_LONG: Final = 256
# Longer ones are no names.
MAX_NAME: Final = 256
_HEADER: Final = re.compile(r"[A-Za-z0-9_.-]{1,128}")


def named_values(text: str) -> Iterator[Hit]:
    """Values of names that say that they are secrets."""
    at = 0
    for match in _NAME.finditer(text):
        if match.start() < at:
            continue
        start = match.start() - _length_before(text, match.start())
        name = text[start : match.start(1)].rstrip("\"'\\")
        found = _value(text, match, name) if _is_meant(text, start, name) else None
        if found is not None:
            at = found.end
            if MARKER.match(text, found.start) is None:
                yield found


def _length_before(text: str, at: int) -> int:
    """How far the name goes to the left of its last word."""
    match = _LEFT.match(text[max(at - 64, 0) : at][::-1])
    return match.end() if match else 0


def _is_meant(text: str, start: int, name: str) -> bool:
    """A secret's name, or a parameter of a signed URL."""
    if secret_name(name):
        return True
    return _SIGNATURES.fullmatch(name) is not None and (text[start - 1 : start] in {"?", "&", ";"} or name[1:2] == "-")


def _value(text: str, match: re.Match[str], name: str) -> Hit | None:
    """Where the value stands; ``None`` where it is no secret: a placeholder, an expression, a word of prose."""
    at = match.end()
    opening = _OPEN.match(text, at)
    if opening is not None:
        return _quoted(text, opening)
    if name.lower().endswith("cookie"):
        line = _COOKIES.match(text, at)
        return Hit(*line.span(), NAMED) if line else None
    scheme = _SCHEME.match(text, at)
    if scheme is not None:
        bare = _CREDENTIAL.match(text, scheme.end())
        # ``Authorization: token required`` is prose.
        is_one = bare is not None and (len(bare[0]) >= _LONG_ENOUGH or _EVIDENT.search(bare[0]) is not None)
        return Hit(*bare.span(), AUTHORIZATION) if bare and is_one else None
    bare = _BARE.match(text, at)
    value = bare[0].rstrip(".:!?") if bare else ""
    if _is_query(match, name):
        value = value.partition("#")[0]
    return Hit(at, at + len(value), NAMED) if _is_secret_value(value, match, name) else None


def _is_query(match: re.Match[str], name: str) -> bool:
    """Whether it is a parameter of a URL."""
    at = match.start(1) - len(name) - 1
    return at >= 0 and match.string[at] in "?&"


def _quoted(text: str, opening: re.Match[str]) -> Hit | None:
    """What stands between quotes; to the end of the line where they do not close in it."""
    start, quote = opening.end(), opening[0]
    end = text.find(quote, start)
    while end > 0 and quote[0] != "\\" and text[end - 1] == "\\" and _is_escaped(text, end):
        end = text.find(quote, end + 1)
    line = text.find("\n", start, end if end >= 0 else len(text))
    end = line if line >= 0 else len(text) if end < 0 else end
    scheme = _SCHEME.match(text, start, end)
    start = scheme.end() if scheme else start
    # What begins so stands behind a quote that has closed.
    if start >= end or text[start] in ",) \n" or _NO_VALUE.fullmatch(text, start, end):
        return None
    return Hit(start, end, AUTHORIZATION if scheme else NAMED)


def _is_escaped(text: str, at: int) -> bool:
    """Whether an odd number of backslashes stands before."""
    before = text[max(at - 64, 0) : at]
    return (len(before) - len(before.rstrip("\\"))) % 2 == 1


def _is_secret_value(value: str, match: re.Match[str], name: str) -> bool:
    """Whether a bare word is a secret. With a colon or blanks it may be prose or code: then it must look like one."""
    if len(value) > _LONG:  # no word of prose, and every look at it would be a long one
        return True
    if len(value) < 3 or _NO_VALUE.fullmatch(value) or _CODE.fullmatch(value) or _FIGURE.fullmatch(value):
        return False
    if _SIGNATURES.fullmatch(name):
        return len(value) >= _LONG_ENOUGH
    between, is_identifier = match[1], _IDENTIFIER.fullmatch(value) is not None
    if between == "=":
        # ``f(token=token, key=self.key)`` is code.
        return not (is_identifier and _is_argument(match, value, name))
    if between.lstrip()[:1] == ":" and _is_line(match, value, name):
        return True
    return not is_identifier and _EVIDENT.search(value) is not None


def _is_argument(match: re.Match[str], value: str, name: str) -> bool:
    """Whether the value is the name of something: the same name, or one of several arguments."""
    named, lowered = name.lower(), value.lower()
    end = match.end() + len(value)
    return named.endswith(lowered) or lowered.endswith(named) or _NEXT_ARGUMENT.match(match.string, end) is not None


def _is_line(match: re.Match[str], value: str, name: str) -> bool:
    """Whether name and value have a line of their own, as in YAML."""
    text = match.string
    start, end = match.start(1) - len(name), match.end() + len(value)
    before = text[text.rfind("\n", 0, start) + 1 : start] if start < 200 else text[max(start - 80, 0) : start]
    if _TYPE.fullmatch(value):  # the field of a class
        return False
    return name.islower() and not before.rpartition("\n")[2].strip(" \t-") and text[end : end + 1] in {"", "\n", "\r"}


_BEARER: Final = re.compile(r"earer[ \t]+(?<=[Bb]earer )([A-Za-z0-9._~+/=-]{12,})")
_BASIC: Final = re.compile(r"asic (?<=[Bb]asic )([A-Za-z0-9+/_-]{8,}={0,2})")
_DASHED: Final = re.compile(
    r" --(?:pass(?:word|wd|phrase)?|(?:[a-z]{1,20}-)?(?:token|secret|api-key|password|access-key))[ \t]+"
    r"([^\s\"'`\\-][^\s\"'`\\]*)"
)


def schemes(text: str) -> Iterator[Hit]:
    """``Bearer …`` and ``Basic …`` without the name of their header."""
    for match in _BEARER.finditer(text):
        if any(map(str.isdigit, match[1])) or len(match[1]) >= 24:
            yield Hit(*match.span(1), AUTHORIZATION)
    for match in _BASIC.finditer(text):
        if _is_login(match[1]):
            yield Hit(*match.span(1), AUTHORIZATION)


def _is_login(encoded: str) -> bool:
    try:
        plain = b64decode(encoded + "=" * (-len(encoded) % 4), altchars=b"-_")
    except ValueError:
        return False
    return b":" in plain and plain.isascii()


def may_have_option(text: str) -> bool:
    """Whether a command line names a secret."""
    return _DASHED.search(text) is not None


def options(text: str) -> Iterator[Hit]:
    """``--password …`` of a command line."""
    for match in _DASHED.finditer(text):
        if not _NO_VALUE.fullmatch(match[1]):
            yield Hit(*match.span(1), NAMED)


# From the two slashes on: what stands before them needs no look. Raw JSON text may escape them.
_LOGIN: Final = re.compile(
    r"""://(?<=[A-Za-z0-9]://)[^\s/?\#:@"'<>\\\[]{0,128}:([^\s"'<>\\]{1,256})@(?=[\w.\[-])
    |:\\/\\/[^\s/?\#:@"'<>\\]{0,128}:([^\s"'<>]{1,256})@(?=[\w.\[-])""",
    re.VERBOSE,
)
_PORT_AND_PATH: Final = re.compile(r"\d{1,5}/.*", re.DOTALL)


def logins(text: str) -> Iterator[Hit]:
    """The password of ``scheme://user:password@host``."""
    for match in _LOGIN.finditer(text):
        group = match.lastindex or 1
        password = match[group]
        if not (_PORT_AND_PATH.fullmatch(password) or _NO_VALUE.fullmatch(password) or MARKER.fullmatch(password)):
            yield Hit(*match.span(group), "connection_string")


_WEBHOOK: Final = re.compile(r"hooks\.slack\.com/(?:services|workflows|triggers)/([A-Za-z0-9/_-]{20,})")
_WEBHOOK_DISCORD: Final = re.compile(r"discord(?:app)?\.com/api/webhooks/([0-9]{16,20}/[A-Za-z0-9_-]{40,})")


def webhooks(text: str) -> Iterator[Hit]:
    """Addresses that let anyone write to a channel."""
    for expression in (_WEBHOOK, _WEBHOOK_DISCORD):
        yield from (Hit(*match.span(1), "webhook") for match in expression.finditer(text))
