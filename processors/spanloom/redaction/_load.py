"""From the settings and the rule file to a redactor."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Mapping
from typing import Final, Literal, cast

from spanloom import semconv
from spanloom.redaction._hit import Action
from spanloom.redaction._redactor import Redactor
from spanloom.redaction._rules import KINDS, Own
from spanloom.rulefile import RuleFileError, Section, read

PII: Final = "SPANLOOM_REDACT_PII"
FILE: Final = "SPANLOOM_REDACTION"
KEY: Final = "SPANLOOM_REDACTION_KEY"
MAX_RULES: Final = 64
MAX_PATTERN: Final = 1000
MIN_HASH_KEY: Final = 16
VERSION: Final = 1
_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_ACTIONS: Final = ("replace", "hash")

_log = logging.getLogger("spanloom")


def from_settings() -> Redactor:
    """The redactor that ``SPANLOOM_REDACT_PII`` and ``SPANLOOM_REDACTION`` ask for. Never raises.

    A file with mistakes costs one log line for each of them; then the built-in rules are in force, with the kinds of
    the variable.
    """
    pii, path = _kinds(), semconv.text(FILE)
    if not path:
        return Redactor(pii=pii)
    try:
        return _load(path, pii, os.environ, strict=False)
    except RuleFileError as error:
        for line in str(error).splitlines():
            _log.warning("spanloom: %s: %s; secrets are redacted by the built-in rules alone", FILE, line)
    return Redactor(pii=pii)


def load(path: str | os.PathLike[str]) -> Redactor:
    """The redactor of a rule file. Raises ``RuleFileError`` with a line for each mistake; a missing key is one."""
    return _load(os.fspath(path), (), os.environ, strict=True)


def _kinds() -> tuple[str, ...]:
    names = {name.lower() for name in semconv.names_of(PII)}
    unknown = sorted(names - {*KINDS, "all"})
    if unknown:
        told, known = ", ".join(unknown), ", ".join(KINDS)
        _log.warning("spanloom: %s: %s: not known here; name any of %s, or all", PII, told, known)
    return KINDS if "all" in names else tuple(kind for kind in KINDS if kind in names)


def _load(path: str, pii: tuple[str, ...], environ: Mapping[str, str], strict: bool) -> Redactor:
    top = read(path)
    # A file without it is read all the same: what it hides must not show for want of a line.
    if "version" in top:
        top.version(VERSION)
    kinds = top.texts("pii", choices=(*KINDS, "all"))
    action = cast("Action", top.text("action", "replace", choices=_ACTIONS))
    rules = _rules(top)
    keep = top.texts("keep")
    wants_hash = action == "hash" or any(rule.action == "hash" for rule in rules)
    hash_key = _hash_key(top, environ, wants_hash, strict)
    top.close()
    top.check()
    if wants_hash and not hash_key:
        action, rules = "replace", [_replacing(rule) for rule in rules]
    every = KINDS if "all" in kinds else tuple({*kinds, *pii})
    return Redactor(pii=every, action=action, rules=rules, keep=keep, hash_key=hash_key)


def _replacing(rule: Own) -> Own:
    return Own(rule.name, rule.pattern, rule.contains, rule.attribute, "replace") if rule.action == "hash" else rule


def _hash_key(top: Section, environ: Mapping[str, str], wanted: bool, strict: bool) -> bytes:
    """The key that the named variable holds; empty where none is wanted, or none is there."""
    variable = top.text("hash_key_env", KEY)
    if _VARIABLE.fullmatch(variable) is None:
        # It may be the key itself, so it is not shown.
        top.fail("hash_key_env", "not the name of an environment variable; the key itself never stands in the file")
        return b""
    key = environ.get(variable, "").encode("utf-8", "surrogateescape")
    if not wanted or len(key) >= MIN_HASH_KEY:
        return key if wanted else b""
    state = "is not set" if not key else f"has fewer than {MIN_HASH_KEY} bytes"
    if strict:
        top.fail("hash_key_env" if "hash_key_env" in top else "action", f"hash needs a key, and {variable} {state}")
    else:
        _log.warning("spanloom: %s: hash needs a key, and %s %s; values are replaced instead", FILE, variable, state)
    return b""


def _rules(top: Section) -> list[Own]:
    rules: list[Own] = []
    names: set[str] = set()
    for section in top.sections("rules"):
        if len(rules) >= MAX_RULES:
            top.fail("rules", f"more than {MAX_RULES} rules")
            break
        rule = _rule(section)
        if rule.name in names:
            section.fail("name", f"{rule.name!r} stands twice")
        names.add(rule.name)
        rules.append(rule)
        section.close()
    return rules


def _rule(section: Section) -> Own:
    name = section.text("name")
    if not _NAME.fullmatch(name):
        section.fail("name", "a rule needs a name of letters, digits, '_', '.' and '-', 64 at most")
    attribute = section.texts("attribute")
    kinds: tuple[Literal["replace", "hash", "drop"], ...] = ("replace", "hash", "drop")
    action = cast("Action", section.text("action", "replace", choices=kinds if attribute else _ACTIONS))
    pattern = _pattern(section)
    contains = section.texts("contains")
    if bool(attribute) == ("pattern" in section):
        section.fail("", "a rule needs either 'pattern' (of values) or 'attribute' (of keys)")
    if contains and "pattern" not in section:
        section.fail("contains", "belongs to a rule with 'pattern'")
    return Own(name, pattern, contains, attribute, action)


def _pattern(section: Section) -> re.Pattern[str] | None:
    text = section.text("pattern")
    if not text:
        return None
    if len(text) > MAX_PATTERN:
        section.fail("pattern", f"longer than {MAX_PATTERN} characters")
        return None
    try:
        found = re.compile(text)
    except (re.error, OverflowError, RecursionError) as error:
        section.fail("pattern", f"no regular expression of Python: {error}")
        return None
    if found.match("") is not None:
        section.fail("pattern", "fits the empty text, so it would be found everywhere")
    return found
