"""The distribution: what ``opentelemetry-instrument`` loads, and ``start()`` for services that start in code."""

from __future__ import annotations

from spanloom.distro._check import post_instrument
from spanloom.distro._configurator import SpanloomConfigurator
from spanloom.distro._distro import SpanloomDistro
from spanloom.distro._start import start

__all__ = ["SpanloomConfigurator", "SpanloomDistro", "post_instrument", "start"]
