"""Arguments whose names say that they are secrets are not told."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, cast

from spanloom.genai._content import MAX_DEPTH, as_text, plain
from spanloom.genai._guard import tolerant

HIDDEN: Final = "[hidden]"
# ``apiKey``, ``APIKey`` and ``x-api-key`` are words, too.
_BETWEEN_WORDS: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|[^A-Za-z0-9]+")
# A token after one of these is a place in a list, or a part of a text.
_NOT_AFTER: Final = "".join(
    f"(?<!{word}_)"
    for word in ("page", "next", "continuation", "pagination", "cursor", "sync", "skip", "max", "min", "num", "total")
)
# Whole words: of ``max_tokens``, ``keyboard`` and ``tokenizer`` none is meant. A number may follow.
_SECRET: Final = re.compile(
    r"(?:^|_)(?:(?:api|access|private|signing|encryption|decryption|master|account|session|auth|hmac|ssh)_?keys?"
    r"|(?:client_?)?secrets?|passwords?|passwd|pwd|passphrases?|passcodes?"
    r"|(?:access|api|auth|bearer|refresh|session)_?tokens?"
    rf"|{_NOT_AFTER}token(?!_(?:counts?|limits?|budgets?|usage|ids)(?:_|$))"
    r"|bearer|authorization|credentials?|creds?|cookies?)\d*(?:_|$)"
    # A pass and an auth are much else: at the end, and a pass of what one logs in to.
    r"|(?:^|_)auth(?:_header)?\d*$|^pass\d*$"
    r"|(?:^|_)(?:admin|db|ftp|http|imap|ldap|login|mail|mysql|pg|postgres|proxy|redis|root|smtp|sql|ssh|user)_?pass\d*$"
)
_HEADER: Final = re.compile(r"[\w.-]{1,128}")
# In the text of an object: ``name=``, ``'name': ``; and what stands there, to the end of the text where it is nested.
_NAMED: Final = re.compile(r"""(?<![\w-])([\w-]{1,128})['"]?(?:=|:\s)\s*""")
_QUOTE: Final = r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\""""
_VALUE: Final = re.compile(
    rf"b?(?:{_QUOTE})|[\w.]*[\[({{](?:(?:[^\[\](){{}}'\"]|{_QUOTE})*[\])}}]|.*)|[^,;)}}\]>\n]*", re.DOTALL
)


def is_secret(name: str) -> bool:
    """Whether an argument of this name is one: it contains a word such as ``password``, ``token`` or ``api_key``."""
    return _SECRET.search(_BETWEEN_WORDS.sub("_", name).lower()) is not None


def without_secrets(arguments: Any) -> Any:
    """The arguments in JSON's terms, with ``[hidden]`` in the place of what is a secret by its name, at any depth.

    The name is a key, a field, or the first of a pair (a header); the text of an object may quote one, too.
    """
    return _shown(arguments, ())


def _shown(value: Any, around: tuple[int, ...]) -> Any:
    """``around`` are the ids of the containers it stands in."""
    if value is None or isinstance(value, (str, int, float)):
        return plain(value)
    if len(around) >= MAX_DEPTH or id(value) in around:
        return _text_of(value)
    within = (*around, id(value))
    if isinstance(value, Mapping):
        mapping = cast("Mapping[Any, Any]", value)
        pairs = tolerant(lambda: list(mapping.items()), None)
        return _text_of(mapping) if pairs is None else dict(_field(name, item, within) for name, item in pairs)
    if isinstance(value, (list, tuple, set, frozenset)):
        items = tolerant(lambda: list(cast("Iterable[Any]", value)), None)
        return _text_of(value) if items is None else _row(items, _fields_of(value), within)  # pyright: ignore[reportUnknownArgumentType]
    return _told(value, within)


def _told(value: Any, within: tuple[int, ...]) -> Any:
    """A model has become a dict; most others are a text."""
    told = plain(value)
    return _without_quoted(told) if isinstance(told, str) else _shown(told, within)


def _field(name: Any, item: Any, within: tuple[int, ...]) -> tuple[str, Any]:
    name = as_text(name)
    return name, HIDDEN if is_secret(name) else _shown(item, within)


def _row(items: list[Any], names: tuple[str, ...], within: tuple[int, ...]) -> list[Any]:
    if len(names) == len(items):
        return [_field(*pair, within)[1] for pair in zip(names, items, strict=True)]
    if len(items) == 2 and _is_secret_header(items[0]):
        return [_shown(items[0], within), HIDDEN]
    return [_shown(item, within) for item in items]


def _fields_of(value: object) -> tuple[str, ...]:
    """The names of a named tuple's items."""
    names: object = getattr(type(value), "_fields", None)
    is_named = isinstance(value, tuple) and isinstance(names, tuple)
    return tuple(map(as_text, cast("tuple[Any, ...]", names))) if is_named else ()


def _is_secret_header(name: object) -> bool:
    text = name.decode("latin-1") if isinstance(name, bytes) else name
    return isinstance(text, str) and _HEADER.fullmatch(text) is not None and is_secret(text)


def _text_of(value: object) -> str:
    return _without_quoted(as_text(value))


def _without_quoted(text: str) -> str:
    """The text of an object without the secrets that it quotes by name."""
    parts: list[str] = []
    at = 0
    for named in _NAMED.finditer(text):
        if named.start() < at or not is_secret(named[1]):
            continue
        value = _VALUE.match(text, named.end())
        if value is not None:
            parts += text[at : named.end()], HIDDEN
            at = value.end()
    return "".join((*parts, text[at:]))
