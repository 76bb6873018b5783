"""The span that takes an ended span's place: the same in everything that is not asked to change."""

from __future__ import annotations

import copy
import gc
import inspect
import io
import pickle
import sys
import threading
import weakref

import pytest
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanContext, SpanKind, StatusCode

from spanloom.export._encode import span_text
from spanloom.pipeline._derived import DerivedSpan
from spanloom.pipeline._finish import Finisher
from spanloom.redaction import Redactor
from tests._support.pipeline import Caught, Nothing, Service, remote

LIMITS = SpanLimits(max_span_attributes=4, max_events=2, max_links=2, max_event_attributes=2, max_link_attributes=1)
SECRET = "sk-proj-abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKL"
PUBLIC = sorted(
    name
    for name, one in inspect.getmembers(ReadableSpan)
    if isinstance(one, property) and name != "instrumentation_info"
)


@pytest.fixture
def original():
    """An ended span with everything, and more than its limits take."""
    service = Service(None, limits=LIMITS)
    seen = Caught()
    service.provider.add_span_processor(seen)
    links = [SpanContext(at + 1, 1, False) for at in range(3)]
    with service.tracer.start_as_current_span("span", remote(9, "ot=th:8"), kind=SpanKind.CLIENT) as span:
        for at in range(7):
            span.set_attribute(f"a{at}", (1, 0.5, at, True, ("a", "b"), (1, 2), "text")[at])
            span.add_event(f"e{at}", {f"x{row}": row for row in range(4)}, timestamp=at + 1)
        for link in links:
            span.add_link(link, {"l": 1, "m": 2})
        span.set_status(StatusCode.ERROR, "it failed")
    return seen.spans[0]


def derived(original, redactor=None, max_bytes=1 << 20, **more):
    return DerivedSpan(original, Finisher(redactor, max_bytes), original.context, **more)


@pytest.mark.parametrize("redactor", [None, Nothing(), Redactor()], ids=["none", "nothing", "ours"])
@pytest.mark.parametrize("first", [*PUBLIC, "to_json"])
def test_the_same_as_the_original(original, redactor, first):
    """Every public property and the JSON of it, whichever is asked for first."""
    one = derived(original, redactor)
    if first != "to_json":
        assert getattr(one, first) == getattr(original, first)
    assert one.to_json() == original.to_json()
    assert one.get_span_context() is original.get_span_context()
    for name in PUBLIC:
        assert getattr(one, name) == getattr(original, name), name
    assert [event.dropped_attributes for event in one.events] == [2, 2]
    assert [link.dropped_attributes for link in one.links] == [1, 1]


def test_it_has_what_the_sdk_dropped(original):
    """The counts of everything that was over the SDK's limits."""
    one = derived(original)
    assert (one.dropped_attributes, one.dropped_events, one.dropped_links) == (3, 5, 1)


@pytest.mark.parametrize("name", ["nothing", "_nothing", "__nothing__", "_dropped_"])
def test_what_it_has_not(original, name):
    """Is missing, as with any object; before and after it was looked at."""
    one = derived(original)
    for _ in range(2):
        assert not hasattr(one, name)
        _ = one.attributes
    with pytest.raises(AttributeError, match="DerivedSpan"):
        getattr(DerivedSpan.__new__(DerivedSpan), name)


@pytest.mark.parametrize("looked_at", [True, False])
@pytest.mark.parametrize("how", [copy.copy, copy.deepcopy], ids=["copy", "deepcopy"])
def test_copies(original, how, looked_at):
    """Are spans that show the same, without what they were made of."""
    one = derived(original, Redactor())
    if looked_at:
        _ = one.name
    other = how(one)
    assert other.to_json() == one.to_json() == original.to_json()
    assert (other.dropped_attributes, other.dropped_events, other.dropped_links) == (3, 5, 1)


def test_pickle(original):
    """Where the SDK's parts can be pickled it can be: those of an ended span have locks, and that is said."""
    bare = ReadableSpan("span", original.context, attributes={"a": 1}, resource=None)
    bare._resource = None
    one = pickle.loads(pickle.dumps(derived(bare)))
    assert (one.name, dict(one.attributes)) == ("span", {"a": 1})
    with pytest.raises(TypeError, match="pickle"):
        pickle.dumps(derived(original))


@pytest.mark.parametrize("attributes", [None, {"a": 1, "b": "two", "c": (1, 2)}])
def test_encoders(original, attributes):
    """The official protobuf, our JSON and the console take it for the span that it shows."""
    own = None if attributes is None else dict(attributes)
    one = derived(original, Redactor(), attributes=own)
    bare = ReadableSpan(
        name=original.name,
        context=original.context,
        parent=original.parent,
        resource=original.resource,
        attributes=original.attributes if attributes is None else attributes,
        events=original._events,
        links=original._links,
        kind=original.kind,
        status=original.status,
        start_time=original.start_time,
        end_time=original.end_time,
        instrumentation_scope=original.instrumentation_scope,
    )
    wanted, shown = (encode_spans([span]).resource_spans[0].scope_spans[0].spans[0] for span in (bare, one))
    assert shown.dropped_attributes_count == 3
    wanted.dropped_attributes_count = 3
    assert shown == wanted
    assert span_text(one).replace('"droppedAttributesCount":3,', "", 1) == span_text(bare).replace(
        '"droppedAttributesCount":3,', "", 1
    )
    out = io.StringIO()
    ConsoleSpanExporter(out=out).export([one])
    assert '"name": "span"' in out.getvalue()


def test_two_exporters_share_one():
    """Made once; what one does with its list does not touch the other's."""
    exporters = InMemorySpanExporter(), InMemorySpanExporter()
    service = Service(None, *map(SimpleSpanProcessor, exporters))
    service.trace("span", key=SECRET)
    one, other = (exporter.get_finished_spans()[0] for exporter in exporters)
    assert one is other is service.out.spans[0]
    assert all(SECRET not in exporter.get_finished_spans()[0].to_json() for exporter in exporters)
    assert sum(service.processor.redactor.counts().values()) == 1


class Slow:
    """A redactor that lets another thread look at the span while it works."""

    def __init__(self) -> None:
        self.counted = 0
        self.look = None

    def text(self, value):
        return value

    def attributes(self, attributes):
        self.counted += 1
        if self.counted == 1:
            thread = threading.Thread(target=self.look)
            thread.start()
            thread.join()
        return dict.fromkeys(attributes, "[redacted]")

    def body(self, value):
        return value

    def counts(self):
        return {}


def test_nobody_sees_what_is_not_redacted_yet(original):
    """Whoever comes while another thread makes what is shown."""
    redactor = Slow()
    one = derived(original, redactor)
    seen = []
    redactor.look = lambda: seen.append(one.to_json())
    assert '"text"' not in one.to_json()
    assert '"text"' not in seen[0]


def test_at_no_moment_is_the_original_shown(original):
    """What another thread could see after any line of ours: nothing yet, or what is redacted."""
    redactor, seen = Slow(), []
    redactor.counted = 1
    one = derived(original, redactor)

    def watch(*_event):
        shown = vars(one).get("_attributes")
        seen.append("nothing" if shown is None else "text" in shown.values())
        return watch

    before = sys.gettrace()
    sys.settrace(watch)
    try:
        assert one.name == "span"
    finally:
        sys.settrace(before)
    assert set(seen) == {"nothing", False}


def test_threads_that_look_at_once(original):
    """All see the same redacted span."""
    for _ in range(50):
        one = derived(original, Redactor(), attributes={"key": SECRET, "other": "x"})
        barrier = threading.Barrier(4)
        seen = []

        def look(one=one, barrier=barrier, seen=seen):
            barrier.wait()
            seen.append((dict(one.attributes), one.name, one.dropped_attributes))

        threads = [threading.Thread(target=look) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(seen) == 4
        assert all(SECRET not in row[0]["key"] and row[1:] == ("span", 3) for row in seen)


def test_the_original_is_let_go(original):
    """As soon as it is not needed: what an exporter keeps holds neither the original nor its attributes."""
    alone = copy.copy(original)
    one = derived(alone, Redactor(), attributes={"key": SECRET})
    watch = weakref.ref(alone)
    del alone
    gc.collect()
    assert watch() is not None
    _ = one.attributes
    gc.collect()
    assert watch() is None
    assert SECRET not in repr(list(vars(one).values()))


def test_one_made_of_another(original):
    """Two pipelines one behind the other: each changes what the one before has left."""
    inner = derived(original, Redactor(), attributes={"key": SECRET, "a": 1})
    outer = DerivedSpan(inner, Finisher(None, 1 << 20), inner.context)
    assert SECRET not in outer.to_json()
    assert (outer.dropped_attributes, outer.dropped_events) == (3, 5)
    assert outer.resource == original.resource != Resource({})


def test_a_span_of_another_making():
    """A bare readable span without attributes or context."""
    one = DerivedSpan(ReadableSpan("bare"), Finisher(Redactor(), 1 << 20), None)
    assert (one.name, one.context, dict(one.attributes), one.events, one.links) == ("bare", None, {}, (), ())
    assert (one.dropped_attributes, one.dropped_events, one.dropped_links) == (0, 0, 0)
