"""The telemetry of what people write into their own code: nobody starts an instrumentor for it."""

from __future__ import annotations

from spanloom.genai._telemetry import Telemetry


class SharedTelemetry:
    """One telemetry of a scope, to be asked for at each call: providers are often set after the code was loaded.

    It is the one that an instrumentor gives, while that is active; else one of its own on the global providers.
    """

    def __init__(self, scope: str) -> None:
        self._scope = scope
        self._given: Telemetry | None = None
        self._own: Telemetry | None = None

    def use(self, telemetry: Telemetry | None) -> None:
        """Take this telemetry from now on; ``None`` goes back to the global providers."""
        self._given = telemetry

    def __call__(self) -> Telemetry:
        """What a call reports to."""
        if self._given is not None:
            return self._given
        if self._own is None:
            self._own = Telemetry(self._scope)
        return self._own
