"""What an instrument is, as data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

Kind = Literal["counter", "histogram", "gauge"]
Level = Literal["required", "conditionally_required", "recommended", "opt_in"]
Mode = Literal["current", "old"]


class MetricSpec(NamedTuple):
    """One instrument. ``buckets`` are explicit boundaries in ``unit``; only histograms have them.

    ``mode="old"`` is a metric that the registry has superseded; ``attributes`` are the registry's with their levels.
    """

    name: str
    unit: str
    kind: Kind
    description: str
    buckets: tuple[float, ...] | None = None
    attributes: Mapping[str, Level] = {}
    mode: Mode = "current"
