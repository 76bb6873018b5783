"""``spanloom``: finds the subcommand, runs it, and turns what happens into exit codes."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib.metadata import EntryPoint, PackageNotFoundError, version
from typing import NoReturn

from spanloom.cli._command import Broken, UsageError, found, load, package_of

OK, NOTHING, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line; argparse prints the whole usage first."""

    def error(self, message: str) -> NoReturn:
        self.exit(BAD_INPUT, f"{self.prog}: {message} (see {self.prog} --help)\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code: 0; 1 where nothing was found; 2 for bad input."""
    try:
        code = _run(list(sys.argv[1:] if arguments is None else arguments))
        sys.stdout.flush()
    except UsageError as error:
        print(f"spanloom: {error}", file=sys.stderr)
        return BAD_INPUT
    except BrokenPipeError:  # the reader, head or less, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    except KeyboardInterrupt:
        return INTERRUPTED
    return code


def _run(arguments: list[str]) -> int:
    entries = found()
    if not arguments or arguments[0] not in entries:
        return _overview(arguments, entries)
    name = arguments[0]
    command = load(entries[name])
    if isinstance(command, Broken):
        package = package_of(entries[name])
        raise UsageError(f"the subcommand {name} of the package {package} does not load ({command.reason})")
    parser = _Parser(prog=f"spanloom {name}", description=command.help)
    command.configure(parser)
    return command.run(parser.parse_args(arguments[1:]))


def _overview(arguments: list[str], entries: dict[str, EntryPoint]) -> int:
    """``--help``, ``--version``, nothing, or a subcommand that is none."""
    parser = _Parser(
        prog="spanloom",
        description="Looks at what spanloom recorded.",
        epilog=_list_of(entries) if not arguments or arguments[0] in ("-h", "--help") else None,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        usage="spanloom [--help] [--version] COMMAND …",
    )
    parser.add_argument("--version", action="version", version=f"spanloom {_own_version()}")
    if arguments and not arguments[0].startswith("-"):
        parser.error(f"no command {arguments[0]!r}; there are {', '.join(sorted(entries))}")
    parser.parse_args(arguments)
    parser.print_help()
    return BAD_INPUT


def _list_of(entries: dict[str, EntryPoint]) -> str:
    """Each command with its help; a broken one is named, and breaks nothing else."""
    lines = ["commands:"]
    for name in sorted(entries):
        command = load(entries[name])
        told = f"does not load ({command.reason})" if isinstance(command, Broken) else command.help
        package = package_of(entries[name])
        lines.append(f"  {name:<18}{told}" + ("" if package == "spanloom" else f" [{package}]"))
    return "\n".join([*lines, "", "spanloom COMMAND --help says more."])


def _own_version() -> str:
    try:
        return version("spanloom")
    except PackageNotFoundError:
        return "of an unknown version"
