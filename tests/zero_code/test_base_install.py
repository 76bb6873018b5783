"""The base install under the real command: it records, it exports, and bad input costs one clear line."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

APP = """
from opentelemetry import trace
with trace.get_tracer("app").start_as_current_span("work"):
    print("served")
"""


def clean_environment() -> dict[str, str]:
    """The environment of this machine without any setting of OpenTelemetry's or ours."""
    return {k: v for k, v in os.environ.items() if not k.startswith(("OTEL_", "SPANLOOM_", "COVERAGE_"))}


def instrumented(python: Path, folder: Path, settings: Mapping[str, str], code: str = APP):
    """Run a script under `opentelemetry-instrument` in a folder; the process as it ended."""
    script = folder / "app.py"
    script.write_text(code)
    return subprocess.run(
        [str(python.parent / "opentelemetry-instrument"), str(python), str(script)],
        cwd=folder,
        env={**clean_environment(), "OTEL_SERVICE_NAME": "app", **settings},
        capture_output=True,
        text=True,
        timeout=60,
    )


def span_names(record: Path) -> list[str]:
    """Names of all spans in a record folder."""
    names: list[str] = []
    for path in record.rglob("*.jsonl"):
        for line in path.read_text().splitlines():
            for resource in json.loads(line).get("resourceSpans", []):
                names += [span["name"] for scope in resource["scopeSpans"] for span in scope["spans"]]
    return names


def our_lines(stderr: str) -> list[str]:
    """The lines of the log that are ours."""
    return [line for line in stderr.splitlines() if "spanloom" in line.lower()]


def test_the_base_install_is_small(base_python, tmp_path):
    """At most ten distributions with ours."""
    code = "from importlib.metadata import distributions as d; print('\\n'.join(sorted(x.name for x in d())))"
    out = subprocess.run([str(base_python), "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert len(out.stdout.split()) <= 10, out.stdout


def test_without_an_endpoint_the_local_record_is_written_and_nothing_is_said(base_python, tmp_path):
    """No endpoint is no error: the span is in `.spanloom/`, stderr is empty, and `spanloom show` finds it."""
    done = instrumented(base_python, tmp_path, {})
    assert (done.returncode, done.stdout, done.stderr) == (0, "served\n", "")
    assert span_names(tmp_path / ".spanloom") == ["work"]
    shown = subprocess.run(
        [str(base_python.parent / "spanloom"), "show"],
        cwd=tmp_path,
        env=clean_environment(),
        capture_output=True,
        text=True,
    )
    assert shown.returncode == 0, shown.stderr
    assert "work" in shown.stdout


# Settings of one process, and what each of their lines says.
BAD_INPUT = {
    "settings of their own": (
        {
            "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "yes please",
            "SPANLOOM_RECORD_MAX_BYTES": "64MB",
            "SPANLOOM_FLUSH_ON_SIGTERM": "perhaps",
            "SPANLOOM_RECROD": "x",
            "SPANLOOM_TOOLS": "shop.tools.search",
        },
        [
            ["OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "'yes please'", "NO_CONTENT"],
            ["SPANLOOM_RECORD_MAX_BYTES", "'64MB'", "whole number of bytes"],
            ["SPANLOOM_FLUSH_ON_SIGTERM", "'perhaps'", "true or false"],
            ["SPANLOOM_RECROD", "did you mean SPANLOOM_RECORD?"],
            ["SPANLOOM_TOOLS", "'shop.tools.search'", "module:function"],
        ],
    ),
    "record": ({"SPANLOOM_RECORD": "/proc/no-such/record"}, [["SPANLOOM_RECORD", "/proc/no-such/record"]]),
    "endpoint": (
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"},
        [["OTEL_EXPORTER_OTLP", "127.0.0.1:9"]],
    ),
    "protocol": (
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4317", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
        [["spanloom[otlp]", "4318"]],
    ),
    "exporter": ({"OTEL_TRACES_EXPORTER": "zipkin"}, [["OTEL_TRACES_EXPORTER=zipkin", "no such exporter"]]),
}


@pytest.mark.parametrize("case", list(BAD_INPUT))
def test_bad_input_is_one_clear_line_and_the_service_serves_on(base_python, tmp_path, case):
    """Each line names the setting and the cure; the program's output and exit code are its own."""
    settings, lines = BAD_INPUT[case]
    done = instrumented(base_python, tmp_path, settings)
    assert (done.returncode, done.stdout) == (0, "served\n"), done.stderr
    for said in lines:
        assert len([line for line in done.stderr.splitlines() if all(part in line for part in said)]) == 1, done.stderr
    assert "Traceback" not in done.stderr


def fake_distribution(python: Path, name: str, version: str, folder: Path) -> dict[str, str]:
    """Settings that make an (empty) library of this name and version importable."""
    site = folder / "site"
    (site / name).mkdir(parents=True)
    (site / name / "__init__.py").write_text("")
    info = site / f"{name}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    return {"PYTHONPATH": str(site)}


@pytest.mark.parametrize(("name", "version"), [("openai", "1.2.0"), ("openai", "4.0.0"), ("dspy", "2.6.0")])
def test_a_library_outside_the_supported_range_is_named_once(base_python, tmp_path, name, version):
    """One line says what was found, what is supported, and how to silence it; everything else goes on."""
    settings = fake_distribution(base_python, name, version, tmp_path)
    done = instrumented(base_python, tmp_path, settings, f"import {name}\n{APP}")
    assert (done.returncode, done.stdout) == (0, "served\n"), done.stderr
    (line,) = our_lines(done.stderr)
    assert f"{name} {version} is outside the supported range" in line
    assert f"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS=spanloom_{name}" in line
    assert span_names(tmp_path / ".spanloom") == ["work"]


def test_an_exception_of_the_program_is_its_own(base_python, tmp_path):
    """Exit code and traceback are those of a run without us: no frame of ours is in it."""
    code = "def main():\n    raise ValueError('mine')\nmain()\n"
    ours = instrumented(base_python, tmp_path, {}, code)
    bare = subprocess.run([str(base_python), str(tmp_path / "app.py")], capture_output=True, text=True, cwd=tmp_path)
    assert (ours.returncode, ours.stdout, ours.stderr) == (bare.returncode, bare.stdout, bare.stderr)
