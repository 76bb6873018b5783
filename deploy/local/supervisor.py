"""Start, know again and stop the local stack: our Collector, Jaeger and Prometheus, all three or none.

There is no process that watches: what runs is written to a state file, and whoever asks looks whether it is still so.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import json
import os
import shutil
import time
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from deploy.local import _process, binaries
from deploy.local._common import ROOT, Say, StackError, cache_dir, say, writable
from deploy.local._programs import CONFIGURATION, PORTS, PREFERRED_PORTS, Program, Settings, files, inherited, programs

DEFAULT_STATE_DIR = ROOT / ".spanloom" / "stack"
START_TIMEOUT_S = 60.0
_STATE_VERSION = 1


@dataclass(frozen=True)
class _Place:
    """Where and with what to start, whatever the ports turn out to be."""

    folder: Path
    settings: Settings
    binaries: Mapping[str, Path]


@dataclass
class Stack:
    """A local stack that was started. As a context manager it stops at the end of the block."""

    state_dir: Path
    ports: dict[str, int]
    settings: Settings
    programs: list[Program]
    running: dict[str, tuple[int, str]] = field(default_factory=dict[str, tuple[int, str]])  # name → (pid, identity)
    was_running: bool = False  # True: `up` found it running and started nothing

    @classmethod
    def up(
        cls,
        *,
        baseline_percent: float = 100.0,
        decision_wait_s: int = 2,
        state_dir: Path | None = None,
        environment: Mapping[str, str] | None = None,
        usual_ports: bool = True,
        out: Say = say,
    ) -> Stack:
        """Build what is missing, start all three on free ports, and return when all are healthy.

        `baseline_percent`: share of traces without errors that are kept, 0 to 100. `decision_wait_s`: whole seconds
        from a trace's first span to the decision. `environment`: more SPANLOOM_* variables for the Collector.
        `usual_ports`: take 4317, 4318, 16686 and 9090 where they are free; else any free ones.
        A stack that runs already in `state_dir` is returned as it is. StackError: it runs with other settings, or
        something does not build or start (then nothing is left running).
        """
        settings = _checked(Settings(baseline_percent, decision_wait_s, dict(environment or {})))
        folder = writable((state_dir or DEFAULT_STATE_DIR).resolve(), "--state-dir")
        with _locked(folder / "lock"):
            found = cls.load(folder)
            if found and not found.dead():
                return found._as_asked(settings, out)
            if found:
                out(f"an old stack is not whole any more ({', '.join(found.dead())} ended): clearing it away")
                found._stop_all()
            paths = binaries.ensure(*binaries.STACK, out=out)
            # Two stacks that start at once would choose the same ports, and each take the other for itself.
            with _locked(cache_dir() / "locks" / "ports.lock"):
                preferred = PREFERRED_PORTS if usual_ports else {}
                return cls._start_somewhere(_Place(folder, settings, paths), preferred, out)

    @classmethod
    def load(cls, state_dir: Path | None = None) -> Stack | None:
        """The stack that was last started in `state_dir` and not stopped; it may have died since (`dead`)."""
        path = (state_dir or DEFAULT_STATE_DIR).resolve() / "stack.json"
        try:
            data = json.loads(path.read_text())
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise StackError(f"cannot read {path} ({error}): remove it, and stop by hand what it knew of") from error
        if data.get("version") != _STATE_VERSION:
            raise StackError(f"{path} is of another version: stop that stack with its own `down`, or remove it")
        return _from_state(path.parent, data)

    @property
    def otlp_http_endpoint(self) -> str:
        """For OTEL_EXPORTER_OTLP_ENDPOINT with http/json or http/protobuf."""
        return f"http://127.0.0.1:{self.ports['otlp_http']}"

    @property
    def otlp_grpc_endpoint(self) -> str:
        """For OTEL_EXPORTER_OTLP_ENDPOINT with grpc."""
        return f"http://127.0.0.1:{self.ports['otlp_grpc']}"

    @property
    def jaeger_url(self) -> str:
        return f"http://127.0.0.1:{self.ports['jaeger']}"

    @property
    def prometheus_url(self) -> str:
        return f"http://127.0.0.1:{self.ports['prometheus']}"

    def dead(self) -> list[str]:
        """Names of the programs that should run and do not."""
        return [p.name for p in self.programs if not self._alive(p.name)]

    def start(self, name: str) -> None:
        """Start one program (again) on its ports and wait until it is healthy. Does nothing where it runs."""
        if self._alive(name):
            return
        program = self._program(name)
        environment = {**inherited(os.environ), **program.environment}
        with _process.uninterrupted():  # a Ctrl-C must not fall between a start and the note of it
            pid = _process.start(program.argv, environment, Path(program.log))
            self.running[name] = (pid, _process.identity(pid) or "")
            self._save()
        _process.wait_healthy(name, pid, program.health_url, Path(program.log), START_TIMEOUT_S)

    def stop(self, name: str) -> None:
        """Stop one program; the others go on."""
        if self._alive(name):
            _process.stop([self.running[name][0]])
        self.running.pop(name, None)
        self._save()

    def kill(self, name: str) -> None:
        """End one program with SIGKILL, as a crash or the kernel would; the others go on."""
        if self._alive(name):
            _process.stop([self.running[name][0]], asking=False)
        self.running.pop(name, None)
        self._save()

    def down(self) -> None:
        """Stop everything and forget it. Logs stay where they are."""
        with _locked(self.state_dir / "lock"):
            self._stop_all()

    def __enter__(self) -> Stack:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.down()

    def _as_asked(self, settings: Settings, out: Say) -> Stack:
        if settings != self.settings:
            raise StackError(
                f"a stack runs already in {self.state_dir} with {_in_words(self.settings)}, "
                f"and {_in_words(settings)} is asked for: stop it first (`python -m deploy.local down`)"
            )
        if CONFIGURATION.stat().st_mtime > (self.state_dir / "stack.json").stat().st_mtime:
            out(f"{CONFIGURATION.name} has changed since this stack was started: `down` and `up` to use it")
        self.was_running = True
        return self

    def _program(self, name: str) -> Program:
        for program in self.programs:
            if program.name == name:
                return program
        raise StackError(f"the stack has no {name!r}: choose from {', '.join(p.name for p in self.programs)}")

    def _alive(self, name: str) -> bool:
        pid, known = self.running.get(name, (0, ""))
        return pid > 0 and _process.identity(pid) == known

    @classmethod
    def _start_somewhere(cls, place: _Place, preferred: Mapping[str, int], out: Say, attempts: int = 3) -> Stack:
        ports = _process.free_ports(PORTS, preferred)
        for name, port in preferred.items():
            if ports[name] != port:
                out(f"port {port} ({name}) is taken: {ports[name]} instead")
        started = programs(place.binaries, ports, place.settings, place.folder)
        stack = cls(place.folder, ports, place.settings, started)
        try:
            stack._start_all(out)
        except StackError as error:
            # Between choosing a port and using it some other program may take it.
            if "address already in use" not in str(error) or attempts == 1:
                raise
            out("a port was taken in the meantime: once more with others")
            return cls._start_somewhere(place, {}, out, attempts - 1)
        return stack

    def _start_all(self, out: Say) -> None:
        # Yesterday's figures would be mixed into today's checks.
        shutil.rmtree(self.state_dir / "data", ignore_errors=True)
        shutil.rmtree(self.state_dir / "logs", ignore_errors=True)
        for path, text in files(self.ports, self.state_dir).items():
            path.write_text(text)
        try:
            for program in self.programs:
                began = time.monotonic()
                self.start(program.name)
                out(f"{program.name}: up after {time.monotonic() - began:.1f} s")
        except BaseException:
            # Ctrl-C included: all three or none.
            self._stop_all()
            raise

    def _stop_all(self) -> None:
        _process.stop([pid for name, (pid, _) in self.running.items() if self._alive(name)])
        self.running.clear()
        (self.state_dir / "stack.json").unlink(missing_ok=True)

    def _save(self) -> None:
        """Written after every change, whole or not at all: what an interrupted start leaves must be found again."""
        state = {
            "version": _STATE_VERSION,
            "ports": self.ports,
            "settings": dataclasses.asdict(self.settings),
            "programs": [dataclasses.asdict(program) for program in self.programs],
            "running": self.running,
        }
        draft = self.state_dir / "stack.json.new"
        draft.write_text(json.dumps(state, indent=2) + "\n")
        draft.replace(self.state_dir / "stack.json")


def _checked(settings: Settings) -> Settings:
    if not 0 <= settings.baseline_percent <= 100:
        raise StackError(f"the baseline is a percentage from 0 to 100, not {settings.baseline_percent:g}")
    if settings.decision_wait_s < 1:
        raise StackError(f"the decision wait is at least 1 whole second, not {settings.decision_wait_s}")
    return settings


def _in_words(settings: Settings) -> str:
    more = "".join(f", {name}={value}" for name, value in sorted(settings.environment.items()))
    return f"baseline {settings.baseline_percent:g} %, decision wait {settings.decision_wait_s} s{more}"


def _from_state(folder: Path, data: dict[str, Any]) -> Stack:
    return Stack(
        state_dir=folder,
        ports=data["ports"],
        settings=Settings(**data["settings"]),
        programs=[Program(**program) for program in data["programs"]],
        running={name: (pid, known) for name, (pid, known) in data["running"].items()},
    )


@contextlib.contextmanager
def _locked(path: Path) -> Generator[None]:
    """One at a time, over all processes; a second one waits for the first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
