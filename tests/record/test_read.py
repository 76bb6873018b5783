"""Reading records: real files, whole and broken."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.trace import SpanKind, Status, StatusCode

from spanloom.export import RecordSpanExporter
from spanloom.record import _read, files_of, read
from tests.record._samples import ALL, START, Sample, any_value, ask, write


def put(path: Path, *lines: str | bytes) -> Path:
    path.write_bytes(b"".join(line.encode() + b"\n" if isinstance(line, str) else line for line in lines))
    return path


def request(**span: Any) -> str:
    """A line with one span; ``span`` changes its fields."""
    row = {"traceId": "1" * 32, "spanId": "2" * 16, "name": "s", "kind": 1, "startTimeUnixNano": "5",
           "endTimeUnixNano": "9", **span}  # fmt: skip
    return json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [row]}]}]})


def test_what_the_exporter_writes_is_read(tmp_path: Path) -> None:
    """From the SDK through our exporter into a file and back: every field is what it was."""
    provider = TracerProvider(resource=Resource({"service.name": "svc"}), shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(RecordSpanExporter(tmp_path / "r")))
    tracer = provider.get_tracer("the.scope", "1")
    attributes = {"s": "ü\n", "i": -3, "f": 2.5, "b": True, "l": ["a", "b"], "big": 2**62}
    parent = tracer.start_span("parent", kind=SpanKind.SERVER, start_time=1_000)
    from opentelemetry import trace

    child = tracer.start_span("child", trace.set_span_in_context(parent), attributes=attributes, start_time=2_000)
    child.add_event("happened", {"k": 1}, timestamp=2_500)
    child.set_status(Status(StatusCode.ERROR, "why"))
    child.end(3_000)
    parent.end(4_000)
    provider.shutdown()
    reading = read([tmp_path / "r"])
    (trace_,) = reading.traces
    root, leaf = trace_.spans
    assert (root.name, root.kind, root.parent_id, root.duration_ns) == ("parent", "server", "", 3_000)
    assert (leaf.name, leaf.kind, leaf.parent_id, leaf.service, leaf.scope) == (
        "child", "internal", root.span_id, "svc", "the.scope",
    )  # fmt: skip
    assert leaf.attributes == attributes
    assert leaf.failed and leaf.status_message == "why"
    assert [(event.name, event.time_ns, event.attributes) for event in leaf.events] == [("happened", 2_500, {"k": 1})]
    assert trace_.trace_id == f"{parent.get_span_context().trace_id:032x}" and trace_.duration_ns == 3_000
    assert reading.problems == [] and reading.size_bytes == sum(file.stat().st_size for file in reading.files)


def test_a_folder_of_several_files_and_services(tmp_path: Path) -> None:
    """Spans of one trace from several processes come together; traces are in the order of their start."""
    reading = read([write(tmp_path / "r")])
    assert len(reading.files) == 2 and reading.problems == []
    assert [trace.trace_id for trace in reading.traces] == [make().trace_id for make in ALL]
    first = reading.traces[0]
    assert first.services == ["rag", "search"] and len(first.spans) == len(ask().spans)


def test_files_are_read_as_they_are_named(tmp_path: Path) -> None:
    """A file may have any name; a folder's files are those that end in .jsonl, oldest first."""
    (tmp_path / "sub.jsonl").mkdir()
    for name in ("b.jsonl", "a.jsonl", "c.json", ".gitignore"):
        put(tmp_path / name, request())
    assert [path.name for path in files_of(tmp_path)] == ["a.jsonl", "b.jsonl"]
    assert len(read([tmp_path / "c.json"]).traces) == 1
    with pytest.raises(FileNotFoundError):
        read([tmp_path / "gone"])


def test_several_places_are_read_together(tmp_path: Path) -> None:
    """Two records of two machines; a span that is in both counts once, the later place wins."""
    put(tmp_path / "a.jsonl", request(name="old"))
    put(tmp_path / "b.jsonl", request(name="new"), request(spanId="3" * 16))
    (trace,) = read([tmp_path / "a.jsonl", tmp_path / "b.jsonl"]).traces
    assert sorted(span.name for span in trace.spans) == ["new", "s"]


BROKEN = [
    b"garbage\n", b"\xff\xfe\x00\n", b"[]\n", b"7\n", b"null\n", b'"text"\n', b"{}\n", b'{"resourceSpans":7}\n',
    b'{"resourceSpans":[7]}\n', b'{"resourceSpans":[{"scopeSpans":{}}]}\n', b'{"resourceSpans":[{"resource":[]}]}\n',
    b'{"a":' * 100_000 + b"\n", b'{"resourceSpans":[{"scopeSpans":[{"spans":7}]}]}\n', b'{"resourceSpans":\n',
]  # fmt: skip


@pytest.mark.parametrize("line", BROKEN, ids=range(len(BROKEN)))
def test_a_broken_line_is_named_and_the_rest_is_read(tmp_path: Path, line: bytes) -> None:
    """File, line and what is wrong; spans before and after it are there."""
    file = put(tmp_path / "r.jsonl", request(), line, request(spanId="3" * 16))
    reading = read([file])
    assert [len(trace.spans) for trace in reading.traces] == [2]
    assert list(map(str, reading.problems)) == [f"{file}:2: not OTLP JSON, skipped"]


def test_a_truncated_last_line_is_named(tmp_path: Path) -> None:
    """A process was killed while it wrote, or writes just now."""
    file = put(tmp_path / "r.jsonl", request(), request(spanId="3" * 16)[:-20].encode())
    reading = read([file])
    assert len(reading.traces[0].spans) == 1 and reading.problems[0].line == 2


def test_empty_lines_and_other_signals_are_no_trouble(tmp_path: Path) -> None:
    """Metrics and logs are in the same files."""
    others = '{"resourceMetrics":[]}', '{"resourceLogs":[{"any":1}]}'
    reading = read([put(tmp_path / "r.jsonl", "", others[0], "  ", request(), others[1])])
    assert len(reading.traces) == 1 and reading.problems == []


SPANS = [
    {"traceId": "short"}, {"traceId": "g" * 32}, {"traceId": "0" * 32}, {"traceId": 7}, {"spanId": ""},
    {"spanId": None},
    {"parentSpanId": "x"}, {"name": 7}, {"kind": "server"}, {"startTimeUnixNano": "soon"},
    {"startTimeUnixNano": 1.5},
    {"endTimeUnixNano": "9" * 21}, {"endTimeUnixNano": True}, {"status": []}, {"attributes": {}}, {"attributes": [7]},
    {"attributes": [{"key": 7}]}, {"attributes": [{"key": "k", "value": 7}]}, {"events": [7]}, {"events": 7},
    {"attributes": [{"key": "k", "value": {"doubleValue": "x"}}]},
    {"attributes": [{"key": "k", "value": {"intValue": "x"}}]},
    {"attributes": [{"key": "k", "value": {"stringValue": 7}}]},
    {"attributes": [{"key": "k", "value": {"arrayValue": {"values": 7}}}]},
    {"attributes": [{"key": "k", "value": {"kvlistValue": 7}}]},
]  # fmt: skip


@pytest.mark.parametrize("change", SPANS, ids=lambda change: json.dumps(change)[:40])
def test_a_broken_span_costs_only_itself(tmp_path: Path, change: dict[str, Any]) -> None:
    """The other span of the same line is read, and the line is named."""
    broken, whole = json.loads(request(**change)), json.loads(request(spanId="3" * 16))
    broken["resourceSpans"][0]["scopeSpans"][0]["spans"] += whole["resourceSpans"][0]["scopeSpans"][0]["spans"]
    file = put(tmp_path / "r.jsonl", json.dumps(broken))
    reading = read([file])
    assert [span.span_id for trace in reading.traces for span in trace.spans] == ["3" * 16]
    assert list(map(str, reading.problems)) == [f"{file}:1: 1 spans are not OTLP JSON, skipped"]


def test_values_of_every_kind(tmp_path: Path) -> None:
    """All AnyValues, the words for numbers JSON does not have, and values of kinds to come."""
    rows: list[tuple[str, Any, Any]] = [
        ("s", {"stringValue": "x"}, "x"),
        ("b", {"boolValue": False}, False),
        ("i", {"intValue": "-7"}, -7),
        ("n", {"intValue": 7}, 7),
        ("d", {"doubleValue": 1}, 1.0),
        ("inf", {"doubleValue": "-Infinity"}, float("-inf")),
        ("bytes", {"bytesValue": "AP8="}, "AP8="),
        ("list", {"arrayValue": {"values": [{"intValue": "1"}, {}]}}, [1, None]),
        ("map", {"kvlistValue": {"values": [{"key": "k", "value": {"boolValue": True}}]}}, {"k": True}),
        ("empty", {}, None),
        ("absent", None, None),
        ("new", {"quaternionValue": 7}, None),
    ]
    attributes = [{"key": key, "value": value} for key, value, _ in rows]
    (trace,) = read([put(tmp_path / "r.jsonl", request(attributes=attributes))]).traces
    assert trace.spans[0].attributes == {key: expected for key, _, expected in rows}


def test_a_value_nested_without_end_is_no_crash(tmp_path: Path) -> None:
    """Somebody's file is not our stack overflow."""
    deep = '{"arrayValue":{"values":[' * 300 + "{}" + "]}}" * 300
    line = request(attributes=["@"]).replace('"@"', '{"key":"k","value":' + deep + "}")
    reading = read([put(tmp_path / "r.jsonl", line, request(spanId="3" * 16))])
    assert len(reading.traces[0].spans) == 1 and len(reading.problems) == 1


def test_a_line_beyond_the_limit_is_skipped_without_holding_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Size-bounded reading: the rest of the file is still read, with the right line numbers."""
    monkeypatch.setattr(_read, "MAX_LINE_BYTES", 1 << 20)
    file = put(tmp_path / "r.jsonl", request(), b"x" * (5 << 20) + b"\n", request(spanId="3" * 16), "broken")
    reading = read([file])
    assert len(reading.traces[0].spans) == 2
    assert list(map(str, reading.problems)) == [
        f"{file}:2: longer than 1 MiB, skipped",
        f"{file}:4: not OTLP JSON, skipped",
    ]


def test_an_unreadable_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that vanishes between listing and reading, as a living writer makes room."""
    whole, gone = put(tmp_path / "a.jsonl", request()), put(tmp_path / "b.jsonl", request(spanId="3" * 16))
    monkeypatch.setattr(_read, "files_of", lambda _: (gone.unlink(missing_ok=True), [whole, gone])[1])
    reading = read([tmp_path])
    assert len(reading.traces) == 1
    assert list(map(str, reading.problems)) == [f"{gone}: cannot be read (No such file or directory), skipped"]


def test_only_wanted_attributes_are_kept(tmp_path: Path) -> None:
    """Prompts are most of a record: who does not want them does not hold them."""
    one = Sample(7)
    one.span("s", None, 0, 1, {"keep": 1, "prompt": "x" * 1000})
    reading = read([put(tmp_path / "r.jsonl", *one.lines())], lambda name: name != "prompt")
    assert reading.traces[0].spans[0].attributes == {"keep": 1}
    assert reading.traces[0].services == ["rag"]


def test_random_damage_never_raises(tmp_path: Path) -> None:
    """Bytes changed, cut and doubled at random: always a reading, never an exception."""
    good = "\n".join(ask().lines()).encode()
    dice = random.Random(8)
    file = tmp_path / "r.jsonl"
    spans = 0
    for _ in range(300):
        data = bytearray(good)
        for _ in range(dice.randint(1, 6)):
            at = dice.randrange(len(data))
            data[at : at + dice.choice((0, 1, 40))] = dice.randbytes(dice.choice((0, 1, 3)))
        file.write_bytes(bytes(data))
        reading = read([file])
        spans += sum(len(trace.spans) for trace in reading.traces)
        for trace in reading.traces:
            assert trace.figures.errors >= 0 and trace.duration_ns >= 0
    assert spans > 0


def test_ids_are_compared_in_lower_case(tmp_path: Path) -> None:
    """OTLP allows both."""
    child = request(traceId="AB" * 16, spanId="CD" * 8, parentSpanId="EF" * 8)
    root = request(traceId="ab" * 16, spanId="ef" * 8)
    (trace,) = read([put(tmp_path / "r.jsonl", child, root)]).traces
    assert trace.missing == 0 and [span.span_id for span in trace.spans] == ["ef" * 8, "cd" * 8]


def test_a_living_writers_file_can_be_read(tmp_path: Path) -> None:
    """The lock that keeps a file from being deleted keeps nobody from reading it."""
    exporter = RecordSpanExporter(tmp_path / "r")
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    provider.get_tracer("t").start_span("s").end()
    assert len(read([tmp_path / "r"]).traces) == 1
    provider.shutdown()


def test_samples_are_what_they_say() -> None:
    """The builder writes OTLP's own forms."""
    assert any_value(True) == {"boolValue": True} and any_value([1]) == {"arrayValue": {"values": [{"intValue": "1"}]}}
    assert START // 10**9 == 1_795_248_000 and os.linesep == "\n"


@pytest.mark.parametrize(
    "broken",
    [
        {"endTimeUnixNano": 10**400},
        {"endTimeUnixNano": str(10**30)},
        {"attributes": [{"key": "k", "value": {"doubleValue": 10**400}}]},
    ],
)
def test_numbers_that_no_type_holds_cost_their_line_only(tmp_path: Path, broken: dict[str, Any]) -> None:
    """The line is named and skipped, the next one is read; nothing is raised."""
    path = put(tmp_path / "r.jsonl", request(**broken), request(name="sound"))
    reading = read([path])
    assert [span.name for trace_ in reading.traces for span in trace_.spans] == ["sound"]
    assert len(reading.problems) == 1
