"""Deferred patches: a target is replaced when the application imports its module, and put back on request.

Replacements are plain functions made by ``functools.wraps`` (copying, pickling and ``inspect`` go on as before), and a
target that is missing costs one log line, never the application's import.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import wrapt

from spanloom.genai._guard import guard

# Takes the original function, gives its replacement.
Wrap = Callable[[Callable[..., Any]], Callable[..., Any]]


@dataclass(frozen=True)
class Target:
    """One function to replace: ``module``, dotted ``path`` inside it, and what makes the replacement."""

    module: str
    path: str
    wrap: Wrap


@dataclass(frozen=True)
class _Applied:
    owner: Any
    name: str
    original: Any
    replacement: Any
    inherited: bool

    def undo(self) -> None:
        if self.owner.__dict__.get(self.name) is not self.replacement:
            return  # somebody wrapped ours: taking it out would take theirs out too
        if self.inherited:
            delattr(self.owner, self.name)
        else:
            setattr(self.owner, self.name, self.original)


class Patches:
    """The patches of one instrumentor. ``undo`` before the import still wins."""

    def __init__(self, targets: Iterable[Target]) -> None:
        self._targets: dict[str, list[Target]] = {}
        for target in targets:
            self._targets.setdefault(target.module, []).append(target)
        self._applied: list[_Applied] = []
        self._active = False
        self._lock = threading.Lock()

    def register(self) -> None:
        """Patch what is imported already, and the rest when it is imported. An import hook can't be taken back."""
        self._active = True
        for name in self._targets:
            wrapt.register_post_import_hook(self._imported, name)

    def undo(self) -> None:
        """Put every original back (the same object), the last patch first."""
        with self._lock:
            self._active = False
            applied, self._applied = self._applied, []
        for one in reversed(applied):
            one.undo()

    def _imported(self, module: ModuleType) -> None:
        # wrapt lets an exception of a hook out of the application's own import.
        with guard("genai.patch"):
            with self._lock:
                if not self._active:
                    return
            for target in self._targets[module.__name__]:
                self._apply(module, target)

    def _apply(self, module: ModuleType, target: Target) -> None:
        with guard(f"genai.patch:{target.module}.{target.path}"):
            owner: Any = module
            *parents, name = target.path.split(".")
            for parent in parents:
                owner = getattr(owner, parent)
            original = getattr(owner, name)
            replacement = target.wrap(original)
            inherited = name not in vars(owner)
            setattr(owner, name, replacement)
            with self._lock:
                self._applied.append(_Applied(owner, name, original, replacement, inherited))
