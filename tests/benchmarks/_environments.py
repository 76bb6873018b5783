"""A virtual environment for each contender, kept in the cache folder outside the tree until its requirements change."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

from tests._support.wheel import built_wheel, locked_versions, uv
from tests.benchmarks._contenders import CONTENDERS, WHEEL


def cache_folder() -> Path:
    """``SPANLOOM_CACHE_DIR``, else ``spanloom`` in the user's cache folder; ours is ``bench`` in it."""
    own = os.environ.get("SPANLOOM_CACHE_DIR")
    base = Path(own) if own else Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "spanloom"
    return base / "bench"


def environment(library: str, contender: str) -> Path:
    """The Python of this contender's environment, made or brought up to date."""
    chosen = CONTENDERS[library, contender]
    folder = cache_folder() / f"{chosen.environment}-py{sys.version_info.major}.{sys.version_info.minor}"
    python, stamp = folder / "bin" / "python", folder / "requirements.key"
    others = [one for one in chosen.requirements if one != WHEEL]
    wheels = [str(built_wheel())] if WHEEL in chosen.requirements else []
    keys = [_key(others), _key(wheels)]
    known = stamp.read_text().split() if python.is_file() and stamp.is_file() else []
    if known != keys:
        print(f"  installing {chosen.environment} into {folder}", file=sys.stderr)
        if known[:1] == keys[:1]:
            # Only ours has changed; what it needs is in the lock, which is part of the first key.
            _install(python, "--no-deps", "--reinstall", *wheels)
        else:
            _run("venv", "--quiet", "--clear", "--python", sys.executable, str(folder))
            _install(python, "--constraints", str(locked_versions()), *others, *wheels)
        stamp.write_text("\n".join(keys))
    return python


def _install(python: Path, *what: str) -> None:
    _run("pip", "install", "--quiet", "--compile-bytecode", "--python", str(python), *what)


def _key(requirements: list[str]) -> str:
    """Everything that the environment is made of, by content."""
    digest = hashlib.sha256(sys.version.encode())
    digest.update(locked_versions().read_bytes())
    for one in requirements:
        digest.update(Path(one).read_bytes() if one.endswith(".whl") else one.encode())
    return digest.hexdigest()


def _run(*command: str) -> None:
    done = subprocess.run([uv(), *command], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"uv {' '.join(command)} failed:\n{done.stdout}{done.stderr}")
