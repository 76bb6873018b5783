"""Content: off unless asked for, and JSON text that is valid whatever it is made from."""

from __future__ import annotations

import base64
import dataclasses
import datetime
import hashlib
import json
from collections import OrderedDict
from collections.abc import Mapping
from enum import Enum
from unittest import mock

import pydantic
import pytest

from spanloom.genai import as_text, json_text
from spanloom.genai._content import as_plain


class Colour(str, Enum):
    """A str, and so a str in JSON."""

    RED = "red"


class Model(pydantic.BaseModel):
    """A model with one field."""

    x: int = 1


class Raising:
    """Everything about it raises something of its own."""

    class Mine(Exception):
        """Not a type that anybody expects."""

    def __str__(self):
        raise self.Mine

    __repr__ = __str__

    def __getattr__(self, name):
        raise self.Mine


class BadMapping(Mapping):
    """A mapping that cannot be read."""

    def __getitem__(self, key):
        raise Raising.Mine

    def __iter__(self):
        raise Raising.Mine

    def __len__(self):
        return 1

    def __str__(self):
        return "<BadMapping>"


@dataclasses.dataclass
class Place:
    """As applications have them, one field of which is nobody's business."""

    name: str
    more: object = dataclasses.field(default=None, repr=False)


class BadList(list):
    """A list that cannot be read."""

    def __iter__(self):
        raise Raising.Mine


class BadModel:
    """Dumps, but never well."""

    def model_dump(self, **_):
        raise Raising.Mine

    def __str__(self):
        return "bad model"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"a": 1, "b": [True, None, 1.5, "ä"]}, {"a": 1, "b": [True, None, 1.5, "ä"]}),
        (OrderedDict(x=(1, 2)), {"x": [1, 2]}),
        ({1: "a", None: "b", (1, 2): "c"}, {"1": "a", "None": "b", "(1, 2)": "c"}),
        (Colour.RED, "red"),
        (Model(), {"x": 1}),
        ([Model(x=2)], [{"x": 2}]),
        (Model, str(Model)),
        (BadModel(), "bad model"),
        ({"set": {1}, "frozen": frozenset("a")}, {"set": [1], "frozen": ["a"]}),
        (Place("Köln", "secret"), "Place(name='Köln')"),
        (Place, str(Place)),
        (mock.sentinel.thing, "sentinel.thing"),
        (float("nan"), "nan"),
        ([float("inf"), float("-inf")], ["inf", "-inf"]),
        (2**80, 2**80),
        (iter([1]), None),
    ],
)
def test_json_of_ordinary_and_odd_values(value, expected):
    """What JSON has no form for becomes text; not-a-number too, because JSON has none."""
    parsed = json.loads(json_text(value), parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    if expected is None:
        assert parsed == str(value)
    else:
        assert parsed == expected


@pytest.mark.parametrize(
    "make", [Raising, BadMapping, lambda: BadList([1]), lambda: {"k": [Raising()]}, lambda: {Raising(): 1}]
)
def test_json_of_what_raises(make):
    """The application's own methods may raise anything: the type's name, or its text, stands for the value."""
    assert json.loads(json_text(make())) in ("<Raising>", "<BadMapping>", "[1]", {"k": ["<Raising>"]}, {"<Raising>": 1})


def test_bytes_are_not_copied():
    """Digest and size say which ones they were."""
    parsed = json.loads(json_text({"image": b"abc", "more": bytearray(b"")}))
    assert parsed["image"] == {
        "sha256": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        "bytes": 3,
    }
    assert parsed["more"]["bytes"] == 0


def test_bytes_are_not_copied_wherever_they_stand():
    """In a model, a set or a view of them."""

    class Picture(pydantic.BaseModel):
        raw: bytes
        taken: datetime.date = datetime.date(2026, 11, 27)

    raw = b"\xff secret"
    for value in (Picture(raw=raw), {"s": {raw}}, memoryview(raw), [memoryview(raw)]):
        text = json_text(value)
        assert hashlib.sha256(raw).hexdigest() in text
        assert "secret" not in text
    assert json.loads(json_text(Picture(raw=raw)))["taken"] == "2026-11-27"


def test_a_lone_surrogate_stays_exportable():
    """The text can be encoded, and parses to what was there."""
    text = json_text({"x": "a\ud800b", "y": "ä"})
    text.encode("utf-8")
    assert json.loads(text) == {"x": "a\ud800b", "y": "ä"}


def test_cycles_end():
    """A list that holds itself twice is written once, not 2**24 times."""
    loop: list = [1]
    loop += [loop, loop]
    assert json.loads(json_text(loop)) == [1, "[1, [...], [...]]", "[1, [...], [...]]"]
    child: dict = {}
    child["parent"] = {"child": child}
    assert json.loads(json_text(child))["parent"]["child"].startswith("{")


def test_what_is_shared_is_no_cycle():
    """The same list at two places is written at both."""
    shared = [1]
    assert json.loads(json_text([shared, shared])) == [[1], [1]]


def test_depth_is_bounded():
    """What is too deep for JSON's own encoder is text below 24 levels."""
    value: object = 0
    for _ in range(50_000):
        value = [value]
    parsed = json.loads(json_text(value))
    for _ in range(24):
        (parsed,) = parsed
    assert isinstance(parsed, str)


def test_iterators_are_not_consumed():
    """They are the caller's."""
    numbers = iter([1, 2])
    json_text({"x": numbers})
    assert list(numbers) == [1, 2]


def test_text_of_anything():
    """`str()`, or the name of the type."""
    assert as_text(1) == "1"
    assert as_text(Raising()) == "<Raising>"


def test_a_lone_surrogate_does_not_lift_the_limit():
    """Escaped for its sake, the rest of the text would be six times as long."""
    text = json_text([{"role": "user", "parts": [{"type": "text", "content": "ü" * 100_000 + "\ud83d"}]}], 262_144)
    assert len(text.encode()) <= 262_144
    assert json.loads(text)


def test_a_picture_in_any_text_is_told_by_its_digest():
    """A data URL of a tool's result or a program's input, nested or not; a short one, and other text, stay."""
    raw = bytes(range(256))
    url = f"data:image/png;base64,{base64.b64encode(raw).decode()}"
    told = f"data:image/png;sha256={hashlib.sha256(raw).hexdigest()};bytes=256"
    assert json.loads(json_text({"image": {"url": url}, "text": f"see {url} here"})) == {
        "image": {"url": told},
        "text": f"see {told} here",
    }
    assert as_plain({"a": [url]}, 9999) == {"a": [told]}
    assert json_text("data:;base64,aGk=") == '"data:;base64,aGk="'
