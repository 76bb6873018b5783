"""Appends lines to this process's file in the record folder. One writer a folder and process, for all signals."""

from __future__ import annotations

import os
import threading
from pathlib import Path

from spanloom.export import _folder
from spanloom.export._complaints import Complaints

# A file is closed at an eighth of the whole, so that the oldest eighth can go.
_FILES = 8


class RecordFullError(OSError):
    """The line does not fit: it is longer than the limit, or living writers' files take all the room."""


class Writer:
    """The file that this process appends to."""

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self.folder = folder
        self._max_bytes = max_bytes
        self._users = 0
        self._forget()

    def _forget(self) -> None:
        """A new process starts a file of its own: its parent's descriptor is closed, the parent's stays locked."""
        self._lock = threading.Lock()
        self._pid = os.getpid()
        self._path: Path | None = None
        self._descriptor: int | None = None
        self._size = 0
        self._cut = False

    def after_fork(self) -> None:
        """Called in a forked child, before anything else runs there."""
        inherited = self._descriptor
        self._forget()
        if inherited is not None:
            os.close(inherited)

    def retain(self) -> None:
        """One more exporter writes here."""
        with self._lock:
            self._users += 1

    def release(self) -> None:
        """One fewer; after the last one the file may be deleted to make room. Writing again begins a new one."""
        with self._lock:
            self._users -= 1
            if self._users <= 0:
                self._close()

    def append(self, line: bytes) -> None:
        """Write one line (without its end). Raises OSError where it could not be written whole."""
        with self._lock:
            self._append(b"\n" + line + b"\n" if self._cut else line + b"\n")

    def _append(self, data: bytes) -> None:
        if self._over(len(data)):
            self._close()
        _folder.prepare(self.folder)
        left = _folder.make_room(self.folder, self._max_bytes - len(data), keep=self._path)
        if left + len(data) > self._max_bytes:
            raise RecordFullError("no room")
        if self._descriptor is None:
            self._path, self._descriptor = _folder.create(self.folder)
        # One call a line, on a descriptor in append mode: lines of threads and processes never mix.
        written = os.write(self._descriptor, data)
        self._size += written
        self._cut = written < len(data)
        if self._cut:
            raise OSError("the disk took only a part of a line")

    def _over(self, more: int) -> bool:
        """Whether the file has its share of the folder, or was deleted by somebody who wanted the folder empty."""
        if self._descriptor is None:
            return False
        full = self._size > 0 and self._size + more > self._max_bytes // _FILES
        return full or os.fstat(self._descriptor).st_nlink == 0

    def _close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
        self._path, self._descriptor, self._size, self._cut = None, None, 0, False


_writers: dict[tuple[Path, int], Writer] = {}
# One line a minute for a folder, not one for each signal.
_complaints: dict[Path, Complaints] = {}


def writer_for(folder: Path, max_bytes: int) -> Writer:
    """The writer that all exporters of this process with the same folder share."""
    return _writers.setdefault((folder, max_bytes), Writer(folder, max_bytes))


def complaints_about(folder: Path) -> Complaints:
    """Where to say what is wrong with a folder."""
    return _complaints.setdefault(folder, Complaints())


def _after_fork() -> None:
    for writer in list(_writers.values()):
        writer.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
