"""The pure half of the model server: texts, values, tools, faults, tokens."""

from __future__ import annotations

import random
from typing import Any

import jsonschema
import pytest

from model_server import _text, _tokens
from model_server._answers import arguments, relevant_tools
from model_server._faults import find_faults, without_markers
from model_server._prompts import passages, read_task
from model_server._talk import Observation, ToolSpec
from model_server._values import Material, Passage, Values, output_text

MATERIAL = Material(
    question="Is the Wind Vane in stock, and how high does it stand?",
    passages=(Passage("Cats are grey.", 0), Passage("The Wind Vane must stand 3 metres high.", 1)),
    observations=(Observation("stock", "7 pieces"),),
)


def value(schema: dict[str, Any], name: str = "answer", material: Material = MATERIAL) -> Any:
    return Values(material, output_text(material), root=schema).of(schema, name)


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "string", "maxLength": 5},
        {"type": "string", "minLength": 400},
        {"type": "string", "format": "date-time"},
        {"type": "integer", "minimum": 10},
        {"type": "integer", "exclusiveMaximum": 3},
        {"type": "integer", "exclusiveMinimum": 7, "multipleOf": 5},
        {"type": "number", "minimum": 0, "maximum": 1},
        {"type": "number", "exclusiveMinimum": 7},
        {"type": ["null", "integer"]},
        {"anyOf": [{"type": "null"}, {"type": "boolean"}]},
        {"oneOf": [{"type": "integer"}, {"type": "string"}]},
        {"allOf": [{"type": "object", "properties": {"a": {"type": "integer"}}}, {"required": ["a"]}]},
        {"enum": ["stock", "none", 3]},
        {"const": {"a": 1}},
        {"type": "null"},
        {"type": "array", "items": {"type": "string"}, "minItems": 5, "maxItems": 6},
        {"type": "array", "items": {"type": "integer"}, "maxItems": 1},
        {"type": "array", "prefixItems": [{"type": "integer"}, {"type": "string"}]},
        {"type": "array", "items": {"enum": ["a", "b"]}, "minItems": 2},
        {"type": "array"},
        {"type": "object", "additionalProperties": {"type": "number"}},
        {"type": "object", "properties": {"a": {"type": "object", "properties": {"b": {"type": "boolean"}}}}},
        {
            "$defs": {
                "tree": {"type": "object", "properties": {"kids": {"type": "array", "items": {"$ref": "#/$defs/tree"}}}}
            },
            "$ref": "#/$defs/tree",
        },
        {"$ref": "#/$defs/nowhere"},
        {},
    ],
)
def test_values_satisfy_their_schema(schema: dict[str, Any]) -> None:
    """A value made for a schema is valid by a real validator."""
    checked = {} if schema.get("$ref") == "#/$defs/nowhere" else schema
    jsonschema.validate(value(schema), checked)


def random_schema(random_: random.Random, depth: int = 0) -> dict[str, Any]:
    kinds = ["string", "integer", "number", "boolean", "null", "enum", "any"]
    kind = random_.choice(kinds + (["object", "array"] * 3 if depth < 4 else []))
    if kind == "object":
        properties = {f"field_{n}": random_schema(random_, depth + 1) for n in range(random_.randint(0, 4))}
        required = [name for name in properties if random_.random() < 0.7]
        return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}
    if kind == "array":
        least = random_.randint(0, 3)
        return {"type": "array", "items": random_schema(random_, depth + 1), "minItems": least, "maxItems": least + 2}
    if kind == "any":
        return {"anyOf": [random_schema(random_, depth + 1) for _ in range(2)]}
    if kind == "enum":
        return {"enum": random_.sample(["red", "blue", 3, True, None], 2)}
    if kind in ("integer", "number"):
        least = random_.randint(-50, 50)
        return {"type": kind, "minimum": least, "maximum": least + random_.randint(0, 20)}
    return {"type": kind}


@pytest.mark.parametrize("seed", range(300))
def test_values_satisfy_random_schemas(seed: int) -> None:
    """300 random nested schemas are all satisfied."""
    schema = random_schema(random.Random(seed))
    jsonschema.validate(value(schema), schema)


def test_values_follow_the_material() -> None:
    """Choices, numbers, scores and rankings come from the question, the tools and the passages."""
    assert value({"enum": ["garden", "wind", "rain"]}) == "wind"
    assert value({"type": "integer"}) == 7
    assert value({"type": "number"}, "confidence") == 0.8
    assert value({"type": "array", "items": {"type": "integer"}}) == [1]
    assert value({"type": "string"}).startswith("According to the tools, stock: 7 pieces. The Wind Vane must stand")


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ('["one", "two"]', [0, 1]),
        ("[1] «one»\n[2] «two»", [1, 2]),
        ("[4] one\nmore of it\n[7] two", [4, 7]),
        ("just text", [None]),
        ("", []),
    ],
)
def test_passages(text: str, labels: list[int | None]) -> None:
    """Lists are cut into passages with the numbers that a reader would use."""
    assert [passage.label for passage in passages(text)] == labels


@pytest.mark.parametrize(
    ("question", "subject"),
    [
        ("Is the Wind Vane in stock?", "Wind Vane"),
        ("How much is Tern?", "Tern"),
        ('Where is "the old one"?', "the old one"),
        ("how many lamps are in stock?", "lamps"),
        ("?", "?"),
    ],
)
def test_subject(question: str, subject: str) -> None:
    """What a question is about: quoted, named, or its keywords without those of the tool."""
    assert _text.subject(question, ignore="stock level") == subject


@pytest.mark.parametrize(
    ("name", "kind", "expected"),
    [
        ("expression", "string", "3 * (4 + 5)"),
        ("query", "string", "Please work out 3 * (4 + 5) for Oslo"),
        ("city", "string", "Oslo"),
        ("count", "integer", 3),
    ],
)
def test_arguments(name: str, kind: str, expected: Any) -> None:
    """Arguments are taken from the question by their names and types."""
    tool = ToolSpec(
        "work_it_out", "", {"properties": {name: {"type": kind}, "extra": {"type": "string"}}, "required": [name]}
    )
    assert arguments(tool, Material("Please work out 3 * (4 + 5) for Oslo")) == {name: expected}


def test_relevant_tools() -> None:
    """Tools that share words with the question are chosen, else all but the closing ones."""
    offered = (ToolSpec("weather", "rain and sun"), ToolSpec("people", "how many live there"), ToolSpec("finish"))
    assert [tool.name for tool in relevant_tools(offered, "Will it rain?")] == ["weather"]
    assert [tool.name for tool in relevant_tools(offered, "Hm?")] == ["weather", "people"]


def test_no_task_in_an_ordinary_prompt() -> None:
    """A prompt that no DSPy adapter wrote is not taken for one."""
    assert read_task("You are kind.", ["hello"]) is None
    assert read_task("Your output fields are:\n1. `a` (str):\nAll interactions will be structured", []) is None


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("[[error:429:times=2:retry_after=0.5]]", {"status": 429, "times": 2, "retry_after": "0.5"}),
        ("[[delay:0.2]] x [[pause:1]]", {"delay": 0.2, "pause": 1.0}),
        ("[[cut:3]][[fail:4]][[malformed]][[words:9]]", {"cut": 3, "fail": 4, "malformed": True, "words": 9}),
        ("[[ ## error ## ]] [[error]] [[error:x]] [[cut:1.2.3]]", {}),
    ],
)
def test_fault_markers(text: str, fields: dict[str, Any]) -> None:
    """Markers are read, DSPy's own brackets and broken markers are not."""
    found = find_faults(text)
    expected = {name: fields.get(name, getattr(find_faults(""), name)) for name in vars(found)}
    assert vars(found) == expected


def test_markers_are_left_out() -> None:
    """What an answer may quote has no markers."""
    assert without_markers("a [[cut:3]] b[[error:500:times=1]]") == "a  b"


@pytest.mark.parametrize(
    ("text", "count"), [("", 0), ("one two", 2), ("a, b.", 4), ("internationalisation", 3), ("€ 5", 2), ("\n\t", 0)]
)
def test_count_tokens(text: str, count: int) -> None:
    """Tokens are runs of at most eight word characters, and single other characters."""
    assert _tokens.count_tokens(text) == count
    assert _tokens.count_tokens(_tokens.cut_to_tokens(text, 1)) == min(count, 1)


@pytest.mark.parametrize("text", ["", " ", "a b", "a  b\n\nc ", "\n x"])
def test_pieces_join_to_the_text(text: str) -> None:
    """A text cut for a stream is the same text when joined."""
    assert "".join(_text.pieces(text)) == text
