"""Snapshots: JSON files beside the tests, rewritten by `make snapshots`."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any


def check_snapshot(path: Path, value: Any) -> None:
    """Compare with the file; with SPANLOOM_UPDATE_SNAPSHOTS=1 write it instead."""
    text = json.dumps(value, indent=1, ensure_ascii=False, sort_keys=True) + "\n"
    if os.environ.get("SPANLOOM_UPDATE_SNAPSHOTS"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return
    assert path.exists(), f"{path.name} is missing: `make snapshots` writes it; read the diff"
    assert json.loads(text) == json.loads(path.read_text(encoding="utf-8")), f"{path.name}: see `make snapshots`"
