"""Child processes: ports, health, and that none is ever left behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import processes
from model_server import ModelServer
from processes import Child, Children, NotReadyError, choose_port, wait_until_healthy

EXAMPLES = Path(processes.__file__).parent
STUBBORN = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print(subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]).pid, flush=True)
time.sleep(60)
"""


@pytest.fixture
def children() -> Iterator[Children]:
    made = Children()
    yield made
    made.stop_all()


def start(children: Children, code: str, folder: Path) -> Child:
    return children.start("thing", [sys.executable, "-c", code], os.environ, folder / "thing.log")


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that is dead and not yet collected does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"


def wait_for(condition: object, seconds: float = 10) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def test_a_taken_port_is_noticed() -> None:
    """A port on which someone listens is not chosen; a free one is taken as preferred."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert choose_port(port) != port
    assert choose_port(port) == port


def test_stop_ends_the_whole_group(children: Children, tmp_path: Path) -> None:
    """A process that ignores SIGTERM is killed after the grace, and so is what it has started."""
    child = start(children, STUBBORN, tmp_path)
    assert wait_for(lambda: child.tail().isdigit())
    grandchild = int(child.tail())
    assert children.stop(child, grace_s=0.2) == -signal.SIGKILL
    assert wait_for(lambda: not is_alive(grandchild))


def test_stop_lets_a_process_finish(children: Children, tmp_path: Path) -> None:
    """A process that ends itself on SIGTERM keeps its own status."""
    code = (
        "import signal, sys, time\nsignal.signal(15, lambda *_: sys.exit(7))\nprint('up', flush=True)\ntime.sleep(60)"
    )
    child = start(children, code, tmp_path)
    assert wait_for(lambda: child.tail() == "up")
    assert children.stop(child) == 7


def test_a_process_that_ends_early_is_explained(children: Children, tmp_path: Path) -> None:
    """The error names the process and its status, and ends with its log."""
    child = start(children, "print('no such engine'); raise SystemExit(3)", tmp_path)
    with pytest.raises(NotReadyError, match=r"the thing ended with status 3(.|\n)*no such engine"):
        wait_until_healthy(f"http://127.0.0.1:{choose_port(0)}/health", child, 10)


def test_a_process_that_never_answers_is_explained(children: Children, tmp_path: Path) -> None:
    """The error after the time-out says for how long which address was asked."""
    child = start(children, "import time; print('thinking', flush=True); time.sleep(60)", tmp_path)
    wait_for(lambda: child.tail() == "thinking")
    with pytest.raises(NotReadyError, match=r"did not answer http://\S+/health within 0.2 s(.|\n)*thinking"):
        wait_until_healthy(f"http://127.0.0.1:{choose_port(0)}/health", child, 0.2)


def test_a_stranger_on_the_port_is_not_taken_for_the_process(children: Children, tmp_path: Path) -> None:
    """A 200 counts once the process itself has said that it listens there."""
    with ModelServer(port=0) as stranger:
        child = start(children, "import time; print('still importing', flush=True); time.sleep(60)", tmp_path)
        with pytest.raises(NotReadyError, match="did not answer"):
            wait_until_healthy(f"{stranger.url}/health", child, 0.3, announced=stranger.url)


def test_a_missing_program_is_explained(children: Children, tmp_path: Path) -> None:
    """A command that does not exist is one clear line."""
    with pytest.raises(NotReadyError, match=r"the thing cannot be started: .*no-such-program"):
        children.start("thing", ["no-such-program"], os.environ, tmp_path / "log")


@pytest.mark.parametrize("end", ["signal", "return", "raise"])
def test_nothing_outlives_its_parent(tmp_path: Path, end: str) -> None:
    """However the parent ends, Ctrl-C and forgotten clean-up included, the children are stopped."""
    last = {"signal": "time.sleep(60)", "return": "pass", "raise": "raise ValueError"}[end]
    code = (
        f"import os, sys, time\nfrom pathlib import Path\nfrom processes import Children\nmade = Children()\n"
        f"child = made.start('thing', [sys.executable, '-c', 'import time; time.sleep(60)'], os.environ, "
        f"Path({str(tmp_path / 'log')!r}))\nprint(child.process.pid, flush=True)\n{last}"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code], cwd=EXAMPLES, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    if end == "signal":
        parent.send_signal(signal.SIGINT)
    parent.wait(20)
    parent.stdout.close()
    assert wait_for(lambda: not is_alive(pid))


def test_a_signal_during_the_start_is_delivered_after_it(tmp_path: Path) -> None:
    """Held signals arrive once the block is over, so no started process is forgotten."""
    reached = False
    with pytest.raises(KeyboardInterrupt), processes.SignalsHeld():
        signal.raise_signal(signal.SIGINT)
        reached = True
    assert reached
