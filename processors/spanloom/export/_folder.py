"""The folder of local records: names, total size, and which file may go. Several processes write to it at once.

A writer holds a lock on its current file, so that no other process deletes it; the lock goes with the process,
however it ends.
"""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

if sys.platform != "win32":
    import fcntl
else:  # an open file cannot be deleted there anyway
    fcntl = None

_NAME = re.compile(r"\d{8}T\d{6}\.\d{6}Z-\d+(-\d+)?\.jsonl")
_TRIES = 100


@dataclass(frozen=True)
class RecordFile:
    """One file of the folder. Names begin with the UTC time of their making: sorted by name is sorted by age."""

    path: Path
    size: int


def prepare(folder: Path) -> None:
    """Make the folder if it is not there: for its owner only (content may be in it) and ignored by git.

    A folder that existed is left as it is: it may be somebody's, with a ``.gitignore`` of its own to come.
    Raises OSError.
    """
    if folder.is_dir():
        return
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    (folder / ".gitignore").write_text("*\n", encoding="ascii")


def create(folder: Path) -> tuple[Path, int]:
    """A new file of this process, open for appending and locked. Raises OSError."""
    stem = f"{datetime.now(timezone.utc):%Y%m%dT%H%M%S.%fZ}-{os.getpid()}"
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0)
    for attempt in range(_TRIES):
        path = folder / (f"{stem}-{attempt}.jsonl" if attempt else f"{stem}.jsonl")
        try:
            descriptor = os.open(path, flags, 0o600)
        except FileExistsError:  # containers share folders, and in each of them the process has the same number
            continue
        _lock(descriptor)
        return path, descriptor
    raise FileExistsError(f"{_TRIES} files named {stem}")


def contents(folder: Path) -> list[RecordFile]:
    """Our files, oldest first; nothing else in the folder counts or is ever touched."""
    with os.scandir(folder) as entries:
        found = [RecordFile(Path(entry.path), _size(entry)) for entry in entries if _NAME.fullmatch(entry.name)]
    return sorted(found, key=lambda file: file.path.name)


def make_room(folder: Path, max_bytes: int, keep: Path | None = None) -> int:
    """Delete oldest files until at most ``max_bytes`` are left, but for those that somebody writes to.

    Gives the bytes that are left then. Raises OSError where the folder cannot be read.
    """
    files = contents(folder)
    total = sum(file.size for file in files)
    for file in files:
        if total <= max_bytes:
            break
        if file.path != keep and _delete_unless_in_use(file.path):
            total -= file.size
    return total


def _size(entry: os.DirEntry[str]) -> int:
    try:
        return entry.stat(follow_symlinks=False).st_size
    except FileNotFoundError:  # another writer made room
        return 0


def _lock(descriptor: int) -> None:
    if fcntl is None:
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return  # no locks on this file system: see _delete_unless_in_use, which then deletes nothing


def _delete_unless_in_use(path: Path) -> bool:
    try:
        if fcntl is None:
            path.unlink()
            return True
        descriptor = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink(missing_ok=True)
    except OSError:  # locked by its writer, or not ours to delete
        return False
    finally:
        os.close(descriptor)
    return True
