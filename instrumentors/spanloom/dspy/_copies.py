"""Copies that run in the place of a module: where the module stands in its program, its copy does."""

from __future__ import annotations

import weakref
from typing import Any, NamedTuple

from spanloom.dspy._identity import entry_of, leaving
from spanloom.dspy._paths import path_below
from spanloom.dspy._scopes import enclosing_module
from spanloom.genai import Step

# How DSPy names a program itself among its modules.
_SELF = "self"


class _Copy(NamedTuple):
    """``attempt``: which one it is made for, from 0 on."""

    copy: weakref.ref[Any]
    original: weakref.ref[Any]
    attempt: int | None


known: dict[int, _Copy] = {}


def stands_for(copy: Any, original: Any, attempt: int | None = None) -> None:
    """Note that a copy is about to run in the place of a module."""
    known[id(copy)] = _Copy(leaving(known, copy), weakref.ref(original), attempt)


def attempt_of(module: Any) -> int | None:
    """Which attempt a module was copied for."""
    entry = entry_of(known, module)
    return None if entry is None else entry.attempt


def path_in(around: Step | None, module: Any) -> str | None:
    """The path of a module below the outermost one that is running."""
    if around is None:
        return None
    root = around
    outer: Step | None = around
    while outer is not None:
        root, outer = outer, enclosing_module(outer.parent)
    path = path_below(root.owner, module)
    return _path_by_copy(around, root.owner, module) if path is None and known else path


def _path_by_copy(around: Step, root: Any, module: Any) -> str | None:
    """Of a copy the path of its original; of what is inside a copy that runs, the path beyond that."""
    entry = entry_of(known, module)
    if entry is not None:
        path = _path_of(entry, around, root)
        return _SELF if path == "" else path
    step: Step | None = around
    while step is not None:
        entry, outer = entry_of(known, step.owner), enclosing_module(step.parent)
        inside = None if entry is None else path_below(step.owner, module)
        if entry is not None and inside is not None:
            base = _path_of(entry, outer, root)
            return None if base is None else f"{base}.{inside}" if base else inside
        step = outer
    return None


def _path_of(entry: _Copy, around: Step | None, root: Any) -> str | None:
    """Empty where the copy stands for the whole program."""
    original = entry.original()
    if original is None:
        return None
    return "" if original is root else path_in(around, original)
