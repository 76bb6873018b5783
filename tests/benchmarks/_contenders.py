"""Who is compared: what each contender installs, and how its instrumentation is switched on."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.benchmarks.cases import BARE, FLOOR, OFFICIAL, OURS, PRICED

if TYPE_CHECKING:
    from tests.benchmarks._shape import Shape
    from tests.benchmarks._telemetry import Bench

# The only versions that this comparison is about; everything else has the version of uv.lock.
OFFICIAL_VERSION = "1.3b0"
WHEEL = "{wheel}"
CONTENT_SWITCH = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"

_SDK = "opentelemetry-sdk"
_FLOORS = {"openai": "tests.benchmarks._floor:Floor", "dspy": "tests.benchmarks._dspy_floor:DSPyFloor"}


@dataclass(frozen=True)
class Contender:
    """``environment``: the name of its folder, which contenders share that install the same.

    ``requirements``: of that environment, ``{wheel}`` being ours. ``instrumentor``: ``module:Class``, if any.
    """

    environment: str
    requirements: tuple[str, ...]
    instrumentor: str | None = None
    prices: bool = False


def _library(name: str, class_name: str) -> dict[tuple[str, str], Contender]:
    official = f"opentelemetry-instrumentation-genai-{name}=={OFFICIAL_VERSION}"
    theirs = f"opentelemetry.instrumentation.genai.{name}:{class_name}"
    ours = f"spanloom.{name}:{class_name}"
    bare = (_SDK, name)
    return {
        (name, BARE): Contender(f"{name}-bare", bare),
        # It has our encoder of long texts, and nothing else of ours.
        (name, FLOOR): Contender(f"{name}-ours", (WHEEL, name), _FLOORS[name]),
        (name, OFFICIAL): Contender(f"{name}-official", (*bare, official), theirs),
        (name, OURS): Contender(f"{name}-ours", (WHEEL, name), ours),
        (name, PRICED): Contender(f"{name}-ours", (WHEEL, name), ours, prices=True),
    }


def _peer() -> dict[tuple[str, str], Contender]:
    """OpenInference's tree of a DSPy program, in the place of the official package."""
    package, theirs = "openinference-instrumentation-dspy", "openinference.instrumentation.dspy:DSPyInstrumentor"
    return {
        ("dspy-openinference", OFFICIAL): Contender("dspy-openinference", (_SDK, "dspy", package), theirs),
        ("dspy-openinference", OURS): Contender("dspy-ours", (WHEEL, "dspy"), "spanloom.dspy:DSPyInstrumentor"),
    }


CONTENDERS: dict[tuple[str, str], Contender] = {
    ("sdk", BARE): Contender("sdk-bare", (_SDK,)),
    ("sdk", OURS): Contender("sdk-ours", (WHEEL,)),
    **_library("openai", "OpenAIInstrumentor"),
    **_library("dspy", "DSPyInstrumentor"),
    **_peer(),
}


class Switch:
    """Turns a contender's instrumentation on and off, as a service would that builds its own providers.

    What it adds is taken within one process: two processes of the same program differ by more than that.
    """

    def __init__(self, contender: Contender, bench: Bench) -> None:
        self._contender = contender
        self._bench = bench
        self._undo: list[Callable[[], Any]] = []

    @property
    def can(self) -> bool:
        """False for what is no instrumentation: such a case has its absolute figure only."""
        return self._contender.instrumentor is not None

    def on(self) -> None:
        bench = self._bench
        os.environ[CONTENT_SWITCH] = "SPAN_ONLY" if bench.setting.content else "NO_CONTENT"
        if self._contender.prices:
            from spanloom.cost import CostFinisher
            from spanloom.genai.hooks import add_finisher

            self._undo.append(add_finisher(CostFinisher(bench.meter_provider)))
        if self._contender.instrumentor is not None:
            instrumentor = instrumentor_class(self._contender.instrumentor)()
            instrumentor.instrument(
                tracer_provider=bench.tracer_provider,
                meter_provider=bench.meter_provider,
                logger_provider=bench.logger_provider,
            )
            self._undo.append(instrumentor.uninstrument)

    def use(self, shape: Shape) -> None:
        """Tell the floor what to write."""
        assert self._contender.instrumentor is not None
        instrumentor_class(self._contender.instrumentor)().use(shape)

    def off(self) -> None:
        while self._undo:
            self._undo.pop()()


def instrumentor_class(place: str) -> Callable[[], Any]:
    """The class at ``module:Class``."""
    module, name = place.split(":")
    return getattr(importlib.import_module(module), name)
