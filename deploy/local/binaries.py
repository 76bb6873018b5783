"""Which programs the local stack runs, from which pinned sources, and how each is built once.

A build is known by a digest of its sources, its sums, the flags and the Go version, and lies in the cache folder as
`bin/<target>-<digest>/`. So it happens once, and again exactly when something of that changes.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import platform
import signal
import subprocess
import time
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

from deploy.local import _toolchain
from deploy.local._common import (
    ROOT,
    Say,
    StackError,
    cache_dir,
    put_in_place,
    say,
    scratch_beside,
    tail,
)
from deploy.local._toolchain import Toolchain

FLAGS = ("-trimpath", "-ldflags=-s -w")
PROGRESS_EVERY_S = 6.0
DISTRIBUTION = ROOT / "collector_config" / "distribution"


@dataclass(frozen=True)
class Target:
    """One `go build`: the module it runs in, the packages, the programs that come out."""

    name: str
    module: Path
    packages: tuple[str, ...]
    programs: tuple[str, ...]
    tags: str = ""
    sources: Path | None = None  # what the digest covers, where that is more than the module's folder


_LOCAL = ROOT / "deploy" / "local"
TARGETS = (
    Target(
        name="collector",
        module=DISTRIBUTION / "otelcol-spanloom",
        packages=(".",),
        programs=("otelcol-spanloom",),
        tags="grpcnotrace",
        sources=DISTRIBUTION,
    ),
    Target(
        name="jaeger",
        module=_LOCAL / "jaeger",
        packages=("github.com/jaegertracing/jaeger/cmd/jaeger",),
        programs=("jaeger",),
    ),
    Target(
        name="prometheus",
        module=_LOCAL / "prometheus",
        packages=(
            "github.com/prometheus/prometheus/cmd/prometheus",
            "github.com/prometheus/prometheus/cmd/promtool",
        ),
        programs=("prometheus", "promtool"),
        # Its clients for two dozen clouds are half of the compile time; here all targets are static.
        tags="remove_all_sd",
    ),
    Target(
        name="builder",
        module=DISTRIBUTION / "builder",
        packages=("go.opentelemetry.io/collector/cmd/builder",),
        programs=("builder",),
    ),
)
STACK = ("otelcol-spanloom", "jaeger", "prometheus")


def ensure(*programs: str, out: Say = say) -> dict[str, Path]:
    """Paths of the named programs, building what is not in the cache yet.

    StackError: an unknown name, no Go to be had, or a build that failed (with the end of its log).
    """
    wanted = {program: _target_of(program) for program in programs}
    toolchain = _toolchain.find(out)
    folders = {target: _ensure_target(target, toolchain, out) for target in dict.fromkeys(wanted.values())}
    return {program: folders[target] / program for program, target in wanted.items()}


def digest(target: Target, go_version: str) -> str:
    """Twelve hex digits that change whenever a rebuild could give something else."""
    root = target.sources or target.module
    seen = hashlib.sha256()
    for word in (*FLAGS, target.tags, *target.packages, go_version, platform.system(), platform.machine()):
        seen.update(word.encode() + b"\0")
    for path in sorted(p for p in root.rglob("*") if p.suffix == ".go" or p.name in {"go.mod", "go.sum"}):
        seen.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return seen.hexdigest()[:12]


def _target_of(program: str) -> Target:
    for target in TARGETS:
        if program in target.programs:
            return target
    known = ", ".join(program for target in TARGETS for program in target.programs)
    raise StackError(f"no program is called {program!r} here: choose from {known}")


def _ensure_target(target: Target, toolchain: Toolchain, out: Say) -> Path:
    name = f"{target.name}-{digest(target, toolchain.version)}"
    folder = cache_dir() / "bin" / name
    if _complete(folder, target):
        return folder
    with _locked(cache_dir() / "locks" / f"{name}.lock", target.name, out):
        if not _complete(folder, target):
            _build(target, toolchain, folder, out)
    return folder


def _complete(folder: Path, target: Target) -> bool:
    return all((folder / program).is_file() for program in target.programs)


@contextlib.contextmanager
def _locked(path: Path, name: str, out: Say) -> Generator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            out(f"{name}: another process builds it already; waiting for that")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _build(target: Target, toolchain: Toolchain, folder: Path, out: Say) -> None:
    """Build beside the final place and rename, so that a folder is there whole or not at all."""
    log = cache_dir() / "logs" / f"{folder.name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    out(f"{target.name}: building with {toolchain.version}, once (minutes when the caches are cold); log: {log}")
    with scratch_beside(folder) as scratch:
        code = _run(_command(target, toolchain, scratch), target, toolchain, log, out)
        if code:
            raise StackError(f"building {target.name} failed (go build: {code}); the end of {log}:\n{tail(log)}")
        if not _complete(scratch, target):
            made = ", ".join(sorted(path.name for path in scratch.iterdir()))
            raise StackError(f"building {target.name} gave {made or 'nothing'} and not {', '.join(target.programs)}")
        put_in_place(scratch, folder)
    out(f"{target.name}: built in {time.monotonic() - started:.0f} s")


def _command(target: Target, toolchain: Toolchain, into: Path) -> list[str]:
    tags = ["-tags", target.tags] if target.tags else []
    return [str(toolchain.go), "build", "-v", *FLAGS, *tags, "-o", f"{into}{os.sep}", *target.packages]


def _run(command: list[str], target: Target, toolchain: Toolchain, log: Path, out: Say) -> int:
    with log.open("w") as handle:
        process = subprocess.Popen(
            command,
            cwd=target.module,
            env=toolchain.environment,
            stdout=handle,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            return _watch(process, target.name, log, out)
        except BaseException:
            # Ctrl-C reaches only us: the compilers are in a session of their own, so they are ended as one.
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise


def _watch(process: subprocess.Popen[bytes], name: str, log: Path, out: Say) -> int:
    started = time.monotonic()
    while _still_runs(process, PROGRESS_EVERY_S):
        out(progress_line(name, time.monotonic() - started, log.read_text(errors="replace").splitlines()))
    return process.returncode


def _still_runs(process: subprocess.Popen[bytes], wait_s: float) -> bool:
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(wait_s)
    return process.returncode is None


def progress_line(name: str, elapsed_s: float, log_lines: list[str]) -> str:
    """What to print while `go build -v` runs: it writes one line for each module fetched and each package compiled."""
    compiled = [line for line in log_lines if line and not line.startswith("go: ")]
    if compiled:
        doing = f"{len(compiled)} packages compiled, now {compiled[-1]}"
    else:
        fetched = [line for line in log_lines if line.startswith("go: downloading ")]
        doing = f"{len(fetched)} modules fetched" + (f", now {fetched[-1].split()[2]}" if fetched else "")
    return f"{name}: {elapsed_s:4.0f} s, {doing}"
