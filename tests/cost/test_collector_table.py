"""The price table for the Collector: what a row says, and that the committed file is what the table gives."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
import yaml

from spanloom.cost import collector_prices, load_overrides, reset_overrides
from spanloom.cost._collector import main, names_in, plain_row, render
from spanloom.cost._collector_names import WILDCARDS, hosts
from spanloom.cost._resolve import finding, schedule_of
from spanloom.cost._when import unix_s

FILE = Path(__file__).parents[2] / "collector_config" / "prices.yaml"
ROWS: dict[str, Any] = yaml.safe_load(FILE.read_text(encoding="utf-8"))
BEFORE, AFTER = datetime(2025, 6, 1, tzinfo=timezone.utc), datetime(2026, 11, 28, tzinfo=timezone.utc)


def test_the_committed_file_is_what_the_table_gives(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--check leaves a file that differs alone, with status 1; without that it is made anew, which gives the committed
    file byte for byte. Names that the table lacks stay out."""
    target = tmp_path / "prices.yaml"
    target.write_text('"openai/gpt-4o": {input: 1.0}\n"openai/gpt-4o-2024-08-06": {}\n"openai/acme": {input: 1.0}\n')
    assert main(["--check", "--target", str(target)]) == 1
    assert "acme" in target.read_text(encoding="utf-8")
    assert main(["--target", str(target)]) == 0
    assert target.read_bytes() == FILE.read_bytes()
    assert "lines, 0 differ" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("key", "row"),
    [
        ("openai/gpt-4o", {"input": 2.5, "output": 10.0, "cache_read": 1.25}),
        ("openai/gpt-4o-20240513", {"input": 5.0, "output": 15.0}),
        ("openai/text-embedding-3-small", {"input": 0.02}),
        ("azure/gpt-4o", {"input": 2.5, "output": 10.0, "cache_read": 1.25}),
        ("openai/tts-1", {}),
        ("openai/gpt-realtime", {}),
        ("deepseek/deepseek-v4-pro", {}),
        ("provider:azure.ai.openai", "azure"),
        ("host:api.groq.com", "groq"),
        ("version", "genai-prices 0.2.3 of 2026-11-10"),
    ],
)
def test_rows(key: str, row: Any) -> None:
    """Plain prices per million, nothing where a price needs more, names of providers and hosts."""
    assert ROWS[key] == row


def test_what_a_row_says_beside_prices() -> None:
    """A step, prices by mode, a date behind the name, a known change, a fee and no cost at all each occur."""
    models = [row for key, row in ROWS.items() if "/" in key]
    assert ROWS["google/gemini-2.5-pro"]["up_to"] == 200_000
    assert ROWS["google/gemini-2.5-flash"]["by_mode"] is True
    assert ROWS["anthropic/claude-3-7-sonnet"]["dated"] is True
    assert "dated" not in ROWS["openai/gpt-4o"]
    changing = ROWS["google/gemini-4-argon"]
    assert (changing["until"], changing["then"]["input"]) == ("2026-12-01", 2 * changing["input"])
    assert {"free": True} in models
    assert all(isinstance(row[name], float) for row in models for name in ("input", "output") if name in row)


def test_a_change_that_is_past_is_no_change() -> None:
    """o3 became cheaper on 2025-06-10: before, the row says so; now it is one price."""
    found = schedule_of("openai", "o3", None, None)
    assert found is not None
    then, now = plain_row(found, unix_s(BEFORE)), plain_row(found, unix_s(AFTER))
    assert then and now
    assert (then["until"], str(then["input"]), str(then["then"]["input"])) == ("2025-06-10", "10", "2")
    assert "until" not in now and str(now["input"]) == "2"


def test_own_prices_are_in_it() -> None:
    """Rules for a provider's models change its rows, free and per-request ones too; those for a host do not."""
    load_overrides(
        [
            {"match": {"server_address": "*.gpu.internal"}, "free": True},
            {"match": {"provider": "groq"}, "free": True},
            {"match": {"provider": "cohere"}, "per_request": 0.001},
            {"match": {"provider": "openai", "model": "gpt-4o*"}, "discount": 0.5},
        ]
    )
    try:
        rows: dict[str, Any] = yaml.safe_load(collector_prices(FILE.read_text(encoding="utf-8")))
    finally:
        reset_overrides()
    assert rows["openai/gpt-4o"] == {"input": 1.25, "output": 5.0, "cache_read": 0.625}
    assert all(row == {"free": True} for key, row in rows.items() if key.startswith("groq/") and "dated" not in row)
    assert rows["cohere/command"] == {"per_request": 0.001, "dated": True}
    assert rows["anthropic/claude-3-haiku"] == ROWS["anthropic/claude-3-haiku"]
    assert rows["version"].startswith("genai-prices 0.2.3 of 2026-11-10, own prices ")
    assert {*rows} >= {*ROWS}


def test_names_and_text_survive_the_file() -> None:
    """What is rendered is YAML of the same values, and its names are found again."""
    rows = {"version": 'a "b" \\ c', "x/y:z": {"free": True}, "x/ü": {}}
    text = render(rows)
    assert yaml.safe_load(text) == rows
    assert names_in(text) == ["x/y:z", "x/ü"]


def test_every_provider_that_has_a_host_has_one_in_the_file() -> None:
    """Only patterns that need a path are left out."""
    matcher, _ = finding()
    found = {*hosts(matcher).values()}
    needs_path = {one.row.id for one in matcher.indexes() if "[^/]+" in one.row.api or "huggingface" in one.row.api}
    # Behind another provider's host.
    needs_path |= {"openai-decisions"}
    assert {one.row.id for one in matcher.indexes()} - found == needs_path
    assert {*WILDCARDS} <= {*hosts(matcher)}
