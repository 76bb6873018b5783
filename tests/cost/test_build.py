"""``make prices``: the committed table is what the pinned data gives, and a refresh says what it changes."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import time, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace

import pytest
from genai_prices.data import providers

from spanloom.cost import _build

ROOT = Path(__file__).parents[2]


def test_the_committed_table_is_what_the_pinned_data_gives(capsys: pytest.CaptureFixture[str]) -> None:
    """Rendering the installed genai-prices gives the committed file byte for byte, and no change."""
    assert _build.main(["--check", "--lock", str(ROOT / "uv.lock")]) == 0
    assert capsys.readouterr().out.endswith("; 0 added, 0 removed, 0 changed\n")


def test_the_table_holds_every_model_and_its_licence() -> None:
    """Every model of every provider is in the file, which names source, day and licence; the licence text is there."""
    made = json.loads(_build.TARGET.read_text(encoding="utf-8"))
    assert _build.by_name(made).keys() == {f"{row.id}/{model.id}" for row in providers for model in row.models}
    assert made["about"]["source"] == "genai-prices 0.2.3"
    assert made["about"]["released"] == "2026-11-10"
    assert "MIT" in made["about"]["licence"]
    text = _build.TARGET.with_name("LICENSE.genai-prices").read_text(encoding="utf-8")
    assert "The MIT License" in text
    assert "Pydantic" in text


def test_a_refresh_prints_what_it_changes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Added, removed and changed models are listed, and the file is written."""
    made = json.loads(_build.TARGET.read_text(encoding="utf-8"))
    models = made["providers"][0]["models"]
    gone = models.pop(0)[0]
    models[0][2] = {"input": "99"}
    models.append(["claude-new", None, {"input": "1"}])
    target = tmp_path / "prices.json"
    target.write_text(_build.render(made), encoding="utf-8")
    assert _build.main(["--target", str(target), "--lock", str(ROOT / "uv.lock")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"+ anthropic/{gone}  ")
    assert lines[1] == "- anthropic/claude-new"
    assert lines[2] == f"~ anthropic/{models[0][0]}"
    assert '[null,{"input":"99"}]' in lines[3] or '{"input":"99"}' in lines[3]
    assert lines[-1] == "genai-prices 0.2.3: 2330 models; 1 added, 1 removed, 1 changed"
    assert target.read_text(encoding="utf-8") == _build.TARGET.read_text(encoding="utf-8")


def test_it_runs_as_a_module() -> None:
    """``make prices`` calls ``python -m spanloom.cost._build``."""
    command = [sys.executable, "-m", "spanloom.cost._build", "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("genai-prices 0.2.3: 2330 models;")


def test_check_writes_nothing(tmp_path: Path) -> None:
    """``--check`` on a file that is out of date gives status 1 and leaves it."""
    target = tmp_path / "prices.json"
    assert _build.main(["--check", "--target", str(target)]) == 1
    assert not target.exists()


@pytest.mark.parametrize(
    ("price", "text"),
    [("0.150", "0.15"), ("10", "10"), ("100", "100"), ("0.0833333333333333", "0.0833333333333333"), ("1E+2", "100")],
)
def test_prices_keep_every_digit(price: str, text: str) -> None:
    """Decimal text: no exponent, no trailing zeros, nothing rounded."""
    assert _build.text(Decimal(price)) == text


def test_a_window_in_another_zone_is_refused() -> None:
    """Hours of another zone must not be written down as UTC."""
    window = SimpleNamespace(start_time=time(1, tzinfo=timezone(timedelta(hours=8))), end_time=time(2))
    with pytest.raises(ValueError, match="only UTC is understood"):
        _build.condition(window)


def test_windows_need_somebody_who_reads_the_words() -> None:
    """A model with windows that nobody has looked at stops the build, and so does one whose text has changed."""
    with pytest.raises(ValueError, match=r"acme/new: read its price_comments and say in `WINDOWS`"):
        _build.windows_of("acme/new", "")
    with pytest.raises(ValueError, match="deepseek/deepseek-v4-pro: read"):
        _build.windows_of("deepseek/deepseek-v4-pro", "Peak every day. issues/582")
    with pytest.raises(ValueError, match="deepseek/deepseek-chat: read"):
        _build.windows_of("deepseek/deepseek-chat", "Weekends are off-peak: issues/582")


def test_the_day_of_the_data_is_absent_where_the_lock_does_not_tell(tmp_path: Path) -> None:
    """No lock file, or one without this version: no day rather than a wrong one."""
    lock = tmp_path / "uv.lock"
    assert _build.released(lock, "0.2.3") is None
    lock.write_text('{ url = "x/genai_prices-9.9-py3-none-any.whl", upload-time = "2026-01-02T03:04:05Z" }')
    assert _build.released(lock, "0.2.3") is None
    assert _build.released(lock, "9.9") == "2026-01-02"
