"""A Docker engine for the tests: the one that answers, else one of our own for as long as the session lasts."""

from __future__ import annotations

import contextlib
import fcntl
import gc
import os
import shutil
import subprocess
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import docker
import docker.errors

HOW = "run `bash deploy/docker/engine.sh` as root, or start Docker (Debian: apt-get install docker.io)"


class NoEngine(Exception):
    """These tests need a Docker engine and cannot have one; the message says what to do."""


@contextlib.contextmanager
def engine() -> Iterator[docker.DockerClient]:
    """A client of an engine that answers. One that is started here is stopped, and all it kept removed, at the end."""
    client = answering()
    if client is not None:
        with contextlib.closing(client):
            yield client
        return
    dockerd = startable(os.environ.get("DOCKER_HOST"), os.geteuid(), os.environ["PATH"])
    with _alone(), _started(dockerd) as client, contextlib.closing(client):
        yield client


def answering() -> docker.DockerClient | None:
    """A client of the engine that DOCKER_HOST or the default socket leads to; None: nobody answers."""
    with warnings.catch_warnings():
        # A client that reaches nobody leaves its sockets to the garbage collector.
        warnings.simplefilter("ignore", ResourceWarning)
        client = _client()
        gc.collect()
    return client


def _client() -> docker.DockerClient | None:
    try:
        # It asks the engine for its version at once, so a client is also an answer.
        return docker.from_env()
    except docker.errors.DockerException:
        return None


def startable(named_host: str | None, user: int, path: str) -> str:
    """The dockerd to start. NoEngine: DOCKER_HOST names another engine, we may not, or there is none."""
    if named_host:
        raise NoEngine(f"no engine answers at DOCKER_HOST={named_host}: start that one, or unset DOCKER_HOST")
    dockerd = shutil.which("dockerd", path=f"{path}:/usr/sbin:/sbin")
    if dockerd is None:
        raise NoEngine(f"no Docker engine answers and there is no dockerd to start: {HOW}")
    if user != 0:
        raise NoEngine(f"no Docker engine answers and only root can start one: {HOW}")
    return dockerd


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """Two engines would both want the bridge docker0: a second session on this machine waits for the first."""
    with Path(tempfile.gettempdir(), "spanloom-tests-docker.lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def _started(dockerd: str) -> Iterator[docker.DockerClient]:
    # A short path, and not pytest's: the name of a socket has 107 characters at most.
    folder = Path(tempfile.mkdtemp(prefix="spanloom-docker-"))
    host = f"unix://{folder}/docker.sock"
    places = [f"--data-root={folder}/data", f"--exec-root={folder}/exec", f"--pidfile={folder}/pid"]
    with (folder / "log").open("w") as log:
        # vfs works on every file system, and inside containers.
        process = subprocess.Popen([dockerd, "--storage-driver=vfs", f"--host={host}", *places], stdout=log, stderr=log)
    try:
        with _environment("DOCKER_HOST", host):
            yield _wait(process, folder / "log")
    finally:
        process.terminate()
        process.wait(30)
        shutil.rmtree(folder, ignore_errors=True)


def _wait(process: subprocess.Popen[bytes], log: Path) -> docker.DockerClient:
    until = time.monotonic() + 60
    while time.monotonic() < until and process.poll() is None:
        if client := answering():
            return client
        time.sleep(0.2)
    end = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
    raise NoEngine(f"dockerd does not start; the end of its log:\n{end}")


@contextlib.contextmanager
def _environment(name: str, value: str) -> Iterator[None]:
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        del os.environ[name]
        if before is not None:
            os.environ[name] = before
