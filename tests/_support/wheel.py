"""The wheel of this checkout, and fresh environments with it installed."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def uv() -> str:
    """The uv that the Makefile brings, or the one in PATH."""
    cache = os.environ.get("SPANLOOM_CACHE_DIR")
    base = Path(cache) if cache else Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "spanloom"
    found = sorted(base.glob("uv-*/bin/uv"))
    program = str(found[-1]) if found else shutil.which("uv")
    if program is None:
        raise RuntimeError("these tests need uv: run `make install` once, which brings it")
    return program


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")


@functools.cache
def built_wheel() -> Path:
    """Build the wheel once a test session."""
    folder = Path(tempfile.mkdtemp(prefix="spanloom-wheel-"))
    _run(uv(), "build", "--quiet", "--wheel", "--out-dir", str(folder))
    (wheel,) = folder.glob("*.whl")
    return wheel


def fresh_environment(folder: Path, *requirements: str, constraints: Path | None = None) -> Path:
    """A virtual environment with the given requirements; gives back its Python."""
    _run(uv(), "venv", "--quiet", "--python", sys.executable, str(folder))
    python = folder / "bin" / "python"
    limits = ("--constraints", str(constraints)) if constraints else ()
    _run(uv(), "pip", "install", "--quiet", "--python", str(python), *limits, *requirements)
    return python


@functools.cache
def locked_versions() -> Path:
    """The lock as constraints, so that tests in fresh environments run with the versions of uv.lock."""
    path = Path(tempfile.mkdtemp(prefix="spanloom-lock-")) / "constraints.txt"
    _run(
        uv(), "export", "--quiet", "--frozen", "--all-extras", "--all-groups", "--no-hashes", "--no-emit-project",
        # It would tell the path of the file, and who keeps environments by this text would never find one again.
        "--no-header",
        "--output-file", str(path),
    )  # fmt: skip
    return path
