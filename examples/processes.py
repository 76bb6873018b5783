"""Child processes for the demo: started on free ports, waited for, and never left behind."""

from __future__ import annotations

import atexit
import os
import signal
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

HOST = "127.0.0.1"
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class NotReadyError(RuntimeError):
    """A process did not come up; the message says which, why, and ends with the tail of its log."""


@dataclass
class Child:
    """A started process, leader of its own process group."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    def tail(self, lines: int = 15) -> str:
        """The last lines of the log."""
        return "\n".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])

    def signal_group(self, number: int) -> None:
        """Signal the process and everything that it has started."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, number)


class SignalsHeld:
    """Holds Ctrl-C and SIGTERM back while a block runs, and delivers the last one after it.

    Without this a signal between the start of a process and the moment it is written down would lose it.
    Only the main thread receives signals, so elsewhere this does nothing.
    """

    def __init__(self) -> None:
        self.pending: int | None = None
        self._previous: dict[signal.Signals, Any] = {}

    def __enter__(self) -> SignalsHeld:
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                self._previous[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler or signal.SIG_DFL)
        if self.pending is not None:
            signal.raise_signal(self.pending)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self.pending = number


class TerminationRaises:
    """Turns SIGTERM into `SystemExit` while a block runs, so that ``with`` blocks are left in order."""

    def __init__(self) -> None:
        self._previous: Any = None
        self._installed = False

    def __enter__(self) -> None:
        if threading.current_thread() is threading.main_thread():
            self._previous = signal.signal(signal.SIGTERM, _raise_exit)
            self._installed = True

    def __exit__(self, *_: object) -> None:
        if self._installed:
            signal.signal(signal.SIGTERM, self._previous or signal.SIG_DFL)
            self._installed = False


def _raise_exit(number: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


class Children:
    """The processes that were started; stopped in reverse order, at the latest when the interpreter ends."""

    def __init__(self) -> None:
        self._running: list[Child] = []

    def start(self, name: str, command: Sequence[str], env: Mapping[str, str], log: Path) -> Child:
        """Start a process in its own group, both outputs into `log`. Raises `NotReadyError` if it cannot start."""
        atexit.register(self.stop_all)
        with SignalsHeld(), log.open("wb") as output:
            try:
                process = subprocess.Popen(
                    command,
                    env=dict(env),
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    start_new_session=True,
                )
            except OSError as error:
                raise NotReadyError(f"the {name} cannot be started: {error}") from error
            child = Child(name, process, log)
            self._running.append(child)
        return child

    def stop(self, child: Child, grace_s: float = 10.0) -> int:
        """SIGTERM, then SIGKILL for what is left of the group. A second Ctrl-C ends the waiting. Returns the status."""
        with SignalsHeld() as held:
            child.signal_group(signal.SIGTERM)
            deadline = time.monotonic() + grace_s
            while child.process.poll() is None and time.monotonic() < deadline and held.pending is None:
                time.sleep(0.02)
            child.signal_group(signal.SIGKILL)
            status = child.process.wait()
            if child in self._running:
                self._running.remove(child)
        return status

    def stop_all(self) -> None:
        """Stop what still runs; may be called again."""
        for child in reversed(list(self._running)):
            self.stop(child)
        atexit.unregister(self.stop_all)


def choose_port(preferred: int) -> int:
    """The preferred port if nobody listens there, else a free one; 0 prefers none."""
    if preferred and _is_free(preferred):
        return preferred
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        if probe.connect_ex((HOST, port)) == 0:
            return False
    with socket.socket() as probe:
        # As the servers do it; else connections of the last run keep the port for a minute.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def wait_until_healthy(url: str, child: Child, timeout_s: float, announced: str = "") -> None:
    """Wait for a 200 from `url`. Raises `NotReadyError` when the process ends first, or too much time passes.

    `announced` is what the process writes to its log when it listens: a stranger on the same port can answer, too.
    """
    deadline = time.monotonic() + timeout_s
    while not (announced in child.log.read_text(encoding="utf-8", errors="replace") and _is_healthy(url)):
        status = child.process.poll()
        if status is not None:
            raise NotReadyError(_explain(child, f"ended with status {status}"))
        if time.monotonic() > deadline:
            raise NotReadyError(_explain(child, f"did not answer {url} within {timeout_s:g} s"))
        time.sleep(0.05)
    if child.process.poll() is not None:
        raise NotReadyError(_explain(child, f"ended with status {child.process.returncode}; {url} is someone else's"))


def open_local(request: urllib.request.Request | str, timeout_s: float) -> Any:
    """Open an address of this machine, past any proxy."""
    return urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=timeout_s)


def _is_healthy(url: str) -> bool:
    try:
        with open_local(url, 2) as response:
            return response.status == 200
    except (OSError, urllib.error.URLError):
        return False


def _explain(child: Child, what: str) -> str:
    return f"the {child.name} {what}; the end of {child.log}:\n{child.tail() or '(empty)'}"
