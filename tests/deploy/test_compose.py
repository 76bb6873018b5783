"""The Compose file: well-formed, pinned, closed to the outside, and run with real programs in a real engine."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from testcontainers.core.container import DockerContainer
from testcontainers.core.network import Network

from deploy.docker import build
from deploy.local import _programs, binaries, check
from tests.deploy import _compose
from tests.deploy._collector import HURRY, healthy, load, send_failed_request, send_tokens, variables

FOLDER = _compose.FILE.parent
# What the Compose file says about the Collector's surroundings, so that a user's environment must not change it.
FIXED = {
    "SPANLOOM_COLLECTOR_INSTANCE",
    "SPANLOOM_HEALTH_PORT",
    "SPANLOOM_LISTEN_HOST",
    "SPANLOOM_OTLP_GRPC_PORT",
    "SPANLOOM_OTLP_HTTP_PORT",
    "SPANLOOM_PRICE_TABLE",
    "SPANLOOM_PROMETHEUS_PORT",
    "SPANLOOM_QUEUE_DIR",
    "SPANLOOM_TELEMETRY_PORT",
}


def required_version(module: str) -> str:
    """The version of a module that the local stack builds."""
    text = (FOLDER.parent / "local" / module.rpartition("/")[2] / "go.mod").read_text()
    found = re.search(rf"{re.escape(module)} v(\S+)", text)
    assert found
    return found.group(1)


def checked(file: Path) -> subprocess.CompletedProcess[str]:
    """A Compose file against the published schema of the specification."""
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(file)]
    return subprocess.run(command, capture_output=True, text=True)


def test_it_follows_the_compose_specification():
    """The schema accepts it."""
    done = checked(_compose.FILE)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_schema_is_really_asked(tmp_path):
    """A misspelt key is refused, so the test above can fail."""
    wrong = tmp_path / "compose.yaml"
    wrong.write_text(_compose.FILE.read_text().replace("mem_limit:", "mem_limits:"))
    done = checked(wrong)
    assert done.returncode == 1 and "mem_limits" in done.stdout


def test_the_images_are_the_versions_that_are_tested_here():
    """Pinned to what the local stack builds; the Collector is our own and never looked for elsewhere."""
    images = {name: service["image"] for name, service in _compose.services().items()}
    _, minor, patch = required_version("github.com/prometheus/prometheus").split(".")

    # One commit carries both tags: v1.76.0 for the Go module, v2.13.0 for the program.
    assert required_version("github.com/jaegertracing/jaeger") == "1.76.0"
    assert images == {
        "collector": build.IMAGE,
        "jaeger": "jaegertracing/jaeger:2.13.0",
        "prometheus": f"prom/prometheus:v{minor[0]}.{int(minor[1:])}.{patch}",
    }
    assert _compose.services()["collector"]["pull_policy"] == "never"


def test_nothing_is_open_to_the_outside():
    """Every published port is bound to loopback, and nobody may write to a root or gain a right."""
    for name, service in _compose.services().items():
        assert all(port.startswith("127.0.0.1:") for port in service["ports"]), name
        assert service["read_only"] and service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name


def test_what_it_names_exists():
    """Volumes, files and services that are referred to are there; who is waited for says when it is healthy."""
    whole = load(_compose.FILE)
    for service in whole["services"].values():
        for source in (volume.split(":")[0] for volume in service["volumes"]):
            assert (FOLDER / source).is_file() if source.startswith(".") else source in whole["volumes"]
        for needed, how in service.get("depends_on", {}).items():
            assert how["condition"] != "service_healthy" or "healthcheck" in whole["services"][needed]


def test_every_knob_of_the_configuration_can_be_set():
    """The Collector takes each variable from the environment, except those that the file itself decides."""
    entries = _compose.services()["collector"]["environment"]
    names = {entry for entry in entries if "=" not in entry}
    assert names == set(variables()) - FIXED
    assert {entry.partition("=")[0] for entry in entries} - names == {"SPANLOOM_COLLECTOR_INSTANCE", "GOMEMLIMIT"}


def test_gos_memory_limit_is_four_fifths_of_the_containers():
    """The same share that the memory limiter takes for its limit."""
    service = _compose.services()["collector"]
    assert service["mem_limit"] == "1g"
    percent = int(variables()["SPANLOOM_MEMORY_LIMIT_PERCENT"])
    assert _compose.environment(service)["GOMEMLIMIT"] == f"{1024 * percent // 100}MiB"


def test_jaeger_is_configured_like_the_local_one():
    """Except for its addresses, which are free ports there and the usual ones here."""

    def without_addresses(node):
        if not isinstance(node, dict):
            return node
        return {key: without_addresses(value) for key, value in node.items() if key != "endpoint"}

    local = _programs.jaeger_configuration(dict.fromkeys(_programs.PORTS, 1))
    assert without_addresses(load(FOLDER / "jaeger.yaml")) == without_addresses(local)


def test_prometheus_accepts_its_configuration():
    """promtool of the same version says so."""
    promtool = binaries.ensure("promtool")["promtool"]
    command = [str(promtool), "check", "config", "--lint=all", "--lint-fatal", str(FOLDER / "prometheus.yml")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def url(container: DockerContainer, port: int) -> str:
    """Where a port of a container is to be reached from here."""
    return f"http://{container.get_container_host_ip()}:{container.get_exposed_port(port)}"


@pytest.fixture(scope="module")
def stack(engine, image) -> Iterator[dict[str, DockerContainer]]:
    """The three services. Jaeger and Prometheus are the local stack's programs in our image, for want of theirs."""
    # What their images bring, and ours does not have: the program, and for Prometheus its arguments and user.
    other: dict[str, dict] = {
        name: {"volumes": [(str(path), f"/programs/{name}", "ro")], "entrypoint": [f"/programs/{name}"]}
        for name, path in binaries.ensure("jaeger", "prometheus").items()
    }
    arguments = ["--config.file=/etc/prometheus/prometheus.yml", "--storage.tsdb.path=/prometheus"]
    other["prometheus"] |= {"command": arguments, "user": "0:0"}
    try:
        with Network() as network:
            made = {n: _compose.container(n, image, network, HURRY, **other.get(n, {})) for n in _compose.services()}
            with made["jaeger"], made["collector"], made["prometheus"]:
                healthy(url(made["collector"], 13133))
                yield made
    finally:
        for volume in engine.volumes.list(filters={"name": _compose.PREFIX}):
            volume.remove(force=True)


def test_a_trace_reaches_jaeger(stack):
    """Under the name and the port that the configuration expects, with Jaeger's own configuration file."""
    trace_id = send_failed_request(url(stack["collector"], 4318), "shop")
    spans = check.fetch_trace(url(stack["jaeger"], 16686), trace_id, spans=2)

    assert check.outline(check.span_tree(spans)) == ["POST /ask", "  chat gpt-5 (error)"]


def test_metrics_reach_prometheus_under_the_services_own_name(stack):
    """job and instance are those of the service that sent them, as honor_labels has it."""
    send_tokens(url(stack["collector"], 4318), "shop", 4711)
    prometheus, by = url(stack["prometheus"], 9090), ("job", "instance")

    tokens = {("shop", "one"): 4711}
    targets = {("spanloom", "collector:8889"): 1, ("otelcol-spanloom", "collector:8888"): 1}

    healthy(f"{prometheus}/-/ready")
    assert check.wait_for_sums(prometheus, "spanloom_test_tokens_total", tokens, by=by, timeout_s=45) == []
    assert check.wait_for_sums(prometheus, "up", targets, by=by) == []
