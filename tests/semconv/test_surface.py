"""What is public of each package of the instrumentors."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2] / "instrumentors" / "spanloom"
PACKAGES = sorted(path.name for path in ROOT.iterdir() if (path / "__init__.py").exists())


def test_the_root_is_a_namespace():
    """An `__init__.py` there would hide the other two roots."""
    assert {"semconv", "genai", "openai", "dspy", "tools", "trace"} <= set(PACKAGES)
    assert not (ROOT / "__init__.py").exists()


@pytest.mark.parametrize("name", PACKAGES)
def test_a_package_exports_what_it_has_and_only_that(name):
    """`__all__` is sorted by hand or not, but complete, and each name exists."""
    module = importlib.import_module(f"spanloom.{name}")
    assert len(set(module.__all__)) == len(module.__all__)
    assert all(hasattr(module, one) for one in module.__all__)
    assert (ROOT / name / "py.typed").exists()


@pytest.mark.parametrize("name", PACKAGES)
def test_everything_else_is_private(name):
    """Modules have a leading underscore, but for the one door."""
    public = {path.stem for path in (ROOT / name).glob("*.py") if not path.stem.startswith("_")}
    assert public <= ({"hooks"} if name == "genai" else set())


def test_the_public_names_that_people_type():
    """They stay."""
    from spanloom.dspy import DSPyInstrumentor
    from spanloom.openai import OpenAIInstrumentor
    from spanloom.tools import ToolsInstrumentor, tool
    from spanloom.trace import agent, content, context, inference

    plugins = (DSPyInstrumentor, OpenAIInstrumentor, ToolsInstrumentor)
    assert all(callable(one) for one in (*plugins, tool, agent, content, context, inference))
