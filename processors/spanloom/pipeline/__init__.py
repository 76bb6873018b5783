"""The one span processor before the exporters: context in, costs, tail sampling, redaction and limits.

``SpanloomProcessor`` is for services that build their own ``TracerProvider``; ``wrap`` puts a span processor of the
application's behind the one that the distribution has set up. docs/pipeline.md has the order of things.
"""

from __future__ import annotations

from spanloom.pipeline._assembly import Assembly, assemble, wrap
from spanloom.pipeline._processor import SpanloomProcessor

__all__ = ["Assembly", "SpanloomProcessor", "assemble", "wrap"]
