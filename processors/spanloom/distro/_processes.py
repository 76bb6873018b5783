"""Python starts helper processes of its own; telemetry has no business in them."""

from __future__ import annotations

import sys


def is_helper() -> bool:
    """True in multiprocessing's resource tracker, which inherits the environment of the service."""
    return any("multiprocessing.resource_tracker" in part for part in getattr(sys, "orig_argv", ()))
