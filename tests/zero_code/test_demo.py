"""`make demo` as a person runs it: what it prints, when it fails, and that Ctrl-C leaves nothing behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

from demo import Sent, demo_calls
from deploy.local.check import Span
from line_check import trace_problems
from run_demo import RECORD, recorded_traces
from tests._support.wheel import ROOT
from tests.zero_code.test_base_install import clean_environment

SCRIPT = ROOT / "examples" / "run_demo.py"


def start(python: Path, **settings: str) -> subprocess.Popen[str]:
    """The demo as a process group of its own, its output in a pipe (so without colour)."""
    return subprocess.Popen(
        [str(python), str(SCRIPT)],
        env={**clean_environment(), "PYTHONUNBUFFERED": "1", **settings},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def children(parent: int) -> set[int]:
    """The processes that a process has started and that still run."""
    found = subprocess.run(["ps", "-eo", "pid=,ppid=,stat="], capture_output=True, text=True, check=True).stdout
    rows = (line.split() for line in found.splitlines())
    return {int(pid) for pid, ppid, state in rows if int(ppid) == parent and not state.startswith("Z")}


def runs(pid: int) -> bool:
    """Whether a process is there and not dead; an orphan that only waits to be collected is."""
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return bool(state.strip()) and not state.startswith("Z")


@pytest.fixture(scope="module")
def printed(example_python: Path) -> tuple[str, str, list[list[Span]]]:
    """One run that goes well: both outputs, and the traces of its record."""
    out, err = start(example_python).communicate(timeout=120)
    return out, err, recorded_traces(ROOT / RECORD)


def test_the_demo_prints_every_tree_with_its_figures(example_python, printed):
    """Exit code 0; HTTP request, modules, tools and model calls with tokens and money; where the record lies."""
    out, err, _ = printed
    assert err == ""
    for part in ("POST /ask 200", "└ invoke_workflow HandbookProgram", "execute_tool stock_level", "asks stock_level"):
        assert part in out
    assert out.count("tokens · $") == 4
    assert "1 unpriced · 1 error" in out
    assert "The record      .spanloom/demo/record" in out
    assert "NOT AS EXPECTED" not in out
    # The command's own path is as long as it is.
    assert [line for line in out.splitlines() if len(line) > 80 and str(example_python.parent) not in line] == []
    assert "\x1b" not in out


@pytest.mark.parametrize(
    "scope", ["opentelemetry.instrumentation.requests", "spanloom.dspy", "spanloom.tools", "spanloom.openai"]
)
def test_the_spans_of_each_instrumentation_would_be_missed(printed, scope):
    """Without those of one of them the demo's check names a chain that no trace goes."""
    *_, traces = printed
    sent = [Sent(call, call.expected, 0.0, "") for call in demo_calls()]
    assert trace_problems(traces, sent) == []
    left = [[span for span in spans if span["scope"] != scope] for spans in traces]
    assert left != traces
    assert any(line.startswith("no trace goes POST /") for line in trace_problems(left, sent))


def test_the_demo_fails_where_something_is_missing(example_python):
    """Exit code 1, and a line that names it."""
    process = start(example_python, OTEL_PYTHON_DISABLED_INSTRUMENTATIONS="spanloom_openai")
    _, err = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "no trace goes POST /chat → chat" in err
    assert "input tokens: the model server counted" in err


def test_ctrl_c_leaves_no_process_behind(example_python):
    """In the middle of it: exit code 130, one line, and both servers are gone."""
    process = start(example_python)
    assert process.stdout is not None
    lines: list[str] = []
    while not lines or not lines[-1].startswith("service"):
        lines.append(process.stdout.readline())
    # It stands still while we look: on a busy machine it would be over before.
    os.killpg(process.pid, signal.SIGSTOP)
    port = int(lines[-1].rpartition(":")[2])
    started = children(process.pid)
    assert len(started) == 2
    os.killpg(process.pid, signal.SIGINT)
    os.killpg(process.pid, signal.SIGCONT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "everything is stopped" in err
    time.sleep(0.2)
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0
    assert [pid for pid in started if runs(pid)] == []
