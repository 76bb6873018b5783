"""Make ``prices.json`` from the installed ``genai-prices``: ``python -m spanloom.cost._build`` (``make prices``).

The file, schema 2 (one model a line, so that a refresh reads well as a diff)::

    {"schema": 2, "about": {...}, "units": {UNIT: {"usage", "per", "dimensions"}},
     "providers": [{"id", "api", "match"?, "models_match"?, "fallback"?, "models": [[ID, MATCH, PRICES, VARIANTS?]]}]}

    MATCH     null (name == ID) | "name" | ["start"|"end"|"has"|"re", TEXT] | ["or"|"and", MATCH, ...]; all lower case
    PRICES    {UNIT: RATE} | "free" | [{WHEN..., "prices": PRICES}, ...] (the last that holds wins, else the first);
              {} means that the source has no price for the model, or for this moment
    WHEN      "from": DATE, "until": DATE (not included), "utc": [START, END], "days": [1 (Monday) to 7]; all must hold
    RATE      "USD per `per` units" | ["base", [INPUT_TOKENS, "rate above them, for all tokens"], ...]
    VARIANTS  [{"when": {KEY: VALUE}, "from"?: DATE, "prices": {UNIT: RATE}}, ...] (per unit the first that holds wins)

Providers and models keep the source's order: the first match wins. Prices are decimal text, never floats.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterable, Iterator
from datetime import time
from decimal import Decimal
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

if TYPE_CHECKING:
    from genai_prices import types

TARGET = Path(__file__).with_name("prices.json")
SCHEMA = 2
_CLAUSES = {"starts_with": "start", "ends_with": "end", "contains": "has", "regex": "re"}
WORKDAYS = [1, 2, 3, 4, 5]


class Windows(NamedTuple):
    """What a source says in words about daily windows: since when they cost what is listed, since when they cost
    something (where that is earlier, nobody can know how much), and since when weekends have none."""

    listed: str = ""
    began: str = ""
    weekends_off: str = ""


# The source's conditions have neither weekdays nor dates for windows (genai-prices#582); these are the words of its
# ``price_comments``, which a refresh checks to be still there. Chinese public holidays, off-peak too, are not known.
WINDOWS = {
    "deepseek/deepseek-chat": Windows(),
    "deepseek/deepseek-reasoner": Windows(),
    "deepseek/deepseek-flash": Windows(listed="2026-09-10", weekends_off="2026-09-10"),
    "deepseek/deepseek-v4-flash": Windows(listed="2026-09-10", began="2026-08-17", weekends_off="2026-08-23"),
    "deepseek/deepseek-v4-pro": Windows(listed="2026-08-17", weekends_off="2026-08-23"),
}
_FREE = re.compile(r"\bfree of charge\b", re.IGNORECASE)


def unit_of(price_key: str) -> str:
    """Our short name of a price: ``input_mtok`` → ``input``; other units keep their whole key (``audio_hours``)."""
    return price_key.removesuffix("_mtok")


def clause(match: Any) -> Any:
    """A match clause as JSON; text in lower case, because names are compared so (patterns are written for that)."""
    fields = cast("dict[str, Any]", vars(match))
    name, value = next(iter(fields.items()))
    if name in ("or_", "and_"):
        return [name[:-1], *(clause(one) for one in value)]
    if name == "equals":
        return value.lower()
    return [_CLAUSES[name], value if name == "regex" else value.lower()]


def text(price: Decimal) -> str:
    """Exact decimal text without an exponent and without trailing zeros."""
    plain = f"{price:f}"
    return plain.rstrip("0").rstrip(".") if "." in plain else plain


def rate(price: Any) -> Any:
    """One price: text, or a list with the steps by input tokens."""
    if isinstance(price, Decimal):
        return text(price)
    return [text(price.base), *([tier.start, text(tier.price)] for tier in price.tiers)]


def price_set(prices: Any) -> dict[str, Any]:
    """All prices of one moment, sorted by unit."""
    fields = cast("dict[str, Any]", vars(prices))
    return dict(sorted((unit_of(key), rate(value)) for key, value in fields.items() if value is not None))


def condition(constraint: Any) -> dict[str, Any]:
    """When a price holds: always, from a date on, or at a time of day (UTC)."""
    if constraint is None:
        return {}
    fields = cast("dict[str, Any]", vars(constraint))
    if "start_date" in fields:
        return {"from": fields["start_date"].isoformat()}
    return {"utc": [utc_minute(fields["start_time"]), utc_minute(fields["end_time"])]}


def utc_minute(moment: time) -> str:
    """``HH:MM``; the source has written all of them in UTC so far, and another zone must not pass for UTC."""
    if moment.utcoffset():
        raise ValueError(f"price window at {moment}: only UTC is understood; teach `utc_minute` the zone")
    return moment.strftime("%H:%M")


def said_to_be_free(model: types.ModelInfo) -> bool:
    """The source has no zero prices; it says "free" in the listing's own name or in its text."""
    return model.id.endswith(":free") or bool(_FREE.search(f"{model.description} {model.price_comments}"))


def windows_of(name: str, comments: str) -> Windows:
    """What is known about a model's windows. ``ValueError`` where somebody has to read the source's words first."""
    known = WINDOWS.get(name)
    said = [day for day in known or () if day]
    if known is None or any(day not in comments for day in said) or ("issues/582" in comments) != bool(said):
        raise ValueError(
            f"{name}: read its price_comments and say in `WINDOWS` on which days its hours hold: {comments}"
        )
    return known


def window_rows(row: dict[str, Any], known: Windows) -> Iterator[dict[str, Any]]:
    """A window's row for each span of time in which its days or its prices differ."""
    if known.began:
        yield from between(row | {"prices": {}}, known.began, known.listed, known.weekends_off)
    yield from between(row, known.listed, "", known.weekends_off)


def between(row: dict[str, Any], start: str, end: str, weekends_off: str) -> Iterator[dict[str, Any]]:
    """A window from ``start`` until ``end`` ("" for ever), on all days and then, from ``weekends_off``, on workdays."""
    spans: list[tuple[str, str, dict[str, Any]]] = [(start, end, {})]
    if weekends_off:
        spans = [(start, weekends_off, {})] if start < weekends_off else []
        spans.append((max(start, weekends_off), end, {"days": WORKDAYS}))
    for first, last, days in spans:
        yield {**({"from": first} if first else {}), **({"until": last} if last else {}), **days, **row}


def dated_prices(name: str, model: types.ModelInfo, rows: Iterable[types.ConditionalPrice]) -> Iterator[dict[str, Any]]:
    """Prices with their conditions; windows with their days."""
    for one in rows:
        row = {**condition(one.constraint), "prices": price_set(one.prices)}
        if "utc" in row:
            yield from window_rows(row, windows_of(name, model.price_comments or ""))
        else:
            yield row


def prices_of(provider: str, model: types.ModelInfo) -> Any:
    """The model's PRICES."""
    if isinstance(model.prices, list):
        return list(dated_prices(f"{provider}/{model.id}", model, model.prices))
    return price_set(model.prices) or ("free" if said_to_be_free(model) else {})


def model_row(provider: str, model: types.ModelInfo) -> list[Any]:
    """``[ID, MATCH, PRICES]``, with VARIANTS where there are any."""
    match = clause(model.match)
    name = None if match == model.id.lower() else match
    variants = [
        {"when": row.when, **condition(row.constraint), "prices": price_set(row.prices)}
        for row in model.price_variants or ()
    ]
    return [model.id, name, prices_of(provider, model), *([variants] if variants else [])]


def provider_row(provider: types.Provider) -> dict[str, Any]:
    """One provider with its models."""
    row: dict[str, Any] = {"id": provider.id, "api": provider.api_pattern}
    if provider.provider_match is not None:
        row["match"] = clause(provider.provider_match)
    if provider.model_match is not None:
        row["models_match"] = clause(provider.model_match)
    if provider.fallback_model_providers:
        row["fallback"] = list(provider.fallback_model_providers)
    row["models"] = [model_row(provider.id, model) for model in provider.models]
    return row


def units_used(providers: list[dict[str, Any]]) -> dict[str, Any]:
    """The units that occur, as the source defines them."""
    from genai_prices.data_units import unit_data

    used = {unit for row in providers for model in row["models"] for prices in price_sets(model) for unit in prices}
    rows = ((unit_of(row["price_key"]), usage, row) for usage, row in unit_data.items())
    return {
        unit: {"usage": usage, "per": row["per"], "dimensions": row["dimensions"]}
        for unit, usage, row in rows
        if unit in used
    }


def price_sets(row: list[Any]) -> Iterator[dict[str, Any]]:
    """Every set of prices in a model's row."""
    prices = row[2]
    if isinstance(prices, dict):
        yield cast("dict[str, Any]", prices)
    dated = cast("list[dict[str, Any]]", prices if isinstance(prices, list) else [])
    variants = cast("list[dict[str, Any]]", row[3] if len(row) > 3 else [])
    for one in (*dated, *variants):
        yield one["prices"]


def released(lock: Path, package_version: str) -> str | None:
    """The day on which this version of the data was published, from the lock file; None where that does not tell."""
    if not lock.is_file():
        return None
    pattern = rf"genai_prices-{re.escape(package_version)}-[^\n]*upload-time = \"(\d{{4}}-\d{{2}}-\d{{2}})"
    found = re.search(pattern, lock.read_text(encoding="utf-8"))
    return found.group(1) if found else None


def table(lock: Path) -> dict[str, Any]:
    """The whole table from the installed data."""
    from genai_prices.data import providers

    rows = [provider_row(provider) for provider in providers]
    package_version = version("genai-prices")
    about = {
        "source": f"genai-prices {package_version}",
        "released": released(lock, package_version),
        "url": "https://github.com/pydantic/genai-prices",
        "licence": "MIT, see LICENSE.genai-prices",
        "models": sum(len(row["models"]) for row in rows),
    }
    return {"schema": SCHEMA, "about": about, "units": units_used(rows), "providers": rows}


def render(made: dict[str, Any]) -> str:
    """The file's text: compact, but one unit and one model a line."""
    head = ",\n".join(f"{compact(key)}:{compact(made[key])}" for key in ("schema", "about"))
    units = ",\n".join(f"{compact(unit)}:{compact(row)}" for unit, row in made["units"].items())
    providers = ",\n".join(provider_lines(row) for row in made["providers"])
    return f'{{{head},\n"units":{{\n{units}}},\n"providers":[\n{providers}]}}\n'


def provider_lines(row: dict[str, Any]) -> str:
    """A provider's line and one line for each of its models."""
    head = compact({key: value for key, value in row.items() if key != "models"})
    models = ",\n".join(compact(model) for model in row["models"])
    return f'{head[:-1]},"models":[\n{models}]}}'


def compact(value: Any) -> str:
    """JSON without spaces."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def by_name(made: dict[str, Any]) -> dict[str, str]:
    """``provider/model`` → its row as text."""
    return {f"{row['id']}/{model[0]}": compact(model[1:]) for row in made["providers"] for model in row["models"]}


def report(old: dict[str, Any] | None, new: dict[str, Any]) -> list[str]:
    """What a refresh changes, a line each; the last line counts."""
    before, after = by_name(old) if old else {}, by_name(new)
    gone, come = sorted(before.keys() - after.keys()), sorted(after.keys() - before.keys())
    changed = sorted(name for name in before.keys() & after.keys() if before[name] != after[name])
    lines = [f"+ {name}  {after[name]}" for name in come if old]
    lines += [f"- {name}" for name in gone]
    lines += [f"~ {name}\n    was {before[name]}\n    now {after[name]}" for name in changed]
    source = new["about"]["source"]
    return [*lines, f"{source}: {len(after)} models; {len(come)} added, {len(gone)} removed, {len(changed)} changed"]


def main(arguments: list[str] | None = None) -> int:
    """Write the file and print what changed. With ``--check`` nothing is written, and a difference gives status 1."""
    parser = argparse.ArgumentParser(prog="python -m spanloom.cost._build", description="Refresh the price table.")
    parser.add_argument("--check", action="store_true", help="write nothing; status 1 where the file is out of date")
    parser.add_argument("--target", type=Path, default=TARGET, help="the file to write (default: the package's own)")
    parser.add_argument("--lock", type=Path, default=Path("uv.lock"), help="lock file that knows the data's date")
    chosen = parser.parse_args(arguments)
    old = chosen.target.read_text(encoding="utf-8") if chosen.target.is_file() else ""
    made = table(chosen.lock)
    new = render(made)
    print("\n".join(report(json.loads(old) if old else None, made)))
    if chosen.check:
        return int(new != old)
    chosen.target.write_text(new, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
