"""`SPANLOOM_TOOLS`: functions by name, patched when their module is imported; bad entries cost one line."""

from __future__ import annotations

import functools
import importlib
import inspect
import sys

import pytest

from spanloom.genai import _guard
from spanloom.tools import tool
from tests._support.spans import outline

SOURCE = '''
import functools

def search(query):
    """Finds."""
    return query

async def fetch(url):
    return url

def numbers(to):
    yield from range(to)

async def letters():
    yield "a"

@functools.lru_cache
def cached(x):
    return x

class Cart:
    def add(self, item):
        return [item]

    @staticmethod
    def price(item):
        return 1

    @classmethod
    def new(cls, size=0):
        return cls()

class Big(Cart):
    pass
'''


@pytest.fixture
def shop(tmp_path, monkeypatch):
    """The name of a module of tools that is not imported yet."""
    name = "shop_" + "".join(letter for letter in tmp_path.name if letter.isalnum())
    (tmp_path / f"{name}.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield name
    sys.modules.pop(name, None)


def test_functions_by_name(shop, set_tools, recorder):
    """Sync, async and generators; nothing is imported for it."""
    set_tools(f"{shop}:search", f" {shop}:fetch ", f"{shop}:numbers", f"{shop}:letters")
    assert shop not in sys.modules
    module = importlib.import_module(shop)
    assert module.search("a") == "a"
    assert list(module.numbers(2)) == [0, 1]
    assert inspect.iscoroutinefunction(module.fetch)
    assert inspect.isasyncgenfunction(module.letters)
    assert [span.name for span in recorder.spans] == ["execute_tool search", "execute_tool numbers"]
    assert recorder.spans[0].attributes["gen_ai.tool.description"] == "Finds."


def test_methods_by_name_leave_the_class_whole(shop, set_tools, recorder):
    """Instance, static and class methods, inherited ones too."""
    plugin = set_tools(f"{shop}:Cart.add", f"{shop}:Cart.price", f"{shop}:Cart.new", f"{shop}:Big.price")
    module = importlib.import_module(shop)
    assert module.Cart().add(1) == [1]
    assert module.Big().add(1) == [1]
    assert module.Cart.price(1) == module.Cart().price(1) == module.Big.price(1) == 1
    assert type(module.Cart.new()) is module.Cart
    assert type(module.Big.new(size=2)) is module.Big
    assert len(recorder.spans) == 7
    plugin.uninstrument()
    assert isinstance(vars(module.Cart)["price"], staticmethod)
    assert isinstance(vars(module.Cart)["new"], classmethod)
    assert "price" not in vars(module.Big)
    assert module.Cart().price(1) == 1
    assert len(recorder.spans) == 7


def test_after_uninstrument_the_originals_are_back(shop, set_tools):
    """The same objects."""
    module = importlib.import_module(shop)
    before = module.search
    plugin = set_tools(f"{shop}:search")
    assert module.search is not before
    plugin.uninstrument()
    assert module.search is before


@pytest.mark.parametrize(
    "entry", ["search", "a:", ":b", "a.b", "a:b:c", "a-b:c", "1a:b", "a:b()", "a:b c", "a.*", "a:[b", "a:b]*", "a..*:b"]
)
def test_a_malformed_entry_is_one_line(entry, shop, set_tools, recorder, caplog):
    """It names the setting, the entry and the right form; the others are recorded."""
    set_tools(entry, f"{shop}:search")
    importlib.import_module(shop).search("a")
    (record,) = caplog.records
    text = record.getMessage()
    assert "SPANLOOM_TOOLS" in text
    assert repr(entry) in text
    assert "module:function or module:Class.method" in text
    assert len(recorder.spans) == 1


def test_an_entry_that_is_not_there_is_one_line(shop, set_tools, recorder, caplog, monkeypatch):
    """The application's import goes on."""
    monkeypatch.setattr(_guard, "RERAISE", False)
    set_tools(f"{shop}:missing", f"{shop}:search")
    importlib.import_module(shop).search("a")
    (record,) = caplog.records
    assert record.getMessage() == (
        f"spanloom: {shop} has no missing, so nothing of it is recorded; mend SPANLOOM_TOOLS"
    )
    assert len(recorder.spans) == 1


@pytest.mark.parametrize("path", ["Cart", "cached"])
def test_an_entry_that_is_no_plain_function_is_one_line(path, shop, set_tools, caplog):
    """A class stays a class, a cache keeps its methods."""
    module = importlib.import_module(shop)
    before = getattr(module, path)
    set_tools(f"{shop}:{path}")
    assert getattr(module, path) is before
    assert f"{shop}:{path} is not a plain function" in caplog.text


def test_a_module_that_is_never_imported_is_silent(set_tools, caplog):
    """The setting may be shared by several services."""
    set_tools("no_such_module_anywhere:f")
    assert not caplog.records


def test_the_same_entry_twice_is_one_span(shop, set_tools, recorder):
    """A slip in a long list."""
    set_tools(f"{shop}:search", f"{shop}:search")
    importlib.import_module(shop).search("a")
    assert len(recorder.spans) == 1


def test_a_decorated_function_that_is_named_too_is_one_span(shop, set_tools, recorder):
    """Both ways at once, also under somebody's own wrapper."""
    module = importlib.import_module(shop)
    module.search = tool(module.search)
    inner = tool(module.Cart.price)
    module.other = functools.wraps(inner)(lambda item: inner(item))
    set_tools(f"{shop}:search", f"{shop}:other")
    module.search("a")
    module.other("a")
    assert outline(recorder.spans) == ["execute_tool search", "execute_tool price"]


def test_the_plugin_without_entries_is_fine(set_tools, recorder):
    """Nothing named, nothing patched; decorated functions are recorded."""
    set_tools()
    tool(lambda: 1)()
    assert len(recorder.spans) == 1
