"""The pipeline among the configurator's arguments: closed where it cannot be made, and settings that go together."""

from __future__ import annotations

import os
import threading

import pytest
from opentelemetry.sdk.environment_variables import OTEL_BSP_MAX_QUEUE_SIZE
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from spanloom.distro import _distro, _pipeline
from spanloom.genai import _guard, _registry
from spanloom.pipeline import SpanloomProcessor, _assembly, _processor
from spanloom.redaction import Redactor
from spanloom.sampling import SamplingRules, TailRules

SECRET = "sk-proj-" + "aB3dE5gH7jK9" * 4


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    """No assembly of another test, and faults that are kept."""
    monkeypatch.setattr(_assembly, "_assembled", None)
    monkeypatch.setattr(_guard, "RERAISE", False)
    monkeypatch.setattr(_guard, "_last_logged", {})
    monkeypatch.setattr(_registry, "redactor", None)


def broken(*_args):
    raise RuntimeError("broken")


def test_without_the_pipeline_nothing_is_exported(monkeypatch, caplog):
    """It would not be redacted."""
    monkeypatch.setattr(_pipeline, "assemble", broken)
    kwargs = {}
    _pipeline.add(kwargs, {})
    exporter = InMemorySpanExporter()
    made = kwargs["export_span_processor"](exporter)
    assert type(made) is SpanProcessor
    logs = kwargs["export_log_record_processor"](exporter)
    logs.on_emit(None)
    assert logs.force_flush() is True
    logs.shutdown()
    assert "no spans and log records are exported" in caplog.text


@pytest.mark.parametrize("step", ["redaction_from_settings", "sampling_from_settings"])
def test_faults_in_the_settings_leave_redaction_on(step, monkeypatch):
    """Secrets go all the same, and everything is kept."""
    monkeypatch.setattr(_processor, step, broken)
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SpanloomProcessor(SimpleSpanProcessor(exporter)))
    provider.get_tracer("t").start_span("span", attributes={"note": SECRET, "password": "hunter2"}).end()
    (span,) = exporter.get_finished_spans()
    assert SECRET not in span.to_json() and "hunter2" not in span.to_json()


@pytest.mark.parametrize(
    "content",
    ["version: !!int abc", "version: 1\ntail: {rules: [{tokens_above: 1" + "0" * 400 + "}]}", "[" * 5000, "a: 0x_"],
)
def test_odd_rule_files_leave_redaction_on(content, tmp_path, monkeypatch):
    """Both files, through the settings."""
    file = tmp_path / "rules.yaml"
    file.write_text(content)
    for name in ("SPANLOOM_SAMPLING", "SPANLOOM_REDACTION"):
        monkeypatch.setenv(name, str(file))
    assembly = _pipeline.assemble()
    assert assembly.processor.redactor.text(f"a {SECRET} b") != f"a {SECRET} b"


def test_completion_hooks_are_redacted_in_one_s_own_provider():
    """What the application has set stays."""
    processor = SpanloomProcessor(sampling=SamplingRules(), redaction=Redactor())
    assert _registry.redactor == processor.redactor.body
    SpanloomProcessor(sampling=SamplingRules(), redaction=Redactor())
    assert _registry.redactor == processor.redactor.body


@pytest.mark.parametrize(("setting", "size"), [(None, 8_000), ("4096", 4_096)])
def test_the_queue_takes_traces_that_come_at_once(setting, size, monkeypatch):
    """Four of the longest, unless somebody has set its length."""
    if setting:
        monkeypatch.setenv(OTEL_BSP_MAX_QUEUE_SIZE, setting)
    monkeypatch.setattr(_processor, "sampling_from_settings", lambda: SamplingRules(tail=TailRules()))
    assembly = _pipeline.assemble()
    assembly.behind(InMemorySpanExporter())
    (behind,) = assembly.processor._behind
    assert behind._batch_processor._max_queue_size == size
    behind.shutdown()


def test_a_flush_hands_on_in_portions():
    """Whoever is behind is flushed in between, so that no queue is overrun."""
    flushed = []

    class Behind(SpanProcessor):
        def force_flush(self, timeout_millis=30_000):
            flushed.append(timeout_millis)
            return True

    processor = SpanloomProcessor(Behind(), sampling=SamplingRules(tail=TailRules(1.0)), redaction=Redactor())
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(processor)
    tracer = provider.get_tracer("t")
    for _ in range(30):
        with tracer.start_as_current_span("root", end_on_exit=False):
            for _ in range(100):
                tracer.start_span("child").end()
    provider.force_flush()
    assert len(flushed) == 4


def test_a_flush_beside_a_thread_that_is_stopped_in_the_lock():
    """A signal's handler waits for the flush, and the code that it has interrupted holds the lock."""
    kept = InMemorySpanExporter()
    rules = SamplingRules(tail=TailRules(1.0))
    processor = SpanloomProcessor(SimpleSpanProcessor(kept), sampling=rules, redaction=Redactor())
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(processor)
    tracer = provider.get_tracer("t")
    root = tracer.start_span("root")
    from opentelemetry import trace

    tracer.start_span("child", trace.set_span_in_context(root)).end()
    tail = processor.tail
    with tail._lock, tail._judge._durations._lock:
        flushing = threading.Thread(target=provider.shutdown, daemon=True)
        flushing.start()
        flushing.join(20)
        assert not flushing.is_alive()
    assert [span.name for span in kept.get_finished_spans()] == ["child"]


@pytest.mark.parametrize(
    ("given", "used", "told"), [("", "spanloom", 0), ("spanloom", "spanloom", 0), ("always_on", "always_on", 1)]
)
def test_the_sampler_that_reads_the_rules(given, used, told, monkeypatch, caplog):
    """Ours, where nothing is said, an empty value included; another one is respected, with a line."""
    monkeypatch.setenv("SPANLOOM_SAMPLING", "rules.yaml")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", given)
    _distro._set_sampler()
    assert os.environ["OTEL_TRACES_SAMPLER"] == used
    assert len(caplog.records) == told
