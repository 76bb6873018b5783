"""A virtual environment for each neighbour: our wheel, openai, and the neighbour as its users install it."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

from tests._support.wheel import ROOT, built_wheel, locked_versions, uv

REQUIREMENTS = {
    "official": ("opentelemetry-instrumentation-genai-openai==1.3b0",),
    "openllmetry": ("opentelemetry-instrumentation-openai==0.62.4",),
    "openinference": ("openinference-instrumentation-openai==0.1.66",),
    "logfire": ("logfire==5.2.0",),
    "langfuse": ("langfuse==5.0.4",),
}


def environment(neighbour: str) -> Path:
    """The Python of this environment, kept in the cache folder; only what changed since is installed."""
    folder = _cache() / f"{neighbour}-py{sys.version_info.major}.{sys.version_info.minor}"
    python = folder / "bin" / "python"
    wheel = built_wheel()
    ours = f"spanloom[openai] @ {wheel.as_uri()}"
    libraries = ("openai", *REQUIREMENTS[neighbour])
    base = _key(sys.version.encode(), (ROOT / "uv.lock").read_bytes(), *(one.encode() for one in libraries))
    if _stamp(folder, "libraries") != base:
        _run("venv", "--quiet", "--clear", "--python", sys.executable, str(folder))
        _install(python, ours, *libraries)
        (folder / "libraries.key").write_text(base)
    elif _stamp(folder, "wheel") != _key(wheel.read_bytes()):
        _install(python, "--reinstall-package", "spanloom", ours)
    (folder / "wheel.key").write_text(_key(wheel.read_bytes()))
    return python


def _install(python: Path, *what: str) -> None:
    _run("pip", "install", "--quiet", "--python", str(python), "--constraints", str(locked_versions()), *what)


def _stamp(folder: Path, name: str) -> str | None:
    path = folder / f"{name}.key"
    return path.read_text() if path.is_file() else None


def _key(*parts: bytes) -> str:
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def clean_environment() -> dict[str, str]:
    """The variables of this machine without any that changes what is recorded."""
    ours = ("OTEL_", "SPANLOOM_", "COVERAGE_", "OPENAI_", "LANGFUSE_", "LOGFIRE_", "TRACELOOP_", "PYTHON")
    return {**{k: v for k, v in os.environ.items() if not k.startswith(ours)}, "NO_PROXY": "127.0.0.1"}


def _cache() -> Path:
    own = os.environ.get("SPANLOOM_CACHE_DIR")
    base = Path(own) if own else Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "spanloom"
    return base / "peers"


def _run(*command: str) -> None:
    done = subprocess.run([uv(), *command], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"uv {' '.join(command)} failed:\n{done.stdout}{done.stderr}")
