"""Modules whose names are known by a pattern only, told to us when the application has imported them.

A finder at the head of ``sys.meta_path`` lets the others find, and hands their loader on inside one that tells when the
module is ready: the loader's own module, its attributes, its laziness and its errors are as without us. wrapt's import
hooks know whole names, and load a lazy module at once (docs/decisions/016-imports-by-pattern.md).
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec
from importlib.util import LazyLoader
from types import ModuleType
from typing import Any, SupportsIndex, cast

import wrapt

from spanloom.genai._guard import guard

# Without types: it stands for whatever it is given.
_Proxy: Any = wrapt.BaseObjectProxy
Loaded = Callable[[str, ModuleType], None]


class ImportWatch:
    """``loaded(name, module)`` is called for each module whose name is ``wanted``, as soon as its code has run."""

    __slots__ = ("_loaded", "_wanted")

    def __init__(self, wanted: Callable[[str], object], loaded: Loaded) -> None:
        self._wanted = wanted
        self._loaded = loaded

    def start(self) -> None:
        """From now on; what is imported already is told at once."""
        sys.meta_path.insert(0, cast("Any", self))
        for name in list(sys.modules):
            module = sys.modules.get(name) if self._wanted(name) else None
            if module is not None:
                self._loaded(name, module)

    def stop(self) -> None:
        """No more. Loaders that were handed out go on to tell: whoever listens no longer cares."""
        # A new list: another thread may be on its way through this one, and would miss a finder.
        sys.meta_path = [one for one in sys.meta_path if one is not self]

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """What the finders after this one find."""
        if not self._wanted(fullname):
            return None
        spec = self._found(fullname, path, target)
        if spec is not None:
            with guard("genai.imports"):
                _wrap_loader(spec, self._loaded)
        return spec

    def _found(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None) -> ModuleSpec | None:
        passed = False
        for finder in list(sys.meta_path):
            if passed:
                find = cast("Any", getattr(finder, "find_spec", None))
                if find is None:
                    return None  # of a kind that Python 3.11 still asks: it shall do so itself
                spec = find(fullname, path, target)
                if spec is not None:
                    return spec
            passed = passed or finder is cast("Any", self)
        return None


def _wrap_loader(spec: ModuleSpec, loaded: Loaded) -> None:
    holder: Any = spec
    # A lazy loader runs the module's code later, by the loader that it has.
    if isinstance(spec.loader, LazyLoader):
        holder = spec.loader
    # A namespace package has none, and no code.
    if hasattr(holder.loader, "exec_module") and not _tells(holder.loader, loaded):
        holder.loader = _Loader(holder.loader, spec.name, loaded)


def _tells(loader: Any, loaded: Loaded) -> bool:
    """Whether one of ours is in it: wrapt's finder asks all finders once more."""
    while issubclass(type(loader), _Proxy):
        if type(loader) is _Loader and loader.tells(loaded):
            return True
        loader = loader.__wrapped__
    return False


class _Loader(_Proxy):  # pyright: ignore[reportUntypedBaseClass]
    """A loader as it was, that tells when it has run a module's code."""

    def __init__(self, loader: Any, name: str, loaded: Loaded) -> None:
        super().__init__(loader)  # pyright: ignore[reportUnknownMemberType]
        self._self_name = name
        self._self_loaded = loaded

    def tells(self, loaded: Loaded) -> bool:
        """Whether it is this one that is told."""
        return self._self_loaded == loaded

    # A copy is the loader's own: it loads nothing that anybody waits for.
    def __copy__(self) -> Any:
        return copy.copy(self.__wrapped__)

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        return copy.deepcopy(self.__wrapped__, memo)

    def __reduce_ex__(self, protocol: SupportsIndex) -> tuple[Any, ...]:
        return _itself, (self.__wrapped__,)

    def exec_module(self, module: ModuleType) -> None:
        """Run the module's code. The module keeps its own loader, as if we had not been there."""
        with guard("genai.imports"):
            _put_back(module, self, self.__wrapped__)
        self.__wrapped__.exec_module(module)
        self._self_loaded(self._self_name, module)


def _itself(loader: Any) -> Any:
    return loader


def namespace(module: object) -> dict[str, Any]:
    """What a module has, without asking it: asked, a lazy one would load itself."""
    try:
        return object.__getattribute__(module, "__dict__")
    except AttributeError:
        return {}


def _put_back(module: ModuleType, ours: object, theirs: Any) -> None:
    names = namespace(module)
    if names.get("__loader__") is ours:
        names["__loader__"] = theirs
    spec = names.get("__spec__")
    if isinstance(spec, ModuleSpec) and spec.loader is ours:
        spec.loader = theirs
