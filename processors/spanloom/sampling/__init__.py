"""Which traces are kept: decided as they begin (the sampler), and what the Collector can decide as they end."""

from __future__ import annotations

from spanloom.sampling._load import from_settings, load, loads
from spanloom.sampling._rules import HeadRule, HeadRules, SamplingRules, TailRule, TailRules
from spanloom.sampling._tail import TailSampler
from spanloom.sampling._trace_state import parse, with_threshold
from spanloom.sampling._verdict import Verdict

__all__ = [
    "HeadRule",
    "HeadRules",
    "SamplingRules",
    "TailRule",
    "TailRules",
    "TailSampler",
    "Verdict",
    "from_settings",
    "load",
    "loads",
    "parse",
    "with_threshold",
]
