"""How the distro sets up a process, beside the choice of exporters."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import textwrap
from importlib.metadata import EntryPoint
from typing import ClassVar

import pytest

from spanloom.distro import _check, _distro, _processes, _resource, _signals, _variables
from spanloom.distro._configurator import SpanloomConfigurator
from spanloom.distro._distro import SpanloomDistro
from spanloom.genai import _guard
from tests._support.wheel import ROOT


class Recording:
    """Stands in for an instrumentor class: keeps what it was called with."""

    seen: ClassVar[list[dict]] = []

    def __init__(self, **kwargs):
        type(self).seen.append({"init": kwargs})

    def instrument(self, **kwargs):
        type(self).seen.append({"instrument": kwargs})


class Failing:
    """An instrumentor that breaks while it is loaded."""

    error: Exception = RuntimeError("boom")

    def instrument(self, **kwargs):
        raise type(self).error


class FakeEntryPoint:
    """An entry point that loads a given object."""

    def __init__(self, name: str, value: object) -> None:
        self.name, self._value = name, value

    def load(self) -> object:
        return self._value


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    """No call list and no re-raising from another test."""
    Recording.seen = []
    monkeypatch.setattr(_guard, "RERAISE", False)
    monkeypatch.setattr(_guard, "_last_logged", {})


def load(name: str, value: object, **kwargs) -> None:
    SpanloomDistro().load_instrumentor(FakeEntryPoint(name, value), **kwargs)  # pyright: ignore[reportArgumentType]


def test_fastapi_gets_no_span_per_streamed_chunk():
    """The stock default is one `http send` span a chunk."""
    load("fastapi", Recording, skip_dep_check=True)
    assert Recording.seen[1] == {"instrument": {"exclude_spans": ["receive", "send"], "skip_dep_check": True}}


def test_process_metrics_are_the_current_names_only():
    """The deprecated process.runtime.* names are left out."""
    load("system_metrics", Recording)
    names = Recording.seen[0]["init"]["config"]
    assert "process.memory.usage" in names
    assert not [name for name in names if name.startswith(("process.runtime", "system."))]


def test_other_instrumentors_are_loaded_as_they_are():
    """Nothing is added for instrumentors that we have no opinion on."""
    load("requests", Recording, skip_dep_check=True)
    assert Recording.seen == [{"init": {}}, {"instrument": {"skip_dep_check": True}}]


def test_an_instrumentor_that_fails_costs_itself(caplog):
    """The stock loader gives up on all instrumentors after the one that raised."""
    with caplog.at_level(logging.WARNING, "spanloom"):
        load("broken", Failing)
    assert "distro.load:broken" in caplog.text


def test_a_missing_library_is_the_loaders_business(monkeypatch):
    """ImportError passes: the stock loader knows what it means and stays silent."""
    monkeypatch.setattr(Failing, "error", ModuleNotFoundError("no such library"))
    with pytest.raises(ModuleNotFoundError):
        load("absent", Failing)


def test_a_typing_error_in_one_of_our_variables_is_named():
    """The line offers the option that was probably meant."""
    lines = list(_variables.unknown({"SPANLOOM_RECROD": "x", "SPANLOOM_RECORD": "y", "PATH": "z"}))
    assert lines == ["SPANLOOM_RECROD is not a setting and has no effect; did you mean SPANLOOM_RECORD?"]


def test_variables_of_the_collector_are_not_taken_for_misspelt_ones():
    """Our Collector reads SPANLOOM_… too, and a service may share its environment file."""
    assert list(_variables.unknown({"SPANLOOM_JAEGER_ENDPOINT": "x", "SPANLOOM_CACHE_DIR": "y"})) == []


def test_the_resource_tracker_is_left_alone(monkeypatch):
    """It inherits the service's environment, and would write empty records."""
    monkeypatch.setattr(sys, "orig_argv", ["python", "-c", "from multiprocessing.resource_tracker import main;main(5)"])
    assert _processes.is_helper()
    load("requests", Recording)
    assert Recording.seen == []


def test_an_ordinary_process_is_no_helper(monkeypatch):
    """A service is not mistaken for one of Python's own processes."""
    monkeypatch.setattr(sys, "orig_argv", ["python", "main.py"])
    assert not _processes.is_helper()


@pytest.mark.parametrize(
    ("distro", "configurator", "missing"),
    [
        (False, True, "OTEL_PYTHON_DISTRO=spanloom"),
        (True, False, "OTEL_PYTHON_CONFIGURATOR=spanloom"),
        (False, False, "OTEL_PYTHON_DISTRO=spanloom and OTEL_PYTHON_CONFIGURATOR=spanloom"),
    ],
)
def test_a_lost_place_is_said_with_the_cure(monkeypatch, caplog, distro, configurator, missing):
    """Where another distribution was taken, one line names the variables to set."""
    monkeypatch.delenv("OTEL_PYTHON_DISTRO", raising=False)
    monkeypatch.setattr(SpanloomDistro, "configured", distro)
    monkeypatch.setattr(SpanloomConfigurator, "configured", configurator)
    with caplog.at_level(logging.WARNING, "spanloom"):
        _check.post_instrument()
    assert f"set {missing}" in caplog.text


def test_nothing_is_said_where_we_are_in_place_or_not_wanted(monkeypatch, caplog):
    """In place: silence. Another distro named by the user: silence as well."""
    monkeypatch.setattr(SpanloomDistro, "configured", True)
    monkeypatch.setattr(SpanloomConfigurator, "configured", True)
    _check.post_instrument()
    monkeypatch.setattr(SpanloomDistro, "configured", False)
    monkeypatch.setenv("OTEL_PYTHON_DISTRO", "another")
    _check.post_instrument()
    assert caplog.text == ""


def test_the_own_exporters_are_found_by_their_entry_points():
    """The names that the distro chooses must exist in the installed package."""
    for kind in ("traces", "metrics", "logs"):
        assert _distro._has_exporter(kind, "spanloom_otlp")
        assert _distro._has_exporter(kind, "spanloom_record")
        assert not _distro._has_exporter(kind, "no_such_exporter")


def run(code: str, tmp_path, *, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run a script under `opentelemetry-instrument`-like start-up and give back its output."""
    script = tmp_path / "app.py"
    script.write_text(textwrap.dedent(code))
    return subprocess.run(
        [sys.executable, str(script)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "OTEL_SERVICE_NAME": "app", **(env or {})},
        timeout=60,
    )


APP = """
    import os, signal, sys, time
    from spanloom.distro import start
    start()
    from opentelemetry import trace
    with trace.get_tracer("app").start_as_current_span("work"):
        pass
    {end}
"""


def recorded(tmp_path) -> str:
    return "".join(path.read_text() for path in (tmp_path / ".spanloom").rglob("*.jsonl"))


@pytest.mark.parametrize(
    ("end", "code"),
    [
        ("pass", 0),
        ("sys.exit(3)", 3),
        ("os.kill(os.getpid(), signal.SIGTERM); time.sleep(30)", -signal.SIGTERM),
        ("os.kill(os.getpid(), signal.SIGINT); time.sleep(30)", None),
    ],
)
def test_the_last_batch_is_written_however_the_process_ends(tmp_path, end, code):
    """Normal end, exit code, SIGTERM and Ctrl-C: the span is in the record, and the exit code is the program's own."""
    result = run(APP.format(end=end), tmp_path)
    assert '"name":"work"' in recorded(tmp_path).replace('": "', '":"'), result.stderr
    assert code is None or result.returncode == code


def test_flushing_at_sigterm_can_be_switched_off(tmp_path):
    """With SPANLOOM_FLUSH_ON_SIGTERM=off the signal keeps its default handler."""
    code = APP.format(end="print(signal.getsignal(signal.SIGTERM) is signal.SIG_DFL)")
    assert run(code, tmp_path).stdout.strip() == "False"
    assert run(code, tmp_path, env={"SPANLOOM_FLUSH_ON_SIGTERM": "off"}).stdout.strip() == "True"


def test_a_handler_of_the_application_is_left_in_place(tmp_path):
    """Who handles SIGTERM already keeps the handler."""
    code = """
        import signal
        def mine(number, frame): pass
        signal.signal(signal.SIGTERM, mine)
        from spanloom.distro import start
        start()
        print(signal.getsignal(signal.SIGTERM) is mine)
    """
    assert run(code, tmp_path).stdout.strip() == "True"


def test_no_record_is_written_when_it_is_off(tmp_path):
    """SPANLOOM_RECORD=off leaves no folder behind."""
    result = run(APP.format(end="pass"), tmp_path, env={"SPANLOOM_RECORD": "off"})
    assert result.returncode == 0
    assert not (tmp_path / ".spanloom").exists()


def test_an_entry_point_object_of_the_standard_library_is_accepted():
    """The loader passes importlib.metadata's own EntryPoint: what it names is imported and instrumented."""
    value = "opentelemetry.instrumentation.requests:RequestsInstrumentor"
    point = EntryPoint("requests", value, "opentelemetry_instrumentor")
    instrumentor = point.load()()
    SpanloomDistro().load_instrumentor(point)
    assert instrumentor.is_instrumented_by_opentelemetry
    instrumentor.uninstrument()


@pytest.mark.parametrize(
    "environ",
    [
        {"OTEL_RESOURCE_ATTRIBUTES": "a=b, service.instance.id = mine"},
        {"OTEL_EXPERIMENTAL_RESOURCE_DETECTORS": "otel,service_instance"},
    ],
)
def test_an_instance_id_of_the_users_is_kept(environ):
    """Whoever names the instance, or lets the SDK name it, is followed."""
    assert _resource.instance_attributes(environ) == {}


def test_each_process_gets_an_instance_id_of_its_own():
    """Two processes of one service must not share a metric series."""
    first, second = _resource.instance_attributes({}), _resource.instance_attributes({})
    assert list(first) == ["service.instance.id"]
    assert first != second


def test_starting_twice_changes_nothing(tmp_path):
    """One line, and no finisher that would price every call a second time."""
    code = """
        from spanloom.distro import start
        start(); start()
        from spanloom.genai import _registry
        print(len(_registry.finishers))
    """
    result = run(code, tmp_path)
    assert result.stdout.strip() == "1"
    assert result.stderr.count("set up already") == 1
    assert len(result.stderr.splitlines()) == 1


POOL = """
    import multiprocessing, sys
    from spanloom.distro import start
    start()
    from opentelemetry import trace

    def work(number):
        with trace.get_tracer("app").start_as_current_span(f"item {{number}}"):
            return number

    if __name__ == "__main__":
        context = multiprocessing.get_context("{method}")
        with trace.get_tracer("app").start_as_current_span("parent"):
            with context.Pool(2) as pool:
                pool.map(work, range(4))
                pool.close()
                pool.join()
"""


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_workers_of_multiprocessing_deliver_their_spans(tmp_path, method):
    """Forked workers leave by os._exit, without exit handlers; their spans are written all the same."""
    result = run(POOL.format(method=method), tmp_path)
    assert result.returncode == 0, result.stderr
    for number in range(4):
        assert f'"item {number}"' in recorded(tmp_path), result.stderr
    assert recorded(tmp_path).count('"parent"') == 1


STREAM = """
    import os, signal, time
    from spanloom.distro import start
    start()
    from model_server import ModelServer
    import openai
    with ModelServer(port=0) as server:
        client = openai.OpenAI(base_url=server.openai_base_url, api_key="x", max_retries=0)
        messages = [{"role": "user", "content": "hello [[words:50]] [[pause:0.05]]"}]
        stream = client.chat.completions.create(model="gpt-4o-mini", messages=messages, stream=True)
        next(iter(stream))
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(30)
"""


def test_a_stream_that_is_open_at_sigterm_is_recorded(tmp_path):
    """The call began and its span ends, though nobody read the stream to its end."""
    result = run(STREAM, tmp_path, env={"PYTHONPATH": str(ROOT / "examples")})
    assert result.returncode == -signal.SIGTERM, result.stderr
    assert '"chat gpt-4o-mini"' in recorded(tmp_path)
    assert '"dropped"' in recorded(tmp_path)


def test_process_1_keeps_the_default_action(monkeypatch):
    """There the default is to ignore the signal: closing telemetry would silence a program that goes on."""
    monkeypatch.setattr(os, "getpid", lambda: 1)
    before = signal.getsignal(signal.SIGTERM)
    _signals.flush_on_sigterm()
    assert signal.getsignal(signal.SIGTERM) is before
