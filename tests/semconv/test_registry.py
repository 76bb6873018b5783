"""Our names against the registry's data, and no name anywhere else."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from opentelemetry.semconv._incubating.attributes import gen_ai_attributes
from opentelemetry.semconv._incubating.metrics import gen_ai_metrics

from spanloom import semconv
from spanloom.semconv import (
    OLD_ATTRIBUTES,
    SCHEMA_URL,
    Caller,
    CostCopy,
    DSpy,
    Error,
    Event,
    GenAI,
    HTTPServer,
    OpenAI,
    Operation,
    OtherProvider,
    Provider,
    Server,
    Spanloom,
    metrics,
)
from spanloom.semconv import span_name as name_of
from tests._support.registry import OWN_TYPES, attribute_data, known_attributes, registry
from tests.semconv import _generate

ROOT = Path(__file__).parents[2]
ROOTS = ("instrumentors", "processors", "workbench")


def constants(group: type) -> dict[str, str]:
    """The names of one class."""
    return {key: value for key, value in vars(group).items() if key.isupper()}


@pytest.mark.parametrize("name", ["_names.py", "_metrics.py"])
def test_the_modules_are_what_the_data_gives(name):
    """Somebody who changes the data, the generator or its result without `make semconv` is told."""
    path = ROOT / "instrumentors" / "spanloom" / "semconv" / name
    assert path.read_text(encoding="utf-8") == _generate.generated()[name]


def test_every_attribute_of_the_registry_has_its_constant():
    """By the rule: without the namespace, upper case, dots as underscores."""
    classes = {prefix: getattr(semconv, name) for name, (prefix, _) in _generate.ATTRIBUTES.items()}
    for name in known_attributes():
        (prefix,) = [prefix for prefix in classes if name.startswith(prefix)]
        constant = name.removeprefix(prefix).upper().replace(".", "_")
        assert getattr(classes[prefix], constant) == name


def test_every_attribute_of_the_registry_has_a_type():
    """And none has one that the registry does not know."""
    assert set(attribute_data()["types"]) == known_attributes()
    assert set(attribute_data()["members"]) <= known_attributes()
    assert set(attribute_data()["types"].values()) == {
        "any", "boolean", "double", "int", "string", "string[]", "template[string]",
    }  # fmt: skip


def test_every_listed_value_has_its_constant():
    """Classes of values have what the data lists, no more and no less."""
    for name, attribute in _generate.VALUES.items():
        assert list(constants(getattr(semconv, name)).values()) == _generate.values_of(_generate.load(), attribute)


def test_every_name_of_ours_is_in_the_reviewed_list():
    """A new name needs a type there, and nothing stays there that is gone."""
    ours = {*constants(Spanloom).values(), *constants(DSpy).values(), *constants(Caller).values()}
    ours.update(constants(CostCopy).values())
    assert set(OWN_TYPES) == ours | {HTTPServer.STATUS_CODE}


def test_events_are_the_registrys():
    """Names of log records."""
    assert set(constants(Event).values()) == set(registry()["events"])


@pytest.mark.parametrize("group", [GenAI, OpenAI, Server])
def test_every_attribute_is_in_the_registry(group):
    """A name that the conventions do not have stands with the extensions, not here."""
    assert set(constants(group).values()) <= known_attributes()


def test_error_type_is_the_registrys():
    """The one attribute of failures, and its fallback value."""
    assert Error.TYPE in known_attributes()
    assert Error.OTHER == "_OTHER"


@pytest.mark.parametrize("group", [GenAI, OpenAI, Server, Spanloom, DSpy, Operation, Provider, OtherProvider])
def test_no_name_stands_twice(group):
    """Two constants with one value are one too many."""
    values = list(constants(group).values())
    assert len(values) == len(set(values))


def test_operations_are_the_registrys():
    """Values of gen_ai.operation.name."""
    assert set(constants(Operation).values()) == set(registry()["operation_names"])


def test_providers_are_the_registrys():
    """Values of gen_ai.provider.name; what the registry gets one day leaves the list of others."""
    assert set(constants(Provider).values()) == set(registry()["provider_names"])
    assert not set(constants(OtherProvider).values()) & set(registry()["provider_names"])


def test_the_schema_url_is_the_registrys():
    """It says which version of the names is meant."""
    assert registry()["schema_url"] == SCHEMA_URL


@pytest.mark.parametrize("spec", [*metrics.REGISTRY, *metrics.SUPERSEDED], ids=lambda spec: spec.name)
def test_each_metric_equals_the_registrys(spec):
    """Name, unit, instrument, bucket boundaries, attributes with their levels, generation."""
    old = spec.name in registry()["metrics_superseded"]
    row = registry()["metrics_superseded" if old else "metrics"][spec.name]
    assert (spec.unit, spec.kind) == (row["unit"], row["instrument"])
    assert spec.buckets == (tuple(row["buckets"]) if row.get("buckets") else None)
    assert spec.attributes == row["attributes"]
    assert spec.mode == ("old" if old else "current")


def test_no_metric_of_the_registry_is_missing():
    """Current and superseded."""
    assert {spec.name for spec in metrics.REGISTRY} == set(registry()["metrics"])
    assert {spec.name for spec in metrics.SUPERSEDED} == set(registry()["metrics_superseded"])


def test_older_names_are_those_of_the_last_release_in_the_core_conventions():
    """OpenTelemetry's package of constants is frozen there: it has the old names, and not what they became."""
    published = {value for value in vars(gen_ai_attributes).values() if isinstance(value, str)}
    assert set(OLD_ATTRIBUTES) <= known_attributes()
    assert set(OLD_ATTRIBUTES.values()) <= published
    assert not set(OLD_ATTRIBUTES) & published
    measured = {value for value in vars(gen_ai_metrics).values() if isinstance(value, str)}
    assert {spec.name for spec in metrics.SUPERSEDED} | {metrics.OPERATION_DURATION.name} <= measured


def test_no_other_attribute_was_renamed():
    """What the last release has and the registry has not is in the table, or was dropped before already."""
    published = {
        value
        for key, value in vars(gen_ai_attributes).items()
        if key.startswith("GEN_AI_") and isinstance(value, str) and value.startswith("gen_ai.")
    }
    dropped_before = {
        "gen_ai.system", "gen_ai.prompt", "gen_ai.completion", "gen_ai.usage.prompt_tokens",
        "gen_ai.usage.completion_tokens", "gen_ai.openai.request.response_format", "gen_ai.openai.request.seed",
        "gen_ai.openai.request.service_tier", "gen_ai.openai.response.service_tier",
        "gen_ai.openai.response.system_fingerprint",
    }  # fmt: skip
    assert published - known_attributes() - dropped_before == set(OLD_ATTRIBUTES.values()) - known_attributes()


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
    for spec in (*metrics.REGISTRY, *metrics.SUPERSEDED, *metrics.EXTENSIONS):
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
    """Where a literal is a name of the conventions, or one of ours."""
    names = known_attributes() | {name for name in OWN_TYPES if name.startswith("spanloom.")}
    found = [(path, line, text) for path in paths for line, text in literals(path)]
    return [f"{path}:{line}: {text}" for path, line, text in found if text.startswith("gen_ai.") or text in names]


def test_no_name_of_the_conventions_outside_semconv():
    """Every other module takes it from semconv, so that a bump of the registry is a change of data."""
    home = ROOT / "instrumentors" / "spanloom" / "semconv"
    paths = [path for root in ROOTS for path in (ROOT / root).rglob("*.py") if home not in path.parents]
    assert len(paths) > 30
    assert strays(paths) == []


def test_the_search_for_strays_finds_one(tmp_path):
    """The check above can fail."""
    path = tmp_path / "bad.py"
    path.write_text('NAME = f"gen_ai.{1}"\nA = "x gen_ai."\nB = "openai.api.type"\nC = "spanloom.stream.end"\n')
    assert len(strays([path])) == 3
