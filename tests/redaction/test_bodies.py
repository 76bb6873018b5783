"""Bodies and keys of every kind."""

from __future__ import annotations

from collections import UserList, UserString, deque

import pytest
from opentelemetry._logs import LogRecord
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor

from spanloom.pipeline._logs import RedactingLogExporter
from spanloom.redaction import Redactor

SECRET = "sk-proj-" + "A1b2c3D4" * 4


@pytest.mark.parametrize(
    "make",
    [lambda one: {one}, lambda one: UserList([one]), lambda one: deque([one]), ValueError, UserString,
     lambda one: memoryview(one.encode())],
)  # fmt: skip
def test_bodies_of_other_types(make):
    """What an exporter would write as text goes; without a find the object stays."""
    assert SECRET not in str(Redactor().body(make(SECRET)))
    harmless = make("harmless")
    assert Redactor().body(harmless) is harmless


def test_keys():
    """A secret in a key goes, and keys of bytes are names."""
    assert Redactor().attributes({SECRET: 1}) == {"[redacted:openai_key]": 1}
    assert Redactor().body({b"password": "hunter2"}) == {b"password": "[redacted:named_secret]"}


def test_names_of_log_records():
    """The name of an event and the text of a severity are redacted; the application's record stays as it was."""
    inner = InMemoryLogRecordExporter()
    provider = LoggerProvider(shutdown_on_exit=False)
    provider.add_log_record_processor(SimpleLogRecordProcessor(RedactingLogExporter(inner, Redactor())))
    record = LogRecord(body="x", event_name=f"e {SECRET}", severity_text=SECRET)
    provider.get_logger("x").emit(record)
    (one,) = inner.get_finished_logs()
    assert one.log_record.event_name == "e [redacted:openai_key]"
    assert one.log_record.severity_text == "[redacted:openai_key]"
    assert record.event_name == f"e {SECRET}"
