"""Deferred patches: applied at import, taken back as the same objects, harmless where they do not fit."""

from __future__ import annotations

import copy
import functools
import importlib
import inspect
import pickle
import sys
import threading
import types

import pytest

from spanloom.genai import Target, _guard
from spanloom.genai._patch import Patches

SOURCE = '''
import functools

VALUE = 3

def plain(x: int, *, y: int = 2) -> int:
    """Adds."""
    return x + y

@functools.lru_cache
def cached(x):
    return x

class Base:
    def method(self, x):
        return ("base", x)

    @staticmethod
    def static(x):
        return ("static", x)

    @classmethod
    def made(cls, x):
        return (cls.__name__, x)

    @property
    def value(self):
        return 1

    class Inner:
        def deep(self):
            return "deep"

class Child(Base):
    pass

class Callable:
    def __call__(self, x):
        return x

instance = Callable()
'''


@pytest.fixture
def victim(tmp_path, monkeypatch):
    """The name of a module that is on the path and not imported yet."""
    name = f"victim_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield name
    sys.modules.pop(name, None)


def tagging(original):
    """A replacement that wraps the result."""

    @functools.wraps(original)
    def call(*args, **kwargs):
        return ("patched", original(*args, **kwargs))

    return call


def patched(victim, *paths, wrap=tagging):
    """Patches that are registered."""
    patches = Patches.of([Target(victim, path, wrap) for path in paths])
    patches.register()
    return patches


def test_nothing_is_imported_by_registering(victim):
    """The patch waits for the application's import."""
    patched(victim, "plain")
    assert victim not in sys.modules


def test_a_patch_before_the_import(victim):
    """It is there as soon as the module is."""
    patches = patched(victim, "plain", "Base.Inner.deep")
    module = importlib.import_module(victim)
    assert module.plain(1) == ("patched", 3)
    assert module.Base.Inner().deep() == ("patched", "deep")
    patches.undo()
    assert module.plain(1) == 3


def test_a_patch_after_the_import(victim):
    """At once; and undone, the original is back: the same object."""
    module = importlib.import_module(victim)
    before = module.plain
    patches = patched(victim, "plain")
    assert module.plain(1) == ("patched", 3)
    patches.undo()
    assert module.plain is before


def test_undo_before_the_import_still_wins(victim):
    """An import hook cannot be taken back, so it does nothing."""
    patches = patched(victim, "plain")
    patches.undo()
    assert importlib.import_module(victim).plain(1) == 3


@pytest.mark.parametrize(
    ("path", "call", "expected"),
    [
        ("plain", lambda m: m.plain(1), 3),
        ("Base.method", lambda m: m.Base().method(1), ("base", 1)),
        ("Base.static", lambda m: m.Base.static(1), ("static", 1)),
        ("Base.static", lambda m: m.Base().static(1), ("static", 1)),
        ("Base.made", lambda m: m.Base.made(1), ("Base", 1)),
        ("Base.made", lambda m: m.Child().made(1), ("Child", 1)),
        ("Child.method", lambda m: m.Child().method(1), ("base", 1)),
        ("Child.static", lambda m: m.Child.static(1), ("static", 1)),
        ("Child.made", lambda m: m.Child.made(1), ("Child", 1)),
    ],
)
def test_functions_of_every_kind_stay_what_they_are(path, call, expected, victim):
    """Static and class methods, inherited ones too: patched they work, undone they are the same objects again."""
    module = importlib.import_module(victim)
    *parents, name = path.split(".")
    owner = functools.reduce(getattr, parents, module)
    before = vars(owner).get(name)
    signature = inspect.signature(getattr(owner, name))
    patches = patched(victim, path)
    assert call(module) == ("patched", expected)
    assert inspect.signature(getattr(owner, name)) == signature
    patches.undo()
    assert vars(owner).get(name) is before
    assert call(module) == expected


def test_a_patch_of_a_child_leaves_its_base_alone(victim):
    """Only the class that was named."""
    module = importlib.import_module(victim)
    patched(victim, "Child.method")
    assert module.Base().method(1) == ("base", 1)


@pytest.mark.parametrize("path", ["Base", "instance", "cached", "VALUE", "Base.value"])
def test_what_is_no_plain_function_is_left_alone(path, victim, caplog):
    """A class would become a function, a cache would lose its methods: one line says so instead."""
    module = importlib.import_module(victim)
    before = functools.reduce(getattr, path.split("."), module)
    patches = patched(victim, path)
    assert functools.reduce(getattr, path.split("."), module) is before
    (record,) = caplog.records
    assert f"{victim}:{path} is not a plain function" in record.getMessage()
    patches.undo()
    assert functools.reduce(getattr, path.split("."), module) is before


def test_a_wrap_may_leave_a_function_alone(victim):
    """Then nothing is set and nothing is undone."""
    module = importlib.import_module(victim)
    before = module.plain
    patched(victim, "plain", wrap=lambda original: original).undo()
    assert module.plain is before


@pytest.mark.parametrize("path", ["missing", "Missing.method", "Base.missing", "plain.attribute.missing"])
def test_a_missing_target_is_harmless(path, victim, caplog, monkeypatch):
    """The application's import goes on, the other targets are patched, one line names the one that is missing."""
    monkeypatch.setattr(_guard, "RERAISE", False)
    patches = patched(victim, path, "plain")
    module = importlib.import_module(victim)
    assert module.plain(1) == ("patched", 3)
    (record,) = caplog.records
    assert record.getMessage() == f"spanloom: {victim} has no {path}, so nothing of it is recorded"
    patches.undo()
    assert module.plain(1) == 3


@pytest.mark.parametrize("path", ["missing", "Base.missing"])
def test_a_missing_optional_target_is_silent(path, victim, caplog):
    """It is there in other versions of the library."""
    patches = Patches.of(
        [Target(victim, path, tagging, optional=True), Target(victim, "plain", tagging, optional=True)]
    )
    patches.register()
    assert importlib.import_module(victim).plain(1) == ("patched", 3)
    assert not caplog.records


def test_a_wrap_that_raises_is_harmless(victim, caplog, monkeypatch):
    """As a missing target."""
    monkeypatch.setattr(_guard, "RERAISE", False)
    patched(victim, "plain", wrap=lambda original: 1 // 0)
    assert importlib.import_module(victim).plain(1) == 3
    assert "ZeroDivisionError" in caplog.text


def test_a_module_that_does_not_exist_is_silent(caplog):
    """Many libraries are not installed."""
    patched("no_such_module_at_all", "x").undo()
    assert not caplog.records


def test_a_module_under_another_name(monkeypatch):
    """What stands in sys.modules may call itself differently, or not at all."""
    module = types.ModuleType("its_own_name")
    module.plain = lambda x: x
    monkeypatch.setitem(sys.modules, "known_as", module)
    patches = patched("known_as", "plain")
    assert module.plain(1) == ("patched", 1)
    patches.undo()
    assert module.plain(1) == 1


def test_a_module_that_makes_its_names_when_asked(monkeypatch):
    """A lazily made name is set by the patch and gone again after it."""
    module = types.ModuleType("lazy")

    def lazily(x):
        return x

    module.__getattr__ = lambda name: lazily if name == "lazily" else (_ for _ in ()).throw(AttributeError(name))
    monkeypatch.setitem(sys.modules, "lazy", module)
    patches = patched("lazy", "lazily")
    assert module.lazily(1) == ("patched", 1)
    patches.undo()
    assert module.lazily is lazily


def test_somebody_elses_wrapper_on_top_stays(victim):
    """Taking ours out from under it would take theirs out too."""
    module = importlib.import_module(victim)
    patches = patched(victim, "plain")
    theirs = functools.wraps(module.plain)(lambda x, ours=module.plain: ("theirs", ours(x)))
    module.plain = theirs
    patches.undo()
    assert module.plain is theirs


def test_two_sets_of_patches_come_off_in_any_order(victim):
    """The inner one cannot be taken out while the outer one is there; nothing breaks."""
    module = importlib.import_module(victim)
    first, second = patched(victim, "plain"), patched(victim, "plain")
    first.undo()
    assert module.plain(1) == ("patched", ("patched", 3))
    second.undo()
    assert module.plain(1) == ("patched", 3)


def test_undo_twice_is_once(victim):
    """The second finds nothing."""
    module = importlib.import_module(victim)
    patches = patched(victim, "plain")
    patches.undo()
    module.plain = replaced = lambda: None
    patches.undo()
    assert module.plain is replaced


def test_an_undo_that_fails_does_not_stop_the_others(victim, monkeypatch, caplog):
    """A class that refuses to be changed costs its own target."""
    monkeypatch.setattr(_guard, "RERAISE", False)
    module = importlib.import_module(victim)

    class Stubborn(type):
        locked = False

        def __setattr__(cls, name, value):
            if cls.locked:
                raise TypeError("locked")
            super().__setattr__(name, value)

    module.Stubborn = Stubborn("S", (), {"method": lambda self: 1})
    patches = patched(victim, "plain", "Stubborn.method")
    Stubborn.locked = True
    patches.undo()
    assert module.plain(1) == 3
    assert "locked" in caplog.text


def test_copies_pickles_and_source_are_as_before(victim):
    """Replacements are plain functions with the original's face."""
    module = importlib.import_module(victim)
    source = inspect.getsource(module.plain)
    patched(victim, "plain", "Base.method")
    assert inspect.getsource(module.plain) == source
    assert inspect.signature(module.plain) == inspect.signature(module.plain.__wrapped__)
    assert (module.plain.__name__, module.plain.__doc__, module.plain.__module__) == ("plain", "Adds.", victim)
    assert pickle.loads(pickle.dumps(module.plain)) is module.plain
    assert pickle.loads(pickle.dumps(module.Base())).method(1)[0] == "patched"
    assert copy.deepcopy(module.plain) is module.plain


def test_imports_in_many_threads(victim):
    """The patch is applied once."""
    patches = patched(victim, "plain")
    barrier = threading.Barrier(8)
    seen = []

    def work():
        barrier.wait()
        seen.append(importlib.import_module(victim).plain(1))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [("patched", 3)] * 8
    patches.undo()
    assert sys.modules[victim].plain(1) == 3


def test_a_class_that_defines_no_init_subclass(victim):
    """What it has is no plain function; wrapped, each later class is seen and its keywords go on; undone, none is."""
    module = importlib.import_module(victim)
    base, seen = module.Base, []

    class Named:
        def __init_subclass__(cls, label, **kwargs):
            cls.label = label

    def noting(original):
        def define(cls, /, **kwargs):
            original(cls, **kwargs)
            seen.append(cls)

        return define

    patches = patched(victim, "Base.__init_subclass__", wrap=noting)
    later = types.new_class("Later", (base, Named), {"label": "x"})
    assert seen == [later]
    assert later.label == "x"
    with pytest.raises(TypeError, match="takes no keyword arguments"):
        types.new_class("Wrong", (base,), {"label": "x"})
    patches.undo()
    assert "__init_subclass__" not in vars(base)
    types.new_class("Last", (base,))
    assert seen == [later]
