"""Fresh environments with the built wheel, shared by the zero-code tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests._support.wheel import built_wheel, fresh_environment, locked_versions


@pytest.fixture(scope="session")
def base_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with nothing but the wheel."""
    folder = tmp_path_factory.mktemp("base") / "env"
    return fresh_environment(folder, str(built_wheel()), constraints=locked_versions())


@pytest.fixture(scope="session")
def example_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment as the README's user has it, with what the example service imports."""
    folder = tmp_path_factory.mktemp("example") / "env"
    wheel = f"spanloom[openai,dspy,fastapi,requests,system] @ {built_wheel().as_uri()}"
    service = ("fastapi", "uvicorn", "requests", "openai", "dspy", "gunicorn")
    return fresh_environment(folder, wheel, *service, constraints=locked_versions())


@pytest.fixture(scope="session")
def hook_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the official GenAI utilities and the instrumentation of httpx."""
    others = ("opentelemetry-util-genai[upload]==1.3b0", "opentelemetry-instrumentation-httpx>=0.61b0,<1")
    wheel = f"spanloom[openai] @ {built_wheel().as_uri()}"
    folder = tmp_path_factory.mktemp("beside") / "env"
    return fresh_environment(folder, wheel, *others, constraints=locked_versions())
