"""The packaging facts of the design, each on the built wheel."""

from __future__ import annotations

import configparser
import email.parser
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests._support.wheel import ROOT, built_wheel

ROOTS = ("instrumentors", "processors", "workbench")


@pytest.fixture(scope="session")
def wheel() -> Path:
    """The wheel of this checkout, built once a session."""
    return built_wheel()


@pytest.fixture(scope="session")
def names(wheel: Path) -> list[str]:
    """Every file in the wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


def packages() -> Iterator[Path]:
    """Every folder directly below one of the three namespace folders."""
    for root in ROOTS:
        for child in sorted((ROOT / root / "spanloom").iterdir()):
            if child.name != "__pycache__":
                yield child


def test_the_namespace_folders_have_no_init(names):
    """An __init__.py there would hide the other two roots."""
    assert not [root for root in ROOTS if (ROOT / root / "spanloom" / "__init__.py").exists()]
    assert "spanloom/__init__.py" not in names


def test_nothing_else_lies_in_a_root():
    """Roots are on sys.path in editable installs: a stray file there would be importable by everyone."""
    for root in ROOTS:
        assert [child.name for child in (ROOT / root).iterdir() if child.name != "__pycache__"] == ["spanloom"]


def test_every_package_is_typed_and_says_what_is_public(names):
    """Each has py.typed and an __init__ with __all__, in the tree and in the wheel."""
    for package in packages():
        assert package.is_dir(), package
        assert (package / "py.typed").exists(), package
        assert "__all__" in (package / "__init__.py").read_text(), package
        assert f"spanloom/{package.name}/py.typed" in names


def test_private_modules_are_private_by_name():
    """Only __init__, __main__ and the documented door genai.hooks have public file names."""
    allowed = {"__init__.py", "__main__.py", "hooks.py"}
    for root in ROOTS:
        for path in (ROOT / root).rglob("*.py"):
            assert path.name.startswith("_") or path.name in allowed, path


def test_the_wheel_has_all_three_roots_and_the_collector_configuration(names):
    """No root is lost, and the configuration that the command prints is inside."""
    for package in ("genai", "openai", "dspy", "tools", "semconv", "cost", "export", "distro", "cli", "record"):
        assert f"spanloom/{package}/__init__.py" in names
    assert "spanloom/distro/collector_config/spanloom.yaml" in names
    assert "spanloom/distro/collector_config/prices.yaml" in names
    assert "spanloom/cost/prices.json" in names


def test_the_wheel_has_nothing_else(names):
    """Tests, examples and tools stay out."""
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"spanloom"}


def test_entry_points_have_names_of_their_own(wheel):
    """Plain names like `openai` collide with other vendors and give double spans."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [one for one in archive.namelist() if one.endswith("entry_points.txt")]
        points = configparser.ConfigParser(delimiters="=")
        points.optionxform = str  # type: ignore[assignment]
        points.read_string(archive.read(name).decode())
    assert sorted(points["opentelemetry_instrumentor"]) == ["spanloom_dspy", "spanloom_openai", "spanloom_tools"]
    for group in ("opentelemetry_distro", "opentelemetry_configurator", "opentelemetry_post_instrument"):
        assert list(points[group]) == ["spanloom"]
    for signal in ("traces", "metrics", "logs"):
        assert sorted(points[f"opentelemetry_{signal}_exporter"]) == ["spanloom_otlp", "spanloom_record"]


def test_every_entry_point_loads():
    """What the metadata names exists."""
    from importlib.metadata import distribution

    for point in distribution("spanloom").entry_points:
        assert point.load() is not None, point


def metadata(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [one for one in archive.namelist() if one.endswith(".dist-info/METADATA")]
        return email.parser.Parser().parsestr(archive.read(name).decode()).get_all("Requires-Dist") or []


def test_floors_on_betas_and_no_distro_dependency(wheel):
    """Without floors resolvers pick releases of 2024; a second distro would fight ours."""
    base = [line for line in metadata(wheel) if "extra ==" not in line]
    assert any(line.replace(" ", "").startswith("opentelemetry-instrumentation<1,>=0.61b0") for line in base), base
    assert not [line for line in metadata(wheel) if line.startswith("opentelemetry-distro")]


def test_no_extra_is_called_instruments(wheel):
    """The stock loader reads an extra of that name and checks the whole distribution by it."""
    assert not [line for line in metadata(wheel) if "'instruments'" in line or '"instruments"' in line]


def test_the_editable_install_sees_all_three_roots():
    """Without dev-mode-dirs two of the roots are lost in silence."""
    code = "import spanloom; print(len(list(spanloom.__path__)))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd="/").stdout
    assert int(out) >= len(ROOTS)


@pytest.mark.parametrize("package", [path.name for path in packages()])
def test_importing_us_never_imports_the_instrumented_libraries(package):
    """Neither openai nor dspy, nor the SDK for the plugins; nothing heavy at import."""
    # Not psutil: the SDK's resource detectors import it where it is installed.
    forbidden = {"openai", "dspy", "litellm", "fastapi", "requests", "rich", "grpc"}
    if package in {"semconv", "genai", "openai", "dspy", "tools", "cost"}:
        forbidden.add("opentelemetry.sdk")
    code = f"import sys, spanloom.{package}; print(sorted(set({sorted(forbidden)!r}) & set(sys.modules)))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "[]", out


@pytest.mark.parametrize("package", [path.name for path in packages()])
def test_public_names_are_those_of_all(package):
    """`__all__` has no stale name, and names only public ones."""
    import importlib

    module = importlib.import_module(f"spanloom.{package}")
    for name in module.__all__:
        assert not name.startswith("_")
        assert hasattr(module, name), name
