"""The price table for the Collector's stock ``lookup`` processor: ``python -m spanloom.cost._collector``.

That processor knows one file of exact keys. So each name that the table spells out is asked here, with all the rules of
matching, and what it costs is written down; ``collector_config/spanloom.yaml`` does the multiplying. A name that only a
pattern knows, and a price that depends on more than counts, are not in the file: such a span stays without an amount.

    version: "genai-prices 0.2.3 of 2026-11-10"       what the amounts are from
    "provider:azure.ai.openai": azure                 a name of a provider → the table's
    "host:api.openai.com": openai                     who bills at a host
    "own:ollama": nobody                              a server of one's own
    "openai/gpt-4o": {input: 2.5, output: 10.0, ...}  USD per million tokens; {} where a price needs more than this file

    input, output, cache_read, cache_write, output_reasoning   a part's price replaces that of the whole it lies in
    per_request   USD for each call             free     true: costs nothing
    up_to         with more input tokens than these, there is no amount
    by_mode       true: sound and pictures have prices of their own, so a call that counts some has no amount
    dated         true: the same with a date behind the name
    until, then   the first day (UTC) on which this is over, and what follows
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator, Set
from datetime import datetime, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, cast

from spanloom.cost._collector_names import DAY, hosts, litellms_names, model_names, provider_names
from spanloom.cost._deployment import SELF_HOSTED
from spanloom.cost._rate import SCALE, Rate, Schedule
from spanloom.cost._resolve import finding, schedule_of
from spanloom.cost._table import table
from spanloom.cost._usage import COUNTED, REQUESTS, USUAL
from spanloom.cost._version import price_version
from spanloom.cost._when import ALL_DAYS, ALWAYS, When, day_start_s, day_text, unix_s

TARGET: Final = Path("collector_config", "prices.yaml")
Row = dict[str, Any]

# Parts that have a price of their own and are counted in tokens of another kind than text.
_BY_MODE: Final = frozenset({"input_audio", "cache_audio_read", "input_image", "cache_image_read", "input_video"})
# What a plain call does not have.
_UNCOUNTED: Final = frozenset({"cache_write_1h", "web_searches_kcount", "storage_searches_kcount", REQUESTS})
_USUAL: Final = COUNTED[:USUAL]
_ANY_DATES: Final = ("-2023-01-01", "-20250615")
_MILLION: Final = 10**6


def collector_prices(earlier: str = "") -> str:
    """A file for the Collector's ``lookup`` processor: the price table as of now, with your own prices in effect.

    ``earlier``: the text of such a file, whose names are priced as well. Rules for a ``server_address`` or a
    ``service_tier`` are not in it, nor models that neither the table nor that file names. The form is described in
    ``collector_config/README.md``.
    """
    return render(lookup_rows(names_in(earlier), datetime.now(timezone.utc)))


def lookup_rows(known: Iterable[str] = (), at: datetime | None = None) -> Row:
    """All rows of the file, by the table and prices of one's own.

    ``known``: names (``provider/model``) to be priced besides those of the table, such as an earlier file's. ``at``:
    the day for which prices are written, by default that of the table's release.
    """
    matcher, _ = finding()
    moment_s = released_s() if at is None else unix_s(at)
    more: dict[str, set[str]] = {}
    for provider, name in (key.split("/", 1) for key in known):
        more.setdefault(provider, set()).add(name)
    rows: Row = {"version": price_version()}
    rows.update({f"provider:{name}": known for name, known in sorted(provider_names(matcher).items())})
    # Whatever host a server of one's own is behind: nobody bills.
    rows.update({f"own:{name}": "nobody" for name in sorted(SELF_HOSTED)})
    rows.update({f"host:{host}": known for host, known in hosts(matcher).items()})
    for index in matcher.indexes():
        rows.update(_of_provider(index.row.id, model_names(matcher, index, more.get(index.row.id, ())), moment_s))
    return rows


def _of_provider(provider: str, names: Set[str], moment_s: int) -> Iterator[tuple[str, Row]]:
    dates = dates_in(names)
    for name in sorted(names):
        row = entry(provider, name, moment_s, names, dates)
        if row is not None:
            yield f"{provider}/{name}", row


def released_s() -> int:
    """The day of the table as Unix seconds; ``ValueError`` where it has none."""
    return day_start_s(table().source.rpartition(" of ")[2])


def dates_in(names: Iterable[str]) -> tuple[str, ...]:
    """Dates behind names: any, and those that the names themselves have, where prices may differ."""
    return (*_ANY_DATES, *sorted({"-" + "-".join(day) for name in names for day in DAY.findall(name)}))


def entry(provider: str, name: str, moment_s: int, names: Set[str], dates: Iterable[str]) -> Row | None:
    """A name's row: empty where its price depends on more than the counts of a plain call, None where it is no name."""
    found = schedule_of(provider, name, None, None)
    if found is None or not found.phases:
        return None
    row = plain_row(found, moment_s)
    if not row:
        return {}
    # A name with its date in the file has a row of its own.
    with_day = (name + day for day in dates if name + day not in names)
    if not DAY.search(name) and all(same(found, schedule_of(provider, one, None, None)) for one in with_day):
        row["dated"] = True
    return row


def same(one: Schedule, other: Schedule | None) -> bool:
    return other is not None and (one.rule, one.phases) == (other.rule, other.phases)


def plain_row(found: Schedule, moment_s: int, depth: int = 1) -> Row | None:
    """The prices of a moment, and of the time after it where a change is known."""
    spans = [one for phase in found.phases for one in phase.when]
    end_s = min((edge for one in spans for edge in (one.start_s, one.end_s) if edge > moment_s), default=ALWAYS.end_s)
    by_hours = any(has_hours(one) and one.start_s < end_s and one.end_s > moment_s for one in spans)
    rate = None if by_hours else found.at(moment_s)
    row = rate and prices_of(rate)
    if not row or end_s == ALWAYS.end_s:
        return row or None
    then = plain_row(found, end_s, depth - 1) if depth else None
    return row | {"until": day_text(end_s)} | ({"then": then} if then else {})


def has_hours(when: When) -> bool:
    return (when.first_s, when.last_s, when.days) != (ALWAYS.first_s, ALWAYS.last_s, ALL_DAYS)


def prices_of(rate: Rate) -> Row | None:
    """A rate as USD per million tokens; None where it is more than that, or no call is billed by tokens."""
    if rate.free:
        return {"free": True}
    has_price = rate.prices_input or rate.units == frozenset({REQUESTS})
    if not has_price or rate.beyond_text or rate.units - {*_USUAL, *_BY_MODE, *_UNCOUNTED}:
        return None
    row: Row = {unit: usd for unit, usd in zip(_USUAL, whole_prices(rate), strict=True) if unit in rate.units}
    if rate.per_call:
        row["per_request"] = Decimal(rate.per_call) / SCALE
    if len(rate.bands) > 1:
        row["up_to"] = rate.bands[1][0]
    if rate.units & _BY_MODE:
        row["by_mode"] = True
    return row


def whole_prices(rate: Rate) -> Iterator[Decimal]:
    """Of coefficients that are differences, the prices again, in the order of the usual counts."""
    given, made, *parts = rate.bands[0][1][:USUAL]
    for one in (given, made, parts[0] + given, parts[1] + given, parts[2] + made):
        yield Decimal(one * _MILLION) / SCALE


def render(rows: Row) -> str:
    """The file's text, one row a line."""
    head = (
        "# Prices for the Collector's `lookup` processor, made by `make prices`; the fields: README.md.\n"
        "# The data is that of genai-prices (https://github.com/pydantic/genai-prices): MIT License, (c) Pydantic.\n"
    )
    return head + "".join(
        f"{json.dumps(key, ensure_ascii=False)}: {value_text(value)}\n" for key, value in rows.items()
    )


def names_in(text: str) -> list[str]:
    """The names (``provider/model``) that a file in this form has."""
    return [key[1:] for key, found, _ in (line.partition('": {') for line in text.splitlines()) if found]


def value_text(value: Any) -> str:
    if isinstance(value, dict):
        fields = cast("Row", value)
        return "{" + ", ".join(f"{name}: {value_text(one)}" for name, one in fields.items()) + "}"
    if isinstance(value, Decimal):
        plain = f"{value.normalize():f}"
        # A number without a point would be an integer there, and integers are not multiplied with fractions.
        return plain if "." in plain else f"{plain}.0"
    # Of the rest YAML reads what JSON writes.
    return json.dumps(value, ensure_ascii=False)


def main(arguments: list[str] | None = None) -> int:
    """Write the file, or with ``--check`` say by the status whether it would change."""
    parser = argparse.ArgumentParser(prog="python -m spanloom.cost._collector", description=__doc__)
    parser.add_argument("--target", type=Path, default=TARGET)
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args(arguments)
    old = options.target.read_text(encoding="utf-8") if options.target.is_file() else ""
    made = render(lookup_rows((*names_in(old), *litellms_names(finding()[0]))))
    changed = len({*made.splitlines()} ^ {*old.splitlines()})
    if changed and not options.check:
        options.target.write_text(made, encoding="utf-8")
    print(f"{options.target}: {made.count(chr(10))} lines, {changed} differ from before")
    return 1 if changed and options.check else 0


if __name__ == "__main__":
    sys.exit(main())
