"""Exporters that send OTLP/JSON over HTTP. They never raise into the SDK and never trace themselves."""

from __future__ import annotations

import gzip
import json
import os
import time
from collections.abc import Iterable, Sequence
from typing import Any, cast

from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk._logs.export import LogRecordExporter, LogRecordExportResult
from opentelemetry.sdk.metrics.export import MetricExporter, MetricExportResult, MetricsData
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from spanloom.export import _settings
from spanloom.export._client import Answer, Client
from spanloom.export._complaints import Complaints, log
from spanloom.export._encode import encode_logs, encode_metrics, encode_spans
from spanloom.export._pack import Request
from spanloom.export._preferences import aggregations, temporalities
from spanloom.export._unbuffered import Unbuffered

_GRPC_PORT_HINT = " (4317 is the gRPC port; OTLP over HTTP listens on 4318)"


class Sender:
    """What the three exporters share: sends requests within one deadline, counts what was lost, says so."""

    def __init__(self, signal: str, path: str, noun: str) -> None:
        self._noun = noun
        self._settings = _settings.read(signal, path, os.environ)
        self._client = Client(self._settings)
        self._complaints = Complaints()
        self._closed = False
        self.dropped = 0
        for problem in self._settings.problems:
            log.warning("%s", problem)

    def send(self, requests: Iterable[Request], timeout_s: float = float("inf")) -> bool:
        """True where every request was taken. Bounded by the exporter's timeout and by ``timeout_s``."""
        deadline = time.monotonic() + min(self._settings.timeout_s, timeout_s)
        # What comes after a failure is sent as well, while there is time.
        outcomes = [self._deliver(request, deadline) for request in requests]
        return all(outcomes)

    def close(self) -> None:
        self._closed = True
        self._client.close()

    def _deliver(self, request: Request, deadline: float) -> bool:
        if self._closed or not self._settings.url:
            self.dropped += request.entries
            return False
        body = gzip.compress(request.body, 1) if self._settings.gzip else request.body
        answer = self._client.post(body, deadline)
        if answer.delivered:
            self._look_for_rejected(answer)
        else:
            self._lost(request, answer)
        return answer.delivered

    def _lost(self, request: Request, answer: Answer) -> None:
        self.dropped += request.entries
        self._complaints.say(
            "%d %s were not delivered to %s: %s; %s (%d lost so far)",
            request.entries, self._noun, self._settings.shown_url, answer.text, self._cure(answer.kind), self.dropped,
        )  # fmt: skip

    def _look_for_rejected(self, answer: Answer) -> None:
        """``partialSuccess``: the receiver took the request but not all of it. Sending again would not help."""
        count, reason = _rejected(answer.body)
        if not count and not reason:
            return
        self.dropped += count
        self._complaints.say(
            "%s rejected %d %s: %s (%d lost so far)",
            self._settings.shown_url, count, self._noun, reason or "no reason given", self.dropped,
        )  # fmt: skip

    def _cure(self, kind: str) -> str:
        variable = self._settings.endpoint_variable
        hint = _GRPC_PORT_HINT if ":4317/" in self._settings.url else ""
        cures = {
            "unreachable": f"start a Collector there, or set {variable} to where it listens{hint}",
            "proxy": "look at http_proxy, https_proxy and no_proxy",
            "address": f"set {variable} to the final address{hint}",
            "broken": f"see whether {variable} is the address of OTLP over HTTP{hint}",
            "late": "look at the Collector's load, or raise OTEL_EXPORTER_OTLP_TIMEOUT (seconds)",
            "busy": "the Collector is overloaded: give it room, or send less",
            "forbidden": "see OTEL_EXPORTER_OTLP_HEADERS",
            "size": "allow larger requests there, or lower OTEL_BSP_MAX_EXPORT_BATCH_SIZE",
            "format": "no OTLP/JSON there: OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf needs the extra spanloom[otlp]",
            "tls": "see OTEL_EXPORTER_OTLP_CERTIFICATE, _CLIENT_CERTIFICATE and _CLIENT_KEY",
        }
        return cures.get(kind, "see the Collector's log")


def _rejected(body: bytes) -> tuple[int, str]:
    """How many entries were rejected and why; zero and nothing where the body says none of it."""
    try:
        answer: Any = json.loads(body) if body.startswith(b"{") else {}
        partial: Any = answer.get("partialSuccess") or {}
        rows = cast("dict[str, Any]", partial) if isinstance(partial, dict) else {}
        counts = [int(count) for key, count in rows.items() if key.startswith("rejected")]
    except (ValueError, TypeError, RecursionError):
        return 0, ""
    return sum(counts), " ".join(str(rows.get("errorMessage", "")).split())[:300]


class OTLPJsonSpanExporter(Unbuffered, SpanExporter):
    """Sends spans as OTLP/JSON. Reads the standard ``OTEL_EXPORTER_OTLP_*`` variables when it is made."""

    def __init__(self) -> None:
        self._sender = Sender("TRACES", "v1/traces", "spans")

    @property
    def dropped(self) -> int:
        """Spans that did not arrive, since the start."""
        return self._sender.dropped

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Deliver a batch within the timeout."""
        delivered = self._sender.send(encode_spans(spans))
        return SpanExportResult.SUCCESS if delivered else SpanExportResult.FAILURE

    def shutdown(self) -> None:
        """Give up what is being sent, at once. May be called from another thread than ``export``."""
        self._sender.close()


class OTLPJsonMetricExporter(Unbuffered, MetricExporter):
    """Sends metrics as OTLP/JSON, with the temporality that the standard variables ask for."""

    def __init__(self) -> None:
        super().__init__(
            preferred_temporality=temporalities(os.environ), preferred_aggregation=aggregations(os.environ)
        )
        self._sender = Sender("METRICS", "v1/metrics", "data points")

    @property
    def dropped(self) -> int:
        """Data points that did not arrive, since the start."""
        return self._sender.dropped

    def export(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **_kwargs: Any) -> MetricExportResult:
        """Deliver one collection within the timeout."""
        delivered = self._sender.send(encode_metrics(metrics_data), timeout_millis / 1000)
        return MetricExportResult.SUCCESS if delivered else MetricExportResult.FAILURE

    def shutdown(self, timeout_millis: float = 30_000, **_kwargs: Any) -> None:  # noqa: ARG002 (the SDK's signature)
        """Give up what is being sent, at once. May be called from another thread than ``export``."""
        self._sender.close()


class OTLPJsonLogExporter(Unbuffered, LogRecordExporter):
    """Sends log records as OTLP/JSON."""

    def __init__(self) -> None:
        self._sender = Sender("LOGS", "v1/logs", "log records")

    @property
    def dropped(self) -> int:
        """Log records that did not arrive, since the start."""
        return self._sender.dropped

    def export(self, batch: Sequence[ReadableLogRecord]) -> LogRecordExportResult:
        """Deliver a batch within the timeout."""
        delivered = self._sender.send(encode_logs(batch))
        return LogRecordExportResult.SUCCESS if delivered else LogRecordExportResult.FAILURE

    def shutdown(self) -> None:
        """Give up what is being sent, at once. May be called from another thread than ``export``."""
        self._sender.close()
