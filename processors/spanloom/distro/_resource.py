"""What tells the processes of one service apart: without it, their metrics overwrite each other in Prometheus."""

from __future__ import annotations

import uuid
from collections.abc import Mapping

_KEY = "service.instance.id"


def instance_attributes(environ: Mapping[str, str]) -> dict[str, str]:
    """A random ``service.instance.id`` (the conventions' default), unless the user gives one by a variable."""
    given = [pair.partition("=")[0].strip() for pair in environ.get("OTEL_RESOURCE_ATTRIBUTES", "").split(",")]
    detectors = [name.strip() for name in environ.get("OTEL_EXPERIMENTAL_RESOURCE_DETECTORS", "").split(",")]
    if _KEY in given or "service_instance" in detectors:
        return {}
    return {_KEY: str(uuid.uuid4())}
