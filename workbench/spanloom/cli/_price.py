"""``spanloom price``: what a call costs, from which rule, and why."""

from __future__ import annotations

import argparse
import json
from datetime import datetime, timezone
from typing import Any

from spanloom import cost
from spanloom.cli._command import Command, UsageError
from spanloom.cli._own_prices import use_own_prices

_OK, _NO_AMOUNT, _BAD_INPUT = 0, 1, 2
_PRICED = ("priced", "free")
# Options for counts that most calls have; any other is given by its name of ``price()``: ``--count web_searches=2``.
_COUNTS = {
    "input": ("input_tokens", "input tokens, with the cached ones"),
    "output": ("output_tokens", "output tokens, with reasoning"),
    "cache-read": ("cache_read_tokens", "input tokens that were read from the provider's cache"),
    "cache-write": ("cache_write_tokens", "input tokens that were written to it"),
    "reasoning": ("reasoning_tokens", "output tokens of reasoning"),
}
_MORE = tuple(cost.MoreCounts.__annotations__)
_MEANINGS = {
    "free": "it costs nothing",
    "unknown_model": "the model is not in the table",
    "unknown_deployment": "nobody knows what is behind this host or name",
    "unknown_price": "no price is listed for this call",
    "unknown_usage": "counts are missing or impossible",
}


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "model", metavar="MODEL", help="as the call names it; provider/model where no provider is given"
    )
    for option, (name, meaning) in _COUNTS.items():
        parser.add_argument(f"--{option}", dest=name, type=int, metavar="N", help=meaning)
    parser.add_argument(
        "--count", action="append", default=[], type=_count, metavar="NAME=N", help=f"more counts: {', '.join(_MORE)}"
    )
    parser.add_argument("--provider", help="OpenTelemetry's name of the provider, or the table's")
    parser.add_argument("--host", help="the server that is called")
    parser.add_argument("--tier", help="service tier: flex, priority, batch, fast ...")
    parser.add_argument("--at", type=_moment, metavar="TIME", help="when (ISO 8601, UTC by default); default: now")
    parser.add_argument("--prices", metavar="FILE", help="prices of your own; default: SPANLOOM_PRICES")
    parser.add_argument("--explain", action="store_true", help="say how the name was matched, and list the prices")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.epilog = "Exit code 1 where the call has no amount, 2 for bad input. Amounts are US dollars."


def _count(text: str) -> tuple[str, float]:
    name, _, number = text.partition("=")
    name = name.strip().replace("-", "_")
    if name not in _MORE:
        raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(_MORE)}")
    try:
        return name, int(number) if "." not in number else float(number)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} has no number; write {name}=2") from None


def _moment(text: str) -> datetime:
    try:
        # Python 3.10 does not know the Z.
        found = datetime.fromisoformat(text.strip().upper().replace("Z", "+00:00"))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no time such as 2026-11-28 or 2026-11-28T14:30Z") from None
    return found if found.tzinfo else found.replace(tzinfo=timezone.utc)


def _run(arguments: argparse.Namespace) -> int:
    if not use_own_prices(arguments.prices):
        return _BAD_INPUT
    counts: dict[str, Any] = {name: getattr(arguments, name) for name, _ in _COUNTS.values()}
    counts |= dict(arguments.count)
    if not any(value is not None for value in counts.values()) and not arguments.explain:
        raise UsageError("no counts: say --input N and --output N, or --explain for the prices alone")
    at = arguments.at or datetime.now(timezone.utc)
    call: dict[str, Any] = {
        "provider": arguments.provider,
        "service_tier": arguments.tier,
        "server_address": arguments.host,
        "at": at,
    }
    price = cost.price(arguments.model, **call, **counts)
    lines = cost.explain(arguments.model, **call).lines if arguments.explain else ()
    for line in _as_json(price, at, lines) if arguments.json else _as_text(price, at, lines):
        print(line)
    return _OK if price.status in _PRICED else _NO_AMOUNT


def _as_text(price: cost.Price, at: datetime, lines: tuple[str, ...]) -> list[str]:
    meaning = _MEANINGS.get(price.status)
    rows = {
        "amount": "none" if price.amount_usd is None else f"${_plain(price.amount_usd)}",
        "status": f"{price.status} ({meaning})" if meaning else price.status,
        "rule": price.rule or "none",
        "source": price.source,
        "date": at.isoformat(timespec="seconds"),
    }
    table = [f"{name:<8}{value}" for name, value in rows.items()]
    return [*table, "", *(f"- {line}" for line in lines)] if lines else table


def _plain(usd: float) -> str:
    """Without an exponent and without digits that are only the float's."""
    return f"{usd:.12f}".rstrip("0").rstrip(".")


def _as_json(price: cost.Price, at: datetime, lines: tuple[str, ...]) -> list[str]:
    found: dict[str, Any] = {
        "amount_usd": price.amount_usd,
        "status": price.status,
        "rule": price.rule,
        "source": price.source,
        "at": at.isoformat(),
    }
    return [json.dumps(found | ({"explanation": list(lines)} if lines else {}), ensure_ascii=False, indent=2)]


price_command = Command("What a call costs in US dollars, by which rule, and why.", _configure, _run)
