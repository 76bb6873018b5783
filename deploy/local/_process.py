"""Processes in groups of their own: start one, know it again later, stop several together; and free ports."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Generator, Iterable, Mapping
from pathlib import Path

from deploy.local._common import StackError, fetch, tail

GRACE_S = 10.0
_POLL_S = 0.05


def start(argv: list[str], environment: Mapping[str, str], log: Path) -> int:
    """Start a program as the leader of a new session, its output appended to `log`; returns its process id.

    posix_spawn and not Popen: the program may outlive us, and nobody has to keep an object for it.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    append = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, str(log), append, 0o644),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    try:
        return os.posix_spawn(argv[0], argv, dict(environment), file_actions=actions, setsid=True, setsigmask=[])
    except OSError as error:
        raise StackError(f"cannot start {argv[0]}: {error.strerror}") from error


@contextlib.contextmanager
def uninterrupted() -> Generator[None]:
    """Hold back Ctrl-C and SIGTERM until the block is through."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def identity(pid: int) -> str | None:
    """Something that no other process with this id ever has (its start time); None when it is dead."""
    # Ours may be a zombie until somebody asks for its exit status.
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    stat = Path(f"/proc/{pid}/stat")
    if Path("/proc/self/stat").exists():
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            return None
        return None if fields[0] in "ZX" else fields[19]
    asked = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return asked.stdout.strip() or None


def stop(pids: Iterable[int], *, asking: bool = True) -> None:
    """Ask all the groups to end at once, kill what is left after ten seconds; returns when all are gone.

    With `asking=False` they are killed at once.
    """
    left = list(pids)
    for number in (signal.SIGTERM, signal.SIGKILL) if asking else (signal.SIGKILL,):
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, number)
        left = _still_there(left, GRACE_S)
    if left:
        raise StackError(f"processes {', '.join(map(str, left))} do not end, not even when killed")


def _still_there(pids: list[int], wait_s: float) -> list[int]:
    until = time.monotonic() + wait_s
    while (pids := [pid for pid in pids if identity(pid)]) and time.monotonic() < until:
        time.sleep(_POLL_S)
    return pids


def wait_healthy(name: str, pid: int, url: str, log: Path, timeout_s: float) -> None:
    """Return when `url` answers 200. StackError, with the end of the log: the process died, or time is up."""
    until = time.monotonic() + timeout_s
    healthy = False
    while not healthy:
        healthy = fetch(url, timeout_s=2.0)[0] == 200
        # Asked after the answer: the answer may be that of another program that has the port.
        if identity(pid) is None:
            raise StackError(f"{name} ended while it started; the end of {log}:\n{tail(log)}")
        if not healthy and time.monotonic() > until:
            raise StackError(f"{name} is not healthy after {timeout_s:.0f} s ({url}); the end of {log}:\n{tail(log)}")
        time.sleep(_POLL_S)


def free_ports(names: Iterable[str], preferred: Mapping[str, int]) -> dict[str, int]:
    """A port for each name: the preferred one where nobody listens on it, else any free one; all different."""
    with contextlib.ExitStack() as held:
        return {name: _free_port(held, preferred.get(name, 0)) for name in names}


def _free_port(held: contextlib.ExitStack, port: int) -> int:
    """Bind and keep until all are chosen, so that no two names get the same one."""
    probe = held.enter_context(socket.socket())
    # As servers do: what lingers from a connection that has ended does not make a port taken.
    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        probe.bind(("127.0.0.1", port))
    except OSError:
        probe.bind(("127.0.0.1", 0))
    probe.listen()  # with SO_REUSEADDR only a listener keeps others off
    chosen: int = probe.getsockname()[1]
    return chosen
