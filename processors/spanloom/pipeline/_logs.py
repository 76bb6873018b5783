"""Log records on their way out: redacted before every exporter; evaluations among them reach the tail sampler."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from inspect import signature
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.attributes import BoundedAttributes
from opentelemetry.sdk._logs import LogRecordProcessor, ReadableLogRecord
from opentelemetry.sdk._logs.export import LogRecordExporter, LogRecordExportResult

from spanloom.genai import hooks
from spanloom.pipeline._passing import Passing
from spanloom.semconv import Event

if TYPE_CHECKING:
    from opentelemetry.sdk._logs import ReadWriteLogRecord

    from spanloom.pipeline._finish import Redacts
    from spanloom.sampling import TailSampler

_TEXTS: Final = ("event_name", "severity_text")
_PLAIN_NAME: Final = re.compile("[A-Za-z_.]{1,64}")
_FAILED: Final = "[redaction failed]"
# Attributes of log records may be nested, which older releases of the API (1.40) ask to be told.
_IS_OLD: Final = "extended_attributes" in signature(BoundedAttributes).parameters
_NESTED: Final[dict[str, Any]] = {"extended_attributes": True} if _IS_OLD else {}


class RedactingLogExporter(Passing, LogRecordExporter):
    """Hands log records on to another exporter without what the redactor finds, on the thread that exports."""

    def __init__(self, inner: LogRecordExporter, redactor: Redacts) -> None:
        super().__init__(inner)
        self._redactor = redactor

    def export(self, batch: Sequence[ReadableLogRecord]) -> LogRecordExportResult:
        """A record that cannot be redacted goes without its body and attributes."""
        return self.inner.export([self._shown(record) for record in batch])

    def _shown(self, record: ReadableLogRecord) -> ReadableLogRecord:
        shown = hooks.attempted("pipeline.redact_log", None, self._redacted, record)
        return _with(record, _FAILED, {}, _plain(record)) if shown is None else shown

    def _redacted(self, record: ReadableLogRecord) -> ReadableLogRecord:
        inner = record.log_record
        body = self._redactor.body(inner.body)
        attributes = self._redactor.attributes(inner.attributes) if inner.attributes else None
        names = {name: self._redactor.text(told) for name in _TEXTS if (told := getattr(inner, name, None))}
        if (
            body is inner.body
            and attributes is None
            and all(told is getattr(inner, one) for one, told in names.items())
        ):
            return record
        return _with(record, body, inner.attributes if attributes is None else attributes, names)


def _plain(record: ReadableLogRecord) -> dict[str, str | None]:
    """Name and severity of a record that cannot be redacted: a name without figures holds no secret, others go."""
    inner = record.log_record
    told = {name: getattr(inner, name, None) for name in _TEXTS}
    return {name: one if one and _PLAIN_NAME.fullmatch(one) else None for name, one in told.items()}


def _with(record: ReadableLogRecord, body: Any, attributes: Any, names: Mapping[str, str | None]) -> ReadableLogRecord:
    """A copy: other exporters have the same record."""
    inner = record.log_record
    told = BoundedAttributes(attributes=attributes, **_NESTED)
    told.dropped = record.dropped_attributes
    # The constructor is another one in each release of the SDK.
    copied: Any = object.__new__(type(inner))
    for name, value in vars(inner).items():
        setattr(copied, name, value)
    for name, value in names.items():
        setattr(copied, name, value)
    copied.body, copied.attributes = body, told
    return dataclasses.replace(record, log_record=copied)


class Evaluations(LogRecordProcessor):
    """Tells the tail sampler of evaluations, which come as log records."""

    def __init__(self, tail: TailSampler) -> None:
        self._tail = tail

    def on_emit(self, log_record: ReadWriteLogRecord) -> None:
        """Look at one record; most are something else."""
        inner = log_record.log_record
        if inner.event_name == Event.EVALUATION_RESULT and inner.trace_id:
            hooks.attempt("pipeline.evaluation", self._tail.evaluated, inner.trace_id, inner.attributes or {})

    def shutdown(self) -> None:
        """Nothing is kept."""

    def force_flush(self, timeout_millis: int = 30_000) -> bool:  # noqa: ARG002 - the SDK's signature
        """Nothing is kept."""
        return True
