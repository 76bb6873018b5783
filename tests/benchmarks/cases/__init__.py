"""What is measured. One file a group; each file has ``CASES``, and everything in this folder is found by itself.

A case says which library it needs, which contenders take part, and how one call is made ready. Its file is imported in
the parent, where that library may be missing, so libraries are imported inside ``setup`` only.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.benchmarks._telemetry import Bench

# bare: nothing is instrumented. ours: the plugin alone, as the official one is. priced: with the cost of each call, as
# our distribution runs it. floor: by hand against the plain SDK, the least that the same telemetry can cost.
BARE, OFFICIAL, OURS, PRICED, FLOOR = "bare", "official", "ours", "ours+cost", "floor"


@dataclass(frozen=True)
class Setting:
    """How the providers of a worker are set up."""

    name: str
    content: bool
    sampled: bool = True


OFF = Setting("content off", content=False)
ON = Setting("content on", content=True)
UNSAMPLED = Setting("not sampled", content=True, sampled=False)
SETTINGS = {one.name: one for one in (OFF, ON, UNSAMPLED)}


@dataclass(frozen=True)
class Case:
    """One call that is measured.

    ``library``: a row of ``_contenders`` (what is installed). ``setup`` is called once in each worker and gives the
    call back, which makes ``batch`` calls each time; it looks the method up anew, since that is patched and put back
    between blocks. ``spans``: how many spans each contender must make a call at
    least; checked before anything is measured. ``chunks``: how many a stream has; ``shorter`` names the case with
    fewer, and the difference of the two is what a chunk costs.
    """

    name: str
    about: str
    library: str
    setup: Callable[[Bench], Callable[[], Any]]
    contenders: tuple[str, ...] = (OFFICIAL, OURS)
    settings: tuple[Setting, ...] = (OFF, ON)
    batch: int = 1
    spans: int = 1
    chunks: int = 0
    shorter: str | None = None


def all_cases() -> dict[str, Case]:
    """Every case of this folder by name."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    modules = [importlib.import_module(f"{__name__}.{name}") for name in names]
    return {case.name: case for module in modules for case in module.CASES}
