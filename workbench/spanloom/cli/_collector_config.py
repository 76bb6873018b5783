"""``spanloom collector-config``: the Collector configuration that comes with this version."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from spanloom.cli._command import Command, UsageError

_PACKAGED = Path("distro", "collector_config", "spanloom.yaml")
_IN_CHECKOUT = Path("collector_config", "spanloom.yaml")


def _places() -> Iterator[Path]:
    """Where the file may lie. Nothing of ``spanloom.distro`` is imported: it would start the distribution."""
    namespace = find_spec("spanloom")
    roots = [Path(root) for root in (namespace.submodule_search_locations or [])] if namespace else []
    # An editable install has a copy, too, but an old one: the checkout's own file goes first.
    for root in roots:
        if root.parent.name == "processors":
            yield root.parent.parent / _IN_CHECKOUT
    for root in roots:
        yield root / _PACKAGED


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.epilog = "Save it, and start the Collector with --config=FILE."


def _run(_: argparse.Namespace) -> int:
    for place in _places():
        if place.is_file():
            print(place.read_text(encoding="utf-8"), end="")
            return 0
    raise UsageError(f"{_PACKAGED} is not installed: reinstall spanloom (python -m pip install --force-reinstall)")


collector_config_command = Command("Print the Collector configuration that comes with spanloom.", _configure, _run)
