"""The example service under the real command, from the built wheel: whole trees, exact tokens, no harm."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from demo import Demo, demo_calls
from tests._support.otlp import outline, read_points, read_spans, tree
from tests._support.snapshot import check_snapshot

INPUT, OUTPUT = "gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"


def _silent(_: str) -> None:
    """The driver's progress is not part of a test's output."""


class Run:
    """One run of the demo's requests: what the clients saw, what the model server counted, what was recorded."""

    def __init__(self, python: Path, folder: Path, instrumented: bool, **env: str) -> None:
        self.record = folder / "record"
        prefix = [str(python.parent / "opentelemetry-instrument")] if instrumented else []
        settings = {"PYTHONWARNINGS": "default", **env}
        with Demo(
            folder,
            record=self.record,
            prefix=prefix,
            python=str(python),
            env=settings,
            ports=(0, 0),
            say=lambda _: None,
        ) as demo:
            self.sent = demo.send(demo_calls())
        self.ledger: dict[str, Any] = demo.ledger or {}
        self.log = (folder / "service.log").read_text()
        self.spans = read_spans(self.record) if instrumented else []

    def trees(self) -> list[dict[str, Any]]:
        """The trees of the demo's requests."""
        return tree(self.spans)


@pytest.fixture(scope="module")
def run(example_python: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """The example with telemetry, content off."""
    yield Run(example_python, tmp_path_factory.mktemp("instrumented"), True)


@pytest.fixture(scope="module")
def bare(example_python: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """The same requests to the same service without telemetry."""
    yield Run(example_python, tmp_path_factory.mktemp("bare"), False)


def answered(ledger: dict[str, Any]) -> list[dict[str, Any]]:
    """The ledger's model calls that were answered with usage."""
    return [entry for entry in ledger["entries"] if entry.get("input_tokens") is not None]


def test_every_request_was_answered_as_expected(run):
    """Three answers, one stream, one failure of the model server."""
    assert [(one.call.path, one.status) for one in run.sent] == [
        ("/ask", 200),
        ("/ask", 200),
        ("/advise", 200),
        ("/chat", 200),
        ("/ask", 502),
    ]


def test_the_whole_tree_is_as_it_was(run):
    """Names, kinds, parents, attributes and status of every span, against the snapshot."""
    check_snapshot(Path(__file__).parent / "snapshots" / "example.json", run.trees())


def test_each_request_is_one_trace(run):
    """HTTP request, modules, tools, the second endpoint behind a tool, model calls: all in one trace."""
    roots = [span for span in run.spans if span["parent"] is None]
    assert [span["name"] for span in roots] == [f"POST {one.call.path}" for one in run.sent]
    assert len({span["trace"] for span in roots}) == len(roots)
    assert {span["trace"] for span in run.spans if span["name"] == "GET /stock/{item}"} <= {s["trace"] for s in roots}
    lines = "\n".join(outline(run.trees()))
    assert "    GET /stock/{item}" in lines


def test_tool_calls_are_one_story(run):
    """The model asks, the tools run in threads, the next request brings what they gave: ids and links."""
    (advised,) = [root for root in run.trees() if root["name"] == "POST /advise"]
    first, *tools, last = advised["children"]
    assert [one["name"] for one in tools] == ["execute_tool stock_level", "execute_tool delivery_days"]
    asked = [(one["links"][0]["to"], one["links"][0]["spanloom.link"]) for one in tools]
    assert asked == [("chat gpt-4o-mini", "asked_by")] * 2
    ids = [one["attributes"]["gen_ai.tool.call.id"] for one in tools]
    brought = {one.get("gen_ai.tool.call.id"): (one["to"], one["spanloom.link"]) for one in last["links"]}
    assert brought == {
        None: (first["name"], "asked_by"),
        ids[0]: ("execute_tool stock_level", "executed_by"),
        ids[1]: ("execute_tool delivery_days", "executed_by"),
    }


def test_no_span_for_each_streamed_chunk(run):
    """The streamed request has the HTTP span and the model call, nothing else."""
    (chat,) = [root for root in run.trees() if root["name"] == "POST /chat"]
    assert outline([chat]) == ["POST /chat", "  chat gpt-4o-mini"]


def test_tokens_on_spans_and_in_metrics_equal_the_ledger(run):
    """Every token that the model server reported, once; and no other."""
    entries = answered(run.ledger)
    for name, column in ((INPUT, "input_tokens"), (OUTPUT, "output_tokens")):
        expected = sum(entry[column] for entry in entries)
        assert sum(span["attributes"].get(name, 0) for span in run.spans) == expected
        metric = f"gen_ai.client.inference.usage.{column}"
        assert sum(int(point["asInt"]) for point in read_points(run.record, metric)) == expected


def test_one_model_span_for_each_call_of_the_program(run):
    """Retries of one call are one span, so there are as many as logical calls."""
    chats = [span for span in run.spans if span["name"].startswith("chat ")]
    failed = [span for span in chats if span["status"] == "ERROR"]
    assert len(failed) == 1
    assert len(chats) - len(failed) == len(answered(run.ledger))


def test_the_failure_is_marked_from_the_model_call_up(run):
    """The failed request is ERROR on its HTTP span and on every span that the exception passed."""
    failed = run.trees()[-1]
    while failed is not None:
        assert failed["status"] == "ERROR", failed["name"]
        failed = next(iter(failed.get("children", ())), None)


def test_money_is_on_each_model_call_and_adds_up(run):
    """Each answered call has an amount, and the workflow's roll-up is their sum."""
    priced = [span for span in run.spans if "gen_ai.usage.cost.amount" in span["attributes"]]
    assert len(priced) == len(answered(run.ledger))
    workflows = [span for span in run.spans if span["name"] == "invoke_workflow HandbookProgram"]
    for workflow in workflows:
        below = [span for span in priced if span["trace"] == workflow["trace"]]
        total = sum(span["attributes"]["gen_ai.usage.cost.amount"] for span in below)
        assert workflow["attributes"].get("spanloom.subtree.cost", 0) == pytest.approx(total, abs=1e-12)


def test_content_is_private_by_default(run):
    """No question, answer, prompt or tool argument is in any span of ours."""
    ours = [span for span in run.spans if span["scope"].startswith("spanloom.")]
    assert ours
    for secret in ("Wind Vane", "Battery Pack", "radio range", "handbook"):
        assert secret not in repr(ours), secret


def test_process_metrics_are_there(run):
    """Memory and CPU of the service, by the conventions' names."""
    assert read_points(run.record, "process.memory.usage")
    assert read_points(run.record, "process.cpu.time")


def test_with_and_without_telemetry_the_model_server_sees_the_same(run, bare):
    """The same requests, byte for byte, in the same order, and the same answers to the client."""
    assert [entry["raw_digest"] for entry in run.ledger["entries"]] == [
        entry["raw_digest"] for entry in bare.ledger["entries"]
    ]
    assert [(one.status, one.text) for one in run.sent] == [(one.status, one.text) for one in bare.sent]


def test_no_traceparent_goes_to_the_model_server(run):
    """Nothing of ours leaves towards the vendor unless asked."""
    assert not [entry for entry in run.ledger["entries"] if entry.get("traceparent")]


def test_the_service_log_is_the_services_own(run, bare):
    """Telemetry adds no line to the log, not even with warnings on."""

    def lines(log: str) -> list[str]:
        return [line for line in log.splitlines() if "127.0.0.1" not in line and "process" not in line]

    assert lines(run.log) == lines(bare.log)


def test_content_is_recorded_when_switched_on(example_python, tmp_path):
    """With SPAN_ONLY the question is on the spans, as JSON of the conventions."""
    run = Run(example_python, tmp_path, True, OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT="SPAN_ONLY")
    (stream,) = [span for span in run.spans if span["attributes"].get("gen_ai.request.stream")]
    assert "radio range" in stream["attributes"]["gen_ai.input.messages"]
    assert '"role": "assistant"' in stream["attributes"]["gen_ai.output.messages"]
    tools = [span for span in run.spans if span["name"] == "execute_tool stock_level"]
    assert all("pieces of" in span["attributes"]["gen_ai.tool.call.result"] for span in tools)
