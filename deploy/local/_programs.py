"""What exactly is started: ports, settings and paths → command lines, environments and configurations. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deploy.local._common import ROOT

CONFIGURATION = ROOT / "collector_config" / "spanloom.yaml"
RULES = ROOT / "deploy" / "rules" / "costs.yaml"
PRICES = CONFIGURATION.with_name("prices.yaml")

# The ports that people expect come first; where one is taken, another is chosen and printed.
PREFERRED_PORTS = {"otlp_grpc": 4317, "otlp_http": 4318, "jaeger": 16686, "prometheus": 9090}
PORTS = (
    *PREFERRED_PORTS,
    "collector_health",
    "collector_metrics",
    "collector_telemetry",
    "jaeger_grpc",
    "jaeger_health",
    "jaeger_otlp",
)


@dataclass(frozen=True)
class Settings:
    """What a caller chooses. The defaults suit a demonstration: every trace is kept, and soon there."""

    baseline_percent: float = 100.0
    decision_wait_s: int = 2
    environment: dict[str, str] = field(default_factory=dict[str, str])  # more SPANLOOM_* for the Collector


@dataclass(frozen=True)
class Program:
    """One process of the stack. `environment` comes on top of the inherited one."""

    name: str
    argv: list[str]
    environment: dict[str, str]
    health_url: str
    log: str


def programs(binaries: Mapping[str, Path], ports: Mapping[str, int], settings: Settings, folder: Path) -> list[Program]:
    """The three programs in the order of their start: who receives is there before who sends."""
    return [
        _jaeger(binaries["jaeger"], ports, folder),
        _collector(binaries["otelcol-spanloom"], ports, settings, folder),
        _prometheus(binaries["prometheus"], ports, folder),
    ]


def files(ports: Mapping[str, int], folder: Path) -> dict[Path, str]:
    """The configuration files to write. JSON is YAML: no YAML library is needed to write it."""
    configurations = {
        folder / "jaeger.json": jaeger_configuration(ports),
        folder / "prometheus.json": prometheus_configuration(ports),
    }
    return {path: json.dumps(data, indent=2) + "\n" for path, data in configurations.items()}


def inherited(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment without OTEL_*: those are meant for the user's application, and our programs read them too."""
    return {name: value for name, value in environment.items() if not name.startswith("OTEL_")}


def _collector(binary: Path, ports: Mapping[str, int], settings: Settings, folder: Path) -> Program:
    return Program(
        name="collector",
        argv=[str(binary), "--config", str(CONFIGURATION)],
        environment={**collector_environment(ports, settings, folder), **settings.environment},
        health_url=f"http://127.0.0.1:{ports['collector_health']}/",
        log=str(folder / "logs" / "collector.log"),
    )


def collector_environment(ports: Mapping[str, int], settings: Settings, folder: Path) -> dict[str, str]:
    """The variables of `spanloom.yaml` that a local stack sets."""
    return {
        "SPANLOOM_LISTEN_HOST": "127.0.0.1",
        "SPANLOOM_OTLP_GRPC_PORT": str(ports["otlp_grpc"]),
        "SPANLOOM_OTLP_HTTP_PORT": str(ports["otlp_http"]),
        "SPANLOOM_HEALTH_PORT": str(ports["collector_health"]),
        "SPANLOOM_PROMETHEUS_PORT": str(ports["collector_metrics"]),
        "SPANLOOM_TELEMETRY_PORT": str(ports["collector_telemetry"]),
        "SPANLOOM_JAEGER_ENDPOINT": f"127.0.0.1:{ports['jaeger_otlp']}",
        "SPANLOOM_QUEUE_DIR": str(folder / "data" / "queue"),
        "SPANLOOM_PRICE_TABLE": str(PRICES),
        "SPANLOOM_SAMPLING_BASELINE_PERCENT": f"{settings.baseline_percent:g}",
        "SPANLOOM_SAMPLING_DECISION_WAIT": f"{settings.decision_wait_s}s",
        "SPANLOOM_SAMPLING_WAIT_AFTER_ROOT": "0s",  # off: decision_wait alone rules
        "SPANLOOM_RED_FLUSH_INTERVAL": "1s",
        # The processes of a demonstration end at once, and somebody looks at their counters next day.
        "SPANLOOM_PROMETHEUS_EXPIRATION": "24h",
    }


def _jaeger(binary: Path, ports: Mapping[str, int], folder: Path) -> Program:
    return Program(
        name="jaeger",
        argv=[str(binary), "--config", str(folder / "jaeger.json")],
        # Jaeger traces itself, into localhost:4317 unless told otherwise: its own spans would come through us.
        environment={"OTEL_TRACES_SAMPLER": "always_off"},
        health_url=f"http://127.0.0.1:{ports['jaeger_health']}/status",
        log=str(folder / "logs" / "jaeger.log"),
    )


def jaeger_configuration(ports: Mapping[str, int]) -> dict[str, Any]:
    """Jaeger as one process with its spans in memory: OTLP over gRPC in, the query API out."""

    def at(port: str) -> dict[str, str]:
        return {"endpoint": f"127.0.0.1:{ports[port]}"}

    return {
        "extensions": {
            "healthcheckv2": {"use_v2": True, "http": at("jaeger_health")},
            "jaeger_storage": {"backends": {"memory": {"memory": {"max_traces": 100_000}}}},
            "jaeger_query": {"storage": {"traces": "memory"}, "http": at("jaeger"), "grpc": at("jaeger_grpc")},
        },
        "receivers": {"otlp": {"protocols": {"grpc": {**at("jaeger_otlp"), "max_recv_msg_size_mib": 32}}}},
        "exporters": {"jaeger_storage_exporter": {"trace_storage": "memory"}},
        "service": {
            "extensions": ["jaeger_storage", "jaeger_query", "healthcheckv2"],
            "pipelines": {"traces": {"receivers": ["otlp"], "exporters": ["jaeger_storage_exporter"]}},
            "telemetry": {"metrics": {"level": "none"}, "logs": {"level": "info"}},
        },
    }


def _prometheus(binary: Path, ports: Mapping[str, int], folder: Path) -> Program:
    address = f"127.0.0.1:{ports['prometheus']}"
    return Program(
        name="prometheus",
        argv=[
            str(binary),
            f"--config.file={folder / 'prometheus.json'}",
            f"--storage.tsdb.path={folder / 'data' / 'prometheus'}",
            f"--web.listen-address={address}",
            # It looks for targets every 5 s only, and so the first sample would be that late.
            "--scrape.discovery-reload-interval=1s",
        ],
        environment={},
        health_url=f"http://{address}/-/ready",
        log=str(folder / "logs" / "prometheus.log"),
    )


def prometheus_configuration(ports: Mapping[str, int]) -> dict[str, Any]:
    """Scrape the Collector every second: what the services sent, and what it says about itself."""

    def target(port: str) -> list[dict[str, list[str]]]:
        return [{"targets": [f"127.0.0.1:{ports[port]}"]}]

    return {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(RULES)],
        "scrape_configs": [
            # job and instance are the services' own; without honor_labels they become exported_job, exported_instance.
            {"job_name": "spanloom", "honor_labels": True, "static_configs": target("collector_metrics")},
            {"job_name": "otelcol-spanloom", "static_configs": target("collector_telemetry")},
        ],
    }
