"""What every part of the local stack needs: where things lie, how it speaks, the one error it raises."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable, Generator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
Say = Callable[[str], None]

# Loopback addresses must never go through a proxy that the environment names.
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class StackError(Exception):
    """Something a person has to do; the message is the one line (and log tail) that tells them what."""


def say(line: str) -> None:
    """Print at once: these lines are read while something slow goes on."""
    print(line, flush=True)


def cache_dir() -> Path:
    """The folder for what is built once, outside the tree. `SPANLOOM_CACHE_DIR` moves it; StackError if unusable."""
    named = os.environ.get("SPANLOOM_CACHE_DIR")
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(named).expanduser().resolve() if named else Path(base) / "spanloom"
    return writable(folder, "SPANLOOM_CACHE_DIR")


def writable(folder: Path, setting: str) -> Path:
    """`folder`, made if absent; StackError naming `setting` when nothing can be written there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        cure = f"set {setting} to one that is writable"
        raise StackError(f"cannot make the folder {folder} ({error.strerror}): {cure}") from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise StackError(f"cannot write in {folder}: set {setting} to a folder that is writable")
    return folder


@contextlib.contextmanager
def scratch_beside(place: Path) -> Generator[Path]:
    """An empty folder on the same file system as `place`, gone afterwards unless `put_in_place` moved it."""
    place.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(dir=place.parent, prefix=f".{place.name}-"))
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def put_in_place(scratch: Path, place: Path) -> None:
    """Rename `scratch` to `place`, so that `place` is there whole or not at all."""
    scratch.chmod(0o755)
    shutil.rmtree(place, ignore_errors=True)
    scratch.rename(place)


def tail(path: Path, lines: int = 15) -> str:
    """The last lines of a log file, indented; says so when there are none."""
    text = path.read_text(errors="replace").splitlines() if path.exists() else []
    return "\n".join(f"    {line[:1500]}" for line in text[-lines:]) or "    (the log is empty)"


def fetch(request: str | urllib.request.Request, timeout_s: float = 10.0) -> tuple[int, bytes]:
    """One HTTP exchange with a local process → (status, body). Status 0: nobody answered."""
    try:
        with _DIRECT.open(request, timeout=timeout_s) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()
    except OSError:
        return 0, b""
