"""Exporters that keep telemetry in a local folder: OTLP/JSON, one request a line, oldest files deleted first."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk._logs.export import LogRecordExporter, LogRecordExportResult
from opentelemetry.sdk.metrics.export import MetricExporter, MetricExportResult, MetricsData
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from spanloom.export._encode import encode_logs, encode_metrics, encode_spans
from spanloom.export._pack import Request
from spanloom.export._unbuffered import Unbuffered
from spanloom.export._writer import RecordFullError, Writer, complaints_about, writer_for
from spanloom.semconv import integer, text

FOLDER = "SPANLOOM_RECORD"
MAX_BYTES = "SPANLOOM_RECORD_MAX_BYTES"

# Readers take a line at a time, and a broken line loses what is in it.
_LINE_BYTES = 1_000_000


class Recorder:
    """What the three exporters share. The folder is resolved now (the process may change its own) and made later."""

    def __init__(self, folder: str | Path | None, max_bytes: int | None) -> None:
        chosen = text(FOLDER) if folder is None else str(folder)
        self._max_bytes = integer(MAX_BYTES) if max_bytes is None else max_bytes
        self._writer: Writer | None = None
        if folder is not None or chosen.lower() != "off":
            self._writer = writer_for(_place(chosen), self._max_bytes)
            self._writer.retain()
        self._closed = False
        self.dropped = 0

    def keep(self, requests: Iterable[Request]) -> bool:
        """True where every request was written (or recording is off)."""
        if self._writer is None:
            return True
        outcomes = [self._write(self._writer, request) for request in requests]
        return all(outcomes)

    def close(self) -> None:
        if self._writer is not None and not self._closed:
            self._closed = True
            self._writer.release()

    def _write(self, writer: Writer, request: Request) -> bool:
        try:
            writer.append(request.body)
        except OSError as error:
            self.dropped += request.entries
            complaints_about(writer.folder).say(
                "the record %s %s (%d lost so far)", writer.folder, self._trouble(error), self.dropped
            )
            return False
        return True

    def _trouble(self, error: OSError) -> str:
        if isinstance(error, RecordFullError):
            return f"has no room for more: raise {MAX_BYTES} (now {self._max_bytes})"
        return f"cannot be written ({error.strerror or error}): set {FOLDER} to a writable folder, or to off"


def _place(chosen: str) -> Path:
    """Absolute, with ``~`` understood. Not ``Path.expanduser``: that raises in a process without a home."""
    return Path(os.path.abspath(os.path.expanduser(chosen)))  # noqa: PTH100, PTH111


class RecordSpanExporter(Unbuffered, SpanExporter):
    """Keeps spans in the folder ``SPANLOOM_RECORD``, or in ``folder``; at most ``max_bytes`` in the whole folder."""

    def __init__(self, folder: str | Path | None = None, max_bytes: int | None = None) -> None:
        self._recorder = Recorder(folder, max_bytes)

    @property
    def dropped(self) -> int:
        """Spans that could not be written, since the start."""
        return self._recorder.dropped

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Append a batch."""
        kept = self._recorder.keep(encode_spans(spans, _LINE_BYTES))
        return SpanExportResult.SUCCESS if kept else SpanExportResult.FAILURE

    def shutdown(self) -> None:
        """Let the file go."""
        self._recorder.close()


class RecordMetricExporter(Unbuffered, MetricExporter):
    """Keeps metrics (cumulative) in the same folder and file as the spans."""

    def __init__(self, folder: str | Path | None = None, max_bytes: int | None = None) -> None:
        super().__init__()
        self._recorder = Recorder(folder, max_bytes)

    @property
    def dropped(self) -> int:
        """Data points that could not be written, since the start."""
        return self._recorder.dropped

    def export(
        self,
        metrics_data: MetricsData,
        timeout_millis: float = 10_000,  # noqa: ARG002 (the SDK's signature)
        **_kwargs: Any,
    ) -> MetricExportResult:
        """Append one collection."""
        kept = self._recorder.keep(encode_metrics(metrics_data, _LINE_BYTES))
        return MetricExportResult.SUCCESS if kept else MetricExportResult.FAILURE

    def shutdown(self, timeout_millis: float = 30_000, **_kwargs: Any) -> None:  # noqa: ARG002 (the SDK's signature)
        """Let the file go."""
        self._recorder.close()


class RecordLogExporter(Unbuffered, LogRecordExporter):
    """Keeps log records in the same folder and file as the spans."""

    def __init__(self, folder: str | Path | None = None, max_bytes: int | None = None) -> None:
        self._recorder = Recorder(folder, max_bytes)

    @property
    def dropped(self) -> int:
        """Log records that could not be written, since the start."""
        return self._recorder.dropped

    def export(self, batch: Sequence[ReadableLogRecord]) -> LogRecordExportResult:
        """Append a batch."""
        kept = self._recorder.keep(encode_logs(batch, _LINE_BYTES))
        return LogRecordExportResult.SUCCESS if kept else LogRecordExportResult.FAILURE

    def shutdown(self) -> None:
        """Let the file go."""
        self._recorder.close()
