"""A clean process, a recording server. Nothing but pytest, the SDKs and us is needed here."""

from __future__ import annotations

import gc
import itertools
import os
from collections.abc import Iterator

import openai
import pytest
from opentelemetry import context as otel

from spanloom.genai import _guard
from tests.no_harm._wire import Wire

_tests = itertools.count()


@pytest.fixture(autouse=True)
def frozen() -> None:
    """What was imported is left out of garbage collections: nearly every test collects, and the SDK loads late."""
    if next(_tests) % 40 == 0:
        gc.collect()
        gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def thawed() -> Iterator[None]:
    """Undone when the tests are over."""
    assert openai.resources.chat.completions.Completions
    yield
    gc.unfreeze()


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No setting of the surroundings, faults of ours raise, nothing stays attached."""
    for name in list(os.environ):
        if name.startswith(("OTEL_", "SPANLOOM_", "OPENAI_", "AZURE_", "AWS_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    monkeypatch.setattr(_guard, "RERAISE", True)
    before = otel.get_current()
    yield
    assert otel.get_current() == before, "a context stayed attached"


@pytest.fixture(scope="session")
def wire() -> Iterator[Wire]:
    """One recording server for all tests of a session."""
    one = Wire()
    yield one
    one.close()
