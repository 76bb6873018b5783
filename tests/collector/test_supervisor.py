"""Start and stop: ports, a second `up`, children that die, Ctrl-C, and the command line."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from deploy.local import __main__ as command
from deploy.local import _process, _programs, check, supervisor
from deploy.local._common import ROOT, StackError, fetch
from deploy.local.supervisor import Stack
from tests.collector.conftest import Up


def pids(stack: Stack) -> list[int]:
    return [pid for pid, _ in stack.running.values()]


def alive(numbers: list[int]) -> list[int]:
    return [pid for pid in numbers if _process.identity(pid)]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The command as a person types it, from the repository root."""
    line = [sys.executable, "-m", "deploy.local", *arguments]
    return subprocess.run(line, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)


def test_up_answers_on_all_addresses_and_down_leaves_nothing(up: Up, tmp_path: Path) -> None:
    """All four addresses answer; afterwards no process, no open port and no state file is left, but the logs are."""
    stack = up()
    running = pids(stack)
    assert len(alive(running)) == 3
    assert fetch(f"{stack.jaeger_url}/api/v3/services")[0] == 200
    assert fetch(f"{stack.prometheus_url}/-/healthy")[0] == 200
    assert fetch(f"{stack.otlp_http_endpoint}/v1/traces")[0] == 405
    with socket.create_connection(("127.0.0.1", int(stack.otlp_grpc_endpoint.rpartition(":")[2])), timeout=5):
        pass
    stack.down()
    assert alive(running) == []
    assert fetch(stack.prometheus_url)[0] == 0
    assert Stack.load(stack.state_dir) is None
    assert sorted(path.name for path in (tmp_path / "stack" / "logs").iterdir()) == [
        "collector.log",
        "jaeger.log",
        "prometheus.log",
    ]


def test_a_taken_port_is_noticed_and_another_chosen(
    up: Up, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With two of the usual ports in use the stack comes up on others and says so; the free one is taken."""
    with socket.socket() as one, socket.socket() as two, socket.socket() as three:
        for held in (one, two):
            held.bind(("127.0.0.1", 0))
        # Outside the range from which the system gives ports to others in the meantime.
        bind_below(three, 30_000)
        one.listen()
        two.listen()
        usual = {
            "otlp_http": one.getsockname()[1],
            "prometheus": two.getsockname()[1],
            "jaeger": three.getsockname()[1],
        }
        three.close()
        monkeypatch.setattr(supervisor, "PREFERRED_PORTS", usual)
        stack = up(usual_ports=True)
    printed = capsys.readouterr().out
    for name in ("otlp_http", "prometheus"):
        assert stack.ports[name] != usual[name]
        assert f"port {usual[name]} ({name}) is taken: {stack.ports[name]} instead" in printed
    assert stack.ports["jaeger"] == usual["jaeger"]
    assert stack.jaeger_url.endswith(f":{usual['jaeger']}")


def bind_below(held: socket.socket, port: int) -> None:
    """Bind to the first free port from here downwards."""
    while not bound(held, port):
        port -= 1


def bound(held: socket.socket, port: int) -> bool:
    """Whether the port could be taken."""
    try:
        held.bind(("127.0.0.1", port))
    except OSError:
        return False
    return True


def test_the_usual_ports_are_the_known_ones() -> None:
    """What people and SDKs expect: OTLP's two, Jaeger's and Prometheus's own."""
    assert _programs.PREFERRED_PORTS == {"otlp_grpc": 4317, "otlp_http": 4318, "jaeger": 16686, "prometheus": 9090}


@pytest.mark.parametrize("taken", ["jaeger", "jaeger_otlp", "collector_health", "otlp_grpc", "prometheus"])
def test_a_port_taken_between_choice_and_use_is_chosen_again(
    up: Up, monkeypatch: pytest.MonkeyPatch, taken: str
) -> None:
    """The first choice is in use when a program binds: everything is stopped and started on other ports."""
    chosen: list[dict[str, int]] = []
    real = _process.free_ports
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        held.listen()

        def unlucky(names: tuple[str, ...], preferred: dict[str, int]) -> dict[str, int]:
            ports = real(names, preferred)
            chosen.append({**ports, taken: held.getsockname()[1]} if not chosen else ports)
            return chosen[-1]

        monkeypatch.setattr(_process, "free_ports", unlucky)
        stack = up()
    assert len(chosen) == 2
    assert stack.ports == chosen[1]
    assert stack.dead() == []


def test_free_ports_are_all_different() -> None:
    """Even when every name prefers the same port."""
    names = [f"name{number}" for number in range(20)]
    assert len(set(_process.free_ports(names, dict.fromkeys(names, 4317)).values())) == 20


def test_a_second_up_finds_the_first(up: Up) -> None:
    """The same processes, nothing started; with other settings it refuses and names both."""
    first = up()
    second = up()
    assert second.was_running
    assert not first.was_running
    assert pids(second) == pids(first)
    with pytest.raises(StackError, match=r"baseline 100 %, decision wait 2 s, and baseline 10 %.*down"):
        up(baseline_percent=10)
    assert first.dead() == []


def test_a_second_up_tells_that_the_configuration_changed(up: Up, capsys: pytest.CaptureFixture[str]) -> None:
    """The running Collector still has the old one; an untouched file is not mentioned."""
    state = up().state_dir / "stack.json"
    up()
    assert "has changed" not in capsys.readouterr().out
    os.utime(state, (1, 1))
    up()
    assert "spanloom.yaml has changed since this stack was started" in capsys.readouterr().out


def test_a_dead_child_is_noticed_and_cleared_away(up: Up, capsys: pytest.CaptureFixture[str]) -> None:
    """A killed Jaeger shows in `dead`, the next `up` says so, ends the rest and starts all three anew."""
    first = up()
    os.kill(first.running["jaeger"][0], signal.SIGKILL)
    check.eventually(lambda: first.dead() or None, 10, "dead Jaeger")
    assert first.dead() == ["jaeger"]
    before = pids(first)
    second = up()
    assert not second.was_running
    assert "an old stack is not whole any more (jaeger ended)" in capsys.readouterr().out
    assert alive(before) == []
    assert second.dead() == []


def test_a_process_id_that_somebody_else_has_now_is_left_alone(up: Up, tmp_path: Path) -> None:
    """A state file from before a restart of the machine: its ids may belong to others, and those are not killed."""
    stack = up()
    stack.down()
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True) as bystander:
        stack.running = dict.fromkeys(("jaeger", "collector", "prometheus"), (bystander.pid, "long ago"))
        stack._save()
        found = Stack.load(stack.state_dir)
        assert found is not None
        assert found.dead() == ["jaeger", "collector", "prometheus"]
        found.down()
        assert bystander.poll() is None
        bystander.kill()


def test_a_child_that_ignores_sigterm_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its children too: stopping is by process group."""
    monkeypatch.setattr(_process, "GRACE_S", 0.5)
    log = tmp_path / "log"
    script = "trap '' TERM; sleep 60 & echo $!; echo ready; wait; wait"
    pid = _process.start(["/bin/sh", "-c", script], dict(os.environ), log)
    check.eventually(lambda: (log.exists() and "ready" in log.read_text()) or None, 10, "line from the child")
    grandchild = int(log.read_text().split()[0])
    _process.stop([pid])
    assert _process.identity(pid) is None
    check.eventually(lambda: _process.identity(grandchild) is None or None, 5, "end of the grandchild")


def test_a_child_that_never_gets_healthy_is_reported_with_its_log(tmp_path: Path) -> None:
    """Time is up: the message has the address asked and the end of the log."""
    log = tmp_path / "log"
    pid = _process.start(["/bin/sh", "-c", "echo still thinking; sleep 60"], dict(os.environ), log)
    try:
        with pytest.raises(StackError, match=r"thing is not healthy after 1 s[\s\S]*still thinking"):
            _process.wait_healthy("thing", pid, "http://127.0.0.1:9/", log, 1.0)
    finally:
        _process.stop([pid])


def test_a_program_that_is_not_there_is_named(tmp_path: Path) -> None:
    """One line, no traceback."""
    with pytest.raises(StackError, match="cannot start /nowhere/jaeger: No such file"):
        _process.start(["/nowhere/jaeger"], {}, tmp_path / "log")


def test_ctrl_c_during_up_leaves_nothing(programs: dict[str, Path], tmp_path: Path) -> None:
    """A real SIGINT while the third program is awaited: the command ends with 130 and all three are gone."""
    # Prometheus never gets healthy here, so that the signal surely falls into the start.
    script = textwrap.dedent(
        """
        import signal, sys, time
        from deploy.local import _process, __main__ as command
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
        real = _process.wait_healthy
        def wait(name, *rest):
            return time.sleep(60) if name == "prometheus" else real(name, *rest)
        _process.wait_healthy = wait
        sys.exit(command.main(["up", "--state-dir", sys.argv[1]]))
        """
    )
    state = tmp_path / "stack.json"
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:

        def all_started() -> list[int] | None:
            running = json.loads(state.read_text())["running"] if state.exists() else {}
            return [pid for pid, _ in running.values()] if len(running) == 3 else None

        started = check.eventually(all_started, 60, "three started programs")
        assert len(alive(started)) == 3
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "interrupted: nothing that this command started is left running" in errors
    assert alive(started) == []
    assert not state.exists()


def test_one_program_can_be_stopped_and_started_again(up: Up) -> None:
    """On the same ports, while the others go on; an unknown name is refused with the known ones."""
    stack = up()
    before = dict(stack.running)
    stack.stop("jaeger")
    assert stack.dead() == ["jaeger"]
    stack.start("jaeger")
    stack.start("collector")
    assert stack.dead() == []
    assert stack.running["collector"] == before["collector"]
    assert stack.running["jaeger"] != before["jaeger"]
    with pytest.raises(StackError, match="no 'grafana': choose from jaeger, collector, prometheus"):
        stack.start("grafana")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"baseline_percent": 101}, "from 0 to 100, not 101"),
        ({"baseline_percent": -1}, "from 0 to 100, not -1"),
        ({"decision_wait_s": 0}, "at least 1 whole second, not 0"),
    ],
)
def test_settings_outside_their_range_are_refused(up: Up, settings: dict[str, int], said: str) -> None:
    """Before anything is started."""
    with pytest.raises(StackError, match=said):
        up(**settings)


@pytest.mark.parametrize("text", ["{", '{"version": 99}'])
def test_a_state_file_that_cannot_be_read_is_named(tmp_path: Path, text: str) -> None:
    """Broken, or from another version: the path and what to do about it."""
    (tmp_path / "stack.json").write_text(text)
    with pytest.raises(StackError, match=r"stack\.json.*remove it"):
        Stack.load(tmp_path)


def test_children_do_not_get_the_users_opentelemetry_settings() -> None:
    """OTEL_* belong to the application; Jaeger and the Collector would read them too."""
    mine = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x", "PATH": "/bin", "SPANLOOM_RED_MAX_SERIES": "9"}
    assert _programs.inherited(mine) == {"PATH": "/bin", "SPANLOOM_RED_MAX_SERIES": "9"}


def own_spans_of_jaeger(stack: Stack, **environment: str) -> list[str]:
    """Services in Jaeger after it was asked a few times, with its own traces pointed at our Collector."""
    stack.stop("jaeger")
    program = stack._program("jaeger")
    program.environment.update({"OTEL_EXPORTER_OTLP_ENDPOINT": stack.otlp_grpc_endpoint, **environment})
    stack.start("jaeger")
    for _ in range(5):
        fetch(f"{stack.jaeger_url}/api/v3/services")
    # It sends every five seconds, and at its end.
    stack.stop("jaeger")
    stack.start("jaeger")
    time.sleep(4)
    found: list[str] = json.loads(fetch(f"{stack.jaeger_url}/api/v3/services")[1]).get("services", [])
    return found


def test_jaeger_does_not_trace_itself(up: Up) -> None:
    """Its own spans would come through our Collector: they do with its sampler on, and do not as we start it."""
    stack = up(decision_wait_s=1)
    assert own_spans_of_jaeger(stack) == []
    assert own_spans_of_jaeger(stack, OTEL_TRACES_SAMPLER="always_on") == ["jaeger"]
    stack.kill("jaeger")  # with nobody to send its own spans to, it would take ten seconds to end


def test_the_command_from_up_to_down(programs: dict[str, Path], tmp_path: Path) -> None:
    """up prints the addresses, up again says that it runs, check sends through, status and down tell the truth."""
    where = ["--state-dir", str(tmp_path)]
    try:
        first, second = run("up", *where), run("up", *where)
        assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
        assert "the stack is up:" in first.stdout
        assert "the stack runs already:" in second.stdout
        addresses = [line for line in first.stdout.splitlines() if "http://" in line]
        assert len(addresses) == 4
        assert set(addresses) <= set(second.stdout.splitlines())

        checked = run("check", *where)
        assert checked.returncode == 0, checked.stderr
        assert "  check\n    check below (error)\n" in checked.stdout
        trace_id = checked.stdout.split()[1]
        assert run("check", trace_id, *where).stdout == "check\n  check below (error)\n"

        assert run("status", *where).returncode == 0
        stack = Stack.load(tmp_path)
        assert stack is not None
        stack.kill("jaeger")
        status = run("status", *where)
        assert status.returncode == 1
        assert f"jaeger             ended; see {tmp_path}/logs/jaeger.log" in status.stdout
        assert "no whole stack runs" in run("check", *where).stderr
    finally:
        down = run("down", *where)
    assert (down.returncode, down.stdout) == (0, "the stack is stopped\n")
    assert run("down", *where).stdout == "no stack runs\n"
    status = run("status", *where)
    assert (status.returncode, status.stdout) == (1, "no stack runs\n")


def test_the_command_says_one_line_and_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A state folder that cannot be made, and a program nobody knows: exit code 1, the setting named."""
    blocked = tmp_path / "file"
    blocked.write_text("")
    assert command.main(["up", "--state-dir", str(blocked / "below")]) == 1
    assert "set --state-dir to one that is writable" in capsys.readouterr().err
    assert command.main(["build", "grafana"]) == 1
    assert capsys.readouterr().err.startswith("error: no program is called 'grafana' here: choose from")
