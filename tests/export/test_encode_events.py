"""The events of real calls, from the core through the SDK, as the official encoder writes them."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs as official_logs
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.sdk._logs import ReadableLogRecord

from spanloom.export._encode import encode_logs
from spanloom.semconv import SCHEMA_URL, Event, GenAI
from tests._support.spans import Recorder
from tests.genai._make import inference, telemetry

from ._otlp import message, only

MESSAGES = [
    {"role": "user", "parts": [{"type": "text", "content": "wär's möglich? 🙂"}]},
    {
        "role": "assistant",
        "parts": [
            {"type": "tool_call", "id": "c1", "name": "search", "arguments": {"q": [{"n": 2.5, "b": True}], "e": []}},
        ],
    },
]


@pytest.fixture(scope="module")
def emitted() -> Iterator[list[ReadableLogRecord]]:
    """The details of one inference and the exception of another, as the SDK hands them to exporters."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(("OTEL_", "SPANLOOM_"))]:
            patch.delenv(name)
        patch.setenv("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "EVENT_ONLY")
        recorder = Recorder()
        of = telemetry(recorder, "spanloom.openai")
        answered, failed = inference(of), inference(of)
        answered.input_content = {GenAI.INPUT_MESSAGES: lambda: MESSAGES}
        answered.stop()
        try:
            raise ValueError("no such model")
        except ValueError as error:
            failed.fail(error)
        yield recorder.events
        recorder.close()


def encoded(events: list[ReadableLogRecord]) -> ExportLogsServiceRequest:
    """Our JSON, read with the official message."""
    return message(only(encode_logs(events)), ExportLogsServiceRequest())


def test_events_equal_the_official_message(emitted: list[ReadableLogRecord]) -> None:
    """Field for field: name, severity, ids, flags, nested attributes, scope and its schema URL, resource."""
    ours, expected = encoded(emitted), official_logs(emitted)
    for resource in expected.resource_logs:
        for scope in resource.scope_logs:
            for record in scope.log_records:
                # Ours has a time where the official one has none: such a record lands in 1970.
                assert record.time_unix_nano == 0
                record.time_unix_nano = record.observed_time_unix_nano
                record.ClearField("body")
    assert ours == expected


def test_what_a_backend_needs_is_there(emitted: list[ReadableLogRecord]) -> None:
    """The same fields by hand, so that both encoders being wrong would show."""
    (resource,) = encoded(emitted).resource_logs
    (scope,) = resource.scope_logs
    assert (scope.scope.name, scope.schema_url) == ("spanloom.openai", SCHEMA_URL)
    details = [record for record in scope.log_records if record.event_name == Event.INFERENCE_DETAILS]
    (exception,) = [record for record in scope.log_records if record.event_name == Event.EXCEPTION]
    assert len(details) == 2
    assert [int.from_bytes(record.span_id, "big") for record in (*details, exception)] == [1, 2, 2]
    assert [int.from_bytes(record.trace_id, "big") for record in (*details, exception)] == [1, 2, 2]
    assert [record.severity_number for record in (*details, exception)] == [9, 9, 13]
    (messages,) = [row.value for row in details[0].attributes if row.key == GenAI.INPUT_MESSAGES]
    first = {row.key: row.value for row in messages.array_value.values[0].kvlist_value.values}
    assert first["role"].string_value == "user"
    part = {row.key: row.value for row in first["parts"].array_value.values[0].kvlist_value.values}
    assert part["content"].string_value == "wär's möglich? 🙂"
