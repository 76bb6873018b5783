"""Our names against the registry's data, and no name anywhere else."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from spanloom.semconv import SCHEMA_URL, DSpy, Error, GenAI, OpenAI, Operation, Provider, Server, Spanloom, metrics
from spanloom.semconv import span_name as name_of
from tests._support.conformance import registry

ROOT = Path(__file__).parents[2]
ROOTS = ("instrumentors", "processors", "workbench")


def constants(group: type) -> dict[str, str]:
    """The names of one class."""
    return {key: value for key, value in vars(group).items() if key.isupper()}


def known_attributes() -> set[str]:
    """Every attribute of the registry."""
    data = registry()
    found = {name for span in data["spans"].values() for name in span["attributes"]}
    found |= {name for metric in data["metrics"].values() for name in metric["attributes"]}
    return found | {name for level in data["openai_extras"].values() for name in level}


@pytest.mark.parametrize("group", [GenAI, OpenAI, Server])
def test_every_attribute_is_in_the_registry(group):
    """A name that the conventions do not have stands with the extensions, not here."""
    assert set(constants(group).values()) <= known_attributes()


def test_error_type_is_the_registrys():
    """The one attribute of failures, and its fallback value."""
    assert Error.TYPE in known_attributes()
    assert Error.OTHER == "_OTHER"


@pytest.mark.parametrize("group", [GenAI, OpenAI, Server, Spanloom, DSpy, Operation, Provider])
def test_no_name_stands_twice(group):
    """Two constants with one value are one too many."""
    values = list(constants(group).values())
    assert len(values) == len(set(values))


def test_operations_are_the_registrys():
    """Values of gen_ai.operation.name."""
    assert set(constants(Operation).values()) <= set(registry()["operation_names"])


def test_providers_are_the_registrys():
    """Values of gen_ai.provider.name."""
    assert set(constants(Provider).values()) <= set(registry()["provider_names"])


def test_the_schema_url_is_the_registrys():
    """It says which version of the names is meant."""
    assert registry()["schema_url"] == SCHEMA_URL


@pytest.mark.parametrize("spec", metrics.REGISTRY, ids=lambda spec: spec.name)
def test_each_metric_equals_the_registrys(spec):
    """Name, unit, instrument and bucket boundaries."""
    row = registry()["metrics"][spec.name]
    assert (spec.unit, spec.kind) == (row["unit"], row["instrument"])
    assert spec.buckets == (tuple(row["buckets"]) if row.get("buckets") else None)


@pytest.mark.parametrize("spec", metrics.EXTENSIONS, ids=lambda spec: spec.name)
def test_extension_metrics_are_not_in_the_registry(spec):
    """As soon as the conventions have one, it moves."""
    assert spec.name not in registry()["metrics"]


def test_extension_attributes_are_not_in_the_registry():
    """As soon as the conventions have one, it moves; ours have our prefix, but for names in review and DSPy's own."""
    ours = constants(Spanloom)
    assert not set(ours.values()) & known_attributes()
    assert {key for key, value in ours.items() if not value.startswith("spanloom.")} == {
        "COST_AMOUNT",
        "COST_CURRENCY",
        "COST_SOURCE",
    }
    assert all(value.startswith("dspy.") for value in constants(DSpy).values())


def test_buckets_ascend_and_only_histograms_have_them():
    """Boundaries that do not ascend are refused by the SDK at the first record."""
    for spec in (*metrics.REGISTRY, *metrics.EXTENSIONS):
        assert (spec.buckets is not None) == (spec.kind == "histogram")
        assert list(spec.buckets or ()) == sorted(set(spec.buckets or ()))
        assert spec.description


def test_the_span_name_rule():
    """The operation and its target, or the bare operation where the target is unknown."""
    assert name_of("chat", "gpt-4o") == "chat gpt-4o"
    assert name_of("chat", None) == name_of("chat", "") == "chat"


def literals(path: Path) -> Iterator[tuple[int, str]]:
    """The string literals of a file, parts of f-strings too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value


def strays(paths: list[Path]) -> list[str]:
    """Where a literal is a name of the conventions."""
    return [f"{path}:{line}: {text}" for path in paths for line, text in literals(path) if text.startswith("gen_ai.")]


def test_no_name_of_the_conventions_outside_semconv():
    """Every other module takes it from semconv, so that a bump of the registry is a change of data."""
    home = ROOT / "instrumentors" / "spanloom" / "semconv"
    paths = [path for root in ROOTS for path in (ROOT / root).rglob("*.py") if home not in path.parents]
    assert len(paths) > 30
    assert strays(paths) == []


def test_the_search_for_strays_finds_one(tmp_path):
    """The check above can fail."""
    path = tmp_path / "bad.py"
    path.write_text('NAME = f"gen_ai.{1}"\nOTHER = "x gen_ai."\n')
    assert len(strays([path])) == 1
