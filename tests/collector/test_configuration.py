"""spanloom.yaml by itself: it validates, it starts, its settings are documented, and wrong ones are named."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from deploy.local import _process, _programs
from deploy.local._common import ROOT, StackError, fetch
from tests.collector.conftest import Up

TEXT = _programs.CONFIGURATION.read_text()
README = (ROOT / "collector_config" / "README.md").read_text()
SETTING = re.compile(r"\$\{env:(\w+)(?::-([^}]*))?\}")
ROW = re.compile(r"^\| `(SPANLOOM_\w+)` \| `([^`]*)` \|", re.MULTILINE)


def environment(tmp_path: Path, **more: str) -> dict[str, str]:
    """Free ports, a queue folder of the test's own and the price table: everything else is the file's default."""
    ports = _process.free_ports(_programs.PORTS, {})
    made = _programs.collector_environment(ports, _programs.Settings(), tmp_path)
    kept = {name: value for name, value in made.items() if name.endswith(("_PORT", "_QUEUE_DIR", "_TABLE"))}
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("SPANLOOM_", "OTEL_"))}
    return {**clean, **kept, **more}


def collector(programs: dict[str, Path], *arguments: str, env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run the binary to its end; one that does not end by itself within 20 s fails the test."""
    command = [str(programs["otelcol-spanloom"]), *arguments]
    return subprocess.run(command, env=dict(env), capture_output=True, text=True, timeout=20, check=False)


def test_every_setting_has_a_default_and_always_the_same() -> None:
    """Each ${env:…} names a SPANLOOM_ variable with a default, and a variable used twice has one default."""
    defaults: dict[str, set[str]] = {}
    for name, default in SETTING.findall(TEXT):
        defaults.setdefault(name, set()).add(default)
    assert len(defaults) > 20
    assert {name: found for name, found in defaults.items() if len(found) != 1 or found == {""}} == {}
    assert all(name.startswith("SPANLOOM_") for name in defaults)


def test_readme_table_has_every_setting_with_its_default() -> None:
    """The table in README.md and the configuration hold the same names and defaults."""
    assert dict(ROW.findall(README)) == dict(SETTING.findall(TEXT))


def test_it_validates_with_nothing_set(programs: dict[str, Path], tmp_path: Path) -> None:
    """`validate` accepts the file with all defaults."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("SPANLOOM_", "OTEL_"))}
    done = collector(programs, "validate", "--config", str(_programs.CONFIGURATION), env=clean)
    assert (done.returncode, done.stderr) == (0, "")


def test_it_starts_with_the_defaults_and_ends_when_asked(programs: dict[str, Path], tmp_path: Path) -> None:
    """With no Jaeger and no Prometheus anywhere it is healthy, logs no error, and SIGTERM ends it cleanly."""
    env = environment(tmp_path)
    log = tmp_path / "collector.log"
    argv = [str(programs["otelcol-spanloom"]), "--config", str(_programs.CONFIGURATION)]
    pid = _process.start(argv, env, log)
    try:
        _process.wait_healthy("collector", pid, f"http://127.0.0.1:{env['SPANLOOM_HEALTH_PORT']}/", log, 20)
        metrics = {port: fetch(f"http://127.0.0.1:{env[port]}/metrics")[0] for port in _METRICS_PORTS}
    finally:
        _process.stop([pid])
    assert metrics == dict.fromkeys(_METRICS_PORTS, 200)
    text = log.read_text()
    assert "Everything is ready" in text
    assert "Shutdown complete" in text
    assert not re.search(r"\t(warn|error)\t", text), text


_METRICS_PORTS = ("SPANLOOM_PROMETHEUS_PORT", "SPANLOOM_TELEMETRY_PORT")


@pytest.mark.parametrize(
    ("setting", "value", "named"),
    [
        ("SPANLOOM_SAMPLING_BASELINE_PERCENT", "lots", "sampling_percentage"),
        ("SPANLOOM_SAMPLING_DECISION_WAIT", "soon", "decision_wait"),
        ("SPANLOOM_OTLP_GRPC_PORT", "nowhere", "nowhere"),
        ("SPANLOOM_MEMORY_LIMIT_PERCENT", "0", "memory_limiter"),
        ("SPANLOOM_QUEUE_MAX_BYTES", "0", "queue_size"),
        ("SPANLOOM_TELEMETRY_LOG_LEVEL", "loud", "loud"),
    ],
)
def test_a_wrong_setting_is_refused_by_name(
    programs: dict[str, Path], tmp_path: Path, setting: str, value: str, named: str
) -> None:
    """The Collector ends with an error that names the key (or the value) instead of running with something else."""
    env = environment(tmp_path, **{setting: value})
    done = collector(programs, "--config", str(_programs.CONFIGURATION), env=env)
    assert done.returncode != 0
    assert named in done.stderr


def test_a_queue_folder_that_is_a_file_is_refused(programs: dict[str, Path], tmp_path: Path) -> None:
    """Nothing is kept in memory only behind the operator's back."""
    blocked = tmp_path / "file"
    blocked.write_text("")
    env = environment(tmp_path, SPANLOOM_QUEUE_DIR=str(blocked))
    done = collector(programs, "--config", str(_programs.CONFIGURATION), env=env)
    assert done.returncode != 0
    assert f"{blocked} is not a directory" in done.stderr


def test_an_unknown_key_in_an_overlay_is_refused(programs: dict[str, Path], tmp_path: Path) -> None:
    """A misspelt key in a second file is named, and not ignored."""
    overlay = tmp_path / "mine.yaml"
    overlay.write_text("processors:\n  tail_sampling:\n    decision_weight: 3s\n")
    both = ["--config", str(_programs.CONFIGURATION), "--config", str(overlay)]
    done = collector(programs, "validate", *both, env=environment(tmp_path))
    assert done.returncode != 0
    assert "decision_weight" in done.stderr


def test_a_bad_setting_stops_the_whole_stack_and_says_why(up: Up, tmp_path: Path) -> None:
    """`Stack.up` raises with the end of the Collector's log, and Jaeger, started before, is stopped again."""
    with pytest.raises(StackError, match=r"collector ended while it started[\s\S]*sampling_percentage"):
        up(environment={"SPANLOOM_SAMPLING_BASELINE_PERCENT": "lots"})
    assert not (tmp_path / "stack" / "stack.json").exists()
