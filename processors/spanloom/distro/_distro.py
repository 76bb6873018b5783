"""The distro: environment before the SDK is set up, and how each instrumentor is loaded."""

from __future__ import annotations

import logging
import os
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from opentelemetry.instrumentation.dependencies import DependencyConflictError
from opentelemetry.instrumentation.distro import BaseDistro

from spanloom import semconv
from spanloom.distro import _exporters, _processes, _system, _variables
from spanloom.genai import hooks

_log = logging.getLogger("spanloom")


class SpanloomDistro(BaseDistro):  # pyright: ignore[reportUntypedBaseClass]
    """Loaded by ``opentelemetry-instrument`` (``OTEL_PYTHON_DISTRO=spanloom``)."""

    configured = False

    def _configure(self, **kwargs: Any) -> None:
        del kwargs
        type(self).configured = True
        if _processes.is_helper():
            return
        for line in _variables.unknown(os.environ):
            _log.warning("spanloom: %s", line)
        # A configuration file says all about exporters itself.
        if not os.environ.get("OTEL_CONFIG_FILE"):
            _set_exporters()
            _set_sampler()

    def load_instrumentor(self, entry_point: EntryPoint, **kwargs: Any) -> None:
        """Load one instrumentor. One that fails costs itself; the stock loader would give up on all after it."""
        if _processes.is_helper():
            return
        with hooks.guard(f"distro.load:{entry_point.name}", passing=(ImportError, DependencyConflictError)):
            self._load(entry_point, kwargs)

    def _load(self, entry_point: EntryPoint, kwargs: dict[str, Any]) -> None:
        if entry_point.name == "fastapi":
            # Without this, every streamed chunk is a span.
            kwargs = {"exclude_spans": ["receive", "send"], **kwargs}
        instrumentor = entry_point.load()
        if entry_point.name == "system_metrics":
            instrumentor(config=_system.PROCESS_METRICS).instrument(**kwargs)
        else:
            instrumentor().instrument(**kwargs)


def _set_exporters() -> None:
    choice = _exporters.choose(os.environ, _has_exporter, semconv.text("SPANLOOM_RECORD").lower() != "off")
    for line in choice.warnings:
        _log.warning("spanloom: %s", line)
    os.environ.update(choice.variables)


def _set_sampler() -> None:
    """Who gives rules for sampling means them: ours is the sampler that reads them."""
    if not semconv.text("SPANLOOM_SAMPLING"):
        return
    chosen = os.environ.get("OTEL_TRACES_SAMPLER", "").strip()
    if not chosen:
        os.environ["OTEL_TRACES_SAMPLER"] = "spanloom"
    elif chosen != "spanloom":
        _log.warning(
            "spanloom: OTEL_TRACES_SAMPLER=%s decides as traces begin, so what SPANLOOM_SAMPLING says under head has "
            "no effect; set OTEL_TRACES_SAMPLER=spanloom, or unset it",
            chosen,
        )


def _has_exporter(signal: str, name: str) -> bool:
    return bool(entry_points(group=f"opentelemetry_{signal}_exporter", name=name))
