"""What tells of persons: mail addresses, cards, bank accounts, social security numbers, addresses of machines.

Each form is cheap to find and then checked by what its numbers must satisfy. Phone numbers have a file of their own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import Final

from spanloom.redaction._hit import Hit

# Top-level domains that people have mail in, besides those of two letters. A closed list, since ``a @b.weight`` and
# ``icon@2x.png`` are no mail.
_GENERIC: Final = """
com net org edu gov mil int info biz name pro coop aero jobs mobi museum travel app dev cloud online shop site tech
store xyz email agency company group solutions systems software digital media network world life live today news
blog bank finance health care academy university school foundation support services studio design consulting
engineering law legal clinic dental doctor hotel restaurant global international ltd gmbh llc inc club space berlin
london paris tokyo nyc wien hamburg swiss asia africa eus cat test example invalid local internal lan corp page zone
works team social chat
"""
_DOMAINS: Final = frozenset(_GENERIC.split())
_LOCAL: Final = re.compile(r"[\w.%+'-]{1,64}")
_DOMAIN: Final = re.compile(r"(?:[^\W_](?:[\w-]{0,61}[^\W_])?\.){1,8}(?:[^\W\d_]{2,24}|xn--[a-z0-9-]{2,59})(?![\w-])")
_SCALED: Final = re.compile(r"\d(?:\.\d)?x\.")


def emails(text: str) -> Iterator[Hit]:
    """Addresses of persons and offices; no handles, no logins of URLs, no remotes of git."""
    at = text.find("@")
    while at >= 0:
        local = _LOCAL.match(text[max(at - 64, 0) : at][::-1])
        domain = _DOMAIN.match(text, at + 1) if local else None
        if local and domain and _is_mail(text, at - local.end(), domain):
            start = at - local.end()
            while text[start] in ".'%+-":
                start += 1
            if start < at:
                yield Hit(start, domain.end(), "email")
        at = text.find("@", at + 1)


def _is_mail(text: str, start: int, domain: re.Match[str]) -> bool:
    last = domain[0].rpartition(".")[2].lower()
    if (len(last) > 2 and last.isascii() and last not in _DOMAINS and not last.startswith("xn--")) or _SCALED.match(
        domain[0]
    ):
        return False
    before = text[max(start - 160, 0) : start]
    if before.endswith("@") or re.search(r"://[^\s/@]*$", before[-100:]):
        return False
    # ``git@host:path`` is a place, ``f(a@b.do(...))`` is code.
    after = text[domain.end() : domain.end() + 2]
    return not (after[:1] in {"(", "["} or (after[:1] in {":", "/"} and after[1:].isalnum()))


# In one piece, or in the groups that cards are printed with.
_CARD: Final = re.compile(
    r"(?<![\w.,+-])(?:\d{12,19}|\d{4}([ -])\d{4}\1\d{4}\1\d{4}(?:\1\d{3}(?!\d))?|\d{4}([ -])\d{6}\2\d{4,5})"
    r"(?![\w-]|[.,]\d)"
)
_CARD_OF_16: Final = 19
_CARD_ISSUERS: Final = re.compile(
    r"4(?:\d{12}|\d{15}|\d{18})|5[1-5]\d{14}|3[47]\d{13}|3(?:0[0-5]|[689]\d)\d{11}"
    r"|(?:222[1-9]|22[3-9]\d|2[3-6]\d\d|27[01]\d|2720)\d{12}|(?:6011|64[4-9]\d|65\d\d)\d{12}|35(?:2[89]|[3-8]\d)\d{12}"
    r"|62\d{14,17}|(?:5018|5020|5038|5893|6304|6759|676[1-3])\d{8,15}"
)
# Numbers that are named as something else.
_OTHER_NUMBER: Final = re.compile(
    r"(?:order|invoice|ticket|tracking|shipment|parcel|serial|sku|ean|upc|isbn|issn|imei|part|item|trace|span|request|case"
    r"|batch|lot|ref|reference|build|commit|job|run|session|message|msg|chat|event|row|offset|timestamp|ts|epoch|id)"
    r"(?:[_ -]?(?:id|no|nr|num|number|code))?[\"'.]?\s?(?:[:=#]|is|was)?\s?[#\"']?$",
    re.IGNORECASE,
)


def is_named_otherwise(text: str, at: int) -> bool:
    """Whether ``order no. `` or the like stands before."""
    return _OTHER_NUMBER.search(text[max(at - 32, 0) : at]) is not None


def cards(text: str) -> Iterator[Hit]:
    """Payment cards: a known issuer, the length and the groups that it has, and Luhn's check digit."""
    for match in _CARD.finditer(text):
        # Three more digits behind it may be a price.
        for found in dict.fromkeys((match[0], match[0][:_CARD_OF_16])):
            if _is_card(found) and (not found.isdigit() or _is_meant(text, match.start(), found)):
                yield Hit(match.start(), match.start() + len(found), "card")
                break


# Digits without groups have a check digit that fits by chance one time in ten. Of issuers that few cards are from, a
# word must say that it is one.
_COMMON_CARD: Final = re.compile(r"4\d{15}|5[1-5]\d{14}|3[47]\d{13}|6011\d{12}|35\d{14}")
_CARD_WORD: Final = re.compile(
    r"\b(?:card|visa|master|amex|diners|discover|jcb|union|maestro|pan\b|cc\b|pay|paid|debit|credit|charge|kart|cart|tarj|カード|卡)",
    re.IGNORECASE,
)


def _is_meant(text: str, start: int, found: str) -> bool:
    if is_named_otherwise(text, start):
        return False
    if _COMMON_CARD.fullmatch(found):
        return True
    around = text[max(start - 40, 0) : start + len(found) + 40]
    return _CARD_WORD.search(around.replace("_", " ")) is not None


def _is_card(found: str) -> bool:
    digits = found.replace(" ", "").replace("-", "")
    return _CARD_ISSUERS.fullmatch(digits) is not None and _luhn(digits)


def _luhn(digits: str) -> bool:
    total = 0
    for place, digit in enumerate(reversed(digits)):
        figure = int(digit) * (1 + place % 2)
        total += figure - 9 if figure > 9 else figure
    return total % 10 == 0


# Characters of an IBAN by country (SWIFT's registry, release 99).
_IBAN_TABLE: Final = """
15 NO   16 BE   18 DK FK FI FO GL NL   19 MK SI   20 AT BA EE KZ LT LU XK MN   21 CH HR LI LV
22 BG BH CR DE GB GE IE ME RS VA   23 AE GI IL IQ TL OM SO   24 AD CZ ES MD PK RO SA SE SK TN VG   25 LY PT ST
26 IS TR   27 FR GR IT MC MR SM DJ BI   28 AL AZ BY CY DO GT HU LB NI PL SV   29 BR PS QA UA   30 JO KW MU YE
31 MT SC   32 LC   33 RU
"""


def _iban_lengths() -> dict[str, int]:
    lengths: dict[str, int] = {}
    length = 0
    for word in _IBAN_TABLE.split():
        if word.isdigit():
            length = int(word)
        else:
            lengths[word] = length
    return lengths


_IBAN_LENGTHS: Final = _iban_lengths()
_IBAN: Final = re.compile(r"(?<![A-Za-z0-9])[A-Za-z]{2}\d{2}(?=[ -]?[A-Za-z0-9])")


def ibans(text: str) -> Iterator[Hit]:
    """Bank accounts: the length of the country, and the check digits."""
    for match in _IBAN.finditer(text):
        length = _IBAN_LENGTHS.get(match[0][:2].upper())
        end = _after(text, match.end(), length - 4) if length else None
        if end is None or text[end : end + 1].isalnum():
            continue
        plain = re.sub("[ -]", "", text[match.start() : end]).upper()
        if int("".join(str(int(one, 36)) for one in plain[4:] + plain[:4])) % 97 == 1:
            yield Hit(match.start(), end, "iban")


def _after(text: str, at: int, count: int) -> int | None:
    """Where so many letters and digits end, single gaps between them; ``None`` where there are fewer."""
    while count:
        if text[at : at + 1] in {" ", "-"}:
            at += 1
        one = text[at : at + 1]
        if not (one.isascii() and one.isalnum()):
            return None
        at += 1
        count -= 1
    return at


_SSN: Final = re.compile(r"(?<![\w.-])(?!000|666|9\d\d)\d{3}(-| |)(?!00)\d\d\1(?!0000)\d{4}(?![\w-]|\.\d)")
_SSN_WORD: Final = re.compile(r"ssn|\bsocial\b|soc\.? sec|taxpayer|\btin\b|itin", re.IGNORECASE)
_SSN_REACH: Final = 48


def ssns(text: str) -> Iterator[Hit]:
    """Social security numbers of the USA; without hyphens only where a word says so."""
    for match in _SSN.finditer(text):
        before = text[max(match.start() - _SSN_REACH, 0) : match.start()]
        if _SSN_WORD.search(before) or (match[1] == "-" and not is_named_otherwise(text, match.start())):
            yield Hit(*match.span(), "ssn")


_V4: Final = re.compile(r"(?<![\w.])(?<![A-Za-z]-)\d{1,3}(?:\.\d{1,3}){3}(?!\w|\.\d|-[A-Za-z])")
_VERSION: Final = re.compile(
    r"\b(?:v|version|ver|release|firmware|build|rev|revision|driver|chrome|section|chapter|clause|paragraph|figure"
    r"|oid|objectidentifier|kernel|upgraded?|updated?|assembly)(?: (?:from|to))?"
    r"[\w.]{0,12}\.?\s?\(?[\"']?[:= ]?\s?[\"']?$"
    r"|[§^~]$|[=<>~!]=\s?$|[A-Za-z]/$",
    re.IGNORECASE,
)
_RELEASED: Final = re.compile(
    r"[\"']?,?\s+(?:(?:is|was|are|has been|or)\s+)?"
    r"(?:installed|released?|required|later|newer|older|higher|deprecated|out\b)",
    re.IGNORECASE,
)
_V6: Final = re.compile(r"(?<![\w:.])(?:[0-9A-Fa-f]{1,4}:|::)[0-9A-Fa-f:]{1,37}(?:\.\d{1,3}){0,3}(?![\w:])")


def addresses(text: str) -> Iterator[Hit]:
    """IP addresses but those of the own machine; no version numbers."""
    for match in _V4.finditer(text):
        is_version = _VERSION.search(text[max(match.start() - 40, 0) : match.start()]) or _RELEASED.match(
            text, match.end()
        )
        if not is_version and _is_v4(match[0]):
            yield Hit(*match.span(), "ip")
    for match in _V6.finditer(text):
        end = match.end() - (match[0].endswith(":") and not match[0].endswith("::"))
        if _is_v6(text[match.start() : end]):
            yield Hit(match.start(), end, "ip")


def _is_v4(found: str) -> bool:
    try:
        address = IPv4Address(found)
    except AddressValueError:
        return False
    # Neither the own machine, nor a mask, nor a whole network: such is mostly a version.
    return not (address.is_loopback or found.startswith(("0.", "255.")) or found.endswith(".0.0.0"))


def _is_v6(found: str) -> bool:
    # ``a::b`` may be a name in C++ or Rust.
    groups = [one for one in found.split(":") if one]
    # ... and ``1::2`` a slice.
    if len(groups) < 2 or not any(map(str.isdigit, found)) or (len(groups) == 2 and max(map(len, groups)) < 3):
        return False
    try:
        address = IPv6Address(found)
    except AddressValueError:
        return False
    return not (address.is_loopback or address.is_unspecified)
