"""Phone numbers: international ones, and the national forms that are told apart from dates, orders and amounts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from spanloom.redaction._hit import Hit
from spanloom.redaction._pii import is_named_otherwise

_GAP: Final = r"[ .()/\-\u00a0\u2009\u202f\u2010\u2011\u2013]"
_NO_BEFORE: Final = r"(?<![\w.,:$€£#*=/-])(?<!\d )"
_NO_AFTER: Final = r"(?![\w%]|[.,:/-]\d)"

_INTERNATIONAL: Final = re.compile(rf"(?<![\w+)])\(?\+[1-9](?:{_GAP}{{0,3}}\d){{6,14}}(?!\d|\.\d)")
_DOUBLE_ZERO: Final = re.compile(rf"{_NO_BEFORE}00[1-9]\d{{0,2}}{_GAP}{{1,2}}\d(?:{_GAP}{{0,2}}\d){{5,12}}{_NO_AFTER}")
# +1 has eleven digits; elsewhere the country and the number are 8 to 15 together (E.164).
_COUNTRIES: Final = re.compile(
    r"1[2-9]\d{9}|7\d{10}|20\d{8,10}|27\d{9}|3[0-46]\d{8,10}|39\d{8,11}|4[013-8]\d{8,11}|49\d{7,12}|5[1-8]\d{8,11}"
    r"|6[0-6]\d{7,11}|8[1246]\d{8,11}|9[0-58]\d{8,11}|(?:2[1-689]|3[578]|42|5[09]|6[789]|8[058]|9[679])\d{7,12}"
)

_NATIONAL: Final = (
    # North America: (415) 555-2671, 415-555-2671, 415.555.2671, 1-800-555-0199.
    re.compile(
        rf"{_NO_BEFORE}(?:1[ .-])?(?:\([2-9]\d\d\)[ -]?|[2-9]\d\d([.-]))[2-9]\d\d(?:\1|[-.])\d{{4}}"
        rf"(?:\s?(?:x|ext\.?)\s?\d{{1,5}})?{_NO_AFTER}"
    ),
    # Five pairs: France, Belgium.
    re.compile(rf"{_NO_BEFORE}0[1-9](?:([ .-])\d\d)(?:\1\d\d){{3}}{_NO_AFTER}"),
    # A leading zero and two gaps or more: 020 7946 0958, 030/1234567, (02) 9374 4000, 090-1234-5678, 0171 1234567.
    re.compile(rf"{_NO_BEFORE}(?:\(0\d{{1,4}}\) ?|0\d{{1,4}}[ /-])\d{{3,8}}(?:[ -]\d{{2,5}}){{0,3}}{_NO_AFTER}"),
    # Brazil: (11) 91234-5678.
    re.compile(rf"{_NO_BEFORE}\([1-9]\d\) ?9?\d{{4}}-\d{{4}}{_NO_AFTER}"),
)
_DATE: Final = re.compile(
    r"\d{1,2}[-/. ]\d{1,2}[-/. ](?:19|20)\d\d(?:\D.*)?|\d{4}[-/.]\d\d[-/.]\d\d.*|0?\d[-/ ](?:19|20)\d\d(?:[- ]\d+)*"
)

# A word, then other words and gaps by turns: there is one way to read them.
_ANNOUNCED: Final = re.compile(
    r"(?:\b(?:(?:tele)?phones?|tel|mobiles?|cell(?:phone)?|fax|whatsapp|sms|gsm|hotline|helpline|callback|contact"
    r"|(?:text (?=me|us|him|her|them|to)|(?:call|ring|dial|reach)(?:ing|ed)?)(?: ?(?:me|us|him|her|them|back|the))?"
    r"|telefon\w{0,6}|handy\w{0,6}"
    r"|mobil\w{0,5}|t[ée]l[ée]phone|t[ée]l|portable|tel[ée]fono|m[óo]vil|celular|cellulare|telem[óo]vel|telefone"
    r"|telefoon|тел\w{0,6})|電話|携帯|电话|手机|전화)[^\w\n+]{0,4}"
    r"(?:(?:number|no|nr|num|nummer|numéro|número|numero|is|was|it|ist|est|es|at|on|under|unter|au|al|en|to|me"
    r"|us|番号|号码|は|是)[^\w\n+]{1,4}){0,4}(?:番号|号码|は|是)?$",
    re.IGNORECASE,
)
_BARE: Final = re.compile(rf"(?<![A-Za-z0-9_.,-])\(?\d(?:{_GAP}{{0,2}}\d){{6,14}}(?![A-Za-z0-9_%]|[.,:]\d)")
_REACH: Final = 48


def phones(text: str) -> Iterator[Hit]:
    """Phone numbers with a country code, in a national form, or behind a word that announces one."""
    for match in _INTERNATIONAL.finditer(text):
        if _COUNTRIES.fullmatch(_digits(match[0])):
            yield Hit(_start(match), match.end(), "phone")
    for match in _DOUBLE_ZERO.finditer(text):
        if _COUNTRIES.fullmatch(_digits(match[0])[2:]) and not is_named_otherwise(text, match.start()):
            yield Hit(*match.span(), "phone")
    for expression in _NATIONAL:
        for match in expression.finditer(text):
            if _is_number(match[0], 9, 11) and not is_named_otherwise(text, match.start()):
                yield Hit(*match.span(), "phone")
    yield from _announced(text)


def _announced(text: str) -> Iterator[Hit]:
    """Seven digits and more behind a word such as ``phone``."""
    for match in _BARE.finditer(text):
        before = text[max(match.start() - _REACH, 0) : match.start()]
        if before and _is_number(match[0], 7, 13) and _ANNOUNCED.search(before):
            yield Hit(_start(match), match.end(), "phone")


def _start(match: re.Match[str]) -> int:
    """Without a bracket that closes nothing in it."""
    return match.start() + (match[0].startswith("(") and ")" not in match[0])


def _is_number(found: str, low: int, high: int) -> bool:
    digits = _digits(found.partition("x")[0].partition("e")[0])
    return low <= len(digits) <= high and _DATE.fullmatch(found.lstrip("(")) is None and len(set(digits)) > 2


def _digits(found: str) -> str:
    return "".join(filter(str.isdigit, found))
