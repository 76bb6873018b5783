"""Which traces are kept: decided as they begin (the sampler), and what the Collector can decide as they end."""

from __future__ import annotations

from spanloom.sampling._load import from_settings, load, loads
from spanloom.sampling._rules import HeadRule, HeadRules, SamplingRules, TailRule, TailRules

__all__ = [
    "HeadRule",
    "HeadRules",
    "SamplingRules",
    "TailRule",
    "TailRules",
    "from_settings",
    "load",
    "loads",
]
