"""The Collector's image, in a real Docker engine."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import tarfile
from collections.abc import Iterator

import pytest
from testcontainers.core.container import DockerContainer
from testcontainers.core.network import Network

from deploy.local import check
from deploy.local._common import ROOT
from tests.deploy._collector import CONFIGURATION, HURRY, healthy, metric, reaches, send_failed_request, send_tokens
from tests.deploy._engine import NoEngine, startable

SCRIPT = ROOT / "deploy" / "docker" / "engine.sh"
QUEUE = "/var/lib/spanloom/queue"
HARDENED = {"read_only": True, "cap_drop": ["ALL"], "security_opt": ["no-new-privileges:true"]}


def url(container: DockerContainer, port: int) -> str:
    """Where a port of a container is to be reached from here."""
    return f"http://{container.get_container_host_ip()}:{container.get_exposed_port(port)}"


def collector(image: str, **more: object) -> DockerContainer:
    """The image as it is meant to be run: nothing writable, no capability."""
    container = DockerContainer(image, env=dict(HURRY), **more)
    return container.with_exposed_ports(4318, 8888, 8889, 13133).with_kwargs(**HARDENED)


def started(container: DockerContainer) -> DockerContainer:
    """Wait until a container that was just started is healthy."""
    healthy(url(container, 13133))
    return container


@pytest.fixture(scope="module")
def running(image) -> Iterator[DockerContainer]:
    """One Collector in a container, without any Jaeger."""
    with collector(image) as container:
        yield started(container)


def test_it_runs_as_nobody_special(engine, image):
    """User, command, ports and the one writable place are part of the image."""
    config = engine.images.get(image).attrs["Config"]

    assert config["User"] == "10001:10001"
    assert config["Entrypoint"] + config["Cmd"] == ["/otelcol-spanloom", "--config", "/etc/spanloom/spanloom.yaml"]
    assert {int(port.split("/")[0]) for port in config["ExposedPorts"]} == {4317, 4318, 8888, 8889, 13133}
    assert list(config["Volumes"]) == [QUEUE]
    assert config["Labels"]["org.opencontainers.image.licenses"] == "Apache-2.0"


def test_there_is_nothing_in_it_but_ours(engine, image):
    """No shell, no library: the image's files are those that were staged, and the configuration is the one."""
    container = engine.containers.create(image)
    try:
        with tarfile.open(fileobj=io.BytesIO(b"".join(container.export()))) as tar:
            files = {member.name: member for member in tar if member.isfile() and member.size}
            read = tar.extractfile("etc/spanloom/spanloom.yaml")
            assert read and read.read() == CONFIGURATION.read_bytes()
    finally:
        container.remove(v=True)

    assert set(files) == {
        "etc/spanloom/spanloom.yaml",
        "etc/ssl/certs/ca-certificates.crt",
        "otelcol-spanloom",
        "usr/share/spanloom/prices.yaml",
    }


def test_built_twice_it_is_the_same(engine, image, context):
    """The layer's digest does not depend on when it was built."""
    again, _ = engine.images.build(path=str(context), nocache=True, rm=True)
    engine.images.remove(again.id)

    layers = engine.images.get(image).attrs["RootFS"]["Layers"]
    assert again.attrs["RootFS"]["Layers"] == layers
    assert layers == ["sha256:" + hashlib.sha256(layer_of(engine, image)).hexdigest()]


def layer_of(engine, image: str) -> bytes:
    """The one layer's archive, as `docker save` gives it."""
    saved = io.BytesIO(b"".join(engine.images.get(image).save()))
    with tarfile.open(fileobj=saved) as tar:
        (name,) = [name for name in tar.getnames() if name.endswith("layer.tar")]
        layer = tar.extractfile(name)
        assert layer
        return layer.read()


def test_what_is_sent_comes_out(running):
    """OTLP JSON over HTTP goes in; accepted spans, request metrics and the service's counter come out."""
    send_failed_request(url(running, 4318), "shop")
    send_tokens(url(running, 4318), "shop", 4711)

    reaches(url(running, 8888), "otelcol_receiver_accepted_spans", 2, 'receiver="otlp"')
    reaches(url(running, 8889), "traces_span_metrics_calls_total", 1, 'job="shop"', 'status_code="STATUS_CODE_ERROR"')
    reaches(url(running, 8889), "spanloom_test_tokens_total", 4711, 'job="shop"', 'model="gpt-5"')


def test_the_process_has_no_rights(running):
    """It runs as user 10001 with a read-only root and wrote to its queue only."""
    container = running.get_wrapped_container()
    container.reload()
    titles, processes = (container.top(ps_args="-eo pid,uid,args")[key] for key in ("Titles", "Processes"))

    assert [process[titles.index("UID")] for process in processes] == ["10001"]
    assert container.attrs["HostConfig"]["ReadonlyRootfs"]
    written = [change["Path"] for change in container.diff() or [] if not change["Path"].startswith("/var/lib")]
    assert written == []


def test_an_outage_of_jaeger_loses_nothing(engine, image):
    """A trace that nobody took waits in a named volume, and a new container delivers it from there."""
    volume = engine.volumes.create()
    try:
        with Network() as network:
            options = {"network": network, "volumes": [(volume.name, QUEUE, "rw")]}
            with collector(image, **options) as first:
                started(first)
                send_failed_request(url(first, 4318), "shop")
                queued = lambda: metric(url(first, 8888), "otelcol_exporter_queue_size") or None  # noqa: E731
                check.eventually(queued, 30, "trace in the queue")
                first.get_wrapped_container().stop(timeout=30)
            # Another Collector takes Jaeger's place; it must not send to itself.
            sink = collector(image, network=network, network_aliases=["jaeger"])
            with sink.with_env("SPANLOOM_JAEGER_ENDPOINT", "127.0.0.1:1"), collector(image, **options):
                started(sink)
                reaches(url(sink, 8888), "otelcol_receiver_accepted_spans", 2)
    finally:
        volume.remove(force=True)


def test_the_script_for_ci_leaves_a_running_engine_alone(engine):
    """Where one answers it says so in one line, and starts nothing."""
    done = subprocess.run(["bash", str(SCRIPT)], capture_output=True, text=True)
    version = engine.version()["Version"]
    assert (done.returncode, done.stdout, done.stderr) == (0, f"docker: engine {version} answers\n", "")


def test_the_script_for_ci_does_not_replace_a_named_engine():
    """DOCKER_HOST says which engine is meant; when that one is silent, another would be a surprise."""
    environment = {**os.environ, "DOCKER_HOST": "unix:///nowhere/docker.sock"}
    done = subprocess.run(["bash", str(SCRIPT)], capture_output=True, text=True, env=environment)
    assert done.returncode == 1 and done.stdout == ""
    assert "unset DOCKER_HOST" in done.stderr and done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("host", "user", "path", "says"),
    [
        ("tcp://192.0.2.1:2375", 0, "/nowhere", "unset DOCKER_HOST"),
        (None, 1000, "/usr/sbin", "only root can start one"),
    ],
)
def test_without_an_engine_the_reason_is_one_line(host, user, path, says):
    """Whoever runs these tests without Docker reads what to do."""
    with pytest.raises(NoEngine, match=says) as raised:
        startable(host, user, path)
    assert "\n" not in str(raised.value)
