"""The Helm chart: linted, rendered, refused, validated, and the configuration in it started by the real Collector."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import helm_python
import kubernetes_validate
import pytest
import yaml

from deploy.docker import build
from deploy.local import binaries
from deploy.local._common import ROOT
from deploy.local._process import free_ports
from tests.deploy._collector import CONFIGURATION, HURRY, healthy, load, reaches, send_failed_request, variables

CHART = ROOT / "deploy" / "helm" / "spanloom"
PORTS = {
    "otlp-grpc": "SPANLOOM_OTLP_GRPC_PORT",
    "otlp-http": "SPANLOOM_OTLP_HTTP_PORT",
    "telemetry": "SPANLOOM_TELEMETRY_PORT",
    "metrics": "SPANLOOM_PROMETHEUS_PORT",
    "health": "SPANLOOM_HEALTH_PORT",
}
# What the chart decides itself; everything else is a setting.
FIXED = {
    *PORTS.values(),
    "SPANLOOM_LISTEN_HOST",
    "SPANLOOM_QUEUE_DIR",
    "SPANLOOM_COLLECTOR_INSTANCE",
    "SPANLOOM_PRICE_TABLE",
}
EVERYTHING = {
    "image": {"repository": "example.org/otelcol-spanloom", "digest": "sha256:" + "0" * 64, "pullPolicy": "Always"},
    "imagePullSecrets": [{"name": "pull"}],
    "settings": {"SPANLOOM_QUEUE_MAX_BYTES": "2147483648", "SPANLOOM_SAMPLING_BASELINE_PERCENT": "2.5"},
    "persistence": {"enabled": True, "size": "8Gi", "storageClassName": "fast"},
    "resources": {"requests": {"cpu": 0.5}, "limits": {"cpu": "2", "memory": "768Mi"}},
    "service": {"annotations": {"a": "b"}},
    "serviceAccount": {"create": True, "name": "own", "annotations": {"a": "b"}},
    "podAnnotations": {"prometheus.io/scrape": "true"},
    "nodeSelector": {"kubernetes.io/arch": "amd64"},
    "tolerations": [{"key": "dedicated", "operator": "Exists", "effect": "NoSchedule"}],
    "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": []}}},
    "fullnameOverride": "collector",
}
BARE = {"persistence": {"enabled": False}, "serviceAccount": {"create": False}}


def render(values: dict[str, Any] | None = None, chart: Path = CHART) -> dict[str, dict[str, Any]]:
    """Kind → manifest, as `helm template` would print them for release `demo` in namespace `obs`."""
    with helm_python.Chart.load(chart) as loaded:
        texts = loaded.render(values, name="demo", namespace="obs")
    made = [yaml.safe_load(text) for path, text in texts.items() if path.endswith(".yaml")]
    return {manifest["kind"]: manifest for manifest in made if manifest}


def pod(manifests: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The Deployment's pod."""
    return manifests["Deployment"]["spec"]["template"]["spec"]


def environment(manifests: dict[str, dict[str, Any]]) -> dict[str, str]:
    """What the container's variables are set to."""
    return {entry["name"]: entry["value"] for entry in pod(manifests)["containers"][0]["env"]}


def test_lint_has_nothing_to_say():
    """Not even a warning; the missing icon is a remark only."""
    report = helm_python.lint(CHART, strict=True)
    assert report["errors"] == []
    assert {message["error"] for message in report["messages"]} == {"icon is recommended"}


@pytest.mark.parametrize("values", [None, EVERYTHING, BARE], ids=["defaults", "everything", "bare"])
@pytest.mark.parametrize("version", ["1.25", "1.31", "1.37"])
def test_kubernetes_accepts_every_manifest(values, version):
    """Strictly: unknown fields are errors, from the oldest version that the chart allows to the newest known here."""
    manifests = render(values)
    assert {"ConfigMap", "Deployment", "Service"} <= set(manifests)
    for manifest in manifests.values():
        assert kubernetes_validate.validate(manifest, version, strict=True) == version


def test_kubernetes_is_really_asked():
    """A misspelt field is refused, so the test above can fail."""
    manifest = render()["Deployment"]
    manifest["spec"]["template"]["spec"]["enableServiceLink"] = False
    with pytest.raises(kubernetes_validate.ValidationError, match="enableServiceLink"):
        kubernetes_validate.validate(manifest, "1.37", strict=True)


def test_the_configuration_is_the_one():
    """In the checkout by a symbolic link, in the ConfigMap byte for byte."""
    assert (CHART / "files" / "spanloom.yaml").resolve() == CONFIGURATION
    assert render()["ConfigMap"]["data"]["spanloom.yaml"].encode() == CONFIGURATION.read_bytes()


def test_a_packaged_chart_is_whole(tmp_path):
    """Packing replaces the link by the file; what comes out of the package renders the same."""
    packed = helm_python.package(CHART, destination=tmp_path)
    helm_python.expand(tmp_path, packed)
    unpacked = tmp_path / "spanloom" / "files" / "spanloom.yaml"

    assert not unpacked.is_symlink() and unpacked.read_bytes() == CONFIGURATION.read_bytes()
    assert render(EVERYTHING, tmp_path / "spanloom") == render(EVERYTHING)


def test_a_copy_without_the_link_is_refused(tmp_path):
    """Git without symbolic links writes the link's target into the file; that is no configuration."""
    copy = Path(shutil.copytree(CHART, tmp_path / "spanloom"))
    (copy / "files" / "spanloom.yaml").write_text("../../../../collector_config/spanloom.yaml")
    with pytest.raises(helm_python.HelmError, match="lost a symbolic link"):
        render(chart=copy)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"replicas": 2}, "'replicas' not allowed"),
        ({"image": {"repositry": "x"}}, "'repositry' not allowed"),
        ({"persistence": {"class": "fast"}}, "'class' not allowed"),
        ({"settings": {"SPANLOOM_SAMPLING_BASELINE": "10"}}, "'SPANLOOM_SAMPLING_BASELINE' not allowed"),
        ({"settings": {"SPANLOOM_LISTEN_HOST": "::"}}, "'SPANLOOM_LISTEN_HOST' not allowed"),
        ({"settings": {"SPANLOOM_QUEUE_MAX_BYTES": 1073741824}}, "got number, want string"),
        ({"settings": {"SPANLOOM_JAEGER_ENDPOINT": "http://jaeger:4317"}}, "does not match pattern"),
        ({"settings": {"SPANLOOM_SAMPLING_BASELINE_PERCENT": "110"}}, "does not match pattern"),
        ({"settings": {"SPANLOOM_SAMPLING_DECISION_WAIT": ""}}, "does not match pattern"),
        ({"settings": {"SPANLOOM_SAMPLING_WAIT_AFTER_ROOT": "500ms"}}, "does not match pattern"),
        ({"resources": {"limits": {"memory": "2G"}}}, "does not match pattern"),
        ({"resources": {"limits": {"memory": None}}}, "missing property 'memory'"),
    ],
)
def test_wrong_values_are_refused(values, says):
    """A misspelt key or a value that the Collector could not read is an error that names it."""
    with pytest.raises(helm_python.HelmValuesError, match=re.escape(says)):
        render(values)


def test_the_settings_are_the_configurations_variables():
    """Each can be set, none is invented, and the defaults themselves pass the schema."""
    schema = json.loads((CHART / "values.schema.json").read_text())
    defaults = {name: value for name, value in variables().items() if name not in FIXED}

    assert set(schema["properties"]["settings"]["properties"]) == set(defaults)
    assert defaults.items() <= environment(render({"settings": defaults})).items()


def test_the_pod_may_nothing():
    """No root, no writable root, no capability, no token, and no variables made from other Services."""
    spec = pod(render())
    (container,) = spec["containers"]

    assert spec["securityContext"]["runAsNonRoot"] and spec["securityContext"]["fsGroup"] == build.USER
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert spec["automountServiceAccountToken"] is False
    # A Service called spanloom-prometheus would set SPANLOOM_PROMETHEUS_PORT to tcp://…
    assert spec["enableServiceLinks"] is False


def test_service_probes_and_ports_fit_together():
    """The container listens where the configuration does; the Service offers all but health, which the probes ask."""
    manifests = render()
    (container,) = pod(manifests)["containers"]
    ports = {port["name"]: str(port["containerPort"]) for port in container["ports"]}

    assert ports == {name: variables()[variable] for name, variable in PORTS.items()}
    service = {port["targetPort"]: str(port["port"]) for port in manifests["Service"]["spec"]["ports"]}
    assert service == {name: port for name, port in ports.items() if name != "health"}
    assert {container[f"{kind}Probe"]["httpGet"]["port"] for kind in ("startup", "liveness", "readiness")} == {"health"}
    selector = manifests["Service"]["spec"]["selector"]
    assert selector.items() <= manifests["Deployment"]["spec"]["template"]["metadata"]["labels"].items()


@pytest.mark.parametrize(("limit", "go"), [("2Gi", "1638MiB"), ("768Mi", "614MiB")])
def test_gos_memory_limit_follows_the_containers(limit, go):
    """Four fifths of it, in the unit that Go reads."""
    assert environment(render({"resources": {"limits": {"memory": limit}}}))["GOMEMLIMIT"] == go


def test_a_new_configuration_makes_a_new_pod():
    """The pod carries the configuration's digest, so that `helm upgrade` replaces it."""
    annotations = render()["Deployment"]["spec"]["template"]["metadata"]["annotations"]
    assert annotations["checksum/config"] == hashlib.sha256(CONFIGURATION.read_bytes()).hexdigest()


def test_where_the_queue_lies():
    """A claim of the chart's, a claim of one's own, or a folder that lives as long as the pod."""

    def queue(values):
        manifests = render(values)
        volume = next(v for v in pod(manifests)["volumes"] if v["name"] == "queue")
        return volume, "PersistentVolumeClaim" in manifests

    own = {"persistence": {"existingClaim": "mine"}}
    assert queue(None) == ({"name": "queue", "persistentVolumeClaim": {"claimName": "demo-spanloom"}}, True)
    assert queue(own) == ({"name": "queue", "persistentVolumeClaim": {"claimName": "mine"}}, False)
    assert queue(BARE) == ({"name": "queue", "emptyDir": {"sizeLimit": "4Gi"}}, False)


def test_there_is_never_a_second_one():
    """Two would each decide about half a trace, and fight for the queue."""
    spec = render()["Deployment"]["spec"]
    assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})


def test_the_notes_name_what_was_set():
    """Endpoint, Jaeger and the two Prometheus jobs, with the names of this release."""
    with helm_python.Chart.load(CHART) as chart:
        settings = {"settings": {"SPANLOOM_JAEGER_ENDPOINT": "jaeger.tracing:4317"}}
        notes = chart.render(settings, name="demo", namespace="obs")["spanloom/templates/NOTES.txt"]

    assert "OTEL_EXPORTER_OTLP_ENDPOINT=http://demo-spanloom.obs.svc:4318" in notes
    assert "Traces go to jaeger.tracing:4317." in notes
    assert notes.count("job_name:") == 2 and "honor_labels: true" in notes


def test_a_price_table_of_ones_own_goes_where_the_images_is():
    """A ConfigMap with prices.yaml is mounted over the image's folder; without one nothing is."""
    assert {one["name"] for one in pod(render())["volumes"]} == {"configuration", "queue"}
    made = pod(render({"priceTable": {"configMap": "prices"}}))
    assert {"name": "prices", "configMap": {"name": "prices"}} in made["volumes"]
    folder = str(Path(variables()["SPANLOOM_PRICE_TABLE"]).parent)
    assert {"name": "prices", "mountPath": folder, "readOnly": True} in made["containers"][0]["volumeMounts"]


def test_the_version_is_that_of_the_distribution():
    """The chart's image is the one that the build command makes."""
    chart = load(CHART / "Chart.yaml")
    assert chart["version"] == chart["appVersion"] == importlib.metadata.version("spanloom")
    assert pod(render())["containers"][0]["image"] == build.IMAGE


@pytest.fixture
def gateway(tmp_path) -> Iterator[dict[str, str]]:
    """The real Collector with the ConfigMap's files and the Deployment's arguments and variables, on free ports."""
    manifests = render({"settings": HURRY})
    (container,) = pod(manifests)["containers"]
    for name, text in manifests["ConfigMap"]["data"].items():
        (tmp_path / name).write_text(text)
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    arguments = [arg.replace(mounts["configuration"], str(tmp_path)) for arg in container["args"]]
    set_by_chart = environment(manifests)
    assert set_by_chart["SPANLOOM_QUEUE_DIR"] == mounts["queue"]

    ports = {name: str(port) for name, port in free_ports(PORTS, {}).items()}
    here = {
        "SPANLOOM_LISTEN_HOST": "127.0.0.1",
        "SPANLOOM_QUEUE_DIR": str(tmp_path / "queue"),
        "SPANLOOM_PRICE_TABLE": str(CONFIGURATION.with_name("prices.yaml")),
    }
    variables_here = set_by_chart | here | {PORTS[name]: port for name, port in ports.items()}
    program = binaries.ensure("otelcol-spanloom")["otelcol-spanloom"]
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen([program, *arguments], env=variables_here, stdout=log, stderr=log)
    try:
        yield {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0, (tmp_path / "log").read_text()


def test_the_configuration_in_it_starts_and_works(gateway):
    """As rendered it takes spans, and counts them under the release's name."""
    healthy(gateway["health"])
    send_failed_request(gateway["otlp-http"], "shop")

    reaches(gateway["telemetry"], "otelcol_receiver_accepted_spans", 2, 'receiver="otlp"')
    reaches(gateway["metrics"], "traces_span_metrics_calls_total", 2, 'job="shop"', 'instance="demo-spanloom"')
