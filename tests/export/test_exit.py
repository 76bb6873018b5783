"""Real processes that end: with a dead Collector soon, with a living one after everything is delivered."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from ._server import Reply, free_port, serving, silent_listener

# As the SDK's configurator makes them: exporters of metrics before their provider.
THREE_SIGNALS = """
import logging, sys, threading, time
from opentelemetry import metrics, trace
from opentelemetry._logs import LogRecord, get_logger, set_logger_provider
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from spanloom.export import OTLPJsonLogExporter, OTLPJsonMetricExporter, OTLPJsonSpanExporter
tracers = TracerProvider()
trace.set_tracer_provider(tracers)
tracers.add_span_processor(BatchSpanProcessor(OTLPJsonSpanExporter()))
reader = PeriodicExportingMetricReader(OTLPJsonMetricExporter())
meters = MeterProvider([reader])
loggers = LoggerProvider()
loggers.add_log_record_processor(BatchLogRecordProcessor(OTLPJsonLogExporter()))
def work(count):
    for index in range(count):
        tracers.get_tracer("t").start_span(f"span {index}").end()
    meters.get_meter("m").create_counter("c").add(1)
    loggers.get_logger("l").emit(LogRecord(observed_timestamp=1, body="b"))
"""


def run(code: str, port: int) -> tuple[subprocess.CompletedProcess[str], float]:
    """The process and its seconds."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    environment["OTEL_EXPORTER_OTLP_ENDPOINT"] = f"http://127.0.0.1:{port}"
    environment["NO_PROXY"] = environment["no_proxy"] = "*"
    begin = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", THREE_SIGNALS + code],
        env=environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    return done, time.monotonic() - begin


def test_a_refused_connection_ends_the_process_soon() -> None:
    """Nobody listens: three signals together take no more than a moment, and one line each tells."""
    done, took = run("work(10)", free_port())
    assert done.returncode == 0 and took < 3.5
    assert done.stderr.count("were not delivered") == 3 and "Traceback" not in done.stderr


def test_a_silent_collector_ends_the_process_within_five_seconds() -> None:
    """Somebody listens and never answers: the three signals share one budget."""
    with silent_listener() as port:
        done, took = run("begin = time.monotonic(); work(10)", port)
    assert done.returncode == 0 and took < 6.5  # with the interpreter's start and the SDK's import
    assert "Traceback" not in done.stderr


def test_an_export_under_way_is_ended_too() -> None:
    """The main thread ends while a request waits for its answer."""
    with silent_listener() as port:
        done, took = run(
            "work(10); threading.Thread(target=tracers.force_flush, daemon=True).start(); time.sleep(0.5)", port
        )
    assert done.returncode == 0 and took < 7 and "Traceback" not in done.stderr


def test_a_living_collector_gets_everything() -> None:
    """Several batches at exit, each answered slowly: all arrive, although together they take longer than the budget."""
    with serving(Reply(delay_s=1.2)) as server:
        done, took = run("work(2000)", server.port)
        spans = [
            span
            for received in server.received
            if received.path == "/v1/traces"
            for resource in received.json["resourceSpans"]
            for scope in resource["scopeSpans"]
            for span in scope["spans"]
        ]
        paths = {received.path for received in server.received}
    assert done.returncode == 0 and done.stderr == "" and took > 4.5
    assert len({span["spanId"] for span in spans}) == len(spans) == 2000
    assert paths == {"/v1/traces", "/v1/metrics", "/v1/logs"}


@pytest.mark.parametrize("seconds", [1.5])
def test_a_program_that_lives_in_other_threads_is_not_leaving(seconds: float) -> None:
    """The main function returned, a worker goes on: its exports are retried as ever."""
    code = f"""
from spanloom.export._leaving import leaving
def later():
    time.sleep({seconds})
    sys.stdout.write(f"begun={{leaving.begun}}")
threading.Thread(target=later).start()
"""
    with serving() as server:
        done, _ = run(code, server.port)
    assert done.stdout == "begun=False" and done.returncode == 0


def test_a_forked_child_sends_on_its_own_connection() -> None:
    """Parent and child export at once after a fork; every span arrives whole and once."""
    code = """
import os
tracers.get_tracer("t").start_span("before").end(); tracers.force_flush()
child = os.fork()
for index in range(50):
    tracers.get_tracer("t").start_span(f"{'parent' if child else 'child'} {index}").end()
    tracers.force_flush()
if not child:
    os._exit(0)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    with serving() as server:
        done, _ = run(code, server.port)
        sent = [
            (span["name"], received.port)
            for received in server.received
            if received.path == "/v1/traces"
            for resource in received.json["resourceSpans"]
            for scope in resource["scopeSpans"]
            for span in scope["spans"]
        ]
    expected = ["before", *(f"{who} {index}" for who in ("parent", "child") for index in range(50))]
    assert done.returncode == 0, done.stderr
    assert sorted(name for name, _ in sent) == sorted(expected)
    ports = {who: {port for name, port in sent if name.startswith(who)} for who in ("before", "parent", "child")}
    assert ports["before"] == ports["parent"] and not ports["child"] & ports["parent"]


def test_a_proxy_before_a_dead_collector_does_not_hold_the_process() -> None:
    """It answers 503 for ever: that is an answer and no delivery, so the budget is not renewed."""
    with serving(*[Reply(status=503)] * 50) as server:
        done, took = run("work(10)", server.port)
    assert done.returncode == 0 and took < 7.5 and "Traceback" not in done.stderr
