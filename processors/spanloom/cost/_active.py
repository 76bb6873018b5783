"""The rules that are in effect: from ``SPANLOOM_PRICES`` or from code, read again when their file changes."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping, Sequence
from os import PathLike, fspath
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from spanloom.cost._overrides import Override

SETTING: Final = "SPANLOOM_PRICES"
# How often a price looks at the file's time and size; nothing looks while nothing is priced.
LOOK_EVERY_S: Final = 5.0
_MAX_TOLD: Final = 1000


class Active:
    """What a process has in effect. ``generation`` changes with the rules, so that older answers are not taken."""

    def __init__(self) -> None:
        self.rules: tuple[Override, ...] = ()
        # Of the file or the list that the rules are from; empty without any.
        self.digest = ""
        self.generation = 0
        self.next_look_s = 0.0
        self._path: str | None = None
        self._seen: tuple[int, ...] | None = None
        self._told: set[str] = set()
        # False until somebody has looked.
        self._is_ready = False
        self._lock = threading.Lock()

    def after_fork(self) -> None:
        """Another thread may have been reading, and does not go on in the child."""
        self._lock = threading.Lock()

    def look(self) -> None:
        """Read the file where it is new or has changed. Never raises: a bad file changes nothing, and is told once."""
        # The first price waits for whoever reads; later ones go on with the old rules.
        if not self._lock.acquire(blocking=not self._is_ready):
            return
        try:
            self._look()
            self._is_ready = True
        finally:
            self._lock.release()

    def _look(self) -> None:
        now_s = time.monotonic()
        if now_s < self.next_look_s:
            return
        path = self._path or _setting()
        if not path:
            self.next_look_s = float("inf")
            return
        self._path = path
        seen = fingerprint(path)
        if seen != self._seen:
            self._read(path)
            # Not before: a child that is forked in between has to read for itself.
            self._seen = seen
        self.next_look_s = now_s + LOOK_EVERY_S

    def _read(self, path: str) -> None:
        from spanloom.cost._load import digest_of_file, load  # with YAML, which nobody needs who has no file
        from spanloom.rulefile import RuleFileError

        try:
            rules = load(path)
        except RuleFileError as error:
            kept = "the earlier ones stay" if self.rules else "prices are as without one"
            for line in (*str(error).splitlines(), f"{path} is not used, {kept}"):
                self._tell(line)
            return
        self._told.clear()
        self._take(rules, digest_of_file(path))

    def _tell(self, line: str) -> None:
        if line in self._told or len(self._told) >= _MAX_TOLD:
            return
        self._told.add(line)
        import logging

        logging.getLogger("spanloom").warning("spanloom: %s: %s", SETTING, line)

    def _take(self, rules: tuple[Override, ...], digest: str) -> None:
        self.rules, self.digest = rules, digest if rules else ""
        self.generation += 1

    def use(self, rules: tuple[Override, ...], path: str | None, digest: str) -> None:
        """Put rules into effect; those of a file are read again when that changes."""
        with self._lock:
            self._path = path
            self._seen = fingerprint(path) if path else None
            self.next_look_s = 0.0 if path else float("inf")
            self._take(rules, digest)

    def forget(self) -> None:
        """As in a new process."""
        with self._lock:
            self._path = self._seen = None
            self._is_ready = False
            self.next_look_s = 0.0
            self._told.clear()
            self._take((), "")


def _setting() -> str:
    """The file that the environment names; who has none needs no table of settings."""
    if SETTING not in os.environ:
        return ""
    from spanloom.semconv import text

    return text(SETTING)


def fingerprint(path: str) -> tuple[int, ...]:
    """What changes when a file does; empty where there is none."""
    try:
        # pathlib alone takes five milliseconds of a first price.
        found = os.stat(path)  # noqa: PTH116
    except (OSError, ValueError):
        return ()
    return found.st_mtime_ns, found.st_size, found.st_ino


active: Final = Active()
if hasattr(os, "register_at_fork"):  # pragma: no branch - Windows has no fork
    os.register_at_fork(after_in_child=active.after_fork)


def load_overrides(source: str | PathLike[str] | Sequence[Mapping[str, Any]]) -> int:
    """Put prices of your own into effect, in the place of those of ``SPANLOOM_PRICES``; returns the number of rules.

    ``source``: a file (docs/costs.md), which is read again when it changes, or a list of its rules as mappings:
    ``[{"match": {"model": "acme-*"}, "price": {"input": 1.5, "output": 6}}]``. Raises ``RuleFileError`` (a
    ``ValueError``) with every mistake, and then leaves in effect what is.
    """
    from spanloom.cost._load import digest_of_file, digest_of_rows, load, load_rows

    if isinstance(source, (str, PathLike)):
        path = fspath(source)
        rules = load(path)
        active.use(rules, path, digest_of_file(path))
    else:
        rules = load_rows(source)
        active.use(rules, None, digest_of_rows(source))
    return len(rules)


def reset_overrides() -> None:
    """Back to ``SPANLOOM_PRICES``, or to the table alone where that is not set."""
    active.forget()
