"""After instrumentation: say loudly where another distribution took our place."""

from __future__ import annotations

import logging
import os

from spanloom.distro import _processes
from spanloom.distro._configurator import SpanloomConfigurator
from spanloom.distro._distro import SpanloomDistro

_log = logging.getLogger("spanloom")


def post_instrument() -> None:
    """Entry point ``opentelemetry_post_instrument``: with two distros installed, the directory order decides."""
    if _processes.is_helper():
        return
    lost: list[str] = []
    if not SpanloomDistro.configured:
        lost.append("OTEL_PYTHON_DISTRO=spanloom")
    if not SpanloomConfigurator.configured:
        lost.append("OTEL_PYTHON_CONFIGURATOR=spanloom")
    if lost and _wanted():
        _log.warning(
            "spanloom: another OpenTelemetry distribution was set up in its place, so a part of spanloom is missing "
            "(the local record, the costs or both); set %s",
            " and ".join(lost),
        )


def _wanted() -> bool:
    """Somebody who names another distro has decided."""
    return os.environ.get("OTEL_PYTHON_DISTRO", "spanloom") == "spanloom"
