"""Values that satisfy a JSON schema, computed from what the request says. Pure functions.

Honoured: type (also a list of types), enum, const, anyOf/oneOf/allOf, $ref, properties, required, items, prefixItems,
additionalProperties, minItems/maxItems, minLength/maxLength, minimum/maximum and their exclusive forms, multipleOf,
and the formats date, date-time, time, email, uri and uuid. Not honoured: pattern, not, if/then/else.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from . import _text
from ._talk import Observation, Schema

_DEEPEST = 6
_FORMATS = {
    "date": "2026-01-01",
    "date-time": "2026-01-01T00:00:00Z",
    "time": "00:00:00Z",
    "email": "someone@example.org",
    "uri": "https://example.org/",
    "uuid": "00000000-0000-4000-8000-000000000000",
}
_SHARES = ("score", "confidence", "probability", "relevance", "likelihood")
_THOUGHTS = ("reasoning", "rationale", "thought", "next_thought", "explanation", "analysis")


@dataclass(frozen=True)
class Passage:
    """A text offered as knowledge; `label` is its number where the texts are numbered."""

    text: str
    label: int | None = None


@dataclass(frozen=True)
class Material:
    """What an answer is made from."""

    question: str
    passages: tuple[Passage, ...] = ()
    observations: tuple[Observation, ...] = ()
    variant: int = 0

    @property
    def texts(self) -> list[str]:
        """The passages' texts."""
        return [passage.text for passage in self.passages]


def answer(material: Material) -> str:
    """A plain answer: it quotes every observation, then the passages' sentences nearest to the question."""
    parts: list[str] = []
    if material.observations:
        quotes = "; ".join(f"{seen.tool or 'a tool'}: {_quotable(seen.text)}" for seen in material.observations)
        parts.append(f"According to the tools, {quotes}.")
    parts += _text.best_sentences(material.question, material.texts)
    if not parts:
        parts.append(f"You asked: {material.question or '(nothing)'}")
    if material.variant:
        parts.append(f"(variant {material.variant + 1})")
    return " ".join(parts)


def _quotable(observation: str) -> str:
    """An observation as it is; of a traceback the last line, as a reader would say it."""
    lines = observation.strip().splitlines()
    return lines[-1] if "Traceback (most recent call last)" in observation else observation


def thought(material: Material) -> str:
    """One line of reasoning about the question."""
    about = ", ".join(_text.keywords(material.question)[:6]) or "nothing in particular"
    known = f"{len(material.passages)} passages and {len(material.observations)} tool results"
    return f"The question is about {about}; {known} are at hand."


def output_text(material: Material) -> Callable[[str], str]:
    """The text of an output field, by the field's name."""

    def text_for(name: str) -> str:
        if name.lower() in _THOUGHTS:
            return thought(material)
        if "query" in name.lower():
            return " ".join(_text.keywords(material.question)) or material.question
        return answer(material)

    return text_for


def argument_text(material: Material, tool: str) -> Callable[[str], str]:
    """The text of a tool's argument, by its name; `tool` is the tool's name and description."""

    def text_for(name: str) -> str:
        lowered = name.lower()
        if lowered in ("expression", "formula", "calculation"):
            return _text.arithmetic(material.question) or "0"
        if lowered in ("query", "question", "q", "text", "prompt", "input", "message"):
            return material.question
        return _text.subject(material.question, ignore=tool.replace("_", " "))

    return text_for


class Values:
    """Makes values for schemas; texts come from a function of the field's name."""

    def __init__(self, material: Material, text_for: Callable[[str], str], root: Schema | None = None) -> None:
        self._material = material
        self._text_for = text_for
        self._root = root or {}

    def of(self, schema: Any, name: str = "answer", depth: int = 0) -> Any:
        """A value for `schema`, the schema of the field `name`."""
        schema = self._resolved(schema)
        if "const" in schema:
            return schema["const"]
        if schema.get("enum"):
            return self._choice(schema["enum"])
        makers = {"integer": self._integer, "number": self._number, "boolean": self._boolean, "null": _nothing}
        kind = _kind(schema)
        if kind == "object":
            return self._object(schema, name, depth)
        if kind == "array":
            return self._array(schema, name, depth)
        return makers[kind](schema, name) if kind in makers else self._string(schema, name)

    def _resolved(self, schema: Any) -> Schema:
        for _ in range(20):
            if not isinstance(schema, dict):
                return {}
            if "$ref" in schema:
                schema = self._target(schema["$ref"])
            elif alternatives := schema.get("anyOf") or schema.get("oneOf"):
                schema = next((part for part in alternatives if part.get("type") != "null"), alternatives[0])
            elif schema.get("allOf"):
                merged: Schema = {}
                for part in schema["allOf"]:
                    merged |= self._resolved(part)
                schema = merged | {key: value for key, value in schema.items() if key != "allOf"}
            else:
                return schema
        return {}

    def _target(self, reference: str) -> Any:
        place: Any = self._root
        for step in reference.removeprefix("#").strip("/").split("/"):
            place = place.get(step, {}) if isinstance(place, dict) and step else place
        return place

    def _choice(self, options: list[Any]) -> Any:
        known = " ".join([self._material.question, *(seen.text for seen in self._material.observations)])
        return max(options, key=lambda option: _text.overlap(str(option).replace("_", " "), known))

    def _object(self, schema: Schema, name: str, depth: int) -> dict[str, Any]:
        properties: dict[str, Any] = schema.get("properties", {})
        if not properties and schema.get("additionalProperties"):
            return {self._word(0): self.of(schema["additionalProperties"], name, depth + 1)}
        wanted = schema.get("required", []) if depth >= _DEEPEST else properties
        # "content" says nothing about what is wanted, the field that holds it does.
        names = {key: name if key == "content" else key for key in wanted}
        return {key: self.of(properties.get(key, {}), names[key], depth + 1) for key in wanted}

    def _array(self, schema: Schema, name: str, depth: int) -> list[Any]:
        if "prefixItems" in schema:
            return [self.of(part, name, depth + 1) for part in schema["prefixItems"]]
        least, most = schema.get("minItems", 0), schema.get("maxItems", 3)
        if depth >= _DEEPEST:
            most = least
        items = self._resolved(schema.get("items", {}))
        found = self._items(items, name, depth, max(least, most))
        while len(found) < least:
            found.append(self.of(items, name, depth + 1))
        return found[: max(least, most)]

    def _items(self, items: Schema, name: str, depth: int, most: int) -> list[Any]:
        kind = _kind(items)
        if items.get("enum"):
            first = self._choice(items["enum"])
            return [first, *(option for option in items["enum"] if option != first)][:1]
        if kind == "integer":
            allowed = [label for label in self._ranking() if _bounded(label, items, whole=True) == label]
            return allowed or [self.of(items, name, depth + 1)]
        if kind == "string" and "format" not in items:
            words = _text.keywords(self._material.question)[:most] or ["none"]
            return [_fitted(word, items) for word in words]
        return [self.of(items, name, depth + 1)] if most else []

    def _ranking(self) -> list[int]:
        """Numbers of the numbered passages that help, best first."""
        labelled = [passage for passage in self._material.passages if passage.label is not None]
        scored = [(_text.overlap(self._material.question, passage.text), passage.label) for passage in labelled]
        ranked = sorted(scored, key=lambda pair: -pair[0])
        return [label for score, label in ranked if score and label is not None] or [
            label for _, label in ranked[:1] if label is not None
        ]

    def _integer(self, schema: Schema, _name: str) -> int:
        return math.floor(_bounded(math.floor(self._figure()), schema, whole=True))

    def _number(self, schema: Schema, name: str) -> float:
        if any(word in name.lower() for word in _SHARES):
            return float(_bounded(self._support(), schema))
        return float(_bounded(self._figure(), schema))

    def _boolean(self, _schema: Schema, _name: str) -> bool:
        return self._support() > 0

    def _support(self) -> float:
        known = " ".join([*self._material.texts, *(seen.text for seen in self._material.observations)])
        return _text.coverage(self._material.question, known)

    def _figure(self) -> float:
        """The first number that the tools, the question or the nearest sentence name; else the count of keywords."""
        material = self._material
        nearest = _text.best_sentences(material.question, material.texts, 1)
        for text in [*(seen.text for seen in material.observations), material.question, *nearest]:
            found = _text.numbers(text)
            if found:
                return found[0]
        return float(len(_text.keywords(material.question)))

    def _word(self, place: int) -> str:
        words = _text.keywords(self._material.question) or ["answer"]
        return words[place % len(words)]

    def _string(self, schema: Schema, name: str) -> str:
        return _FORMATS.get(schema.get("format", "")) or _fitted(self._text_for(name), schema)


def _kind(schema: Schema) -> str:
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((part for part in kind if part != "null"), "null")
    if kind is None:
        kind = "object" if "properties" in schema else "array" if "items" in schema else "string"
    return str(kind)


def _nothing(_schema: Schema, _name: str) -> None:
    return None


def _fitted(text: str, schema: Schema) -> str:
    text = text[: schema.get("maxLength", len(text))]
    return text.ljust(schema.get("minLength", 0), ".")


def _bounded(value: float, schema: Schema, whole: bool = False) -> float:
    step = schema.get("multipleOf")
    nudge = step or (1 if whole else 1e-6)
    low = schema.get("minimum", schema.get("exclusiveMinimum", -math.inf))
    high = schema.get("maximum", schema.get("exclusiveMaximum", math.inf))
    if value <= low:
        value = low if "minimum" in schema else low + nudge
    if value >= high:
        value = high if "maximum" in schema else high - nudge
    return round(value / step) * step if step else value
