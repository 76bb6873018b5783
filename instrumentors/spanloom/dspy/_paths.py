"""Where a module stands in its program: the attribute path, as ``named_sub_modules`` spells it."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from typing import Any, cast

from spanloom.dspy._identity import entry_of, leaving

# A program's list of passages is no list of modules.
_MAX_ITEMS = 1_000

# Walking a program costs as much as calling it, so it is done once a root object.
_Paths = dict[int, "tuple[weakref.ref[Any], str]"]
_known: dict[int, tuple[weakref.ref[Any], _Paths]] = {}


def path_below(root: Any, module: Any) -> str | None:
    """The attribute path of a module inside its program (``draft.predict``); ``None`` where it is not reached.

    A submodule that was exchanged after the program's first call is found only as an attribute of the root itself.
    """
    entry = entry_of(_known, root)
    if entry is None:
        entry = _known[id(root)] = (leaving(_known, root), dict(_walk(root)))
    found = entry_of(entry[1], module)
    if found is not None:
        return found[1]
    return next((name for name, value in list(own(root).items()) if value is module), None)


def _walk(root: Any) -> Iterator[tuple[int, tuple[weakref.ref[Any], str]]]:
    """Every module below the root with its path, as DSPy names them; each once, the shortest path first."""
    waiting = list(own(root).items())
    seen = {id(root)}
    while waiting:
        following: list[tuple[str, Any]] = []
        for path, value in waiting:
            if id(value) in seen:
                continue
            inside = _inside(path, value)
            if inside is None:
                continue
            seen.add(id(value))
            following += inside
            if _is_module(value):
                yield id(value), (weakref.ref(value), path)
        waiting = following


def _inside(path: str, value: Any) -> list[tuple[str, Any]] | None:
    """What may hold modules: a module's attributes, the items of a container; ``None`` for anything else."""
    if _is_module(value):
        return [(f"{path}.{name}", item) for name, item in list(own(value).items())]
    if isinstance(value, (list, tuple, dict)) and len(cast("list[Any]", value)) <= _MAX_ITEMS:
        items = cast("Any", value)
        pairs = list(items.items()) if isinstance(value, dict) else enumerate(items)
        return [(f"{path}[{key}]", item) for key, item in pairs]
    return None


def own(value: Any) -> dict[str, Any]:
    """An object's own attributes. Not ``getattr``: a property would run the user's code."""
    return value.__dict__


def _is_module(value: Any) -> bool:
    return hasattr(cast("type[object]", type(value)), "named_sub_modules")
