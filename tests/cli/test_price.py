"""``spanloom price``: amount, rule, source and date of a call, and why."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from spanloom.cost import reset_overrides
from spanloom.cost._table import table

from .conftest import Run

SOURCE = table().source


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    """Prices of a file last as long as the process does, which is a test here."""
    reset_overrides()
    yield
    reset_overrides()


def test_a_price(run: Run) -> None:
    """Amount, status, rule, source and the time it was asked for, a line each."""
    shown = run("price", "openai/gpt-4o-mini", "--input", "1000", "--output", "500", "--at", "2026-11-21")
    assert (shown.code, shown.err) == (0, "")
    assert shown.lines == [
        "amount  $0.00045",
        "status  priced",
        "rule    openai/gpt-4o-mini",
        f"source  {SOURCE}",
        "date    2026-11-21T00:00:00+00:00",
    ]


def test_every_option_reaches_the_price(run: Run) -> None:
    """Counts, tier, provider, host and time."""
    call = ("--provider", "anthropic", "--host", "api.anthropic.com", "--input", "0", "--output", "0")
    shown = run("price", "claude-sonnet-4-5", *call, "--count", "web-searches=3", "--cache-read", "0")
    assert shown.lines[0] == "amount  $0.03"
    at = ("--at", "2026-11-27T09:00:00+08:00")
    shown = run("price", "deepseek/deepseek-v4-pro", "--input", "1000000", "--output", "0", *at)
    assert shown.lines[0] == "amount  $1.32"
    assert shown.lines[2] == "rule    deepseek/deepseek-v4-pro from 2026-08-23 01:00-04:00 UTC mon-fri"
    flex = ("--tier", "flex", "--input", "1000", "--output", "0", "--at", "2026-11-27t01:00z")
    assert run("price", "openai/gpt-5.4", *flex).lines[0] == "amount  $0.00125"
    shown = run("price", "openai/whisper-1", "--count", "audio_seconds=90.5")
    assert shown.lines[0] == "amount  $0.00905"


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (("acme-7b", "--input", "1"), "unknown_model (the model is not in the table)"),
        (("openai/gpt-4o", "--input", "1"), "unknown_usage (counts are missing or impossible)"),
        (
            ("gpt-4o", "--host", "localhost", "--input", "1"),
            "unknown_deployment (nobody knows what is behind this host",
        ),
        (
            ("openai/gpt-4o", "--tier", "scale", "--input", "1", "--output", "1"),
            "unknown_price (no price is listed for",
        ),
    ],
)
def test_no_amount(run: Run, arguments: tuple[str, ...], status: str) -> None:
    """Exit code 1, the word none, and the status with its meaning; never a zero."""
    shown = run("price", *arguments)
    assert (shown.code, shown.lines[0]) == (1, "amount  none")
    assert shown.lines[1].startswith(f"status  {status}")


def test_free_is_an_amount(run: Run) -> None:
    """What the data says to be free costs 0, with exit code 0."""
    shown = run("price", "gemma-4-31b-it", "--provider", "gcp.gemini", "--input", "1", "--output", "1")
    assert (shown.code, shown.lines[:2]) == (0, ["amount  $0", "status  free (it costs nothing)"])


def test_why(run: Run) -> None:
    """``--explain`` says what was tried, also without counts."""
    shown = run("price", "gpt-4p", "--provider", "openai", "--explain")
    assert shown.code == 1
    assert shown.lines[5:] == [
        "",
        "- provider 'openai' means the table's provider openai",
        "- names that were tried: gpt-4p",
        "- no row of openai matches; near are gpt-4, gpt-4o, gpt-5.4",
    ]


def test_json(run: Run) -> None:
    """The same for programs; an amount that is not known is null."""
    shown = run("price", "openai/gpt-4o", "--input", "1000", "--output", "500", "--json", "--at", "2026-11-21")
    assert json.loads(shown.out) == {
        "amount_usd": 0.0075,
        "status": "priced",
        "rule": "openai/gpt-4o",
        "source": SOURCE,
        "at": "2026-11-21T00:00:00+00:00",
    }
    unknown = json.loads(run("price", "acme", "--input", "1", "--json", "--explain").out)
    assert (unknown["amount_usd"], unknown["explanation"]) == (None, ["no provider has such names"])


def test_prices_of_one_s_own(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From ``--prices`` or the setting; mistakes of a file are told with their line, exit code 2."""
    path = tmp_path / "prices.yaml"
    path.write_text("version: 1\nprices:\n  - {match: {model: 'acme-*'}, price: {input: 1, output: 2}}\n")
    call = ("price", "acme-7b", "--input", "1000", "--output", "0")
    shown = run(*call, "--prices", str(path))
    assert (shown.code, shown.lines[0], shown.lines[3]) == (0, "amount  $0.001", "source  prices.yaml:3")
    reset_overrides()
    monkeypatch.setenv("SPANLOOM_PRICES", str(path))
    assert run(*call).lines[0] == "amount  $0.001"
    path.write_text("version: 1\nprices:\n  - {match: {model: 'acme-*'}, price: {inptu: 1}}\n")
    shown = run(*call, "--prices", str(path))
    assert (shown.code, shown.out) == (2, "")
    assert f"{path}:3: prices[0].price.inptu: no such field; did you mean input?" in shown.err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("gpt-4o",), "spanloom: no counts: say --input N and --output N, or --explain for the prices alone"),
        (("gpt-4o", "--input", "many"), "argument --input: invalid int value: 'many'"),
        (("gpt-4o", "--count", "web_search=1"), "'web_search' is none of cache_write_1h_tokens"),
        (("gpt-4o", "--count", "web_searches"), "'web_searches' has no number; write web_searches=2"),
        (("gpt-4o", "--at", "yesterday"), "'yesterday' is no time such as 2026-11-28 or 2026-11-28T14:30Z"),
    ],
)
def test_bad_input(run: Run, arguments: tuple[str, ...], told: str) -> None:
    """One line and exit code 2."""
    shown = run("price", *arguments)
    assert (shown.code, shown.out) == (2, "")
    assert told in shown.err
