"""The base instrumentor: OpenTelemetry's lifecycle, one line for a library outside the range, no harm at the start."""

from __future__ import annotations

import importlib.metadata
import sys
import types

import pytest
from packaging.version import InvalidVersion

from spanloom.genai import Instrumentor, Target, _guard, _instrumentor, _telemetry

MODULE = "pretend_library"


@pytest.fixture
def made(monkeypatch):
    """A fresh instrumentor class (its instances are singletons) for a library that is a module with one function."""
    module = types.ModuleType(MODULE)
    module.call = lambda x: x
    monkeypatch.setitem(sys.modules, MODULE, module)

    class Pretend(Instrumentor):
        scope = "spanloom.pretend"
        entry_point = "spanloom_pretend"
        requires = ("pretend >= 2, < 3",)

        def targets(self, telemetry):
            self.seen = telemetry
            return [Target(MODULE, "call", lambda original: lambda x: ("recorded", original(x)))]

    yield Pretend()
    if Pretend().is_instrumented_by_opentelemetry:
        Pretend().uninstrument()


@pytest.fixture
def installed(monkeypatch):
    """Say which version of the library is installed; None for none."""

    def say(version):
        def fake(name):
            if version is None:
                raise importlib.metadata.PackageNotFoundError(name)
            return version

        monkeypatch.setattr(_instrumentor, "version", fake)

    say("2.5")
    return say


def call(x):
    """The library's function as the application finds it now."""
    return sys.modules[MODULE].call(x)


def test_instrument_and_uninstrument(made, installed, recorder):
    """With the given providers; the original is back afterwards."""
    original = sys.modules[MODULE].call
    made.instrument(**recorder.providers)
    assert call(1) == ("recorded", 1)
    assert made.seen.enabled
    assert made.seen.scope == "spanloom.pretend"
    made.uninstrument()
    assert sys.modules[MODULE].call is original
    assert not made.seen.enabled


def test_again_after_uninstrument(made, installed):
    """As often as one likes."""
    for _ in range(3):
        made.instrument()
        assert call(1) == ("recorded", 1)
        made.uninstrument()
        assert call(1) == 1


def test_instrument_twice_is_once(made, installed, caplog):
    """The second says so."""
    made.instrument()
    made.instrument()
    assert call(1) == ("recorded", 1)
    assert "already instrumented" in caplog.text


def test_uninstrument_without_instrument(made, caplog):
    """Harmless."""
    made.uninstrument()
    made._uninstrument()
    assert "already uninstrumented" in caplog.text


@pytest.mark.parametrize("loader", [{}, {"skip_dep_check": True}, {"raise_exception_on_conflict": True}])
@pytest.mark.parametrize("version", ["1.9", "3.0", "3.1.4", "not a version"])
def test_a_version_outside_the_range_is_one_line(version, loader, made, installed, caplog):
    """It names library, version, range and both cures; nothing is patched; the loader's switches change nothing."""
    installed(version)
    made.instrument(**loader)
    assert call(1) == 1
    (record,) = caplog.records
    text = record.getMessage()
    assert record.levelname == "WARNING"
    assert all(part in text for part in ("pretend", version, "pretend >= 2, < 3", "install"))
    assert "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS=spanloom_pretend" in text


@pytest.mark.parametrize("version", ["2.0", "2.9.9", "2.5rc1", "2.5.dev3+local"])
def test_a_version_in_the_range(version, made, installed, caplog):
    """Prereleases too: whoever installs one wants it recorded."""
    installed(version)
    made.instrument()
    assert call(1) == ("recorded", 1)
    assert not caplog.records


def test_a_library_that_is_not_installed_is_silent(made, installed, caplog):
    """Most processes do not use most libraries."""
    installed(None)
    made.instrument()
    assert call(1) == 1
    assert not caplog.records
    assert list(made.instrumentation_dependencies()) == ["pretend >= 2, < 3"]


@pytest.mark.parametrize("where", [(_instrumentor, "version"), (_telemetry, "Telemetry")])
def test_a_fault_at_the_start_is_kept_from_the_application(where, made, installed, monkeypatch, caplog):
    """A broken installation, a meter provider that raises: one line, and the application starts."""
    monkeypatch.setattr(_guard, "RERAISE", False)
    monkeypatch.setattr(*where, lambda *_: 1 // 0)
    made.instrument()
    assert call(1) == 1
    assert "genai.instrument:spanloom_pretend" in caplog.text
    assert not made.is_instrumented_by_opentelemetry


def test_a_packaging_library_that_raises_for_odd_versions():
    """Older releases of it do."""

    class Wanted:
        """A requirement."""

        class specifier:
            """Which refuses."""

            @staticmethod
            def contains(found, prereleases):
                raise InvalidVersion(found)

    assert not _instrumentor._contains(Wanted, "odd")


def test_the_version_of_our_scopes(monkeypatch):
    """The installed one; from a source tree that was never installed a word that is no version."""
    assert _telemetry.own_version() == importlib.metadata.version("spanloom")

    def missing(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(_telemetry, "version", missing)
    assert _telemetry.own_version() == "0+unknown"


def test_the_entry_points_exist():
    """The names that the environment variable disables."""
    from spanloom.dspy import DSPyInstrumentor
    from spanloom.openai import OpenAIInstrumentor
    from spanloom.tools import ToolsInstrumentor

    found = {one.name: one for one in importlib.metadata.entry_points(group="opentelemetry_instrumentor")}
    for kind in (DSPyInstrumentor, OpenAIInstrumentor, ToolsInstrumentor):
        assert found[kind.entry_point].load() is kind
        assert kind.scope == kind.__module__
