"""A virtual environment for each version of the SDK, kept in the cache folder until what it is made of changes.

Our code comes from the checkout, so that it is not made anew for every change of ours.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests._support.wheel import ROOT, locked_versions, uv

# The oldest that we support, the last of each line that has ended, and the one of the lock.
VERSIONS = {"oldest": "openai==1.66.0", "last-1": "openai==1.109.1", "last-2": "openai==2.54.0", "newest": "openai"}
# These follow the SDK's version; everything else is as in the lock.
_FREE = ("openai", "httpx", "httpx2", "httpcore", "httpcore2", "pydantic", "pydantic-core", "anyio", "jiter")


def spans_of(version: str, *arguments: str) -> dict[str, Any]:
    """What the program of this folder prints when it runs with this version."""
    command = [str(_environment(version)), "-m", "tests.openai_versions._program", *arguments]
    roots = [ROOT, *(ROOT / name for name in ("instrumentors", "processors", "examples"))]
    variables = {
        name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "SPANLOOM_", "OPENAI_"))
    }
    variables |= {"PYTHONPATH": os.pathsep.join(map(str, roots)), "NO_PROXY": "127.0.0.1"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=variables, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def _environment(version: str) -> Path:
    requirements = (VERSIONS[version], "opentelemetry-sdk", "opentelemetry-instrumentation", "wrapt")
    limits = [one for one in locked_versions().read_text().splitlines() if not _is_free(version, one)]
    key = hashlib.sha256("\n".join([sys.version, *requirements, *limits]).encode()).hexdigest()
    folder = _cache() / f"{version}-py{sys.version_info.major}.{sys.version_info.minor}"
    stamp, python = folder / "requirements.key", folder / "bin" / "python"
    if not (python.is_file() and stamp.is_file() and stamp.read_text() == key):
        _run("venv", "--quiet", "--clear", "--python", sys.executable, str(folder))
        (folder / "limits.txt").write_text("\n".join(limits))
        limit = ("--constraints", str(folder / "limits.txt"))
        _run("pip", "install", "--quiet", "--compile-bytecode", "--python", str(python), *limit, *requirements)
        stamp.write_text(key)
    return python


def _is_free(version: str, line: str) -> bool:
    return version != "newest" and line.partition("==")[0].strip() in _FREE


def _cache() -> Path:
    own = os.environ.get("SPANLOOM_CACHE_DIR")
    base = Path(own) if own else Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "spanloom"
    return base / "openai"


def _run(*command: str) -> None:
    done = subprocess.run([uv(), *command], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"uv {' '.join(command)} failed:\n{done.stdout}{done.stderr}")
