"""`SPANLOOM_TOOLS` with patterns: what a module defines itself, whenever it is imported, and put back afterwards."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import sys

import pytest

from spanloom.genai import _guard, _patterns, current
from tests._support.spans import outline

TOOLS = """
import functools
from json import dumps
from .base import imported, Base

def lookup_page(x): return x
async def lookup_later(x): return x
def lookup_all(n): yield from range(n)
async def lookup_stream(n):
    for one in range(n): yield one
def other(x): return x
def _private(x): return x
def __getattr__(name): raise AttributeError(name)
@functools.lru_cache
def lookup_cached(x): return x
lookup_value = 3

class Cart(Base):
    def __init__(self): self.items = []
    def add(self, x): return x
    @staticmethod
    def add_static(x): return x
    @classmethod
    def add_class(cls, x): return (cls, x)
    async def add_later(self, x): return x
    def _hidden(self, x): return x
    @property
    def add_value(self): return 1
    borrowed = imported
    class Inner:
        def add(self, x): return x

class _Secret:
    def add(self, x): return x
"""
BASE = """
def imported(x): return x
class Base:
    def inherited(self, x): return x
"""


@pytest.fixture
def shop(tmp_path, monkeypatch):
    """The name of a package with two modules that are not imported yet."""
    name = "shop_" + "".join(letter for letter in tmp_path.name if letter.isalnum())
    for folder in (tmp_path / name, tmp_path / name / "deep"):
        folder.mkdir()
        (folder / "__init__.py").write_text("def root(x): return x")
    (tmp_path / name / "tools.py").write_text(TOOLS)
    (tmp_path / name / "base.py").write_text(BASE)
    (tmp_path / name / "deep" / "tools.py").write_text("def lookup_deep(x): return x")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield name
    for one in [one for one in sys.modules if one.partition(".")[0] == name]:
        del sys.modules[one]


def recorded(owner, prefix=""):
    """The dotted names of everything of a module that is recorded now."""
    found = set()
    for name, value in vars(owner).items():
        function = getattr(value, "__func__", value)
        if "_spanloom_tool" in getattr(function, "__dict__", ()):
            found.add(prefix + name)
        if isinstance(value, type) and value.__module__ == getattr(owner, "__module__", getattr(owner, "__name__", 0)):
            found |= recorded(value, f"{prefix}{name}.")
    return found


LOOKUPS = {"lookup_page", "lookup_later", "lookup_all", "lookup_stream"}
FUNCTIONS = [
    ("lookup_*", LOOKUPS),
    ("lookup_pag?", {"lookup_page"}),
    ("lookup_[ap]*", {"lookup_page", "lookup_all"}),
    ("*", {*LOOKUPS, "other"}),
    ("_*", {"_private"}),
    ("__*", set()),
    ("Cart.add*", {"Cart.add", "Cart.add_static", "Cart.add_class", "Cart.add_later"}),
    ("Cart.*", {"Cart.add", "Cart.add_static", "Cart.add_class", "Cart.add_later"}),
    ("Cart._*", {"Cart._hidden"}),
    ("*.add", {"Cart.add"}),
    ("_*.add", {"_Secret.add"}),
    ("*.*.add", {"Cart.Inner.add"}),
    ("*.inherited", set()),
    ("imp*", set()),
    ("dump*", set()),
    ("nothing_*", set()),
]


@pytest.mark.parametrize(("pattern", "names"), FUNCTIONS, ids=[row[0] for row in FUNCTIONS])
@pytest.mark.parametrize("when", ["before", "after"])
def test_which_functions(when, pattern, names, shop, set_tools, caplog):
    """Matched by segment: what the module defines; no import, nothing inherited, private only if asked, no dunder."""
    module = importlib.import_module(f"{shop}.tools") if when == "after" else None
    set_tools(f"{shop}.tools:{pattern}")
    module = module or importlib.import_module(f"{shop}.tools")
    assert recorded(module) == names
    assert not caplog.records


@pytest.mark.parametrize(
    ("pattern", "modules"),
    [
        ("{}.*", {".tools", ".deep.tools", ".deep", ".base"}),
        ("{}*", {"", ".tools", ".deep.tools", ".deep", ".base"}),
        ("{}.*.tools", {".deep.tools"}),
        ("{}.t??ls", {".tools"}),
        ("*.tools", {".tools", ".deep.tools"}),
        ("?{}", set()),
    ],
)
def test_which_modules(pattern, modules, shop, set_tools):
    """`*` matches any depth; a package is not below itself."""
    set_tools(f"{pattern.format(shop)}:*")
    for name in ("", ".tools", ".deep", ".deep.tools"):
        importlib.import_module(shop + name)
    below = ("", ".tools", ".deep", ".deep.tools", ".base")
    assert {name for name in below if recorded(sys.modules[shop + name])} == modules


def test_calls_of_every_kind(shop, set_tools, recorder):
    """One span a call, named as the function is; kinds stay what they are."""
    set_tools(f"{shop}.*:lookup_*", f"{shop}.*:Cart.*")
    module = importlib.import_module(f"{shop}.tools")

    async def program():
        return [await module.lookup_later(1), [one async for one in module.lookup_stream(2)], await cart.add_later(3)]

    cart = module.Cart()
    assert (module.lookup_page(1), list(module.lookup_all(2)), asyncio.run(program())) == (1, [0, 1], [1, [0, 1], 3])
    assert (cart.add(1), cart.add_static(2), module.Cart.add_class(3)) == (1, 2, (module.Cart, 3))
    assert inspect.isgeneratorfunction(module.lookup_all)
    assert inspect.isasyncgenfunction(module.lookup_stream)
    assert inspect.iscoroutinefunction(module.lookup_later)
    assert sorted(span.name.removeprefix("execute_tool ") for span in recorder.spans) == [
        "add", "add_class", "add_later", "add_static", "lookup_all", "lookup_later", "lookup_page", "lookup_stream",
    ]  # fmt: skip


def test_uninstrument_puts_every_original_back(shop, set_tools, recorder):
    """The same objects, in modules imported before and after; later imports are left alone, the finder is gone."""
    before = importlib.import_module(f"{shop}.base")
    kept = dict(vars(before.Base)), before.imported
    finders = list(sys.meta_path)
    plugin = set_tools(f"{shop}.*:*", f"{shop}.*:*.*")
    assert recorded(before) == {"imported", "Base.inherited"}
    module = importlib.import_module(f"{shop}.tools")
    wrapped = module.lookup_page, vars(module.Cart)["add_static"]
    plugin.uninstrument()
    assert sys.meta_path == finders
    assert (dict(vars(before.Base)), before.imported) == kept
    # What another module has taken for itself stays there, and records nothing any more.
    assert recorded(module) == {"imported", "Cart.borrowed"}
    assert module.imported(1) == 1
    assert recorder.spans == []
    assert module.lookup_page is wrapped[0].__wrapped__
    assert vars(module.Cart)["add_static"].__func__ is wrapped[1].__func__.__wrapped__
    assert recorded(importlib.import_module(f"{shop}.deep.tools")) == set()


def test_on_again(shop, set_tools):
    """As often as one likes, with other patterns."""
    module = importlib.import_module(f"{shop}.tools")
    set_tools(f"{shop}.*:other").uninstrument()
    set_tools(f"{shop}.*:lookup_p*")
    assert recorded(module) == {"lookup_page"}


def test_an_exact_entry_and_patterns_for_one_function(shop, set_tools, recorder):
    """One span a call, and undone it is the original."""
    module = importlib.import_module(f"{shop}.tools")
    original = module.other
    plugin = set_tools(f"{shop}.tools:other", f"{shop}.*:oth*", "*.tools:*")
    module.other(1)
    assert outline(recorder.spans) == ["execute_tool other"]
    plugin.uninstrument()
    assert module.other is original


def test_an_exact_function_in_many_modules(shop, set_tools, caplog):
    """Where it is missing nothing is said: a pattern says that it may be."""
    set_tools(f"{shop}.*:other")
    assert recorded(importlib.import_module(f"{shop}.tools")) == {"other"}
    importlib.import_module(f"{shop}.deep.tools")
    assert not caplog.records


def test_what_recording_needs_is_nobodys_tool(set_tools):
    """The standard library, OpenTelemetry and ourselves are not meant by `*`, only by their whole names."""
    original = json_module().dumps
    plugin = set_tools("*:dumps", "*:current", "*:attach")
    assert json_module().dumps is original
    assert current.__module__ == "spanloom.genai._context"
    assert not hasattr(current, "_spanloom_tool")
    plugin.uninstrument()
    set_tools("json:dump?")
    assert json_module().dumps is not original


def json_module():
    """A module of the standard library."""
    return importlib.import_module("json")


def test_reloaded_functions_are_recorded_again(shop, set_tools):
    """And put back; what is gone is not held."""
    plugin = set_tools(f"{shop}.*:other", f"{shop}.*:Cart.add")
    module = importlib.import_module(f"{shop}.tools")
    for _ in range(3):
        assert importlib.reload(module) is module
        assert recorded(module) == {"other", "Cart.add"}
    assert len([one for one in plugin._patches._applied if one.name == "other"]) == 1
    plugin.uninstrument()
    assert recorded(module) == set()


@pytest.mark.parametrize("place", ["_is_function", "_members"])
def test_a_fault_of_ours_costs_the_spans_only(place, shop, set_tools, monkeypatch):
    """The application imports and runs."""
    monkeypatch.setattr(_guard, "RERAISE", False)
    monkeypatch.setattr(_patterns, place, lambda *_: 1 // 0)
    set_tools(f"{shop}.*:*", f"{shop}.*:*.*")
    module = importlib.import_module(f"{shop}.tools")
    assert module.other(1) == module.Cart().add(1) == 1


def test_odd_things_in_a_module_are_not_asked(shop, set_tools, tmp_path):
    """A lazy object stays lazy, a metaclass is not asked: their types say enough."""
    (tmp_path / shop / "odd.py").write_text(
        "class Lazy:\n"
        "    @property\n"
        "    def __class__(self): raise RuntimeError('made too early')\n"
        "    def __getattr__(self, name): raise RuntimeError('made too early')\n"
        "class Meta(type):\n"
        "    def __getattribute__(self, name): raise RuntimeError('asked')\n"
        "class Odd(metaclass=Meta):\n"
        "    x = 1\n"
        "lazy = Lazy()\n"
        "def fine(x): return x\n"
    )
    set_tools(f"{shop}.odd:*", f"{shop}.odd:*.x*")
    assert importlib.import_module(f"{shop}.odd").fine.__wrapped__
