"""Beside other people's packages: the official upload hook gets what official instrumentations give it, and the
instrumentation of the HTTP client below a model call does not tell the provider our trace.
"""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests._support.otlp import read_spans
from tests.zero_code._events import DETAILS, MODE, events_of, named, requests_of, run

HOOK, FOLDER = "OTEL_INSTRUMENTATION_GENAI_COMPLETION_HOOK", "OTEL_INSTRUMENTATION_GENAI_UPLOAD_BASE_PATH"
REFERENCES = {"gen_ai.input.messages_ref", "gen_ai.output.messages_ref"}
BY_DIGEST = {"gen_ai.system_instructions_ref", "gen_ai.tool.definitions_ref"}


def uploaded(folder: Path) -> dict[str, Any]:
    """The files of an upload folder by what they hold; names that are random are left out."""
    return {path.stem.partition("_")[2]: json.loads(path.read_text()) for path in folder.iterdir()}


def model_calls(folder: Path) -> list[dict[str, Any]]:
    """The spans of a run that are ours; those of the HTTP client lie below them."""
    return [span for span in read_spans(folder / ".spanloom") if span["name"].startswith("chat")]


@pytest.fixture(scope="module")
def both(hook_python: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One inference with every kind of part, recorded by the official handler and by ours."""
    folder = tmp_path_factory.mktemp("both")
    (folder / "compare.py").write_text(COMPARE)
    for name in ("official", "ours"):
        (folder / name).mkdir()
    command = [str(hook_python), str(folder / "compare.py")]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return folder


COMPARE = """
import json, os
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.util.genai.handler import TelemetryHandler
from opentelemetry.util.genai import types as t
from opentelemetry.util.genai._upload.completion_hook import UploadCompletionHook

def recording():
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return exporter, provider

def keep(name, exporter):
    (span,) = exporter.get_finished_spans()
    open(f"{name}.json", "w").write(json.dumps({k: v for k, v in span.attributes.items() if k.endswith("_ref")}))

exporter, provider = recording()
hook = UploadCompletionHook(base_path="official")
with TelemetryHandler(tracer_provider=provider, completion_hook=hook).inference("openai", request_model="m") as one:
    one.input_messages = [
        t.InputMessage("user", [
            t.TextPart("look at this"),
            t.BlobPart("image/png", "image", b"\\x89PNG"),
            t.FilePart(None, "document", "file-1"),
            t.UriPart(None, "image", "https://example.org/a.png"),
        ], name="ann"),
        t.InputMessage("assistant", [t.ToolCallRequestPart({"q": [1, "ü"]}, "search", "c1")]),
        t.InputMessage("tool", [t.ToolCallResponsePart({"found": 2}, "c1")]),
    ]
    one.output_messages = [t.OutputMessage("assistant", [
        t.ReasoningPart("hm"), t.TextPart("done"),
        t.ServerToolCallPart("code_interpreter", {"type": "code_interpreter", "code": "1+1"}, "s1"),
        t.ServerToolCallResponsePart({"type": "code_interpreter", "outputs": []}, "s1"),
        t.CompactionPart("k1", None),
    ])]
    one.system_instruction = [t.TextPart("be brief"), t.TextPart("be kind")]
    one.tool_definitions = [
        t.FunctionToolDefinition("search", "finds", {"type": "object"}), t.GenericToolDefinition("web", "web_search"),
    ]
hook.shutdown()
keep("official", exporter)

os.environ["OTEL_INSTRUMENTATION_GENAI_COMPLETION_HOOK"] = "upload"
os.environ["OTEL_INSTRUMENTATION_GENAI_UPLOAD_BASE_PATH"] = "ours"
from spanloom.genai import Inference, Peer, Telemetry
from spanloom.semconv import GenAI

exporter, provider = recording()
telemetry = Telemetry("app", tracer_provider=provider)
call = Inference(telemetry, "chat", "m", Peer("openai"))
call.input_content = {
    GenAI.INPUT_MESSAGES: lambda: [
        {"role": "user", "name": "ann", "parts": [
            {"type": "text", "content": "look at this"},
            {"type": "blob", "mime_type": "image/png", "modality": "image", "content": "iVBORw=="},
            {"type": "file", "modality": "document", "file_id": "file-1"},
            {"type": "uri", "modality": "image", "uri": "https://example.org/a.png"},
        ]},
        {"role": "assistant", "parts": [
            {"type": "tool_call", "id": "c1", "name": "search", "arguments": {"q": [1, "ü"]}},
        ]},
        {"role": "tool", "parts": [{"type": "tool_call_response", "id": "c1", "response": {"found": 2}}]},
    ],
    GenAI.SYSTEM_INSTRUCTIONS: lambda: [
        {"type": "text", "content": "be brief"}, {"type": "text", "content": "be kind"},
    ],
    GenAI.TOOL_DEFINITIONS: lambda: [
        {"type": "function", "name": "search", "description": "finds", "parameters": {"type": "object"}},
        {"type": "web_search", "name": "web"},
    ],
}
call.output_content = {GenAI.OUTPUT_MESSAGES: lambda: [{"role": "assistant", "parts": [
    {"type": "reasoning", "content": "hm"}, {"type": "text", "content": "done"},
    {"type": "server_tool_call", "id": "s1", "name": "code_interpreter",
     "server_tool_call": {"type": "code_interpreter", "code": "1+1"}},
    {"type": "server_tool_call_response", "id": "s1",
     "server_tool_call_response": {"type": "code_interpreter", "outputs": []}},
    {"type": "compaction", "id": "k1"},
]}]}
call.stop()
telemetry.completion.shutdown()
keep("ours", exporter)
"""


def test_the_upload_hook_writes_what_it_writes_for_the_official_handler(both: Path) -> None:
    """The same four files with the same JSON, for messages of every kind of part."""
    ours, official = uploaded(both / "ours"), uploaded(both / "official")
    assert set(ours) == {"inputs", "outputs", "system_instruction", "tool.definitions"}
    assert ours == official


def test_references_are_on_the_span_and_those_of_equal_content_are_equal(both: Path) -> None:
    """What is named by its digest has the same name, so that it is stored once whoever stores it."""

    def references(name: str) -> dict[str, str]:
        return json.loads((both / f"{name}.json").read_text())

    ours, official = references("ours"), references("official")
    assert set(ours) == set(official) == REFERENCES | BY_DIGEST
    for name in BY_DIGEST:
        assert ours[name].rpartition("/")[2] == official[name].rpartition("/")[2]
        assert re.search(r"/[0-9a-f]{64}_", ours[name])


@pytest.mark.parametrize("mode", ["NO_CONTENT", "EVENT_ONLY"])
def test_content_is_uploaded_whatever_is_captured(hook_python: Path, tmp_path: Path, mode: str) -> None:
    """As officially: the hook is the switch. Its references are on the span, and on the event where there is one."""
    (tmp_path / "uploads").mkdir()
    settings = {HOOK: "upload", FOLDER: str(tmp_path / "uploads"), MODE: mode}
    done = run(hook_python, tmp_path, 'ask("a secret")\n', **settings)
    assert done.returncode == 0, done.stderr
    assert uploaded(tmp_path / "uploads")["inputs"][-1]["parts"] == [{"content": "a secret", "type": "text"}]
    (span,) = model_calls(tmp_path)
    assert set(span["attributes"]) >= REFERENCES
    assert "a secret" not in repr(span)
    details = named(events_of(requests_of(tmp_path / ".spanloom")), DETAILS)
    assert [set(event["attributes"]) >= REFERENCES for event in details] == [True] * (mode == "EVENT_ONLY")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({HOOK: "uplaod"}, f"{HOOK}=uplaod: no such hook is installed (known: upload)"),
        ({HOOK: "upload", FOLDER: "/proc/nowhere"}, f"{HOOK}=upload (ValueError: Failed to write"),
        ({HOOK: "upload"}, f"{FOLDER} is required"),
    ],
)
def test_a_hook_that_cannot_be_had_is_one_line(
    hook_python: Path, tmp_path: Path, settings: dict[str, str], said: str
) -> None:
    """The program runs on, the spans are recorded, and the line names the setting or the place."""
    done = run(hook_python, tmp_path, 'ask("hello")\nprint("served")\n', **settings)
    assert (done.returncode, done.stdout) == (0, "served\n"), done.stderr
    assert done.stderr.count(said) == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert len(model_calls(tmp_path)) == 1


BELOW = """
import httpx2
from opentelemetry import trace
from opentelemetry.baggage import set_baggage
from opentelemetry.context import attach
from opentelemetry.propagate import set_global_textmap
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

def told():
    return [entry.traceparent is not None for entry in server.ledger.entries]

attach(set_baggage("user", "7"))
ask("hello")
list(client.chat.completions.create(model="m", messages=[{"role": "user", "content": "hello"}], stream=True))
print("below model calls", told())
set_global_textmap(CompositePropagator([TraceContextTextMapPropagator()]))
ask("hello")
print("another propagator", told())
httpx2.post(f"{server.openai_base_url}/chat/completions", json={"model": "m", "messages": []})
print("a plain request", told())
"""


def test_the_http_client_below_a_model_call_tells_no_trace(hook_python: Path, tmp_path: Path) -> None:
    """The real instrumentation of httpx2, with the real SDK above it: its spans are there, its header is not."""
    done = run(hook_python, tmp_path, BELOW)
    assert done.stdout.splitlines() == [
        "below model calls [False, False]",
        "another propagator [False, False, False]",
        "a plain request [False, False, False, True]",
    ], done.stderr
    spans = read_spans(tmp_path / ".spanloom")
    below = [span for span in spans if span["name"] == "POST"]
    calls = {span["id"] for span in model_calls(tmp_path)}
    assert [span["parent"] in calls for span in below] == [True, True, True, False]
