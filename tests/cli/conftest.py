"""A record to look at, and the command run in this process."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from spanloom.cli import main
from tests.record._samples import write


@dataclass
class Shown:
    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()


Run = Callable[..., Shown]


@pytest.fixture
def record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The samples in ``.spanloom`` of the working directory; no setting of the machine decides a test."""
    for name in list(os.environ):
        if name.startswith(("SPANLOOM_", "OTEL_")) or name in ("COLUMNS", "NO_COLOR", "TERM"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return write(tmp_path / ".spanloom")


@pytest.fixture
def run(record: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """``run("show", "--json")``"""

    def call(*arguments: str) -> Shown:
        capsys.readouterr()
        try:
            code = main(arguments)
        except SystemExit as stop:  # argparse's way
            code = stop.code if isinstance(stop.code, int) else 2
        captured = capsys.readouterr()
        return Shown(code, captured.out, captured.err)

    return call
