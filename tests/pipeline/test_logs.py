"""Log records on their way out, and evaluations among them."""

from __future__ import annotations

import pytest
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk._logs import LoggerProvider, LogRecordLimits
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor

from spanloom.pipeline import _assembly
from spanloom.pipeline._logs import Evaluations, RedactingLogExporter
from spanloom.redaction import Redactor
from spanloom.sampling import TailRule
from tests._support.pipeline import REASON, Faults, Nothing, Service, tail

SECRET = "sk-proj-abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKL"
EVALUATION, SCORE, WHICH = "gen_ai.evaluation.result", "gen_ai.evaluation.score.value", "gen_ai.evaluation.name"


class Logs:
    """A logger whose records go to ``redacted`` and, as they are, to ``plain``."""

    def __init__(self, redactor, **options) -> None:
        self.redacted, self.plain = InMemoryLogRecordExporter(), InMemoryLogRecordExporter()
        provider = LoggerProvider(shutdown_on_exit=False, **options)
        provider.add_log_record_processor(SimpleLogRecordProcessor(RedactingLogExporter(self.redacted, redactor)))
        provider.add_log_record_processor(SimpleLogRecordProcessor(self.plain))
        self.provider = provider
        self.logger = provider.get_logger("tests")


def test_redacted_for_one_exporter_only():
    """Body and attributes, at any depth; another exporter's record is not touched."""
    logs = Logs(Redactor())
    span = trace.NonRecordingSpan(trace.SpanContext(5, 6, False, trace.TraceFlags(1)))
    nested = {"list": [SECRET, 1], "map": {"key": SECRET}}
    logs.logger.emit(
        timestamp=3,
        context=trace.set_span_in_context(span, Context()),
        body={"said": [SECRET], "n": 1},
        attributes={"nested": nested, "plain": "x"},
        event_name="event",
        severity_text="INFO",
    )
    (one,), (other,) = logs.redacted.get_finished_logs(), logs.plain.get_finished_logs()
    assert SECRET not in str(one.log_record.body) + str(dict(one.log_record.attributes))
    assert one.log_record.attributes["plain"] == "x"
    assert one.log_record.attributes["nested"]["list"][1] == 1
    assert SECRET in str(other.log_record.body)
    assert SECRET in str(dict(other.log_record.attributes))
    for name in ("timestamp", "trace_id", "span_id", "trace_flags", "event_name", "severity_text"):
        assert getattr(one.log_record, name) == getattr(other.log_record, name)
    assert (one.resource, one.instrumentation_scope) == (other.resource, other.instrumentation_scope)


def test_a_record_without_anything_is_handed_on():
    """Not copied; none for nothing."""
    logs = Logs(Redactor())
    for body, attributes in ((None, None), ("fine", {"a": 1}), ({"a": [1]}, {})):
        logs.logger.emit(body=body, attributes=attributes)
    for one, other in zip(logs.redacted.get_finished_logs(), logs.plain.get_finished_logs(), strict=True):
        assert one.log_record is other.log_record


@pytest.mark.filterwarnings("ignore:Log record attributes were dropped")
def test_dropped_counts_stay():
    """Of attributes that were over the SDK's limit."""
    logs = Logs(Redactor(), log_record_limits=LogRecordLimits(max_attributes=2))
    logs.logger.emit(body="x", attributes={"a": 1, "b": 2, "c": SECRET})
    (one,), (other,) = logs.redacted.get_finished_logs(), logs.plain.get_finished_logs()
    assert one.dropped_attributes == other.dropped_attributes == 1
    assert SECRET not in str(dict(one.log_record.attributes))


class Fails(Nothing):
    def body(self, value):
        raise RuntimeError("broken")


def test_what_cannot_be_redacted_is_not_shown(monkeypatch):
    """The record goes without its body and attributes; others are not harmed."""
    faults = Faults(monkeypatch)
    logs = Logs(Fails())
    logs.logger.emit(body="something", attributes={"a": "something"}, event_name="event")
    (one,) = logs.redacted.get_finished_logs()
    assert (one.log_record.body, dict(one.log_record.attributes)) == ("[redaction failed]", {})
    assert one.log_record.event_name == "event"
    assert faults.counts == {"pipeline.redact_log": 1}


def test_the_rest_of_an_exporter():
    """Flush, shutdown and anything else are the inner one's."""
    inner = InMemoryLogRecordExporter()
    redacting = RedactingLogExporter(inner, Nothing())
    assert redacting.force_flush() is True
    assert redacting.get_finished_logs() == ()
    redacting.shutdown()
    assert inner._stopped
    with pytest.raises(AttributeError):
        RedactingLogExporter.__new__(RedactingLogExporter).anything  # noqa: B018


@pytest.fixture
def judged():
    """A service whose evaluations come as log records."""
    service = Service(tail(TailRule("bad", "evaluation_below", 0.5, evaluation="quality"), TailRule("e", "error")))
    provider = LoggerProvider(shutdown_on_exit=False)
    provider.add_log_record_processor(Evaluations(service.processor.tail))
    service.judge = provider.get_logger("judge")
    return service


@pytest.mark.parametrize(
    ("name", "attributes", "kept"),
    [
        (EVALUATION, {SCORE: 0.1, WHICH: "quality"}, True),
        (EVALUATION, {SCORE: 0, WHICH: "quality"}, True),
        (EVALUATION, {SCORE: 0.5, WHICH: "quality"}, False),
        (EVALUATION, {SCORE: 0.1, WHICH: "tone"}, False),
        (EVALUATION, {SCORE: "low", WHICH: "quality"}, False),
        (EVALUATION, {WHICH: "quality"}, False),
        (EVALUATION, None, False),
        ("another", {SCORE: 0.1, WHICH: "quality"}, False),
    ],
)
def test_an_evaluation_keeps_its_trace(name, attributes, kept, judged):
    """A low score while the trace is open; other traces are not touched."""
    with judged.root("other"):
        pass
    with judged.root("root"):
        judged.child("before")
        judged.judge.emit(event_name=name, attributes=attributes)
        judged.child("after")
    assert judged.out.names == (["before", "after", "root"] if kept else [])
    assert {span.attributes[REASON] for span in judged.out.spans} <= {"bad"}


def test_an_evaluation_outside_of_traces(judged):
    """Without a trace, of a trace that is over or of another process: nothing happens."""
    low = {SCORE: 0.1, WHICH: "quality"}
    judged.judge.emit(event_name=EVALUATION, attributes=low, context=Context())
    with judged.root("root") as root:
        context = trace.set_span_in_context(root, Context())
    judged.judge.emit(event_name=EVALUATION, attributes=low, context=context)
    assert judged.out.spans == []


@pytest.mark.parametrize(("rule", "count"), [("evaluation_below: 0.5", 1), ("error: true", 0)])
def test_records_are_looked_at_where_a_rule_asks(rule, count, monkeypatch, tmp_path):
    """A log record processor for evaluations only where evaluations matter."""
    path = tmp_path / "sampling.yaml"
    path.write_text(f"version: 1\ntail: {{rules: [{{{rule}}}]}}\n")
    monkeypatch.setenv("SPANLOOM_SAMPLING", str(path))
    monkeypatch.setattr(_assembly, "_assembled", None)
    made = _assembly.assemble()
    assert len(made.log_record_processors()) == count
    processor = made.log_processor(InMemoryLogRecordExporter())
    for one in made.log_record_processors():
        assert one.force_flush() is True
        one.shutdown()
    processor.shutdown()
