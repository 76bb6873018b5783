"""The base of our instrumentors: OpenTelemetry's own lifecycle, and a clear word where a library does not fit."""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import Collection, Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, ClassVar

from opentelemetry.instrumentation.instrumentor import BaseInstrumentor
from packaging.requirements import Requirement
from packaging.version import InvalidVersion

from spanloom.genai._guard import guard
from spanloom.genai._patch import Patches, Target

if TYPE_CHECKING:
    from spanloom.genai._telemetry import Telemetry

_log = logging.getLogger("spanloom")


class Instrumentor(BaseInstrumentor):  # pyright: ignore[reportUntypedBaseClass]
    """``instrument(tracer_provider=, meter_provider=, logger_provider=)`` and ``uninstrument()`` of OpenTelemetry."""

    scope: ClassVar[str]
    entry_point: ClassVar[str]
    requires: ClassVar[tuple[str, ...]] = ()
    # Modules of the library whose import starts the work: until then nothing but this class is loaded, and nothing is
    # checked. Empty where an instrumentor starts at once.
    modules: ClassVar[tuple[str, ...]] = ()

    _patches: Patches | None = None
    _telemetry: Telemetry | None = None

    @abstractmethod
    def targets(self, telemetry: Telemetry) -> Iterable[Target]:
        """What to patch, with handlers that report to ``telemetry``."""

    def instrumentation_dependencies(self) -> Collection[str]:
        """The supported range of the instrumented library, in the syntax of requirements."""
        return self.requires

    def instrument(self, **kwargs: Any) -> None:
        """Start recording. A library that is not installed is silent; one outside our range is one log line.

        The stock loader passes ``skip_dep_check`` after checking whole distributions only, so the check is made here.
        """
        kwargs.pop("skip_dep_check", None)
        kwargs.pop("raise_exception_on_conflict", None)
        # Nothing of ours may stop the application's start: not a broken installation, not a provider that raises.
        with guard(f"genai.instrument:{self.entry_point}"):
            if self.modules or self._fits():
                super().instrument(skip_dep_check=True, **kwargs)

    def _fits(self) -> bool:
        return all(_fits(one, self.entry_point) for one in self.requires)

    def _instrument(self, **kwargs: Any) -> None:
        if self.modules:
            self._patches = Patches(self.modules, lambda: self._make(kwargs) if self._fits() else ())
        else:
            self._patches = Patches.of(self._make(kwargs))
        self._patches.register()

    def _make(self, kwargs: Mapping[str, Any]) -> Iterable[Target]:
        from spanloom.genai._conflict import configure
        from spanloom.genai._telemetry import Telemetry  # most of the core: only where the library is used

        providers = (kwargs.get(f"{kind}_provider") for kind in ("tracer", "meter", "logger"))
        configure()
        self._telemetry = Telemetry(self.scope, *providers)
        return self.targets(self._telemetry)

    def _uninstrument(self, **kwargs: Any) -> None:
        del kwargs
        if self._telemetry is not None:
            self._telemetry.enabled = False
            from spanloom.genai._conflict import put_back

            put_back()
        if self._patches is not None:
            self._patches.undo()
        self._patches = self._telemetry = None


def _contains(wanted: Requirement, found: str) -> bool:
    try:
        return wanted.specifier.contains(found, prereleases=True)
    except InvalidVersion:
        return False


def _fits(requirement: str, entry_point: str) -> bool:
    wanted = Requirement(requirement)
    try:
        found = version(wanted.name)
    except PackageNotFoundError:
        return False
    if _contains(wanted, found):
        return True
    _log.warning(
        "spanloom: %s %s is outside the supported range, its calls are not recorded; install '%s', "
        "or set OTEL_PYTHON_DISABLED_INSTRUMENTATIONS=%s to silence this",
        wanted.name,
        found,
        requirement,
        entry_point,
    )
    return False
