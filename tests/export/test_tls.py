"""Certificates: the standard variables, and what is said where one is missing or wrong."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult

from spanloom.export import OTLPJsonSpanExporter

from ._server import Reply, Server

# Made for these tests alone, valid for localhost until 2126.
CERTIFICATE = Path(__file__).with_name("tls") / "certificate.pem"
KEY = Path(__file__).with_name("tls") / "key.pem"
P = "OTEL_EXPORTER_OTLP_"


@pytest.fixture(params=[False, True], ids=["server certificate", "client certificate too"])
def secure(request: pytest.FixtureRequest) -> Iterator[tuple[Server, bool]]:
    server = Server([Reply()])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE, KEY)
    if request.param:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(CERTIFICATE)
    server._http.socket = context.wrap_socket(server._http.socket, server_side=True)
    server._http.handle_error = lambda *_: None  # type: ignore[method-assign]
    with server:
        yield server, request.param


def test_a_batch_arrives_over_tls(
    secure: tuple[Server, bool], monkeypatch: pytest.MonkeyPatch, span: ReadableSpan
) -> None:
    """With the CA's file, and a client certificate where the receiver wants one."""
    server, mutual = secure
    monkeypatch.setenv(P + "ENDPOINT", f"https://localhost:{server.port}")
    monkeypatch.setenv(P + "CERTIFICATE", str(CERTIFICATE))
    monkeypatch.setenv("no_proxy", "*")
    if mutual:
        monkeypatch.setenv(P + "CLIENT_CERTIFICATE", str(CERTIFICATE))
        monkeypatch.setenv(P + "CLIENT_KEY", str(KEY))
    exporter = OTLPJsonSpanExporter()
    assert [exporter.export([span]) for _ in range(3)] == [SpanExportResult.SUCCESS] * 3
    assert len(server.received) == 3 and server.connections == 1


def test_an_unknown_certificate_is_refused(
    monkeypatch: pytest.MonkeyPatch, span: ReadableSpan, caplog: pytest.LogCaptureFixture
) -> None:
    """Without the CA's file nothing is sent, nothing retried, and the line names the variable."""
    server = Server([Reply()])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE, KEY)
    server._http.socket = context.wrap_socket(server._http.socket, server_side=True)
    server._http.handle_error = lambda *_: None  # type: ignore[method-assign]
    with server:
        monkeypatch.setenv(P + "ENDPOINT", f"https://localhost:{server.port}")
        monkeypatch.setenv("no_proxy", "*")
        assert OTLPJsonSpanExporter().export([span]) is SpanExportResult.FAILURE
        assert server.received == []
    (record,) = caplog.records
    assert "TLS: " in record.getMessage() and "see OTEL_EXPORTER_OTLP_CERTIFICATE" in record.getMessage()
    assert "verify failed" in record.getMessage()


@pytest.mark.parametrize("missing", ["CERTIFICATE", "CLIENT_CERTIFICATE"])
def test_a_file_that_is_not_there(
    monkeypatch: pytest.MonkeyPatch, span: ReadableSpan, caplog: pytest.LogCaptureFixture, missing: str, tmp_path: Path
) -> None:
    """The line names the file and the variables; the service goes on."""
    monkeypatch.setenv(P + "ENDPOINT", "https://localhost:1")
    monkeypatch.setenv(P + missing, str(tmp_path / "gone.pem"))
    assert OTLPJsonSpanExporter().export([span]) is SpanExportResult.FAILURE
    (record,) = caplog.records
    assert f"No such file or directory ({tmp_path / 'gone.pem'})" in record.getMessage()
