"""The pipeline among the arguments of the SDK's configurator, and what is left to do where those are ignored."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from opentelemetry import trace
from opentelemetry.sdk._logs import LogRecordProcessor
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider

from spanloom.distro._local_roots import LocalRoots
from spanloom.genai import hooks
from spanloom.pipeline import SpanloomProcessor, assemble

if TYPE_CHECKING:
    from opentelemetry.sdk._logs import ReadWriteLogRecord

FILE_VARIABLE: Final = "OTEL_CONFIG_FILE"

_log = logging.getLogger("spanloom")


def add(kwargs: dict[str, Any], environ: Mapping[str, str]) -> None:
    """Put the pipeline before the exporters. What the caller gives stays: its processors stand beside ours."""
    if environ.get(FILE_VARIABLE):
        # The SDK ignores arguments there. Nothing of the pipeline must be taken for granted in silence.
        _log.warning(
            "spanloom: %s is set, so the SDK takes its span processors from that file: no redaction, tail sampling, "
            "context attributes or limits of spanloom; use the OTEL_* variables instead for these",
            FILE_VARIABLE,
        )
        return
    assembly = hooks.attempted("distro.pipeline", None, assemble)
    if assembly is None:
        _close(kwargs)
        return
    kwargs["span_processors"] = [*(kwargs.get("span_processors") or ()), *assembly.span_processors()]
    kwargs.setdefault("export_span_processor", assembly.behind)
    kwargs["log_record_processors"] = [
        *(kwargs.get("log_record_processors") or ()),
        *assembly.log_record_processors(),
    ]
    kwargs.setdefault("export_log_record_processor", assembly.log_processor)


def _close(kwargs: dict[str, Any]) -> None:
    """Without the pipeline nothing would be redacted: nothing is exported."""
    _log.error("spanloom: its span processor could not be made, so no spans and log records are exported")
    kwargs["export_span_processor"] = _no_spans
    kwargs["export_log_record_processor"] = _no_log_records


def _no_spans(*_args: Any, **_kwargs: Any) -> SpanProcessor:
    return SpanProcessor()


def _no_log_records(*_args: Any, **_kwargs: Any) -> LogRecordProcessor:
    return _Nothing()


class _Nothing(LogRecordProcessor):
    """Keeps log records from an exporter."""

    def on_emit(self, log_record: ReadWriteLogRecord) -> None:
        """Drop it."""

    def shutdown(self) -> None:
        """Nothing is kept."""

    def force_flush(self, timeout_millis: int = 30_000) -> bool:  # noqa: ARG002 - the SDK's signature
        """Nothing is kept."""
        return True


def note_local_roots() -> None:
    """Where the pipeline is not in its place, roll-ups still need to know which span is whose local root."""
    provider: Any = trace.get_tracer_provider()
    if not isinstance(provider, TracerProvider):
        return
    # Private, and only looked at: a second look at each start would cost and change nothing.
    active: Any = getattr(provider, "_active_span_processor", None)
    known = getattr(active, "_span_processors", ())
    if not any(isinstance(one, SpanloomProcessor) for one in known):
        provider.add_span_processor(LocalRoots())
