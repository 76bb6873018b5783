"""The HTTP exporters against a real server: what is sent, what is sent again, and how soon they give up."""

from __future__ import annotations

import logging
import re
import threading
import time
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime

import pytest
from opentelemetry import trace
from opentelemetry._logs import LogRecord
from opentelemetry.instrumentation.utils import is_instrumentation_enabled
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk._logs.export import LogRecordExportResult
from opentelemetry.sdk.metrics import Counter, Histogram, MeterProvider, ObservableCounter, UpDownCounter
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    InMemoryMetricReader,
    MetricExportResult,
    PeriodicExportingMetricReader,
)
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SpanExportResult

from spanloom.export import OTLPJsonLogExporter, OTLPJsonMetricExporter, OTLPJsonSpanExporter, _leaving

from ._server import Reply, Server, free_port, serving, silent_listener, timed

SUCCESS, FAILURE = SpanExportResult.SUCCESS, SpanExportResult.FAILURE


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Back-off of a twentieth: the order of things is tested, not the patience."""
    monkeypatch.setattr("spanloom.export._client._FIRST_BACKOFF_S", 0.02)


def exporter_for(url: str, monkeypatch: pytest.MonkeyPatch, **more: str) -> OTLPJsonSpanExporter:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
    for name, value in more.items():
        monkeypatch.setenv(f"OTEL_EXPORTER_OTLP_{name}", value)
    return OTLPJsonSpanExporter()


def warnings_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "spanloom.export"]


def test_a_batch_arrives(monkeypatch: pytest.MonkeyPatch, span: ReadableSpan) -> None:
    """Path, type and body are OTLP/JSON's, and nothing is dropped."""
    with serving() as server:
        exporter = exporter_for(server.url, monkeypatch)
        assert exporter.export([span]) is SUCCESS
        (received,) = server.received
    assert received.path == "/v1/traces"
    assert received.headers["content-type"] == "application/json"
    assert received.headers["user-agent"].startswith("spanloom/")
    assert received.json["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["name"] == "one"
    assert exporter.dropped == 0 and exporter.force_flush()


def test_metrics_and_logs_arrive(monkeypatch: pytest.MonkeyPatch) -> None:
    """The other two signals have their own paths."""
    with serving() as server:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.url + "/base/")
        reader = InMemoryMetricReader()
        MeterProvider([reader]).get_meter("m").create_counter("c").add(2)
        data = reader.get_metrics_data()
        assert data is not None
        metrics, logs = OTLPJsonMetricExporter(), OTLPJsonLogExporter()
        assert metrics.export(data) is MetricExportResult.SUCCESS
        record = ReadableLogRecord(LogRecord(observed_timestamp=5, body="hello"), Resource({}))
        assert logs.export([record]) is LogRecordExportResult.SUCCESS
        assert [received.path for received in server.received] == ["/base/v1/metrics", "/base/v1/logs"]
        assert server.received[1].json["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0]["body"] == {
            "stringValue": "hello"
        }
    assert metrics.dropped == logs.dropped == 0


def test_connections_are_kept(monkeypatch: pytest.MonkeyPatch, span: ReadableSpan) -> None:
    """Ten exports need one connection."""
    with serving() as server:
        exporter = exporter_for(server.url, monkeypatch)
        assert {exporter.export([span]) for _ in range(10)} == {SUCCESS}
        assert (server.connections, len(server.received)) == (1, 10)


def test_gzip_is_level_1_and_readable(monkeypatch: pytest.MonkeyPatch, span: ReadableSpan) -> None:
    """Compression is said in the header and makes the body smaller."""
    with serving() as server:
        exporter = exporter_for(server.url, monkeypatch, COMPRESSION="gzip")
        assert exporter.export([span] * 50) is SUCCESS
        (received,) = server.received
    assert received.headers["content-encoding"] == "gzip"
    assert received.body[8] == 4  # the fastest level, as the format notes it
    assert len(received.json["resourceSpans"][0]["scopeSpans"][0]["spans"]) == 50
    assert len(received.body) < 3000


def test_headers_are_sent_and_never_logged(
    monkeypatch: pytest.MonkeyPatch, span: ReadableSpan, caplog: pytest.LogCaptureFixture
) -> None:
    """Keys reach the Collector and no log line, not even when it refuses them."""
    with serving(Reply(401, body=b"no")) as server:
        url = server.url.replace("http://", "http://user:se%63ret@")
        exporter = exporter_for(url, monkeypatch, HEADERS="api-key=top%20secret,broken secret")
        assert exporter.export([span]) is FAILURE
        (received,) = server.received
    assert received.headers["api-key"] == "top secret"
    assert received.headers["authorization"] == "Basic dXNlcjpzZWNyZXQ="
    text = "\n".join(warnings_of(caplog))
    assert "HTTP 401" in text and "OTEL_EXPORTER_OTLP_HEADERS" in text
    assert "secret" not in text and "user" not in text
    assert "secret" not in repr(vars(exporter)["_sender"]._settings)


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_busy_receivers_are_asked_again(monkeypatch: pytest.MonkeyPatch, span: ReadableSpan, status: int) -> None:
    """The statuses that the specification calls retryable are retried until it works."""
    with serving(Reply(status), Reply(status), Reply()) as server:
        assert exporter_for(server.url, monkeypatch).export([span]) is SUCCESS
        assert len(server.received) == 3
        assert len({received.body for received in server.received}) == 1


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 413, 415, 500, 501])
def test_other_errors_are_not_retried(
    monkeypatch: pytest.MonkeyPatch, span: ReadableSpan, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Sending the same again would give the same: one request, one line, counted."""
    with serving(Reply(status, body=b"because of this")) as server:
        exporter = exporter_for(server.url, monkeypatch)
        assert exporter.export([span]) is FAILURE
        assert len(server.received) == 1
    assert exporter.dropped == 1
    (line,) = warnings_of(caplog)
    assert f"HTTP {status}: because of this" in line and "1 spans were not delivered" in line


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_redirects_are_failures(
    monkeypatch: pytest.MonkeyPatch, span: ReadableSpan, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Following one would lose the body: it is named, without its query, and counts as lost."""
    with serving() as target, serving(Reply(status, {"location": target.url + "/x?token=secret"})) as server:
        exporter = exporter_for(server.url, monkeypatch)
        assert exporter.export([span]) is FAILURE
        assert target.received == [] and len(server.received) == 1
    (line,) = warnings_of(caplog)
    assert f"redirected to {target.url}/x;" in line and "OTEL_EXPORTER_OTLP_ENDPOINT" in line
    assert "secret" not in line and exporter.dropped == 1


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_seconds_is_honoured(monkeypatch: pytest.MonkeyPatch, span: ReadableSpan, status: int) -> None:
    """The receiver says when to come back."""
    with serving(Reply(status, {"retry-after": "1"}), Reply()) as server:
        assert exporter_for(server.url, monkeypatch).export([span]) is SUCCESS
        first, second = server.received
    assert 0.95 <= second.at - first.at < 2


def test_retry_after_date_is_honoured(monkeypatch: pytest.MonkeyPatch, span: ReadableSpan) -> None:
    """The other form of the header, a date."""
    moment = datetime.now(timezone.utc) + timedelta(seconds=2)
    with serving(Reply(503, {"retry-after": format_datetime(moment, usegmt=True)}), Reply()) as server:
        assert exporter_for(server.url, monkeypatch).export([span]) is SUCCESS
        first, second = server.received
    assert 0.5 <= second.at - first.at < 3


@pytest.mark.parametrize("value", ["soon", "-3", "", "Thu, 99 Nov 2026 99:99:99 GMT", "Sat, 21 Nov 2020 08:00:00"])
def test_a_meaningless_retry_after_is_ignored(monkeypatch: pytest.MonkeyPatch, span: ReadableSpan, value: str) -> None:
    """Then the usual back-off holds; a date of the past means now."""
    with serving(Reply(503, {"retry-after": value}), Reply()) as server:
        result, took = timed(lambda: exporter_for(server.url, monkeypatch).export([span]))
    assert result is SUCCESS and took < 1


def test_a_retry_after_beyond_the_timeout_fails_at_once(monkeypatch: pytest.MonkeyPatch, span: ReadableSpan) -> None:
    """Waiting ten seconds to fail then helps nobody."""
    with serving(Reply(503, {"retry-after": "3600"})) as server:
        exporter = exporter_for(server.url, monkeypatch)
        result, took = timed(lambda: exporter.export([span]))
    assert result is FAILURE and took < 1 and exporter.dropped == 1


def test_retries_end(monkeypatch: pytest.MonkeyPatch, span: ReadableSpan) -> None:
    """A receiver that is busy for ever is asked a bounded number of times."""
    monkeypatch.setattr("spanloom.export._client._MAX_BACKOFF_S", 0.02)
    with serving(Reply(503)) as server:
        assert exporter_for(server.url, monkeypatch).export([span]) is FAILURE
        assert len(server.received) == 8


def test_a_refused_connection_is_tried_again(monkeypatch: pytest.MonkeyPatch, span: ReadableSpan) -> None:
    """A Collector that comes up during the export gets the batch."""
    port = free_port()
    exporter = exporter_for(f"http://127.0.0.1:{port}", monkeypatch)
    monkeypatch.setattr("spanloom.export._client._FIRST_BACKOFF_S", 0.2)
    results: list[SpanExportResult] = []
    thread = threading.Thread(target=lambda: results.append(exporter.export([span])))
    thread.start()
    time.sleep(0.1)
    with late_server(port) as server:
        thread.join()
        assert len(server.received) == 1
    assert results == [SUCCESS]


def late_server(port: int) -> Server:
    from http.server import ThreadingHTTPServer

    server = Server([Reply()])
    server._http.server_close()
    server._http = ThreadingHTTPServer(("127.0.0.1", port), server._handler())
    server._thread = threading.Thread(target=server._http.serve_forever, args=(0.02,), daemon=True)
    return server


def test_a_dead_collector_gives_one_clear_line(
    monkeypatch: pytest.MonkeyPatch, span: ReadableSpan, caplog: pytest.LogCaptureFixture
) -> None:
    """The line names what, where, why and the setting, and comes once a minute however often it fails."""
    port = free_port()
    exporter = exporter_for(f"http://127.0.0.1:{port}", monkeypatch, TIMEOUT="0.2")
    assert [exporter.export([span, span]) for _ in range(3)] == [FAILURE] * 3
    (line,) = warnings_of(caplog)
    assert line == (
        f"2 spans were not delivered to http://127.0.0.1:{port}/v1/traces: Connection refused; start a Collector "
        "there, or set OTEL_EXPORTER_OTLP_ENDPOINT to where it listens (2 lost so far)"
    )
    assert exporter.dropped == 6


def test_the_next_line_comes_after_a_minute(
    monkeypatch: pytest.MonkeyPatch, span: ReadableSpan, caplog: pytest.LogCaptureFixture
) -> None:
    """It carries the sum of what was lost in between."""
    exporter = exporter_for(f"http://127.0.0.1:{free_port()}", monkeypatch, TIMEOUT="0.1")
    exporter.export([span])
    exporter.export([span])
    monkeypatch.setattr(exporter._sender._complaints, "_next", time.monotonic() - 1)
    exporter.export([span])
    lines = warnings_of(caplog)
    assert len(lines) == 2 and "(3 lost so far)" in lines[1]


def test_the_grpc_port_is_pointed_out(
    monkeypatch: pytest.MonkeyPatch, span: ReadableSpan, caplog: pytest.LogCaptureFixture
) -> None:
    """The commonest mistake has its own hint."""
    exporter = exporter_for("http://127.0.0.1:4317", monkeypatch, TIMEOUT="0.1")
    monkeypatch.setattr(exporter._sender._client, "post", lambda *_: _unreachable())
    exporter.export([span])
    assert "4317 is the gRPC port; OTLP over HTTP listens on 4318" in warnings_of(caplog)[0]


def _unreachable() -> object:
    from spanloom.export._client import Answer

    return Answer("unreachable", text="Connection refused", retryable=True)


def test_a_reset_connection_is_tried_again(monkeypatch: pytest.MonkeyPatch, span: ReadableSpan) -> None:
    """Collectors behind proxies drop idle connections: the batch goes again on a new one."""
    with serving(Reply(), Reply(cut=True), Reply()) as server:
        exporter = exporter_for(server.url, monkeypatch)
        assert exporter.export([span]) is SUCCESS
        assert exporter.export([span]) is SUCCESS
        assert len(server.received) == 3


def test_no_http_is_no_loop(
    monkeypatch: pytest.MonkeyPatch, span: ReadableSpan, caplog: pytest.LogCaptureFixture
) -> None:
    """Somebody else's port, say a gRPC one, is tried once and named."""
    import socket

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        threading.Thread(target=_say_nonsense, args=(listener,), daemon=True).start()
        exporter = exporter_for(f"http://127.0.0.1:{listener.getsockname()[1]}", monkeypatch)
        result, took = timed(lambda: exporter.export([span]))
    assert result is FAILURE and took < 2
    assert "see whether OTEL_EXPORTER_OTLP_ENDPOINT is the address of OTLP over HTTP" in warnings_of(caplog)[0]


def _say_nonsense(listener: object) -> None:
    connection, _ = listener.accept()  # type: ignore[attr-defined]
    with connection:
        connection.recv(65536)
        connection.sendall(b"\x00\x00\x12\x04 not HTTP\r\n\r\n")


def test_the_timeout_bounds_the_whole_export(
    monkeypatch: pytest.MonkeyPatch, span: ReadableSpan, caplog: pytest.LogCaptureFixture
) -> None:
    """A receiver that never answers costs the timeout once, and is not asked again: it may have taken the batch."""
    with serving(Reply(delay_s=30)) as server:
        exporter = exporter_for(server.url, monkeypatch, TIMEOUT="0.5")
        result, took = timed(lambda: exporter.export([span]))
        assert len(server.received) == 1
    assert result is FAILURE and 0.4 < took < 1
    assert "no answer in time" in warnings_of(caplog)[0] and "OTEL_EXPORTER_OTLP_TIMEOUT" in warnings_of(caplog)[0]


def test_the_timeout_is_shared_by_the_parts_of_a_batch(monkeypatch: pytest.MonkeyPatch, span: ReadableSpan) -> None:
    """A split batch has one deadline; what there is no time for is counted as lost."""
    monkeypatch.setattr("spanloom.export._encode.REQUEST_BYTES", 700)
    monkeypatch.setattr("spanloom.export._http.encode_spans", _split_in_ones)
    with serving(Reply(delay_s=0.3)) as server:
        exporter = exporter_for(server.url, monkeypatch, TIMEOUT="0.5")
        result, took = timed(lambda: exporter.export([span] * 20))
        assert len(server.received) <= 3
    assert result is FAILURE and took < 1.2 and exporter.dropped >= 18


def _split_in_ones(spans: list[ReadableSpan]) -> object:
    from spanloom.export._encode import encode_spans

    return encode_spans(spans, 10)


def test_large_batches_are_split(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing above about 3.5 MB leaves, but for a single span that is larger itself."""
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("t")
    spans: list[ReadableSpan] = []
    for size in [400_000] * 20 + [5_000_000]:
        span = tracer.start_span("s", attributes={"text": "x" * size})
        span.end()
        spans.append(span)  # type: ignore[arg-type]
    with serving() as server:
        exporter = exporter_for(server.url, monkeypatch)
        assert exporter.export(spans) is SUCCESS
        sizes = [len(received.body) for received in server.received]
    assert len(sizes) == 4 and sum(size > 3_500_000 for size in sizes) == 1 and sizes[-1] > 5_000_000
    assert exporter.dropped == 0


def test_a_slow_receiver_gets_a_large_body_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sending may take longer than connecting may: the body is not cut off after two seconds."""
    import socket

    span = TracerProvider(shutdown_on_exit=False).get_tracer("t").start_span("s", attributes={"text": "x" * 9_000_000})
    span.end()
    monkeypatch.setattr("spanloom.export._transport.CONNECT_S", 0.3)
    monkeypatch.setattr("spanloom.export._client.CONNECT_S", 0.3)
    got: list[int] = []

    def read_slowly(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            total = len(connection.recv(1000))
            time.sleep(1.0)
            while total < 9_000_000:
                total += len(connection.recv(1 << 20))
            got.append(total)
            connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")

    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        threading.Thread(target=read_slowly, args=(listener,), daemon=True).start()
        exporter = exporter_for(f"http://127.0.0.1:{listener.getsockname()[1]}", monkeypatch)
        result, took = timed(lambda: exporter.export([span]))  # type: ignore[list-item]
    assert result is SUCCESS and took > 0.9 and got and got[0] > 9_000_000


def test_a_body_that_hangs_is_not_waited_for(monkeypatch: pytest.MonkeyPatch, span: ReadableSpan) -> None:
    """The status arrived: the batch was taken, whatever the rest of the answer says."""
    monkeypatch.setattr("spanloom.export._transport.BODY_S", 0.2)
    with serving(Reply(hang_s=30)) as server:
        exporter = exporter_for(server.url, monkeypatch)
        result, took = timed(lambda: exporter.export([span]))
        assert exporter.export([span]) is SUCCESS
    assert result is SUCCESS and took < 1 and exporter.dropped == 0


def test_partial_success_is_counted_and_not_retried(
    monkeypatch: pytest.MonkeyPatch, span: ReadableSpan, caplog: pytest.LogCaptureFixture
) -> None:
    """What the receiver rejected is lost and said; the rest is in."""
    body = b'{"partialSuccess":{"rejectedSpans":"3","errorMessage":"too\\nlong"}}'
    with serving(Reply(body=body)) as server:
        exporter = exporter_for(server.url, monkeypatch)
        assert [exporter.export([span] * 5) for _ in range(2)] == [SUCCESS, SUCCESS]
        assert len(server.received) == 2
    (line,) = warnings_of(caplog)
    assert "rejected 3 spans: too long (3 lost so far)" in line
    assert exporter.dropped == 6


def test_a_warning_of_the_receiver_is_said(
    monkeypatch: pytest.MonkeyPatch, span: ReadableSpan, caplog: pytest.LogCaptureFixture
) -> None:
    """A partial success without rejections carries advice."""
    with serving(Reply(body=b'{"partialSuccess":{"errorMessage":"use newer names"}}')) as server:
        exporter = exporter_for(server.url, monkeypatch)
        exporter.export([span])
    assert "rejected 0 spans: use newer names" in warnings_of(caplog)[0] and exporter.dropped == 0


ODD_BODIES = [
    b"", b"{}", b"[]", b"ok", b'{"partialSuccess":{}}', b'{"partialSuccess":null}', b'{"partialSuccess":7}',
    b'{"partialSuccess":{"rejectedSpans":"many"}}', b'{"partialSuccess":{"rejectedSpans":null}}', b'{"a":' * 20_000,
    b"\xff\xfe{", b'{"partialSuccess":{"rejectedSpans":[1]}}',
]  # fmt: skip


@pytest.mark.parametrize("body", ODD_BODIES, ids=range(len(ODD_BODIES)))
def test_odd_answers_are_no_trouble(
    monkeypatch: pytest.MonkeyPatch, span: ReadableSpan, body: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """A success is a success, whatever stands in its body."""
    with serving(Reply(body=body)) as server:
        exporter = exporter_for(server.url, monkeypatch)
        assert exporter.export([span]) is SUCCESS
    assert warnings_of(caplog) == [] and exporter.dropped == 0


@pytest.mark.parametrize("trouble", ["refused", "busy", "silent"])
def test_shutdown_from_another_thread_ends_the_export_at_once(
    monkeypatch: pytest.MonkeyPatch, span: ReadableSpan, trouble: str
) -> None:
    """Whether it waits to try again or for an answer: a tenth of a second later it is over."""
    monkeypatch.setattr("spanloom.export._client._FIRST_BACKOFF_S", 5.0)
    with serving(Reply(503)) as busy, silent_listener() as silent:
        port = {"refused": free_port(), "busy": busy.port, "silent": silent}[trouble]
        exporter = exporter_for(f"http://127.0.0.1:{port}", monkeypatch)
        results: list[SpanExportResult] = []
        thread = threading.Thread(target=lambda: results.append(exporter.export([span])))
        thread.start()
        time.sleep(0.3)
        assert thread.is_alive()
        _, took = timed(lambda: (exporter.shutdown(), thread.join(15)))
    assert took < 0.5 and results == [FAILURE] and exporter.dropped == 1


def test_nothing_is_sent_after_shutdown(monkeypatch: pytest.MonkeyPatch, span: ReadableSpan) -> None:
    """A late batch is counted as lost and the network left alone."""
    with serving() as server:
        exporter = exporter_for(server.url, monkeypatch)
        exporter.shutdown()
        exporter.shutdown()
        assert exporter.export([span]) is FAILURE and exporter.dropped == 1
        assert server.received == []


def test_an_unusable_endpoint_sends_nothing(
    monkeypatch: pytest.MonkeyPatch, span: ReadableSpan, caplog: pytest.LogCaptureFixture
) -> None:
    """The start says what is wrong, once; batches are counted."""
    exporter = exporter_for("unix:///var/run/otel.sock", monkeypatch)
    assert exporter.export([span]) is FAILURE and exporter.dropped == 1
    (line,) = warnings_of(caplog)
    assert line.startswith("OTEL_EXPORTER_OTLP_ENDPOINT=") and "nothing is sent" in line


def test_it_does_not_trace_itself(monkeypatch: pytest.MonkeyPatch, span: ReadableSpan) -> None:
    """While a request is made, instrumentations of HTTP libraries are told to be quiet; afterwards they are not."""
    seen: list[bool] = []
    with serving() as server:
        exporter = exporter_for(server.url, monkeypatch)
        manager = exporter._sender._client._connections()
        real = manager.request
        monkeypatch.setattr(
            manager, "request", lambda *a, **k: (seen.append(is_instrumentation_enabled()), real(*a, **k))[1]
        )
        assert exporter.export([span]) is SUCCESS
    assert seen == [False] and is_instrumentation_enabled()


def test_a_proxy_is_used(monkeypatch: pytest.MonkeyPatch, span: ReadableSpan) -> None:
    """``http_proxy`` gets the request with the full address, and its password."""
    with serving() as proxy:
        monkeypatch.setenv("http_proxy", proxy.url.replace("http://", "http://me:pass%21@"))
        monkeypatch.setenv("no_proxy", "")
        exporter = exporter_for("http://collector.invalid:4318", monkeypatch)
        assert exporter.export([span]) is SUCCESS
        (received,) = proxy.received
    assert received.path == "http://collector.invalid:4318/v1/traces"
    assert received.headers["proxy-authorization"] == "Basic bWU6cGFzcyE="


def test_no_proxy_goes_directly(monkeypatch: pytest.MonkeyPatch, span: ReadableSpan) -> None:
    """Hosts in ``no_proxy`` are reached without the proxy."""
    with serving() as server:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port()}")
        monkeypatch.setenv("no_proxy", "127.0.0.1,localhost")
        assert exporter_for(server.url, monkeypatch).export([span]) is SUCCESS


def test_a_dead_proxy_is_named(
    monkeypatch: pytest.MonkeyPatch, span: ReadableSpan, caplog: pytest.LogCaptureFixture
) -> None:
    """Then the cure is another one."""
    monkeypatch.setenv("http_proxy", f"127.0.0.1:{free_port()}")
    monkeypatch.setenv("no_proxy", "")
    exporter = exporter_for("http://collector.invalid:4318", monkeypatch, TIMEOUT="0.3")
    assert exporter.export([span]) is FAILURE
    assert "look at http_proxy" in warnings_of(caplog)[0]


def test_temporality_preference(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """The standard variable decides; an unknown value says so and means cumulative."""
    name = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE"
    delta = AggregationTemporality.DELTA
    for value, expected in (
        ("", set()),
        ("cumulative", set()),
        ("Delta", {Counter, Histogram, ObservableCounter}),
        ("lowmemory", {Counter, Histogram}),
        ("sideways", set()),
    ):
        monkeypatch.setenv(name, value)
        preferred = OTLPJsonMetricExporter()._preferred_temporality or {}
        assert {kind for kind, temporality in preferred.items() if temporality is delta} == expected
        assert UpDownCounter not in preferred
    assert warnings_of(caplog) == [f"{name}='sideways' is not one of cumulative, delta, lowmemory; using cumulative"]


def test_histogram_preference(monkeypatch: pytest.MonkeyPatch) -> None:
    """Exponential histograms when the standard variable asks for them."""
    assert not OTLPJsonMetricExporter()._preferred_aggregation
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION", "base2_exponential_bucket_histogram")
    preferred = OTLPJsonMetricExporter()._preferred_aggregation or {}
    assert isinstance(preferred[Histogram], ExponentialBucketHistogramAggregation)


def test_delta_sums_reach_the_receiver(monkeypatch: pytest.MonkeyPatch) -> None:
    """Through the SDK's own reader: the exported temporality is the preferred one."""
    with serving() as server:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.url)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "delta")
        provider = MeterProvider([PeriodicExportingMetricReader(OTLPJsonMetricExporter())], shutdown_on_exit=False)
        provider.get_meter("m").create_counter("c").add(1)
        provider.shutdown()
        (metric,) = server.received[0].json["resourceMetrics"][0]["scopeMetrics"][0]["metrics"]
    assert metric["sum"]["aggregationTemporality"] == 1


def test_leaving_a_dead_collector_is_quick(monkeypatch: pytest.MonkeyPatch, span: ReadableSpan) -> None:
    """When the interpreter leaves, a refused connection is not tried again and the other signals do not even start."""
    leaving = _leaving.Leaving()
    monkeypatch.setattr("spanloom.export._client.leaving", leaving)
    monkeypatch.setattr(_leaving, "_interpreter_leaves", lambda: True)
    exporter = exporter_for(f"http://127.0.0.1:{free_port()}", monkeypatch)
    _, took = timed(lambda: [exporter.export([span]) for _ in range(5)])
    assert took < 0.5 and exporter.dropped == 5


def test_leaving_has_one_budget_for_all(monkeypatch: pytest.MonkeyPatch, span: ReadableSpan) -> None:
    """Three exporters that meet a silent receiver share the few seconds."""
    monkeypatch.setattr(_leaving, "_interpreter_leaves", lambda: True)
    monkeypatch.setattr(_leaving, "BUDGET_S", 0.6)
    with silent_listener() as port:
        exporters = [exporter_for(f"http://127.0.0.1:{port}", monkeypatch) for _ in range(3)]
        _, took = timed(lambda: [exporter.export([span]) for exporter in exporters])
    assert 0.5 < took < 1.2


def test_leaving_gives_a_living_collector_all_it_needs(monkeypatch: pytest.MonkeyPatch, span: ReadableSpan) -> None:
    """Every answer renews the budget: a slow but living receiver loses nothing."""
    monkeypatch.setattr(_leaving, "_interpreter_leaves", lambda: True)
    monkeypatch.setattr(_leaving, "BUDGET_S", 0.5)
    with serving(Reply(delay_s=0.2)) as server:
        exporter = exporter_for(server.url, monkeypatch)
        assert [exporter.export([span]) for _ in range(5)] == [SUCCESS] * 5
        assert len(server.received) == 5


def test_a_running_process_is_not_leaving() -> None:
    """Main thread alive: no budget."""
    assert not _leaving.Leaving().begun
    assert _leaving.Leaving().remaining_s("x") == float("inf")


def test_urllib3_is_quiet(
    monkeypatch: pytest.MonkeyPatch, span: ReadableSpan, caplog: pytest.LogCaptureFixture
) -> None:
    """No warning but ours, whatever goes wrong."""
    caplog.set_level(logging.INFO)
    with serving(Reply(503), Reply(cut=True), Reply(301, {"location": "/"})) as server:
        exporter_for(server.url, monkeypatch).export([span])
    assert {record.name for record in caplog.records} == {"spanloom.export"}


def test_the_current_span_is_untouched(monkeypatch: pytest.MonkeyPatch, span: ReadableSpan) -> None:
    """Exporting in the caller's thread leaves the caller's context as it was."""
    with serving() as server, trace.use_span(trace.NonRecordingSpan(span.get_span_context())):
        exporter_for(server.url, monkeypatch).export([span])
        assert trace.get_current_span().get_span_context() == span.get_span_context()


def test_lines_have_no_stack_trace(
    monkeypatch: pytest.MonkeyPatch, span: ReadableSpan, caplog: pytest.LogCaptureFixture
) -> None:
    """One line means one line."""
    exporter_for(f"http://127.0.0.1:{free_port()}", monkeypatch, TIMEOUT="0.1").export([span])
    (record,) = caplog.records
    assert record.exc_info is None and not re.search(r"[\r\n]", record.getMessage())


def test_a_receiver_that_takes_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """The connection stands, but nobody reads from it: sending ends with the timeout, too."""
    span = TracerProvider(shutdown_on_exit=False).get_tracer("t").start_span("s", attributes={"text": "x" * 9_000_000})
    span.end()
    with silent_listener() as port:
        exporter = exporter_for(f"http://127.0.0.1:{port}", monkeypatch, TIMEOUT="0.4")
        result, took = timed(lambda: exporter.export([span]))  # type: ignore[list-item]
    assert result is FAILURE and 0.3 < took < 1.2


def test_the_version_of_an_unpacked_source_tree(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without package data the exporters still work."""
    from importlib.metadata import PackageNotFoundError

    from spanloom.export import _client

    def absent(_: str) -> str:
        raise PackageNotFoundError

    monkeypatch.setattr(_client, "version", absent)
    assert OTLPJsonSpanExporter()._sender._client._headers["user-agent"].startswith("spanloom/0 ")
