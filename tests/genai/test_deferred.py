"""What a process pays that never imports an instrumented library: hooks, and nothing of it."""

from __future__ import annotations

import subprocess
import sys
import types

import pytest

import spanloom.genai
from spanloom.dspy import DSPyInstrumentor
from spanloom.genai import Instrumentor, Target, _guard, _telemetry
from spanloom.openai import OpenAIInstrumentor
from tests._support.spans import Recorder
from tests.genai._make import telemetry


@pytest.mark.parametrize("instrumentor", [OpenAIInstrumentor, DSPyInstrumentor])
def test_the_modules_are_those_of_the_targets(instrumentor, recorder):
    """One that is missing in the list would never be patched; one too many would start the core for nothing."""
    used = {target.module for target in instrumentor().targets(telemetry(recorder))}
    library = instrumentor.requires[0].split()[0]
    assert set(instrumentor.modules) == {library, *used}


def test_every_name_has_its_home():
    """Names are loaded when they are asked for; each is listed twice and both must agree."""
    assert sorted(spanloom.genai._HOMES) == sorted(spanloom.genai.__all__)
    for name in spanloom.genai.__all__:
        assert getattr(spanloom.genai, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = spanloom.genai.nonsense


def test_nothing_is_loaded_before_the_library():
    """Neither the library nor our core: the instrumentors wait for its import."""
    program = """
import sys
from spanloom.dspy import DSPyInstrumentor
from spanloom.openai import OpenAIInstrumentor
for one in (OpenAIInstrumentor(), DSPyInstrumentor()):
    one.instrument()
core = ("_calls", "_content", "_invocation", "_kinds", "_stream", "_telemetry")
print([name for name in sys.modules if name.split(".")[0] in ("openai", "dspy", "httpx", "httpx2", "pydantic")])
print([name for name in core if f"spanloom.genai.{name}" in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:2] == ["[]", "[]"]
    assert done.stderr == ""


MODULES = ("pretend_one", "pretend_two")


@pytest.fixture
def made(monkeypatch):
    """An instrumentor of a library of two modules, with a list of what it did."""
    done = []

    class Deferred(Instrumentor):
        scope = "spanloom.pretend"
        entry_point = "spanloom_pretend"
        modules = MODULES

        def targets(self, telemetry):
            done.append(telemetry)
            return [Target(name, "call", lambda original: lambda: ("recorded", original())) for name in MODULES]

    for name in MODULES:
        monkeypatch.delitem(sys.modules, name, raising=False)
    one = Deferred()
    one.done = done
    yield one
    if one.is_instrumented_by_opentelemetry:
        one.uninstrument()


def imported(name, monkeypatch):
    """A module of the library, imported by the application: the hooks of wrapt see it."""
    module = types.ModuleType(name)
    module.call = lambda: name
    monkeypatch.setitem(sys.modules, name, module)
    import wrapt

    wrapt.notify_module_loaded(module)
    return module


def test_the_first_import_starts_it_once(made, monkeypatch):
    """With the providers that were given; the second module finds everything ready."""
    recorder = Recorder()
    made.instrument(**recorder.providers)
    assert made.done == []
    first = imported("pretend_one", monkeypatch)
    assert first.call() == ("recorded", "pretend_one")
    second = imported("pretend_two", monkeypatch)
    assert second.call() == ("recorded", "pretend_two")
    assert len(made.done) == 1
    made.uninstrument()
    assert (first.call(), second.call()) == ("pretend_one", "pretend_two")


def test_uninstrument_before_the_import_wins(made, monkeypatch):
    """The hook stays and does nothing."""
    made.instrument()
    made.uninstrument()
    assert imported("pretend_one", monkeypatch).call() == "pretend_one"
    assert made.done == []


def test_a_version_out_of_range_is_told_at_the_import(made, monkeypatch, caplog):
    """Who never imports the library is not bothered."""
    monkeypatch.setattr(type(made), "requires", ("pytest < 1",))
    made.instrument()
    assert not caplog.records
    assert imported("pretend_one", monkeypatch).call() == "pretend_one"
    assert imported("pretend_two", monkeypatch).call() == "pretend_two"
    (record,) = caplog.records
    assert "pytest < 1" in record.getMessage()


def test_a_start_that_fails_fails_once(made, monkeypatch, caplog):
    """The application's import goes on, with one line."""
    monkeypatch.setattr(_guard, "RERAISE", False)
    monkeypatch.setattr(_telemetry, "Telemetry", lambda *_: 1 // 0)
    made.instrument()
    assert imported("pretend_one", monkeypatch).call() == "pretend_one"
    assert imported("pretend_two", monkeypatch).call() == "pretend_two"
    assert len(caplog.records) == 1
