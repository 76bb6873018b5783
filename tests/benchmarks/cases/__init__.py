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

BARE, OFFICIAL, OURS = "bare", "official", "ours"


@dataclass(frozen=True)
class Case:
    """One call that is measured.

    ``library``: a row of ``_contenders`` (what is installed). ``setup`` is called once in each worker and gives the
    call back, which makes ``batch`` calls each time. ``contents``: with message content off, on, or both.
    ``spans``: how many spans each contender must make a call at least; checked before anything is measured.
    """

    name: str
    about: str
    library: str
    setup: Callable[[Bench], Callable[[], Any]]
    contenders: tuple[str, ...] = (BARE, OFFICIAL, OURS)
    contents: tuple[bool, ...] = (False, True)
    batch: int = 1
    spans: int = 1


def all_cases() -> dict[str, Case]:
    """Every case of this folder by name."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    modules = [importlib.import_module(f"{__name__}.{name}") for name in names]
    return {case.name: case for module in modules for case in module.CASES}
