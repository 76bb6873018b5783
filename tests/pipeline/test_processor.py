"""The span processor as the SDK and other span processors meet it."""

from __future__ import annotations

import threading
import time

import pytest
from opentelemetry import baggage
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult
from opentelemetry.trace import SpanContext

from spanloom import pipeline, sampling
from spanloom.pipeline import SpanloomProcessor, _assembly
from spanloom.sampling import HeadRules, SamplingRules, TailRule, TailRules
from spanloom.trace import context
from tests._support.pipeline import KEEP, MODEL, OP, REASON, Caught, Nothing, Service, tail
from tests._support.spans import eventually

SECRET = "sk-proj-abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKL"
AMOUNT, STATUS = "gen_ai.usage.cost.amount", "spanloom.cost.status"
CALLED = {OP: "chat", "gen_ai.provider.name": "openai", MODEL: "gpt-4o", "gen_ai.usage.input_tokens": 1000,
          "gen_ai.usage.output_tokens": 100}  # fmt: skip
ASKED = TailRule("asked", "keep")


class Watching(SpanProcessor):
    """Notes every call in a list that several may share."""

    def __init__(self, name="", calls=None, flushed=True) -> None:
        self.name, self.calls, self.flushed = name, [] if calls is None else calls, flushed

    def on_start(self, span, parent_context=None):
        self.calls.append((self.name, "start", span.name))
        span.set_attribute("seen by", self.name)

    def _on_ending(self, span):
        self.calls.append((self.name, "ending", span.name))

    def on_end(self, span):
        self.calls.append((self.name, "end", span.name))

    def shutdown(self):
        self.calls.append((self.name, "shutdown"))

    def force_flush(self, timeout_millis=30_000):
        self.calls.append((self.name, "flush", timeout_millis))
        return self.flushed


def test_a_service_with_a_provider_of_its_own():
    """The sampler and the span processor are all that it takes; everything comes out of the public names."""
    rules = sampling.loads("version: 1\nhead: {ratio: 1}\ntail: {baseline: 0, rules: [{keep: true, name: asked}]}\n")
    exporter = InMemorySpanExporter()
    provider = TracerProvider(sampler=sampling.Sampler(rules), shutdown_on_exit=False)
    provider.add_span_processor(SpanloomProcessor(SimpleSpanProcessor(exporter), sampling=rules))
    tracer = provider.get_tracer("service")
    with context(user="u1", tier="gold"), tracer.start_as_current_span("request") as root:
        tracer.start_span("chat", attributes={**CALLED, "key": SECRET}).end()
        root.set_attribute(KEEP, True)
    with tracer.start_as_current_span("dropped"):
        pass
    provider.shutdown()
    chat, request = exporter.get_finished_spans()
    assert (chat.name, request.name) == ("chat", "request")
    assert chat.attributes[AMOUNT] > 0
    assert chat.attributes["user.id"] == request.attributes["user.id"] == "u1"
    assert SECRET not in chat.to_json()
    assert request.attributes[REASON] == "asked"
    assert request.context.trace_state.get("ot") == "th:0"


def test_settings_are_the_default(monkeypatch, tmp_path):
    """Without arguments the files and limits of the environment hold."""
    path = tmp_path / "sampling.yaml"
    path.write_text("version: 1\ntail: {baseline: 0, rules: [{error: true, name: failed}]}\n")
    monkeypatch.setenv("SPANLOOM_SAMPLING", str(path))
    out = Caught()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SpanloomProcessor(out))
    provider.get_tracer("t").start_span("fine").end()
    with pytest.raises(KeyError), provider.get_tracer("t").start_as_current_span("bad"):
        raise KeyError(SECRET)
    assert out.names == ["bad"]
    assert SECRET not in out.spans[0].to_json()
    assert out.spans[0].attributes[REASON] == "failed"


def test_calls_are_passed_on_in_order():
    """Starts, ends, flushes and the shutdown, to each processor behind, in the order in which they were given."""
    calls = []
    service = Service(None, Watching("a", calls), Watching("b", calls))
    service.trace()
    assert service.provider.force_flush(5_000)
    service.provider.shutdown()
    steps = ["start", "ending", "end", "flush", "shutdown"]
    assert [(call[0], call[1]) for call in calls] == [(name, step) for step in steps for name in "ab"]
    assert all(4_000 < call[2] <= 5_000 for call in calls if call[1] == "flush")
    assert service.out.spans[0].attributes["seen by"] == "b"


def test_processors_beside_and_behind():
    """Those beside see the original, also of dropped traces; those behind what exporters see."""
    beside, behind = Caught(), Caught()
    service = Service(tail(ASKED))
    service.provider.add_span_processor(beside)
    service.processor.wrap(behind)
    service.trace("dropped")
    service.trace("kept", **{KEEP: True, "key": SECRET})
    assert beside.names == ["dropped", "kept"]
    assert beside.spans[1].attributes["key"] == SECRET
    assert behind.names == ["kept"]
    assert behind.spans[0] is service.out.spans[0] is not beside.spans[1]
    assert SECRET not in behind.spans[0].to_json()


@pytest.fixture
def assembled(monkeypatch):
    """No pipeline of the process; what is made in the test goes with it."""
    monkeypatch.setattr(_assembly, "_assembled", None)


def test_wrap_needs_a_pipeline(assembled):
    """Where the distribution has set nothing up it says what to do; else the processor is behind."""
    with pytest.raises(RuntimeError, match="SpanloomProcessor"):
        pipeline.wrap(Caught())
    made = pipeline.assemble()
    out = Caught()
    pipeline.wrap(out)
    provider = TracerProvider(shutdown_on_exit=False)
    for processor in made.span_processors():
        provider.add_span_processor(processor)
    provider.get_tracer("t").start_span("span", attributes={"key": SECRET}).end()
    assert SECRET not in out.spans[0].to_json()
    assert pipeline.assemble() is made


@pytest.mark.parametrize("count", [1, 3])
def test_any_number_of_exporters(assembled, count):
    """The configurator asks for each: all are behind one pipeline, and what it adds in their place does nothing."""
    made = pipeline.assemble()
    exporters = [InMemorySpanExporter() for _ in range(count)]
    provider = TracerProvider(shutdown_on_exit=False)
    for processor in [*made.span_processors(), *(made.behind(one) for one in exporters)]:
        provider.add_span_processor(processor)
    provider.get_tracer("t").start_span("span").end()
    assert provider.force_flush()
    found = [one.get_finished_spans() for one in exporters]
    provider.shutdown()
    assert [len(spans) for spans in found] == [1] * count
    assert len({id(spans[0]) for spans in found}) == 1


def test_a_flush_that_takes_too_long():
    """The others get what is left of the time, and the result says that it was not done."""
    calls = []

    class Hanging(Watching):
        def force_flush(self, timeout_millis=30_000):
            time.sleep(timeout_millis / 1000)
            return False

    service = Service(None, Hanging("slow", calls), Watching("b", calls))
    assert service.processor.force_flush(50) is False
    assert [call for call in calls if call[1] == "flush"] == [("b", "flush", 0)]


def test_a_flush_decides_what_waits():
    """By what is known so far; and so does the shutdown, before those behind are shut down."""
    calls = []
    service = Service(tail(ASKED), Watching("a", calls))
    for end in (service.processor.force_flush, service.processor.shutdown):
        with service.root("root") as root:
            service.child("child", **{KEEP: True})
            end()
            assert service.out.names == ["child"]
        service.out.spans.clear()
        assert root.get_span_context()
    assert service.processor.tail.early == {"flush": 2}
    assert [call[1] for call in calls if call[-1] != "root"][-2:] == ["end", "shutdown"]


def test_a_processor_without_a_method():
    """One that has only what the interface needs, as the SDK's own: nothing is asked of it in vain."""
    exporter = InMemorySpanExporter()
    service = Service(None, SimpleSpanProcessor(exporter), SpanProcessor())
    service.trace()
    assert service.processor.force_flush()
    assert len(exporter.get_finished_spans()) == 1
    assert (service.processor._starting, service.processor._ending) == ((), ())


class Decides(Sampler):
    def __init__(self, decision) -> None:
        self._decision = decision

    def should_sample(self, parent_context, trace_id, name, kind=None, attributes=None, *more, **named):
        return SamplingResult(self._decision, attributes)

    def get_description(self):
        return "decides"


@pytest.mark.parametrize("rules", [None, tail(ASKED)])
def test_spans_that_are_only_recorded(rules):
    """Reach those behind that want them, never an exporter."""
    exporter = InMemorySpanExporter()
    batch = BatchSpanProcessor(exporter)
    service = Service(rules, SimpleSpanProcessor(exporter), batch, sampler=Decides(Decision.RECORD_ONLY))
    service.trace("span", **CALLED)
    batch.force_flush()
    assert service.out.names == ["span"]
    assert service.out.spans[0].attributes[AMOUNT] > 0
    assert exporter.get_finished_spans() == ()
    service.provider.shutdown()


def test_spans_that_the_sampler_drops():
    """Are nobody's business."""
    service = Service(tail(ASKED), sampler=Decides(Decision.DROP))
    service.trace("span")
    assert service.out.spans == []
    assert service.processor.tail.traces == {}


def test_two_in_one_provider():
    """Each has its own rules, and hands on its own spans."""
    service = Service(tail(ASKED))
    other = Caught()
    service.provider.add_span_processor(SpanloomProcessor(other, sampling=SamplingRules(tail=TailRules(1.0, rules=()))))
    service.trace("one")
    service.trace("two", **{KEEP: True})
    assert (service.out.names, other.names) == (["two"], ["one", "two"])
    assert other.spans[1].attributes[REASON] == "baseline"
    assert service.out.spans[0].attributes[REASON] == "asked"


def test_one_behind_the_other():
    """Costs once, redacted, and kept by both."""
    out = Caught()
    inner = SpanloomProcessor(out, sampling=SamplingRules())
    service = Service(TailRules(1.0, rules=()), inner)
    service.trace("span", **CALLED, key=SECRET)
    assert out.spans[0].attributes[AMOUNT] == service.out.spans[0].attributes[AMOUNT]
    assert SECRET not in out.spans[0].to_json()
    assert out.spans[0].attributes[REASON] == "baseline"


def test_a_span_without_a_context():
    """One that some program makes by hand and hands over."""
    service = Service(tail(ASKED))
    service.processor.on_end(ReadableSpan("bare", resource=Resource({})))
    service.processor.on_end(ReadableSpan("bare", SpanContext(1, 2, False), attributes={"key": SECRET}))
    assert service.out.names == ["bare", "bare"]
    assert SECRET not in service.out.spans[1].to_json()


def test_what_the_context_carries(monkeypatch):
    """Of ``trace.context`` and the baggage that is let in, on every span that starts in it."""
    monkeypatch.setenv("SPANLOOM_BAGGAGE", "tenant.id")
    service = Service(None)
    carried = baggage.set_baggage("tenant.id", "t1", baggage.set_baggage("secret", "x", Context()))
    service.trace("baggage", carried)
    with context(user="u1"):
        service.tracer.start_span("context").end()
    assert dict(service.out.named("baggage").attributes) == {"tenant.id": "t1"}
    assert dict(service.out.named("context").attributes) == {"user.id": "u1"}


def test_no_lock_is_held_while_calling_on():
    """A processor behind may start, end and flush spans of the same provider, in this thread and in others."""
    service = Service(TailRules(1.0, rules=()))

    class Nosy(SpanProcessor):
        depth = 0

        def on_end(self, span):
            if span.name != "root":
                return
            thread = threading.Thread(target=service.trace, args=("other",))
            thread.start()
            thread.join(10)
            assert not thread.is_alive()
            service.trace("same")
            service.processor.force_flush()

    service.processor.wrap(Nosy())
    service.trace("root")
    assert sorted(service.out.names) == ["other", "root", "same"]


def test_the_application_s_thread_does_not_redact():
    """Nor cut: that is done where an exporter looks first, once."""
    threads = []

    class Noting(Nothing):
        def attributes(self, attributes):
            threads.append(threading.current_thread())

    class Looking(InMemorySpanExporter):
        def export(self, spans):
            assert [span.to_json() for span in spans]
            return super().export(spans)

    batches = [BatchSpanProcessor(Looking(), schedule_delay_millis=20) for _ in range(2)]
    service = Service(TailRules(1.0, rules=()), *batches, redaction=Noting())
    service.trace()
    eventually(lambda: all(one.span_exporter.get_finished_spans() for one in batches))
    assert threading.main_thread() not in threads
    assert len(threads) in (1, 2)
    service.provider.shutdown()


def test_no_log_per_span(caplog):
    """Whatever it does, a span that is fine is not talked about."""
    caplog.set_level("DEBUG")
    service = Service(tail(ASKED, skeleton=True), sampler=sampling.Sampler(SamplingRules(HeadRules(0.5))))
    for _ in range(20):
        service.trace("span", **CALLED, key=SECRET)
        service.trace("kept", **{KEEP: True})
    assert [one.to_json() for one in service.out.spans]
    assert caplog.records == []
