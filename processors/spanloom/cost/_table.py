"""The price table in memory: read from the package's ``prices.json`` when the first price is asked for."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any, NamedTuple, cast

SCHEMA = 2
FILE = __file__.rpartition("_table.")[0] + "prices.json"

# A clause, a set of prices and a rate as ``_build`` describes them.
Clause = Any
PriceSet = dict[str, Any]


class Model(NamedTuple):
    """One row: how its name is recognised and what it costs (PRICES and VARIANTS of ``_build``)."""

    id: str
    match: Clause
    prices: Any
    variants: tuple[dict[str, Any], ...] = ()


class ProviderRow(NamedTuple):
    """One provider with its models in the order in which they are tried."""

    id: str
    api: str
    match: Clause | None
    models_match: Clause | None
    fallback: tuple[str, ...]
    rows: list[list[Any]]

    def model(self, index: int) -> Model:
        """The model at this place of the list."""
        name, match, prices, *variants = self.rows[index]
        return Model(name, match or name.lower(), prices, tuple(variants[0]) if variants else ())


class Table(NamedTuple):
    """All providers; ``source`` names the data, its version and day; of each unit ``dimensions`` and what one price is
    ``per`` (a million tokens, an hour in seconds)."""

    source: str
    providers: tuple[ProviderRow, ...]
    dimensions: dict[str, dict[str, str]]
    per: dict[str, int]


def parse(text: str | bytes) -> Table:
    """A table from the file's text. ``ValueError`` for a file of another schema."""
    raw = cast("dict[str, Any]", json.loads(text))
    if raw.get("schema") != SCHEMA:
        raise ValueError(f"price table has schema {raw.get('schema')!r}, not {SCHEMA}: run `make prices`")
    about = raw["about"]
    return Table(
        source=" of ".join(filter(None, (about["source"], about["released"]))),
        providers=tuple(provider_row(row) for row in raw["providers"]),
        dimensions={unit: row["dimensions"] for unit, row in raw["units"].items()},
        per={unit: row["per"] for unit, row in raw["units"].items()},
    )


def items(value: Any) -> list[Any]:
    """The items of a JSON list; none for any other value."""
    return cast("list[Any]", value) if isinstance(value, list) else []


def provider_row(raw: dict[str, Any]) -> ProviderRow:
    get = raw.get
    return ProviderRow(
        raw["id"], raw["api"], get("match"), get("models_match"), tuple(get("fallback", ())), raw["models"]
    )


@lru_cache(maxsize=1)
def table() -> Table:
    """The package's table, read once. Two threads that come first at the same time both read it, which is harmless."""
    try:
        # pkgutil and pathlib take more memory than the price of a call should.
        with open(FILE, encoding="utf-8") as file:  # noqa: PTH123
            text = file.read()
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{FILE} is missing from the installation: reinstall spanloom") from error
    return parse(text)
