"""Secrets that are planted everywhere a program can put them come out nowhere; what stands beside them does."""

from __future__ import annotations

import base64
import json
import random
import string
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests._support.otlp import attributes
from tests.export._server import Reply, Server
from tests.zero_code._events import MODE, events_of, named, requests_of, run

HOOK, FOLDER = "OTEL_INSTRUMENTATION_GENAI_COMPLETION_HOOK", "OTEL_INSTRUMENTATION_GENAI_UPLOAD_BASE_PATH"
OWN_LINES = "OTEL_PYTHON_LOGGING_AUTO_INSTRUMENTATION_ENABLED"
ALL = "console,spanloom_record,otlp"


def planted() -> dict[str, tuple[str, str]]:
    """By kind: a text that has a secret in it, and the secret. Made here, so that no scanner finds one in this file."""
    numbers = random.Random(20261128)

    def some(count: int, of: str = string.ascii_letters + string.digits) -> str:
        return "".join(numbers.choices(of, k=count))

    def part(value: dict[str, str]) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    bare = {
        "openai": "sk-" + "proj-" + some(48),
        "aws": "AK" + "IA" + some(16, string.ascii_uppercase + "234567"),
        "github": "gh" + "p_" + some(36),
        "jwt": f"{part({'alg': 'HS256', 'typ': 'JWT'})}.{part({'sub': some(12)})}.{some(43)}",
    }
    bearer, password, login, key = some(40), some(20), some(18), some(64)
    pem = f"-----BEGIN {'PRIVATE'} KEY-----\n{some(64)}\n{key}\n-----END {'PRIVATE'} KEY-----"
    return {
        **{name: (secret, secret) for name, secret in bare.items()},
        "bearer": (f"Authorization: Bearer {bearer}", bearer),
        "login": (f"postgres://app:{login}@db.internal/orders", login),
        "pem": (pem, key),
        "named": (f"password={password}", password),
    }


PROGRAM = """
import json, logging
from pathlib import Path
from opentelemetry import trace
from opentelemetry.sdk.trace import SpanProcessor
from opentelemetry.trace import Link, SpanContext, Status, StatusCode
import spanloom.pipeline, spanloom.tools, spanloom.trace

class Seen(SpanProcessor):
    def __init__(self, path):
        self.path = path
    def on_end(self, span):
        with self.path.open("a") as file:
            file.write(json.dumps([span.name, {k: str(v) for k, v in span.attributes.items()}]) + "\\n")

trace.get_tracer_provider().add_span_processor(Seen(Path("beside.jsonl")))
spanloom.pipeline.wrap(Seen(Path("behind.jsonl")))
tracer = trace.get_tracer("shop")
texts = json.loads(Path("planted.json").read_text())

@spanloom.tools.tool
def look_up(what, headers):
    return f"near-tool-result {what}"

class Refused(Exception):
    pass

def own_spans(text):
    link = Link(SpanContext(1, 2, True), {"app.link": f"near-link {text}"})
    with tracer.start_as_current_span(f"near-name {text}", links=[link]) as span:
        span.set_attribute("app.note", f"near-attribute {text} after-attribute")
        span.set_attribute("app.list", ["near-list", text])
        span.set_attribute("app.json", json.dumps({"near-json": {"deep": [text]}}))
        span.set_attribute("http.request.header.authorization", [text])
        span.add_event(f"near-event {text}", {"app.detail": f"near-detail {text}"})
        span.record_exception(Refused(f"near-recorded {text}"))
        span.set_status(Status(StatusCode.ERROR, f"near-status {text}"))

def raising(text):
    with tracer.start_as_current_span("raising"):
        raise Refused(f"near-exception {text}")

def a_foreign_model_call():
    with tracer.start_as_current_span("foreign") as span:
        span.set_attributes({
            "gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": "gpt-4o-mini",
            "gen_ai.usage.input_tokens": 1000, "gen_ai.usage.output_tokens": 100,
        })

log = logging.getLogger("shop")
for text in texts:
    own_spans(text)
    try:
        raising(text)
    except Refused:
        log.exception("near-log %s", text, extra={"app.extra": f"near-extra {text}"})
    with spanloom.trace.context(user=f"near-user {text}", note=f"near-tag {text}"):
        look_up(f"near-argument {text}", headers={"authorization": text})
        ask(f"near-message {text} after-message")
    try:
        ask(f"near-refused {text} [[error:400]]")
    except openai.BadRequestError:
        pass
a_foreign_model_call()
"""
# Where a text with a secret was put; each of these stood beside one.
ON_SPANS = [
    "near-name",
    "near-attribute",
    "after-attribute",
    "near-list",
    "near-json",
    "near-link",
    "near-event",
    "near-detail",
    "near-recorded",
    "near-status",
    "near-exception",
    "near-user",
    "near-tag",
    "near-argument",
    "near-tool-result",
    "near-message",
    "after-message",
]
IN_LOGS = ["near-log", "near-extra", "near-exception", "near-message", "after-message", "near-user", "near-tag"]
IN_UPLOADS = ["near-message", "after-message"]


class Outputs(NamedTuple):
    """Everything that has left the process, by how; and what a processor of the user's saw, beside and behind."""

    texts: dict[str, str]
    record: list[dict[str, Any]]
    sent: list[dict[str, Any]]
    beside: str
    stderr: str


@pytest.fixture(scope="module")
def outputs(hook_python: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outputs]:
    """One run with every exporter at once, content on, the application's own log lines, and the upload hook."""
    folder = tmp_path_factory.mktemp("planted")
    (folder / "uploads").mkdir()
    (folder / "planted.json").write_text(json.dumps([text for text, _ in planted().values()]))
    with Server([Reply()]) as server:
        settings = {f"OTEL_{signal}_EXPORTER": ALL for signal in ("TRACES", "METRICS", "LOGS")}
        settings |= {"OTEL_EXPORTER_OTLP_ENDPOINT": server.url, MODE: "SPAN_AND_EVENT", OWN_LINES: "true"}
        settings |= {HOOK: "upload", FOLDER: str(folder / "uploads")}
        done = run(hook_python, folder, PROGRAM, **settings)
        assert done.returncode == 0, done.stderr
        sent = [one.json for one in server.received]
    record = requests_of(folder / ".spanloom")
    yield Outputs(
        {
            "record": "".join(path.read_text() for path in (folder / ".spanloom").rglob("*.jsonl")),
            "otlp": json.dumps(sent),
            "console": done.stdout,
            "uploads": "".join(path.read_text() for path in (folder / "uploads").iterdir()),
            "behind": (folder / "behind.jsonl").read_text(),
        },
        record,
        sent,
        (folder / "beside.jsonl").read_text(),
        done.stderr,
    )


@pytest.mark.parametrize("kind", list(planted()))
def test_a_planted_secret_is_in_no_output(outputs: Outputs, kind: str) -> None:
    """Not whole, and not its middle: on spans, in events, log records, metrics, files of the hook, the console."""
    _, secret = planted()[kind]
    for name, text in outputs.texts.items():
        for part in (secret, secret[len(secret) // 4 : len(secret) * 3 // 4]):
            assert part not in text, f"{kind} in {name}: …{text[max(text.index(part) - 200, 0) : text.index(part)]}"


def test_what_stands_beside_the_secrets_is_there(outputs: Outputs) -> None:
    """Every place is one that the search has really looked at, and only the secret was taken out of it."""
    spans = {"record": "resourceSpans", "otlp": "resourceSpans"}
    for name, requests in (("record", outputs.record), ("otlp", outputs.sent)):
        on_spans = json.dumps([one for one in requests if spans[name] in one])
        assert [place for place in ON_SPANS if place not in on_spans] == []
        in_logs = json.dumps([one for one in requests if "resourceLogs" in one])
        assert [place for place in IN_LOGS if place not in in_logs] == []
    assert [place for place in {*ON_SPANS, *IN_LOGS} if place not in outputs.texts["console"]] == []
    assert [place for place in IN_UPLOADS if place not in outputs.texts["uploads"]] == []
    for name, text in outputs.texts.items():
        assert "[redacted:" in text, name
    assert "spanloom:" not in outputs.stderr, outputs.stderr


def test_the_applications_log_records_are_among_them(outputs: Outputs) -> None:
    """Those of the standard library's logging, with the exception's text, and the conventions' own events."""
    events = events_of(outputs.sent)
    assert len(named(events, None)) >= len(planted())
    assert len({event["name"] for event in events}) == 3
    assert any("[redacted:" in str(event["attributes"].get("exception.message")) for event in named(events, None))


def test_a_processor_of_the_users_sees_originals_beside_and_what_exporters_see_behind(outputs: Outputs) -> None:
    """Added to the provider it has the secrets; put behind by `wrap` it has none, and it has what was derived."""
    assert all(json.dumps(text)[1:-1] in outputs.beside for text, _ in planted().values())
    behind = [json.loads(line) for line in outputs.texts["behind"].splitlines()]
    beside = [json.loads(line) for line in outputs.beside.splitlines()]
    assert len(behind) == len(beside)
    amounts = [
        dict(rows).get("gen_ai.usage.cost.amount")
        for seen in (beside, behind)
        for name, rows in seen
        if name == "foreign"
    ]
    assert amounts == [None, "0.00021"]


def spans_of(requests: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """By id, as OTLP has them."""
    groups = [group for one in requests for group in one.get("resourceSpans", [])]
    return {span["spanId"]: span for group in groups for scope in group["scopeSpans"] for span in scope["spans"]}


def test_all_exporters_get_the_same_spans(outputs: Outputs) -> None:
    """Record and endpoint have the same in every field; the console has the same ids, names and attributes."""
    recorded, sent = spans_of(outputs.record), spans_of(outputs.sent)
    assert recorded == sent
    shown = [one for one in _objects(outputs.texts["console"]) if "context" in one and "links" in one]
    assert len(shown) == len(sent)
    for span in shown:
        there = sent[span["context"]["span_id"][2:]]
        assert span["name"] == there["name"]
        assert {**span["attributes"]} == attributes(there.get("attributes", []))


def _objects(text: str) -> Iterator[dict[str, Any]]:
    """The JSON objects that the console exporters print one after the other."""
    decoder, at = json.JSONDecoder(), 0
    while (at := text.find("{", at)) >= 0:
        found, at = decoder.raw_decode(text, at)
        yield found
