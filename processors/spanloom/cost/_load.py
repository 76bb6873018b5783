"""From a file of prices to rules. Every mistake is told with its line and field."""

from __future__ import annotations

import fnmatch
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from spanloom.cost._overrides import FIELDS, Override
from spanloom.cost._resolve import finding
from spanloom.cost._table import PriceSet
from spanloom.cost._usage import COUNTED, REQUESTS, TOOLS
from spanloom.cost._when import ALWAYS, DAY_NAMES, When, day_start_s, days_mask, second_of_day
from spanloom.rulefile import Section, read, read_text

VERSION: Final = 1
MAX_RULES: Final = 1000
_UNITS: Final = (*COUNTED, REQUESTS)
_BASES: Final = ("price", "alias", "billed_by", "free")
_HOURS: Final = re.compile(r"((?:[01]\d|2[0-3]):[0-5]\d)\s*-\s*((?:[01]\d|2[0-3]):[0-5]\d|24:00)")
_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}")
# Below this a "discount" would be more than ten times the price, which is a typing error.
_DEAREST: Final = -10.0


def load(path: str) -> tuple[Override, ...]:
    """The rules of a file. Raises ``RuleFileError`` with every mistake, one a line: ``file:line: field: ...``."""
    return _rules(read(path), Path(path).name)


def digest_of_file(path: str) -> str:
    """The beginning of the file's SHA-256; empty where it is gone, which the next look will see."""
    try:
        return _digest(Path(path).read_bytes())
    except OSError:
        return ""


def digest_of_rows(rows: Sequence[Mapping[str, Any]]) -> str:
    """The same for rules from code."""
    return _digest(json.dumps(list(rows), default=str).encode())


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:12]


def load_rows(rows: Sequence[Mapping[str, Any]], name: str = "overrides") -> tuple[Override, ...]:
    """The rules of a list of mappings in the file's form; the "line" in a mistake is the rule's number."""
    text = ",\n".join(json.dumps(row, ensure_ascii=False, default=str) for row in rows)
    return _rules(read_text(f'{{"version": {VERSION}, "prices": [{text}]}}', name), name)


def _rules(top: Section, name: str) -> tuple[Override, ...]:
    top.version(VERSION)
    names: set[str] = set()
    rules = tuple(_rule(row, f"rule {at}", name, names) for at, row in enumerate(top.sections("prices"), 1))
    if len(rules) > MAX_RULES:
        top.fail("prices", f"has {len(rules)} rules; {MAX_RULES} are read at most")
    top.close("prices")
    top.check()
    return rules


def _rule(row: Section, default: str, file: str, names: set[str]) -> Override:
    name = row.text("name", default)
    if name in names:
        row.fail("name", f"{name} is the name of an earlier rule; a name tells where a price came from")
    names.add(name)
    _check_actions(row)
    fee, discount = row.number("per_request"), row.number("discount", low=_DEAREST, high=1.0)
    if discount == 1:
        row.fail("discount", "1 would make it free; write free: true for that")
    found = Override(
        name,
        f"{file}:{row.line}",
        _match(row),
        _when(row),
        prices=_prices(row),
        alias=_alias(row),
        billed_by=_billed_by(row),
        free=row.flag("free"),
        factor=None if discount is None else 1 - _exact(discount),
        per_request_usd=None if fee is None else _exact(fee),
    )
    row.close()
    return found


def _check_actions(row: Section) -> None:
    bases = [one for one in _BASES if one in row]
    changes = [one for one in ("discount", "per_request") if one in row]
    if len(bases) > 1:
        row.fail("", f"has {' and '.join(bases)}, of which a rule has one")
    elif not bases and not changes:
        row.fail("", f"says no price; there are {', '.join((*_BASES, 'discount', 'per_request'))}")
    elif "free" in bases and changes:
        row.fail("free", f"and {changes[0]} exclude each other")
    if "free" in row and not row.flag("free", True):
        row.fail("free", "can only be true; leave it out instead")


def _match(row: Section) -> dict[str, re.Pattern[str]]:
    below = row.section("match")
    if below is None:
        if "match" not in row:
            row.fail("", "has no match; write match: {model: '*'} for every call")
        return {}
    found = {name: _glob(below.texts(name)) for name in FIELDS if name in below}
    if "model_regex" in below:
        if "model" in below:
            below.fail("model_regex", "and model exclude each other")
        found["model"] = _regex(below, "model_regex")
    for name in FIELDS:
        if below.is_empty(name):
            below.fail(name, "is an empty list, which nothing fits")
    below.close()
    if not below.names():
        below.fail("", "is empty, and would mean every call; write model: '*' for that")
    return found


def _glob(texts: Sequence[str]) -> re.Pattern[str]:
    return re.compile("|".join(rf"\A{fnmatch.translate(one.strip().lower())}" for one in texts))


def _regex(section: Section, name: str) -> re.Pattern[str]:
    text = section.text(name)
    try:
        return re.compile(text, re.IGNORECASE)
    except re.error as error:
        section.fail(name, f"{text!r} is no regular expression: {error}")
        return re.compile("")


def _when(row: Section) -> When:
    start, end = _day(row, "from"), _day(row, "until")
    if start is not None and end is not None and start >= end:
        row.fail("until", "is not after from; it is the first day on which the rule no longer holds")
    first, last = _hours(row)
    return When(
        ALWAYS.start_s if start is None else start,
        ALWAYS.end_s if end is None else end,
        first,
        last,
        _days(row),
    )


def _day(row: Section, name: str) -> int | None:
    text = row.text(name)
    if not text:
        return None
    try:
        return day_start_s(text if _DAY.fullmatch(text) else "")
    except ValueError:
        row.fail(name, f"{text!r} is no day such as 2026-11-28")
        return None


def _hours(row: Section) -> tuple[int, int]:
    text = row.text("hours")
    found = _HOURS.fullmatch(text.strip()) if text else None
    if found is None or found[1] == found[2]:
        if text:
            row.fail("hours", f"{text!r} are no hours (UTC) such as 01:00-04:00")
        return ALWAYS.first_s, ALWAYS.last_s
    return second_of_day(found[1]), second_of_day(found[2])


def _days(row: Section) -> int:
    numbers: list[int] = []
    for text in row.texts("days"):
        first, _, last = text.strip().lower().partition("-")
        if first not in DAY_NAMES or (last or first) not in DAY_NAMES:
            row.fail("days", f"{text!r} is neither a day ({', '.join(DAY_NAMES)}) nor a range such as mon-fri")
            continue
        begin, end = DAY_NAMES.index(first), DAY_NAMES.index(last or first)
        numbers += [number % 7 + 1 for number in range(begin, end + (8 if end < begin else 1))]
    if row.is_empty("days"):
        row.fail("days", "is an empty list, on which no rule holds")
    return days_mask(numbers) if numbers else ALWAYS.days


def _prices(row: Section) -> PriceSet | None:
    below = row.section("price")
    if below is None:
        return None
    found = {unit: price for unit in _UNITS if unit in below and (price := _price(below, unit)) is not None}
    below.close(*_UNITS)
    if not below.names():
        below.fail("", "is empty; write free: true for what costs nothing")
    elif not found.keys() & {*COUNTED[:TOOLS], REQUESTS}:
        below.fail("", "has no price for what a call is counted by, such as input and output")
    return found


def _price(section: Section, unit: str) -> Any:
    """One price, or those by input tokens: ``{0: 3, 200000: 6}``."""
    if not section.is_mapping(unit):
        value = section.number(unit)
        return None if value is None else _text(value)
    steps = section.section(unit)
    assert steps is not None
    edges = {name: steps.number(name) for name in steps.names()}
    if "0" not in edges or not all(name.isascii() and name.isdigit() for name in edges):
        section.fail(unit, "steps begin at 0 and are numbers of input tokens: {0: 3, 200000: 6}")
        return None
    ordered = sorted((int(name), _text(value or 0.0)) for name, value in edges.items())
    return [ordered[0][1], *([edge, text] for edge, text in ordered[1:])]


def _alias(row: Section) -> str | None:
    text = row.text("alias") or None
    if text is not None and finding()[0].find(None, text) is None:
        row.fail("alias", f"{text!r} is no model of the table; write provider/model, such as openai/gpt-4o")
    return text


def _billed_by(row: Section) -> str | None:
    text = row.text("billed_by") or None
    if text is not None and finding()[0].provider(text.strip().lower()) is None:
        row.fail("billed_by", f"{text!r} is no provider of the table")
    return text


def _exact(value: float) -> Decimal:
    """The number as it was written."""
    return Decimal(repr(value))


def _text(value: float) -> str:
    return f"{_exact(value):f}"
