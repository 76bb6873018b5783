"""Subcommands of ``spanloom``: entry points of the group ``spanloom_command``, ours and other people's."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points

GROUP = "spanloom_command"


class UsageError(Exception):
    """Bad input. The message is one line that says what is wrong and what to do."""


@dataclass(frozen=True)
class Command:
    """What an entry point of the group loads to.

    ``configure`` adds the arguments, ``run`` does the work and gives the exit code; it may raise ``UsageError``.
    """

    help: str
    configure: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]


@dataclass(frozen=True)
class Broken:
    """An entry point that does not load to a command."""

    reason: str


def found() -> dict[str, EntryPoint]:
    """Entry points by name, none of them loaded. Of two with the same name ours wins."""
    entries = sorted(entry_points(group=GROUP), key=lambda entry: (not _is_ours(entry), package_of(entry)))
    return {entry.name: entry for entry in reversed(entries)}


def package_of(entry: EntryPoint) -> str:
    """The distribution that brings it."""
    return entry.dist.name if entry.dist is not None else "an unknown package"


def _is_ours(entry: EntryPoint) -> bool:
    return package_of(entry) == "spanloom"


def load(entry: EntryPoint) -> Command | Broken:
    """The command. Other people's code runs here for the first time, and whatever it raises is only their trouble."""
    # A future keeps every kind of exception, SystemExit included, as data.
    with ThreadPoolExecutor(max_workers=1) as pool:
        future = pool.submit(entry.load)
        error = future.exception()
    if error is not None:
        return Broken(f"{type(error).__name__}: {error}")
    command: object = future.result()
    return command if isinstance(command, Command) else Broken(f"{entry.value} is no spanloom.cli.Command")
