"""`@tool` says clearly what is wrong with how it is used, where it is used."""

from __future__ import annotations

import pytest

from spanloom.tools import tool

WRONG = [
    ({"tool_type": "retriever"}, ValueError, "one of function, extension, datastore, not 'retriever'"),
    ({"tool_type": "Function"}, ValueError, "not 'Function'"),
    ({"tool_type": None}, ValueError, "not None"),
    ({"name": ""}, ValueError, "not empty"),
    ({"name": "  "}, ValueError, "not empty"),
    ({"name": 3}, TypeError, "tool\\(name=...\\) takes a str, not 3"),
    ({"name": len}, TypeError, "takes a str"),
    ({"description": b"x"}, TypeError, "tool\\(description=...\\) takes a str, not b'x'"),
]


@pytest.mark.parametrize(("given", "kind", "said"), WRONG, ids=lambda value: str(value)[:40])
def test_a_wrong_option(given, kind, said):
    """At once, before there is a function."""
    with pytest.raises(kind, match=said):
        tool(**given)


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("search", "tool\\(name='search'\\)"),
        (3, "functions and methods, not 3"),
        (property(lambda self: 1), "functions and methods, not <property"),
        (staticmethod(3), "functions and methods, not 3"),
        (int, "put it on a method of int"),
    ],
    ids=str,
)
def test_a_wrong_target(target, said):
    """With options or without them."""
    with pytest.raises(TypeError, match=said):
        tool(target)
    with pytest.raises(TypeError, match=said):
        tool(name="x")(target)


@pytest.mark.parametrize("kind", ["function", "extension", "datastore"])
def test_each_type(kind, plugin, recorder):
    """The conventions' three."""
    tool(tool_type=kind)(lambda: 1)()
    assert recorder.span.attributes["gen_ai.tool.type"] == kind


@pytest.mark.parametrize(("given", "told"), [(None, "Of the function."), ("Said\nhere.", "Said\nhere."), ("", None)])
def test_a_description(given, told, plugin, recorder):
    """What is said, whole; else the first line of the docstring; an empty one is none."""

    @tool(description=given)
    def f():
        """Of the function.

        More.
        """

    f()
    assert recorder.span.attributes.get("gen_ai.tool.description") == told
    assert f.__doc__.startswith("Of the function.")
