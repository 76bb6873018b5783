"""A virtual environment for each version of a library, kept in the cache folder until what it is made of changes.

Our code comes from the checkout, so that it is not made anew for every change of ours.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests._support.wheel import ROOT, locked_versions, uv

NEWEST = "newest"
_BESIDE = ("opentelemetry-sdk", "opentelemetry-instrumentation", "wrapt")


@dataclass(frozen=True)
class Library:
    """``versions``: a name and a requirement each; ``newest`` is the lock's. ``free``: packages that follow the version
    of the library; everything else is as in the lock. ``beside``: what else our code needs.
    """

    name: str
    versions: Mapping[str, str]
    free: tuple[str, ...]
    beside: tuple[str, ...] = _BESIDE

    def run(self, version: str, module: str, *arguments: str, **settings: str) -> dict[str, Any]:
        """What a program of the tests prints in its last line when it runs with this version."""
        roots = [ROOT, *(ROOT / name for name in ("instrumentors", "processors", "examples"))]
        foreign = ("OTEL_", "SPANLOOM_", "OPENAI_", "DSPY_")
        variables = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
        variables |= {"PYTHONPATH": os.pathsep.join(map(str, roots)), "NO_PROXY": "127.0.0.1", **settings}
        command = [str(self._environment(version)), "-m", module, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=variables, cwd=ROOT)
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    def _environment(self, version: str) -> Path:
        requirements = (self.versions[version], *self.beside)
        limits = [one for one in locked_versions().read_text().splitlines() if not self._is_free(version, one)]
        key = hashlib.sha256("\n".join([sys.version, *requirements, *limits]).encode()).hexdigest()
        folder = _cache() / self.name / f"{version}-py{sys.version_info.major}.{sys.version_info.minor}"
        stamp, python = folder / "requirements.key", folder / "bin" / "python"
        if not (python.is_file() and stamp.is_file() and stamp.read_text() == key):
            _run("venv", "--quiet", "--clear", "--python", sys.executable, str(folder))
            (folder / "limits.txt").write_text("\n".join(limits))
            limit = ("--constraints", str(folder / "limits.txt"))
            _run("pip", "install", "--quiet", "--compile-bytecode", "--python", str(python), *limit, *requirements)
            stamp.write_text(key)
        return python

    def _is_free(self, version: str, line: str) -> bool:
        return version != NEWEST and line.partition("==")[0].strip() in self.free


def _cache() -> Path:
    own = os.environ.get("SPANLOOM_CACHE_DIR")
    return Path(own) if own else Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "spanloom"


def _run(*command: str) -> None:
    done = subprocess.run([uv(), *command], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"uv {' '.join(command)} failed:\n{done.stdout}{done.stderr}")
