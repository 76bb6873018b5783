"""Modules watched by pattern: each is told once its code has run, and importing is what it is without us."""

from __future__ import annotations

import copy
import importlib
import importlib.machinery
import importlib.util
import inspect
import pickle
import sys
import threading
import timeit
import types
import zipfile

import pytest
import wrapt
from wrapt import importer

from spanloom.genai import _guard, _imports
from spanloom.genai._imports import ImportWatch

# Names of their own: wrapt never forgets one.
NAMES = iter(range(1000))


@pytest.fixture
def package(tmp_path, monkeypatch):
    """The name of a package that is not imported yet, in a folder that is first on the path."""
    name = f"watched_{next(NAMES)}"
    (tmp_path / name).mkdir()
    (tmp_path / name / "__init__.py").write_text("VALUE = 1")
    (tmp_path / name / "one.py").write_text("VALUE = 1\ndef f(): return 1")
    (tmp_path / name / "fails.py").write_text("raise LookupError('mine')")
    (tmp_path / name / "broken.py").write_text("def (")
    (tmp_path / name / "space").mkdir()
    (tmp_path / name / "space" / "inner.py").write_text("VALUE = 2")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield name
    for one in [one for one in sys.modules if one.partition(".")[0] == name]:
        del sys.modules[one]


@pytest.fixture
def told(package):
    """What is told of the package: names, and what the module had by then."""
    seen = []

    def loaded(name, module):
        seen.append((name, "VALUE" in object.__getattribute__(module, "__dict__")))

    watch = ImportWatch(lambda name: name.partition(".")[0] == package, loaded)
    watch.start()
    yield seen
    watch.stop()


def test_each_module_is_told_when_its_code_has_run(package, told):
    """Once, with what it is made of; its loader is its own again."""
    module = importlib.import_module(f"{package}.one")
    assert told == [(package, True), (f"{package}.one", True)]
    assert type(module.__loader__) is type(module.__spec__.loader) is importlib.machinery.SourceFileLoader
    assert inspect.getsource(module.f).startswith("def f()")
    importlib.import_module(f"{package}.one")
    assert len(told) == 2


def test_what_is_imported_already_is_told_at_once(package):
    """In a module that is lazy: nothing loads it."""
    importlib.import_module(f"{package}.one")
    seen = []
    watch = ImportWatch(lambda name: name.startswith(package), lambda name, module: seen.append(name))
    watch.start()
    watch.stop()
    assert sorted(seen) == [package, f"{package}.one"]


def test_after_the_stop(package, told):
    """The finder is off the list, and whoever holds one of our loaders still can use it."""
    importlib.import_module(package)
    watch = next(one for one in sys.meta_path if isinstance(one, ImportWatch))
    spec = importlib.util.find_spec(f"{package}.one")
    before = sys.meta_path
    watch.stop()
    watch.stop()
    assert watch not in sys.meta_path
    assert watch in before
    assert watch.find_spec(f"{package}.one") is None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.f() == 1


def test_errors_of_an_import_are_the_same(package, told):
    """Of the module's code, of its syntax, of what is not there; a later try is made anew."""
    for name, kind in (("fails", LookupError), ("broken", SyntaxError), ("missing", ModuleNotFoundError)):
        for _ in range(2):
            with pytest.raises(kind) as raised:
                importlib.import_module(f"{package}.{name}")
            assert f"{package}.{name}" not in sys.modules
        if kind is ModuleNotFoundError:
            assert str(raised.value) == f"No module named '{package}.missing'"
    assert told == [(package, True)]


def test_find_spec_imports_nothing(package, told):
    """Its result is what it was: origin, path, loader by any question but its type."""
    importlib.import_module(package)
    spec = importlib.util.find_spec(f"{package}.one")
    assert importlib.util.find_spec(f"{package}.missing") is None
    assert f"{package}.one" not in sys.modules
    assert isinstance(spec.loader, importlib.machinery.SourceFileLoader)
    assert spec.loader.get_source(f"{package}.one").startswith("VALUE")
    assert spec.origin == spec.loader.path
    assert spec.submodule_search_locations is None
    assert told == [(package, True)]


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))])
def test_copies_of_a_loader(again, package, told):
    """Of the loader or of its spec: they are without us."""
    importlib.import_module(package)
    spec = importlib.util.find_spec(f"{package}.one")
    assert type(again(spec.loader)) is importlib.machinery.SourceFileLoader
    assert again(spec.loader).path == spec.loader.path
    made = again(spec)
    assert (made.name, made.loader.path) == (spec.name, spec.loader.path)
    if again is not copy.copy:
        assert type(made.loader) is importlib.machinery.SourceFileLoader


def test_reload(package, told):
    """The same object, told again, with the loader as it is."""
    module = importlib.import_module(f"{package}.one")
    module.VALUE = 7
    assert importlib.reload(module) is module
    assert module.VALUE == 1
    assert type(module.__spec__.loader) is importlib.machinery.SourceFileLoader
    assert [name for name, _ in told].count(f"{package}.one") == 2


def test_a_module_that_is_imported_anew_is_told_anew(package, told):
    """After it was taken out of `sys.modules`."""
    importlib.import_module(f"{package}.one")
    del sys.modules[f"{package}.one"]
    importlib.import_module(f"{package}.one")
    assert [name for name, _ in told].count(f"{package}.one") == 2


def test_namespace_packages(package, told):
    """Have no code and are not told; what is in them is."""
    module = importlib.import_module(f"{package}.space.inner")
    space = sys.modules[f"{package}.space"]
    assert space.__file__ is None
    assert "Namespace" in type(space.__spec__.loader or space.__loader__).__name__
    assert list(space.__path__)
    assert module.VALUE == 2
    assert [name for name, _ in told] == [package, f"{package}.space.inner"]


def test_a_zipped_package(tmp_path, monkeypatch):
    """One loader for many modules: each is told under its own name."""
    name = f"zipped_{next(NAMES)}"
    with zipfile.ZipFile(tmp_path / "lib.zip", "w") as zipped:
        for module in ("__init__", "one", "two"):
            zipped.writestr(f"{name}/{module}.py", "VALUE = 1")
    monkeypatch.syspath_prepend(str(tmp_path / "lib.zip"))
    seen = []
    watch = ImportWatch(lambda one: one.startswith(name), lambda one, module: seen.append((one, module.__name__)))
    watch.start()
    try:
        importlib.import_module(f"{name}.one")
        importlib.import_module(f"{name}.two")
    finally:
        watch.stop()
        for one in [one for one in sys.modules if one.startswith(name)]:
            del sys.modules[one]
    assert seen == [(one, one) for one in (name, f"{name}.one", f"{name}.two")]


class LazyFinder:
    """Finds modules of one package, which load themselves when they are first used."""

    def __init__(self, package):
        self.package = package

    def find_spec(self, name, path=None, target=None):
        if not name.startswith(f"{self.package}."):
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        spec.loader = importlib.util.LazyLoader(spec.loader)
        return spec


def test_a_lazy_module_stays_lazy(package, told, monkeypatch):
    """It is told when it has loaded itself, not before; asked at our start, it does not load."""
    monkeypatch.setattr(sys, "meta_path", [sys.meta_path[0], LazyFinder(package), *sys.meta_path[1:]])
    module = importlib.import_module(f"{package}.one")
    assert told == [(package, True)]
    assert type(module) is not types.ModuleType
    again = ImportWatch(lambda name: name == f"{package}.one", lambda name, found: _imports.namespace(found))
    again.start()
    again.stop()
    assert type(module) is not types.ModuleType
    assert module.f() == 1
    assert told[1:] == [(f"{package}.one", True)]
    assert type(module.__spec__.loader) is importlib.machinery.SourceFileLoader


def test_the_recipe_for_lazy_imports(package, told):
    """As Python's documentation has it, with the loader that `find_spec` gives."""
    importlib.import_module(package)
    spec = importlib.util.find_spec(f"{package}.one")
    loader = importlib.util.LazyLoader(spec.loader)
    spec.loader = loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[f"{package}.one"] = module
    loader.exec_module(module)
    assert len(told) == 1
    assert module.f() == 1
    assert len(told) == 2


@pytest.mark.parametrize("first", ["wrapt", "watch"])
def test_with_wrapts_own_finder(first, package, monkeypatch):
    """Both tell, whichever stands before the other, and the loader is its own again."""
    wrapts = [one for one in sys.meta_path if isinstance(one, importer.ImportHookFinder)]
    others = [one for one in sys.meta_path if one not in wrapts]
    monkeypatch.setattr(sys, "meta_path", others)
    monkeypatch.setattr(importer, "_post_import_hooks_init", False)
    seen = []
    watch = ImportWatch(lambda name: name == f"{package}.one", lambda name, module: seen.append("watch"))
    if first == "watch":
        watch.start()
    wrapt.register_post_import_hook(lambda module: seen.append("wrapt"), f"{package}.one")
    if first == "wrapt":
        watch.start()
    module = importlib.import_module(f"{package}.one")
    watch.stop()
    assert sorted(seen) == ["watch", "wrapt"]
    assert type(module.__loader__) is type(module.__spec__.loader) is importlib.machinery.SourceFileLoader


def test_a_finder_of_the_old_kind_is_asked_by_python_itself(package, told, monkeypatch):
    """Before 3.12 it may be the one that finds: then nothing is told, and nothing is changed."""
    importlib.import_module(package)
    at = next(place for place, one in enumerate(sys.meta_path) if isinstance(one, ImportWatch))
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path[: at + 1], types.SimpleNamespace(), *sys.meta_path[at + 1 :]])
    assert sys.meta_path[at].find_spec(f"{package}.one", sys.modules[package].__path__) is None


def test_a_loader_of_the_old_kind_is_left_alone(package, told, monkeypatch):
    """One without `exec_module`, and a finder that gives a spec without any."""
    spec = importlib.machinery.ModuleSpec(f"{package}.odd", loader := types.SimpleNamespace(load_module=None))
    finder = types.SimpleNamespace(find_spec=lambda name, *_: spec if name == f"{package}.odd" else None)
    at = next(place for place, one in enumerate(sys.meta_path) if isinstance(one, ImportWatch))
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path[: at + 1], finder, *sys.meta_path[at + 1 :]])
    assert sys.meta_path[at].find_spec(f"{package}.odd") is spec
    assert spec.loader is loader


def test_threads_that_import_at_once(package, told, tmp_path):
    """Each module is made once and told once, while the watch comes and goes beside them."""
    for number in range(40):
        (tmp_path / package / f"m{number}.py").write_text("VALUE = 1")
    importlib.invalidate_caches()
    stop = threading.Event()
    errors = []

    def run():
        try:
            for number in range(40):
                importlib.import_module(f"{package}.m{number}")
        except ImportError as error:
            errors.append(error)

    def come_and_go():
        while not stop.is_set():
            other = ImportWatch(lambda name: False, lambda name, module: None)
            other.start()
            other.stop()

    restless = threading.Thread(target=come_and_go)
    threads = [threading.Thread(target=run) for _ in range(6)]
    for thread in (restless, *threads):
        thread.start()
    for thread in threads:
        thread.join()
    stop.set()
    restless.join()
    assert errors == []
    names = [name for name, _ in told]
    assert len(names) == len(set(names)) == 41


@pytest.mark.parametrize("place", ["_Loader", "_put_back"])
def test_faults_of_ours_stay_ours(place, package, told, monkeypatch):
    """The import goes on."""
    monkeypatch.setattr(_guard, "RERAISE", False)
    monkeypatch.setattr(_imports, place, lambda *_: 1 // 0)
    assert importlib.import_module(f"{package}.one").f() == 1


def test_what_is_no_module(monkeypatch):
    """Programs put all kinds of things into `sys.modules`."""
    assert _imports.namespace(object()) == {}
    monkeypatch.setitem(sys.modules, "watched_none", None)
    watch = ImportWatch(lambda name: name == "watched_none", lambda name, module: pytest.fail("told"))
    watch.start()
    watch.stop()


def test_an_import_that_nobody_watches_costs_next_to_nothing():
    """Well below ten microseconds; an import takes hundreds."""
    from spanloom.genai import TargetPattern
    from spanloom.genai._patterns import wanted

    watch = ImportWatch(wanted([TargetPattern("shop.*", "*", lambda f: f)]), lambda name, module: None)
    assert min(timeit.repeat(lambda: watch.find_spec("some.package.module"), number=1000, repeat=5)) < 10e-3
