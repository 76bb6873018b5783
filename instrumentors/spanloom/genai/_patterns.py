"""Targets by pattern: which modules, and which of the functions that they define."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from fnmatch import translate
from types import FunctionType, ModuleType
from typing import Any, cast

from spanloom.genai._imports import namespace
from spanloom.genai._patch import Target, Wrap

# Recording runs through these itself. Whole names may name them; a pattern never means them.
_NOBODYS_TOOLS = frozenset(sys.stdlib_module_names) | {"opentelemetry", "spanloom", "wrapt"}
_WILD = re.compile(r"[*?\[]")


class TargetPattern(Target):
    """Functions to replace in every module that fits: ``*`` stands for any text, dots too, ``?`` for one character.

    ``path`` is matched a dotted segment at a time, as far down as it has segments: functions and methods that the
    module defines itself. What it imports, dunder methods, and names with a leading underscore (unless the segment has
    one) are never meant. Matching nothing is no fault.
    """

    __slots__ = ("_fits", "_parts")

    is_pattern = True

    def __init__(self, module: str, path: str, wrap: Wrap, setting: str = "") -> None:
        super().__init__(module, path, wrap, optional=True, setting=setting)
        self._fits = re.compile(translate(module)).match
        self._parts = [(part.startswith("_"), re.compile(translate(part)).match) for part in path.split(".")]

    def fits(self, name: str) -> bool:
        """Whether a module of this name is meant."""
        if self._fits(name) is None:
            return False
        return name.partition(".")[0] not in _NOBODYS_TOOLS or _WILD.search(self.module) is None

    def within(self, name: str, module: ModuleType) -> Iterator[Target]:
        """The functions of this module that are meant."""
        for path in list(self._paths(name, namespace(module), 0)):
            yield Target(name, path, self.wrap, optional=True, setting=self.setting)

    def _paths(self, home: str, names: Mapping[str, Any], depth: int) -> Iterator[str]:
        last = depth == len(self._parts) - 1
        for name, value in list(names.items()):
            if not _is_meant(name, *self._parts[depth]):
                continue
            if last and _is_function(value, home):
                yield name
            elif not last and _is_class(value, home):
                yield from (f"{name}.{below}" for below in self._paths(home, _members(value), depth + 1))


def wanted(patterns: Iterable[TargetPattern]) -> Callable[[str], bool]:
    """Whether any of them means a module: asked at every import, so that one search says no to nearly all."""
    known = list(patterns)
    perhaps = re.compile("|".join(translate(one.module) for one in known)).match
    return lambda name: perhaps(name) is not None and any(one.fits(name) for one in known)


def _is_meant(name: str, private: bool, fits: Callable[[str], object]) -> bool:
    if name.startswith("_") and (not private or name.endswith("__")):
        return False
    return fits(name) is not None


def _is_function(value: object, home: str) -> bool:
    # By its type: ``isinstance`` asks a value for its class, and a lazy object would go and make itself.
    if type(value) in (staticmethod, classmethod):
        value = cast("Any", value).__func__
    return type(value) is FunctionType and value.__module__ == home


def _is_class(value: object, home: str) -> bool:
    return issubclass(type(value), type) and _members(value).get("__module__") == home


def _members(kind: object) -> Mapping[str, Any]:
    # Not by the class itself: its metaclass may have an opinion.
    return type.__dict__["__dict__"].__get__(kind)
