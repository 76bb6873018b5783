"""The one span processor before the exporters: context in, costs, tail sampling, redaction and limits."""

from __future__ import annotations

from spanloom.pipeline._processor import SpanloomProcessor

__all__ = ["SpanloomProcessor"]
