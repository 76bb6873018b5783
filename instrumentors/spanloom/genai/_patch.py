"""Deferred patches: a target is replaced when the application imports its module, and put back on request.

Replacements are plain functions made by ``functools.wraps`` (copying, pickling and ``inspect`` go on as before), and a
target that is missing costs one log line, never the application's import.
"""

from __future__ import annotations

import functools
import inspect
import logging
import os
import threading
import weakref
from collections.abc import Callable, Iterable
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING, Any, ClassVar, cast

import wrapt

from spanloom.genai._guard import guard

if TYPE_CHECKING:
    from spanloom.genai._imports import ImportWatch
    from spanloom.genai._patterns import TargetPattern

# Takes the original function, gives its replacement; the same function again where it is to stay as it is.
Wrap = Callable[[Callable[..., Any]], Callable[..., Any]]

_log = logging.getLogger("spanloom")
# What every class has that defines none of its own; it is no plain function.
_INIT_SUBCLASS = object.__dict__["__init_subclass__"]


class Target:
    """One function to replace: ``module``, dotted ``path`` inside it, and what makes the replacement.

    An ``optional`` one is not in every supported version of the library: where it is missing, nothing is said.
    ``setting`` is the variable by which the user named it, for the line that says what is wrong with it.
    """

    __slots__ = ("module", "optional", "path", "setting", "wrap")

    # True for a family of targets, found when a module is there (``_patterns``).
    is_pattern: ClassVar[bool] = False

    def __init__(self, module: str, path: str, wrap: Wrap, optional: bool = False, setting: str = "") -> None:
        self.module = module
        self.path = path
        self.wrap = wrap
        self.optional = optional
        self.setting = setting

    @property
    def named(self) -> str:
        """Which setting named it, for a log line."""
        return f"; mend {self.setting}" if self.setting else ""


class _Applied:
    __slots__ = ("inherited", "name", "original", "owner", "replacement")

    def __init__(self, owner: Any, name: str, original: Any, replacement: Any, inherited: bool) -> None:
        self.owner = owner
        self.name = name
        self.original = original
        self.replacement = replacement
        self.inherited = inherited

    @property
    def is_there(self) -> bool:
        return self.owner.__dict__.get(self.name) is self.replacement

    def undo(self) -> None:
        if not self.is_there:
            return  # somebody wrapped ours: taking it out would take theirs out too
        if self.inherited:
            delattr(self.owner, self.name)
        else:
            setattr(self.owner, self.name, self.original)


class Patches:
    """The patches of one instrumentor. ``undo`` before the import still wins.

    ``make`` gives the targets. It is called once, when the first of ``modules`` is imported: a process that never
    imports the library pays for a few hooks and nothing else.
    """

    def __init__(self, modules: Iterable[str], make: Callable[[], Iterable[Target]]) -> None:
        self._modules = tuple(modules)
        self._make = make
        self._made: dict[str, list[Target]] | None = None
        self._applied: list[_Applied] = []
        self._patterns: list[TargetPattern] = []
        self._watch: ImportWatch | None = None
        self._active = False
        # Reentrant: making the targets may import one of the modules.
        self._lock = threading.RLock()
        _live.add(self)

    def after_fork(self) -> None:
        """Another thread may have held it."""
        self._lock = threading.RLock()

    @classmethod
    def of(cls, targets: Iterable[Target]) -> Patches:
        """Patches whose targets are there already."""
        ready = list(targets)
        whole = [one for one in ready if not one.is_pattern]
        patches = cls(dict.fromkeys(one.module for one in whole), lambda: whole)
        patches._patterns = [cast("TargetPattern", one) for one in ready if one.is_pattern]
        return patches

    def _targets(self) -> dict[str, list[Target]]:
        if self._made is None:
            # Before it is made: where that fails, it fails once.
            self._made = {}
            for target in self._make():
                self._made.setdefault(target.module, []).append(target)
        return self._made

    def register(self) -> None:
        """Patch what is imported already, and the rest when it is imported. An import hook can't be taken back."""
        self._active = True
        for name in self._modules:
            wrapt.register_post_import_hook(functools.partial(self._imported, name), name)
        if self._patterns:
            # Loaded only where somebody uses patterns.
            from spanloom.genai._imports import ImportWatch
            from spanloom.genai._patterns import wanted

            self._watch = ImportWatch(wanted(self._patterns), self._loaded)
            self._watch.start()

    def _loaded(self, name: str, module: ModuleType) -> None:
        """A module that patterns mean is there, or there anew."""
        with guard("genai.patch"):
            with self._lock:
                if not self._active:
                    return
                # What it had before it was loaded anew is gone.
                self._applied = [one for one in self._applied if one.owner is not module or one.is_there]
            for pattern in self._patterns:
                for target in pattern.within(name, module) if pattern.fits(name) else ():
                    self._apply(module, target)

    def undo(self) -> None:
        """Put every original back (the same object), the last patch first."""
        with self._lock:
            self._active = False
            applied, self._applied = self._applied, []
            watch, self._watch = self._watch, None
        if watch is not None:
            watch.stop()
        for one in reversed(applied):
            with guard("genai.unpatch"):
                one.undo()

    def _imported(self, name: str, module: ModuleType) -> None:
        # wrapt lets an exception of a hook out of the application's own import.
        with guard("genai.patch"):
            with self._lock:
                if not self._active:
                    return
                targets = self._targets().get(name, ())
            for target in targets:
                self._apply(module, target)

    def _apply(self, module: ModuleType, target: Target) -> None:
        with guard(f"genai.patch:{target.module}.{target.path}"):
            applied = _replaced(module, target)
            if applied is None:
                return
            setattr(applied.owner, applied.name, applied.replacement)
            with self._lock:
                if self._active:
                    self._applied.append(applied)
                    return
            # Another thread has undone all others meanwhile.
            applied.undo()


_live: weakref.WeakSet[Patches] = weakref.WeakSet()


def _after_fork() -> None:
    for one in list(_live):
        one.after_fork()


if hasattr(os, "register_at_fork"):  # pragma: no branch - Windows has no fork
    os.register_at_fork(after_in_child=_after_fork)


def _replaced(module: ModuleType, target: Target) -> _Applied | None:
    """What to set where; ``None`` (and one line) for what is no function: replacing it would change what it is."""
    owner: Any = module
    *parents, name = target.path.split(".")
    for parent in parents:
        owner = getattr(owner, parent, None)
    # As it stands in the class: a static or class method must stay one.
    original: Any = inspect.getattr_static(owner, name, None) or getattr(owner, name, None)
    if original is None:
        if not target.optional:
            _log.warning(
                "spanloom: %s has no %s, so nothing of it is recorded%s", target.module, target.path, target.named
            )
        return None
    if original is _INIT_SUBCLASS:
        original = _init_subclass_of(owner)
    kind: Any = type(cast("object", original))
    unbound = kind in (staticmethod, classmethod)
    function: Any = original.__func__ if unbound else original
    if not isinstance(function, FunctionType):
        _log.warning(
            "spanloom: %s:%s is not a plain function, its calls are not recorded%s",
            target.module, target.path, target.named,
        )  # fmt: skip
        return None
    wrapped = target.wrap(function)
    if wrapped is function:
        return None
    return _Applied(owner, name, original, kind(wrapped) if unbound else wrapped, name not in owner.__dict__)


def _init_subclass_of(owner: Any) -> Any:
    """What a class does that defines no ``__init_subclass__``, as a function that can be wrapped."""

    def __init_subclass__(cls: Any, **kwargs: Any) -> None:  # noqa: N807 - it stands for that one
        handed_on: Any = cast("Any", super)(owner, cls)
        handed_on.__init_subclass__(**kwargs)

    return classmethod(__init_subclass__)
