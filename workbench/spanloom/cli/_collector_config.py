"""``spanloom collector-config``: the Collector configuration that comes with this version, and its price table."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from spanloom import cost
from spanloom.cli._command import Command, UsageError
from spanloom.cli._own_prices import use_own_prices

_PACKAGED = Path("distro", "collector_config")
_IN_CHECKOUT = Path("collector_config")
_BAD_INPUT = 2


def _places(name: str) -> Iterator[Path]:
    """Where a file may lie. Nothing of ``spanloom.distro`` is imported: it would start the distribution."""
    namespace = find_spec("spanloom")
    roots = [Path(root) for root in (namespace.submodule_search_locations or [])] if namespace else []
    # An editable install has a copy, too, but an old one: the checkout's own file goes first.
    for root in roots:
        if root.parent.name == "processors":
            yield root.parent.parent / _IN_CHECKOUT / name
    for root in roots:
        yield root / _PACKAGED / name


def _text_of(name: str) -> str:
    for place in _places(name):
        if place.is_file():
            return place.read_text(encoding="utf-8")
    raise UsageError(
        f"{_PACKAGED / name} is not installed: reinstall spanloom (python -m pip install --force-reinstall)"
    )


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--prices",
        nargs="?",
        const="",
        metavar="FILE",
        help="print the price table instead, with your own prices of FILE, else of SPANLOOM_PRICES",
    )
    parser.epilog = (
        "Save both, and start the Collector with --config=FILE and the path of the price table in SPANLOOM_PRICE_TABLE."
    )


def _run(arguments: argparse.Namespace) -> int:
    if arguments.prices is None:
        print(_text_of("spanloom.yaml"), end="")
        return 0
    if not use_own_prices(arguments.prices):
        return _BAD_INPUT
    print(cost.collector_prices(_text_of("prices.yaml")), end="")
    return 0


collector_config_command = Command(
    "Print the Collector configuration that comes with spanloom, or its price table.", _configure, _run
)
