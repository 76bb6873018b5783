"""Which row of the table, or which status, names of telemetry lead to: ``matching.tsv``."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from spanloom.cost import price
from spanloom.cost._resolve import finding, schedule_of
from spanloom.cost._table import table
from spanloom.semconv import Provider

FILE = Path(__file__).with_name("matching.tsv")
with FILE.open(encoding="utf-8", newline="") as file:
    ROWS = [tuple(row.values()) for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)]
STATUSES = {"unknown_model", "unknown_deployment"}


def test_there_are_enough_rows() -> None:
    """At least 200, each once, and every kind of answer among them."""
    assert len(ROWS) == len({row[:3] for row in ROWS}) >= 200
    expected = {row[3] for row in ROWS}
    assert expected >= STATUSES
    assert {one.partition("/")[0] for one in expected - STATUSES} >= {"openai", "azure", "aws", "google", "openrouter"}


@pytest.mark.parametrize(("provider", "host", "model", "expected"), ROWS)
def test_a_name_leads_to_its_row_or_status(provider: str, host: str, model: str, expected: str) -> None:
    """(provider, host, model) gives this rule, or this status and no amount."""
    found = schedule_of(provider or None, model, None, None, host or None)
    assert (found.rule or found.otherwise if found else "unknown_model") == expected
    if expected in STATUSES:
        got = price(model, provider=provider, server_address=host, input_tokens=1, output_tokens=1)
        assert (got.amount_usd, got.status, got.rule, got.source) == (None, expected, None, table().source)


def test_every_provider_of_the_conventions_is_known_or_not_listed() -> None:
    """Their names are written out in the matcher; none is forgotten."""
    matcher, _ = finding()
    names = [value for name, value in vars(Provider).items() if name.isupper()]
    assert [name for name in names if matcher.provider(name) is None] == [Provider.WATSONX]


def test_a_self_hosted_model_has_no_price_whatever_its_usage() -> None:
    """Missing or impossible counts do not change what is unknown there."""
    for tokens in (None, -1, 5):
        got = price("gpt-4o", provider="openai", server_address="localhost", input_tokens=tokens, output_tokens=1)
        assert (got.amount_usd, got.status) == (None, "unknown_deployment")


def test_hours_of_another_provider_are_not_borrowed() -> None:
    """Azure resells DeepSeek's models, and not its cheap nights."""
    got = price("DeepSeek-R1", provider="azure.ai.inference", input_tokens=1, output_tokens=1)
    assert (got.amount_usd, got.status, got.rule) == (None, "unknown_price", "azure/deepseek-reasoner")


def test_a_zone_of_azure_costs_a_tenth_more() -> None:
    """Data zones: 1.1 times the global price, in tiers as well."""
    usage = {"input_tokens": 1_000_000, "output_tokens": 0}
    plain, zone = (price(f"azure/{name}gpt-4o", **usage) for name in ("", "eu/"))
    assert plain.amount_usd is not None
    assert zone.amount_usd == pytest.approx(1.1 * plain.amount_usd)
    assert zone.rule == "azure/gpt-4o zone=eu"
    fallback = price("azure/us/grok-4.3", service_tier="priority", **usage)
    assert (fallback.amount_usd, fallback.status) == (None, "unknown_price")
