"""Which traces are kept: decided as they begin (the sampler), as they end (tail), and what the Collector can decide."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from spanloom.sampling._collector import policies
from spanloom.sampling._load import from_settings, load, loads
from spanloom.sampling._rules import HeadRule, HeadRules, SamplingRules, TailRule, TailRules
from spanloom.sampling._trace_state import parse, with_threshold
from spanloom.sampling._words import summary

if TYPE_CHECKING:
    from spanloom.sampling._head import Sampler, from_environment
    from spanloom.sampling._tail import TailSampler
    from spanloom.sampling._verdict import Verdict

__all__ = [
    "HeadRule",
    "HeadRules",
    "Sampler",
    "SamplingRules",
    "TailRule",
    "TailRules",
    "TailSampler",
    "Verdict",
    "from_environment",
    "from_settings",
    "load",
    "loads",
    "parse",
    "policies",
    "summary",
    "with_threshold",
]

# They need the SDK or the core, which who only reads rules (the command line) does without.
_HOMES = {"Sampler": "_head", "from_environment": "_head", "TailSampler": "_tail", "Verdict": "_verdict"}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"{__name__}.{home}"), name)
    return value
