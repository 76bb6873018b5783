"""Secrets that are known by their form: keys with a prefix, JWTs, private keys."""

from __future__ import annotations

import json
import re
from base64 import urlsafe_b64decode
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple, cast

from spanloom.redaction._hit import Hit

_W: Final = "[A-Za-z0-9_-]"
_AN: Final = "[A-Za-z0-9]"
_HEX: Final = "[0-9a-fA-F]"
_END: Final = r"(?![A-Za-z0-9_-])"


def _solid(found: str) -> bool:
    """Unlike ``sk-learn-pipeline-with-long-name``: one part is long, or letters of both cases and digits are mixed."""
    parts = re.split("[-_.]", found)
    if max(map(len, parts)) >= 20:
        return True
    has_digit = any(map(str.isdigit, found))
    return has_digit and found.lower() != found.upper() and (len(parts) <= 3 or any(map(str.isupper, found)))


def _mixed(found: str) -> bool:
    """A digit among letters: no identifier of words alone."""
    return any(map(str.isdigit, found)) or len(set(found)) < 8


class _Form(NamedTuple):
    """``prefixes`` are literals; ``tail`` is what follows, as an expression; ``check`` has the last word."""

    rule: str
    prefixes: tuple[str, ...]
    tail: str
    check: Callable[[str], bool] | None = None


# Prefixes and lengths as the providers and the public secret scanners (gitleaks, GitHub) describe them. A form stands
# before those that its prefix includes.
_FORMS: Final = (
    _Form("anthropic_key", ("sk-ant-",), f"{_W}{{16,}}"),
    _Form("openrouter_key", ("sk-or-",), f"{_W}{{20,}}"),
    _Form("langfuse_key", ("sk-lf-",), f"{_HEX}{{8}}-{_W}{{12,}}"),
    _Form("openai_key", ("sk-proj-", "sk-svcacct-", "sk-admin-", "sk-None-"), f"{_W}{{16,}}"),
    _Form("openai_key", ("sk-",), f"{_W}{{18,}}", _solid),
    _Form("google_key", ("AIza",), f"{_W}{{35}}{_END}"),
    _Form("google_token", ("ya29.", "GOCSPX-"), f"{_W}{{20,}}"),
    _Form("aws_access_key", ("AKIA", "ASIA", "ABIA", "ACCA"), rf"[A-Z0-9]{{16}}{_END}"),
    _Form("github_token", ("ghp_", "gho_", "ghu_", "ghs_", "ghr_"), f"{_AN}{{30,}}"),
    _Form("github_token", ("github_pat_",), f"{_W}{{30,}}"),
    _Form("gitlab_token", ("glpat-", "gldt-", "glrt-", "glcbt-", "glptt-"), rf"{_W}{{20,}}"),
    _Form("slack_token", ("xoxb-", "xoxa-", "xoxp-", "xoxr-", "xoxs-", "xoxe-", "xapp-"), f"{_W}{{15,}}", _mixed),
    _Form("stripe_key", ("sk_live_", "rk_live_", "sk_test_", "rk_test_", "whsec_"), f"{_AN}{{16,}}"),
    _Form("huggingface_token", ("hf_",), f"{_AN}{{30,}}"),
    _Form("npm_token", ("npm_",), f"{_AN}{{30,}}"),
    _Form("pypi_token", ("pypi-",), f"{_W}{{40,}}", _mixed),
    _Form("sendgrid_key", ("SG.",), rf"{_W}{{16,32}}\.{_W}{{16,64}}"),
    _Form("twilio_key", ("SK",), f"[0-9a-f]{{32}}{_END}"),
    _Form("databricks_token", ("dapi",), rf"[0-9a-f]{{32}}(?:-\d)?{_END}"),
    _Form("groq_key", ("gsk_",), f"{_AN}{{30,}}"),
    _Form("xai_key", ("xai-",), f"{_AN}{{40,}}"),
    _Form("replicate_token", ("r8_",), f"{_AN}{{30,}}"),
    _Form("perplexity_key", ("pplx-",), f"{_AN}{{32,}}"),
    _Form("fireworks_key", ("fw_",), f"{_AN}{{20,}}", _mixed),
    _Form("nvidia_key", ("nvapi-",), f"{_W}{{40,}}", _mixed),
    _Form("cerebras_key", ("csk-",), f"{_AN}{{32,}}"),
    _Form("tavily_key", ("tvly-",), f"{_W}{{20,}}", _mixed),
    _Form("langsmith_key", ("lsv2_pt_", "lsv2_sk_"), f"{_W}{{30,}}"),
    _Form("pinecone_key", ("pcsk_",), f"{_W}{{40,}}", _mixed),
    _Form("vault_token", ("hvs.", "hvb."), f"{_W}{{24,}}", _mixed),
    _Form("docker_token", ("dckr_pat_", "dckr_oat_"), f"{_W}{{20,}}"),
    _Form("digitalocean_token", ("dop_v1_", "doo_v1_"), f"{_HEX}{{64}}"),
    _Form("grafana_token", ("glsa_", "glc_"), f"{_W}{{32,}}", _mixed),
    _Form("atlassian_token", ("ATATT3",), f"{_W}{{40,}}"),
    _Form("linear_key", ("lin_api_",), f"{_AN}{{32,}}"),
    _Form("notion_token", ("ntn_",), f"{_AN}{{36,}}"),
    _Form("shopify_token", ("shpat_", "shpca_", "shppa_", "shpss_"), f"{_HEX}{{32}}"),
    _Form("newrelic_key", ("NRAK-",), "[A-Z0-9]{27}"),
)


def _beginning(prefix: str) -> str:
    """What must stand before a prefix that was just read."""
    return rf"(?:(?<![A-Za-z0-9]{prefix})|(?<=\\[nrtbf]{prefix})|(?<=\\u{_HEX}{{4}}{prefix}))"


def _expression(form: _Form) -> re.Pattern[str]:
    r"""The literal stands first, so that ``re`` can skip to it; what stands before is looked at behind it.

    In raw JSON text a letter may belong to an escape: ``\nsk-``.
    """
    ways = [prefix + _beginning(prefix) for prefix in map(re.escape, form.prefixes)]
    start = ways[0] if len(ways) == 1 else f"(?:{'|'.join(ways)})"
    return re.compile(start + form.tail)


_BY_PREFIX: Final = {prefix: form for form in _FORMS for prefix in form.prefixes}
_EXPRESSIONS: Final = [(form, _expression(form)) for form in _FORMS]
_JWT_START: Final = "eyJ"
# A bot of Telegram: its number stands before.
_BOT: Final = re.compile(f":AA(?<=[0-9]{{8}}:AA){_W}{{32,36}}{_END}")


def _by_letter(prefixes: list[str]) -> str:
    """An expression of all of them; ``re`` tries one way after the other, so there is one for each first letter."""
    letters = dict.fromkeys(one[0] for one in prefixes)
    rests = {letter: [re.escape(one[1:]) for one in prefixes if one[0] == letter] for letter in letters}
    return "|".join(f"{letter}(?:{'|'.join(rest)})" for letter, rest in rests.items())


# Not within a word, since "SK" and "eyJ" stand in every long base64. The letter may belong to an escape.
_STARTS: Final = re.compile(
    rf"[^A-Za-z0-9](?:(?<=\\)(?:[nrtbf]|u{_HEX}{{4}}))?(?:{_by_letter([*_BY_PREFIX, _JWT_START])})|:AA"
)
# One part after the other, each begun only where a word begins: every character is looked at three times at most.
_JWT: Final = re.compile(
    r"eyJ(?:(?<![A-Za-z0-9_-]eyJ)|(?<=\\[nrtbf]eyJ)|(?<=\\u[0-9a-fA-F]{4}eyJ))([A-Za-z0-9_-]{6,})\.[A-Za-z0-9_-]{6,}\.(?:[A-Za-z0-9_-]+)?"
    r"(?:\.[A-Za-z0-9_-]+){0,2}"
)


def may_have_token(runs: str) -> bool:
    """Whether one of the long words of a text begins as a secret does."""
    return _STARTS.search(runs) is not None


def tokens(text: str) -> Iterator[Hit]:
    """Keys with a known prefix, and JWTs."""
    for form, expression in _EXPRESSIONS:
        if not any(prefix in text for prefix in form.prefixes):
            continue
        for match in expression.finditer(text):
            if form.check is None or form.check(match[0]):
                yield Hit(*match.span(), form.rule)
    for match in _BOT.finditer(text):
        number = text[max(match.start() - 12, 0) : match.start()]
        yield Hit(match.start() - len(number) + len(number.rstrip("0123456789")), match.end(), "telegram_token")
    if _JWT_START in text:
        yield from (Hit(*match.span(), "jwt") for match in _JWT.finditer(text) if _is_header(_JWT_START + match[1]))


def _is_header(part: str) -> bool:
    """Whether it is the base64 of a JSON object with an algorithm."""
    try:
        header: Any = json.loads(urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (ValueError, RecursionError):
        return False
    return isinstance(header, dict) and ("alg" in header or "typ" in cast("dict[str, Any]", header))


_PEM_BEGIN: Final = re.compile(r"-----BEGIN (?:[A-Z0-9]{1,20} ){0,3}PRIVATE KEY(?: BLOCK)?-----")
_PEM_END: Final = re.compile(r"-----END [A-Z0-9 ]{0,60}-----")
_PEM_BODY: Final = re.compile(r"(?:[A-Za-z0-9+/=\s]|\\{1,4}[nr])*")
_PEM_BODY_MIN: Final = 40


def private_keys(text: str) -> Iterator[Hit]:
    """PEM blocks of private keys, cut off ones as well."""
    at, last_end = 0, -1
    while (begin := _PEM_BEGIN.search(text, at)) is not None:
        at = begin.end()
        if last_end is not None and last_end < at:
            last_end = _after(text, at)
        body = _PEM_BODY.match(text, at)
        assert body is not None
        if last_end is not None:
            at = last_end
        elif body.end() - at >= _PEM_BODY_MIN:
            at = body.end()
        else:
            continue
        yield Hit(begin.start(), at, "private_key")


def _after(text: str, at: int) -> int | None:
    """Where the next block ends; ``None`` where none does."""
    end = _PEM_END.search(text, at)
    return None if end is None else end.end()
