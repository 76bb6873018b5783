"""Bytes of spans and of requests, measured with the official protobuf encoder."""

from __future__ import annotations

import json
import random
import string

import pytest
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, LogRecordExportResult, SimpleLogRecordProcessor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.trace import SpanContext, StatusCode, TraceState

from spanloom.pipeline._batches import BoundedLogExporter, BoundedSpanExporter, record_size, shared_size
from spanloom.pipeline._limits import span_size
from tests._support.pipeline import Caught, Meters, Nothing, SeededIds, Service, remote

GRPC = 4 * 1024 * 1024
ANY = SpanLimits(max_span_attributes=10_000, max_events=10_000, max_links=10_000)
ALPHABETS = (string.printable, "жщъ", "漢字仮名", "🎈🧵", '"\\\n\x01')


class Varied:
    """Attributes, names and spans of every kind and size, by a seed."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def text(self, most: int) -> str:
        alphabet = self._random.choice(ALPHABETS)
        return "".join(self._random.choices(alphabet, k=self._random.choice((0, 1, 7, most))))

    def value(self):
        chance = self._random
        return chance.choice(
            (
                lambda: self.text(3000),
                lambda: chance.getrandbits(63) * chance.choice((1, -1)),
                chance.random,
                lambda: chance.random() < 0.5,
                lambda: [self.text(50) for _ in range(chance.randrange(30))],
                lambda: [chance.getrandbits(63) for _ in range(chance.randrange(200))],
                lambda: [chance.random() for _ in range(chance.randrange(200))],
                lambda: [True] * chance.randrange(200),
                lambda: chance.randbytes(chance.randrange(500)),
                lambda: {self.text(9) or "k": self.text(50), "n": [1, "two", {"three": None}]},
            )
        )()

    def rows(self, most: int):
        return {self.text(60) or "x": self.value() for _ in range(self._random.randrange(most))}

    def state(self):
        rows = [(f"k{at}", "v" * self._random.randrange(1, 256)) for at in range(self._random.randrange(33))]
        return TraceState(rows)

    def span(self, tracer):
        chance = self._random
        state = ",".join(f"{key}={value}" for key, value in self.state().items())
        span = tracer.start_span(self.text(300), remote(chance.getrandbits(128) or 1, state), attributes=self.rows(20))
        for _ in range(chance.choice((0, 0, 1, 9))):
            span.add_event(self.text(100), self.rows(5))
        for _ in range(chance.choice((0, 0, 1, 9))):
            span.add_link(SpanContext(chance.getrandbits(128) or 1, 1, True, 1, self.state()), self.rows(5))
        if chance.random() < 0.3:
            span.set_status(StatusCode.ERROR, self.text(2000))
        span.end()


def tracer_with(*processors, seed=1, resource=None):
    provider = TracerProvider(
        resource=Resource(resource or {"service.name": "s"}, "https://schema.example/" + "s" * 300),
        span_limits=ANY,
        shutdown_on_exit=False,
        id_generator=SeededIds(seed),
    )
    for one in processors:
        provider.add_span_processor(one)
    return provider.get_tracer("scope" * 30, "1.0" * 30, "https://schema.example/" + "t" * 300, {"a": "b" * 500})


@pytest.mark.parametrize("seed", range(4))
def test_spans_are_not_estimated_low(seed):
    """Never below what the official encoder makes of one alone, with its resource and scope."""
    out, varied = Caught(), Varied(seed)
    tracer = tracer_with(out, seed=seed, resource={f"r{at}": "x" * 200 for at in range(20)})
    for _ in range(120):
        varied.span(tracer)
    for span in out.spans:
        assert span_size(span) + shared_size([span]) >= encode_spans([span]).ByteSize()


def test_log_records_are_not_estimated_low():
    """The same of log records, whose bodies and attributes may be nested."""
    kept, varied = InMemoryLogRecordExporter(), Varied(5)
    provider = LoggerProvider(Resource({"service.name": "s" * 500}), shutdown_on_exit=False)
    provider.add_log_record_processor(SimpleLogRecordProcessor(kept))
    logger = provider.get_logger("logger" * 50)
    for _ in range(200):
        body = varied.value()
        logger.emit(body=body, attributes=varied.rows(20), event_name=varied.text(300), severity_text=varied.text(99))
    records = kept.get_finished_logs()
    assert len(records) == 200
    for record in records:
        assert record_size(record) + shared_size([record]) >= encode_logs([record]).ByteSize()


class Requests(SpanExporter):
    """Measures what would be sent; raises or fails at the given requests."""

    def __init__(self, encode=encode_spans, *, raises=(), fails=()) -> None:
        self._encode, self._raises, self._fails = encode, raises, fails
        self.sizes, self.items, self.ended = [], [], []

    def export(self, items):
        at = len(self.sizes)
        self.sizes.append(self._encode(items).ByteSize())
        self.items += items
        if at in self._raises:
            raise OSError(f"request {at}")
        return SpanExportResult.FAILURE if at in self._fails else SpanExportResult.SUCCESS

    def shutdown(self):
        self.ended.append("shutdown")

    def force_flush(self, timeout_millis=30_000):
        self.ended.append(timeout_millis)
        return False


@pytest.mark.parametrize("max_bytes", [3_500_000, 100_000])
@pytest.mark.parametrize("resource", [{}, {f"r{at}": "x" * 4_000 for at in range(20)}], ids=["small", "80 kB"])
def test_requests_stay_below_the_limit(max_bytes, resource):
    """All spans, in their order, and no request over it, though the largest resource stands in each."""
    out, varied = Caught(), Varied(9)
    tracer = tracer_with(out, resource=resource)
    for _ in range(100):
        varied.span(tracer)
    for _ in range(20):
        tracer.start_span("large", attributes={"text": "漢" * 66_000 if max_bytes > 200_000 else "x"}).end()
    requests = Requests()
    assert BoundedSpanExporter(requests, max_bytes).export(out.spans) is SpanExportResult.SUCCESS
    assert requests.items == out.spans
    alone = max(encode_spans([span]).ByteSize() for span in out.spans)
    assert max(requests.sizes) <= max(max_bytes, alone)
    assert len(requests.sizes) > 1
    if max_bytes == 3_500_000:
        assert sum(requests.sizes) > GRPC > max(requests.sizes)
        assert len(requests.sizes) <= 4


def test_no_spans_no_request():
    """And a single one is one, whatever its size."""
    requests = Requests()
    bounded = BoundedSpanExporter(requests, 10)
    assert bounded.export([]) is SpanExportResult.SUCCESS
    out = Caught()
    tracer_with(out).start_span("one").end()
    bounded.export(out.spans)
    bounded.export(tuple(out.spans * 3))
    assert len(requests.sizes) == 4


def test_a_request_that_fails_does_not_cost_the_others():
    """The result says so; an exception of the exporter is passed on when all the rest is sent."""
    out = Caught()
    tracer = tracer_with(out)
    for _ in range(4):
        tracer.start_span("span").end()
    failing = Requests(fails=(1,))
    assert BoundedSpanExporter(failing, 1).export(out.spans) is SpanExportResult.FAILURE
    raising = Requests(raises=(0, 2))
    with pytest.raises(OSError, match="request 2"):
        BoundedSpanExporter(raising, 1).export(out.spans)
    assert failing.items == raising.items == out.spans


def test_the_rest_of_an_exporter():
    """Shutting down, flushing, and what else it has, are its own."""
    inner = Requests()
    for bounded in (BoundedSpanExporter(inner, 1), BoundedLogExporter(inner, 1)):
        assert bounded.force_flush(77) is False
        bounded.shutdown()
        assert bounded.sizes is inner.sizes
        with pytest.raises(AttributeError):
            type(bounded).__new__(type(bounded)).anything  # noqa: B018
    assert inner.ended == [77, "shutdown"] * 2
    assert BoundedLogExporter(InMemoryLogRecordExporter(), 1).force_flush() is True


def test_log_requests_stay_below_the_limit():
    """Each at most so large, failures told."""
    kept = InMemoryLogRecordExporter()
    provider = LoggerProvider(shutdown_on_exit=False)
    provider.add_log_record_processor(SimpleLogRecordProcessor(kept))
    for at in range(30):
        provider.get_logger("l").emit(body="x" * 400_000, attributes={"at": at})
    requests = Requests(encode_logs)
    bounded = BoundedLogExporter(requests, 3_500_000)
    assert bounded.export(kept.get_finished_logs()) in (LogRecordExportResult.SUCCESS, SpanExportResult.SUCCESS)
    assert [record.log_record.attributes["at"] for record in requests.items] == list(range(30))
    assert max(requests.sizes) < GRPC < sum(requests.sizes)


MESSAGES = json.dumps([{"role": "user", "parts": [{"type": "text", "content": "long " * 20_000}]}])
LONG = "y" * 100_000


def shown(max_bytes, monkeypatch, make, **start):
    """What comes out of a service with this limit."""
    monkeypatch.setenv("SPANLOOM_SPAN_MAX_BYTES", str(max_bytes))
    meters = Meters(monkeypatch)
    service = Service(None, redaction=Nothing(), limits=ANY)
    span = service.tracer.start_span(**{"name": "span", **start})
    make(span)
    span.end()
    (one,) = service.out.spans
    _ = one.attributes
    assert meters.points("spanloom.spans.cut") == [({}, 1)]
    return one


OVER = {
    "text": lambda span: span.set_attribute("text", LONG),
    "many texts": lambda span: span.set_attributes({f"t{at}": "z" * 5_000 for at in range(50)}),
    "wide": lambda span: span.set_attribute("text", "漢" * 40_000),
    "many numbers": lambda span: span.set_attributes({f"n{at}": at for at in range(5_000)}),
    "long names": lambda span: span.set_attributes({f"{at}" + "n" * 9_000: at for at in range(10)}),
    "list": lambda span: span.set_attribute("list", ["w" * 100] * 1_000),
    "bytes": lambda span: span.set_attribute("bytes", b"w" * 100_000),
    "event": lambda span: span.add_event("event", {"text": LONG}),
    "many events": lambda span: [span.add_event("event", {"n": at}) for at in range(1_000)],
    "event name": lambda span: span.add_event(LONG),
    "link": lambda span: span.add_link(SpanContext(1, 1, False), {"text": LONG}),
    "many links": lambda span: [span.add_link(SpanContext(1, 1, False), {"n": at}) for at in range(1_000)],
    "status": lambda span: span.set_status(StatusCode.ERROR, LONG),
    "name": lambda span: span.update_name(LONG),
    "exception": lambda span: span.record_exception(ValueError(LONG)),
}


@pytest.mark.parametrize("what", OVER)
def test_a_span_over_the_limit_is_cut(what, monkeypatch):
    """Whatever of it is long: what is exported is below, what is short stays, what is gone is counted."""
    seen = {}

    def make(span):
        span.set_attribute("short", "stays")
        OVER[what](span)
        seen.update(attributes=len(span.attributes), events=len(span.events), links=len(span.links))

    one = shown(50_000, monkeypatch, make)
    assert encode_spans([one]).ByteSize() < 51_000
    assert one.attributes["short"] == "stays"
    assert len(one.attributes) + one.dropped_attributes == seen["attributes"]
    assert len(one.events) + one.dropped_events == seen["events"]
    assert len(one.links) + one.dropped_links == seen["links"]
    assert one.status.status_code is (StatusCode.ERROR if what == "status" else StatusCode.UNSET)


def test_json_stays_json(monkeypatch):
    """A long message is cut inside its text; other attributes are not touched."""
    rows = {"gen_ai.input.messages": MESSAGES, "other": "x" * 5_000}
    one = shown(20_000, monkeypatch, lambda span: span.set_attributes(rows))
    (message,) = json.loads(one.attributes["gen_ai.input.messages"])
    assert message["role"] == "user"
    assert message["parts"][0]["content"].startswith("long long")
    assert one.attributes["other"] == rows["other"]
    assert one.dropped_attributes == 0


def test_a_span_below_the_limit_is_as_it_was(monkeypatch):
    """Not cut, not counted."""
    meters = Meters(monkeypatch)
    service = Service(None, redaction=Nothing(), limits=ANY)
    varied = Varied(3)
    seen = Caught()
    service.provider.add_span_processor(seen)
    for _ in range(30):
        varied.span(service.tracer)
    for one, other in zip(service.out.spans, seen.spans, strict=True):
        assert encode_spans([one]) == encode_spans([other])
    assert meters.points("spanloom.spans.cut") == []
