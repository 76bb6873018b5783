"""JSON text of long texts: what the library writes, character by character."""

import json

import pytest

from spanloom.genai import _encoder
from spanloom.genai._encoder import encoded

LONG = "The keeper wrote of wind and poor visibility. " * 40
EVERY = "".join(chr(code) for code in range(0x250)) + "\u2028\u2029\ud800\U0001f30a"


def by_library(value):
    """What ``encoded`` stands for."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


@pytest.mark.parametrize("one", EVERY, ids=lambda one: f"{ord(one):#x}")
def test_a_long_text_with_any_character(one):
    """Escaped as the library escapes it, wherever it stands."""
    for text in (one + LONG, LONG + one, LONG.replace(" ", one)):
        assert encoded(text) == by_library(text)


@pytest.mark.parametrize(
    "value",
    [
        LONG,
        "short",
        None,
        {"role": "user", "parts": [{"type": "text", "content": LONG}], "id": None, "n": 1, "ok": True, "x": 0.5},
        [{"a": LONG}, LONG],
        [LONG, "b", "c"],
        {1: LONG, None: 1, 2.5: "x"},
        {True: LONG},
        {str(number): LONG for number in range(30)},
        {"a": {"b": {"c": {"d": {"e": {"f": {"g": LONG}}}}}}},
        [[LONG, {}], []],
        {"quoted": json.dumps({str(number): LONG for number in range(20)})},
        [list(range(100)), LONG],
        {"tuple": (LONG, 1)},
    ],
    ids=lambda value: str(value)[:30],
)
def test_containers_around_long_texts(value):
    """The same text, whichever of the two ways each part goes."""
    assert encoded(value) == by_library(value)


def test_what_is_no_json_is_refused_as_the_library_refuses_it():
    """A number that JSON has not, an object, a key of another kind."""
    for value in ({"a": LONG, "b": float("nan")}, [LONG, object()], {"a": LONG, (1, 2): 3}):
        with pytest.raises((TypeError, ValueError)):
            encoded(value)


def test_what_holds_itself_is_refused_soon():
    """Not after the deepest recursion, with the long text made again at each level."""
    value = {"text": LONG}
    value["self"] = value
    with pytest.raises(ValueError, match="Circular"):
        encoded(value)
    looped = [LONG]
    looped.append(looped)
    with pytest.raises(ValueError, match="Circular"):
        encoded(looped)


def test_a_text_of_a_class_of_its_own_is_the_librarys():
    """It may be anything."""

    class Text(str):
        __slots__ = ()

    assert encoded({"a": Text(LONG)}) == by_library({"a": LONG})


def test_an_interpreter_without_the_code_in_c(monkeypatch):
    """All of it is the library's then."""
    monkeypatch.setattr(_encoder, "_make_walk", None)
    assert encoded({"a": [LONG, 1]}) == by_library({"a": [LONG, 1]})


@pytest.mark.parametrize("make", [None, lambda: 1, lambda *given: lambda value, depth: ["other"]])
def test_another_python_may_have_another_walk(make, monkeypatch):
    """One that is missing, takes other arguments or gives something else is not used."""
    monkeypatch.setattr(_encoder.encoder, "c_make_encoder", make, raising=False)
    assert _encoder._maker() is None
