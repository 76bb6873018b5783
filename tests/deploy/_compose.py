"""Runs the services of a Compose file as it describes them, with programs built here in place of public images."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from testcontainers.core.container import DockerContainer
from testcontainers.core.network import Network

from tests.deploy._collector import load

FILE = Path(__file__).resolve().parents[2] / "deploy" / "docker" / "compose.yaml"
# Named volumes get a name that no real stack and no other run has.
PREFIX = f"spanloom-test-{secrets.token_hex(4)}-"
AS_WRITTEN = ("cap_drop", "mem_limit", "read_only", "security_opt")


def services() -> dict[str, dict[str, Any]]:
    """The services, anchors and merges resolved."""
    return load(FILE)["services"]


def environment(service: Mapping[str, Any], given: Mapping[str, str] = os.environ) -> dict[str, str]:
    """NAME=value as it stands, NAME from `given` where it is set there."""
    pairs = [entry.partition("=") for entry in service.get("environment", [])]
    fixed = {name: value for name, equals, value in pairs if equals}
    return fixed | {name: given[name] for name, equals, _ in pairs if not equals and name in given}


def container(name: str, image: str, network: Network, given: Mapping[str, str], **instead: Any) -> DockerContainer:
    """The service `name` of the file, its ports published at random. `instead`: what the stand-in image needs."""
    service = services()[name]
    made = DockerContainer(
        image,
        command=instead.pop("command", service.get("command")),
        env=environment(service, given),
        volumes=[_volume(entry) for entry in service["volumes"]] + instead.pop("volumes", []),
        network=network,
        network_aliases=[name],
    )
    made.with_exposed_ports(*(int(port.rpartition(":")[2]) for port in service["ports"]))
    return made.with_kwargs(**{key: service[key] for key in AS_WRITTEN}, **instead)


def _volume(entry: str) -> tuple[str, str, str]:
    """A file beside the Compose file keeps its place; a named volume gets our prefix."""
    source, target, *mode = entry.split(":")
    if source.startswith("."):
        return str((FILE.parent / source).resolve()), target, mode[0]
    return f"{PREFIX}{source}", target, "rw"
