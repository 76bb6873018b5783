"""What importing and the first price cost, seen from fresh processes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from spanloom.cost import _table

PROBE = """
import json, socket, sys, time

def no_network(*args, **kwargs):
    raise AssertionError("network used")

socket.socket.connect = socket.socket.connect_ex = no_network
socket.getaddrinfo = socket.create_connection = no_network

before = set(sys.modules)
import spanloom.cost
from spanloom.cost import _table
loaded = _table.table.cache_info().currsize
started = time.process_time()
price = spanloom.cost.price("gpt-4o-mini", provider="openai", input_tokens=1000, output_tokens=500)
first_s = time.process_time() - started
new = sorted(set(sys.modules) - before)
print(json.dumps({"loaded": loaded, "first_s": first_s, "usd": price.amount_usd, "modules": new}))
"""


@pytest.fixture(scope="module")
def fresh() -> dict[str, Any]:
    done = [subprocess.run([sys.executable, "-c", PROBE], check=True, capture_output=True, text=True) for _ in range(3)]
    return min((json.loads(run.stdout) for run in done), key=lambda run: run["first_s"])


def test_the_import_reads_no_prices(fresh: dict[str, Any]) -> None:
    """A process that never prices anything does not pay for the table."""
    assert fresh["loaded"] == 0


def test_the_first_price_is_quick(fresh: dict[str, Any]) -> None:
    """The first price, table included, takes at most 20 ms of CPU."""
    assert fresh["first_s"] <= 0.020


def test_no_network_and_no_other_library_is_needed(fresh: dict[str, Any]) -> None:
    """With sockets blocked the price is there; genai-prices, pydantic and the SDK are not imported."""
    assert fresh["usd"] == 0.00045
    others = {"genai_prices", "pydantic", "opentelemetry.sdk", "httpx"}
    assert not {*others, "opentelemetry", "yaml", "logging", "dataclasses", "pathlib"} & set(fresh["modules"])


def test_a_missing_table_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An installation that lost its data file gives one clear line."""
    monkeypatch.setattr(_table, "FILE", str(tmp_path / "prices.json"))
    _table.table.cache_clear()
    with pytest.raises(FileNotFoundError, match=r"prices\.json is missing from the installation: reinstall spanloom"):
        _table.table()
