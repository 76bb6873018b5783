"""Who is compared: what each contender installs, and how its instrumentation is switched on."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.benchmarks.cases import BARE, OFFICIAL, OURS

if TYPE_CHECKING:
    from tests.benchmarks._telemetry import Bench

# The only versions that this comparison is about; everything else has the version of uv.lock.
OFFICIAL_VERSION = "1.3b0"
WHEEL = "{wheel}"


@dataclass(frozen=True)
class Contender:
    """``requirements``: of its environment, ``{wheel}`` being ours. ``instrumentor``: ``module:Class``, if any."""

    requirements: tuple[str, ...]
    instrumentor: str | None = None
    # Ours is measured as the distribution runs it: with the cost of each call.
    prices: bool = False


_SDK = "opentelemetry-sdk"


def _library(name: str, class_name: str) -> dict[tuple[str, str], Contender]:
    official = f"opentelemetry-instrumentation-genai-{name}=={OFFICIAL_VERSION}"
    return {
        (name, BARE): Contender((_SDK, name)),
        (name, OFFICIAL): Contender((_SDK, name, official), f"opentelemetry.instrumentation.genai.{name}:{class_name}"),
        (name, OURS): Contender((WHEEL, name), f"spanloom.{name}:{class_name}", prices=True),
    }


CONTENDERS: dict[tuple[str, str], Contender] = {
    ("sdk", BARE): Contender((_SDK,)),
    ("sdk", OURS): Contender((WHEEL,)),
    **_library("openai", "OpenAIInstrumentor"),
    **_library("dspy", "DSPyInstrumentor"),
}


def switch_on(contender: Contender, bench: Bench) -> None:
    """Instrument, as a service would that builds its own providers."""
    if contender.prices:
        from spanloom.cost import CostFinisher
        from spanloom.genai.hooks import add_finisher

        add_finisher(CostFinisher(bench.meter_provider))
    if contender.instrumentor is not None:
        module, name = contender.instrumentor.split(":")
        instrumentor = getattr(importlib.import_module(module), name)()
        instrumentor.instrument(tracer_provider=bench.tracer_provider, meter_provider=bench.meter_provider)
