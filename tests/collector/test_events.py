"""Events of real calls through the Collector: taken on the port of the spans, and passed on where a file says where."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from deploy.local import _process, _programs, binaries, check
from deploy.local._common import ROOT
from spanloom.export import OTLPJsonLogExporter
from spanloom.semconv import Event, GenAI
from tests._support.spans import Recorder
from tests.collector.test_configuration import environment
from tests.genai._make import inference, telemetry

README = (ROOT / "collector_config" / "README.md").read_text()
Start = Callable[..., tuple[dict[str, str], Path]]


@pytest.fixture(scope="module")
def binary() -> Path:
    """The Collector."""
    return binaries.ensure("otelcol-spanloom")["otelcol-spanloom"]


@pytest.fixture
def start(binary: Path, tmp_path: Path) -> Iterator[Start]:
    """Start Collectors; each gives its environment and its log. All are stopped at the end."""
    pids: list[int] = []

    def one(name: str, *overlays: Path, **settings: str) -> tuple[dict[str, str], Path]:
        folder = tmp_path / name
        folder.mkdir()
        env, log = environment(folder, **settings), folder / "collector.log"
        files = [part for path in (_programs.CONFIGURATION, *overlays) for part in ("--config", str(path))]
        pids.append(_process.start([str(binary), *files], env, log))
        url = f"http://127.0.0.1:{env['SPANLOOM_HEALTH_PORT']}/"
        _process.wait_healthy(name, pids[-1], url, log, 20)
        return env, log

    yield one
    _process.stop(pids)


def send_events(env: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The events of one answered and one failed call, from the core by our exporter; all of them are taken."""
    for name in [name for name in os.environ if name.startswith(("OTEL_", "SPANLOOM_CONTENT"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "EVENT_ONLY")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{env['SPANLOOM_OTLP_HTTP_PORT']}")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    recorder, exporter = Recorder(), OTLPJsonLogExporter()
    answered, failed = inference(telemetry(recorder)), inference(telemetry(recorder))
    answered.input_content = {
        GenAI.INPUT_MESSAGES: lambda: [{"role": "user", "parts": [{"type": "text", "content": "a secret"}]}]
    }
    answered.stop()
    failed.fail(ValueError("no such model"))
    assert exporter.export(recorder.events).name == "SUCCESS"
    assert exporter.dropped == 0
    exporter.shutdown()
    recorder.close()


def settled(log: Path, part: str) -> str:
    """The Collector's log, once it has this part."""
    check.eventually(lambda: part in log.read_text() or None, 15, f"{part!r} in {log}")
    return log.read_text()


def test_events_are_taken_without_an_error_and_only_counted(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """The default: a line with their number; nothing of their content is in the Collector's log."""
    env, log = start("collector")
    send_events(env, monkeypatch)
    text = settled(log, '"log records": 3')
    assert "a secret" not in text
    assert not re.search(r"\t(warn|error)\t", text), text


def test_events_are_passed_on_by_the_overlay_of_the_readme(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the file that README.md shows they arrive whole at another OTLP endpoint: names, ids, nested content."""
    there, its_log = start("store", SPANLOOM_LOG_RECORDS_VERBOSITY="detailed")
    (shown,) = [block for block in re.findall(r"```yaml\n(.*?)```", README, re.DOTALL) if "logs/in" in block]
    overlay = tmp_path / "logs.yaml"
    overlay.write_text(shown.replace("logs.example:4317", f"127.0.0.1:{there['SPANLOOM_OTLP_GRPC_PORT']}"))
    assert "127.0.0.1" in overlay.read_text()
    env, log = start("collector", overlay)
    send_events(env, monkeypatch)
    text = settled(its_log, Event.EXCEPTION)
    assert text.count(f"EventName: {Event.INFERENCE_DETAILS}") == 2
    assert 'Slice([{"parts":[{"content":"a secret","type":"text"}],"role":"user"}])' in text
    assert "Trace ID: 00000000000000000000000000000001" in text
    assert not re.search(r"\t(warn|error)\t", log.read_text()), log.read_text()
