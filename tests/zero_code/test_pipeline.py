"""The pipeline under the real command, from the built wheel: whom a request is for, bad files, an own provider."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests._support.otlp import read_spans
from tests._support.wheel import ROOT
from tests.zero_code.test_base_install import clean_environment, instrumented, our_lines

SERVED = """
import json, sys, threading, time, urllib.request
import openai, uvicorn
from fastapi import FastAPI
from starlette.datastructures import Headers
from model_server import ModelServer
from spanloom import trace

models = ModelServer(port=0)
client = openai.AsyncOpenAI(base_url=models.openai_base_url, api_key="x", max_retries=0)
app = FastAPI()

@app.get("/asked/{user}")
async def asked(user: str):
    with trace.context(user=user, tenant="acme", plan="team"):
        await client.chat.completions.create(model="gpt-4o-mini", messages=[{"role": "user", "content": "hi"}])
    return {}

@app.get("/plain")
async def plain():
    await client.chat.completions.create(model="gpt-4o-mini", messages=[{"role": "user", "content": "hi"}])
    return {}

server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error"))
thread = threading.Thread(target=server.run)
thread.start()
while not server.started:
    time.sleep(0.01)
port = server.servers[0].sockets[0].getsockname()[1]
for path, baggage in json.loads(sys.argv[1]):
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers={"baggage": baggage} if baggage else {})
    urllib.request.urlopen(request, timeout=10).read()
server.should_exit = True
thread.join()
models.close()
"""
BAGGAGE = "user.id=eve,shop.cart=17,internal.token=planted,shop2=x"


@pytest.fixture(scope="module")
def served(example_python: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[dict[str, Any]]]:
    """Three requests to a service that lets in some baggage: the spans of each, the server's first."""
    folder = tmp_path_factory.mktemp("served")
    (folder / "app.py").write_text(SERVED)
    requests = [("/asked/ada", ""), ("/plain", BAGGAGE), ("/asked/ben", BAGGAGE), ("/plain", "")]
    command = [str(example_python.parent / "opentelemetry-instrument"), str(example_python), "app.py"]
    settings = {"SPANLOOM_BAGGAGE": "user.id,shop.*", "PYTHONPATH": str(ROOT / "examples"), "NO_PROXY": "127.0.0.1"}
    done = subprocess.run(
        [*command, json.dumps(requests)],
        cwd=folder, env=clean_environment() | settings, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    traces: dict[str, list[dict[str, Any]]] = {}
    for span in read_spans(folder / ".spanloom"):
        traces.setdefault(span["trace"], []).append(span)
    assert all([span["kind"] for span in spans] == ["SERVER", "CLIENT"] for spans in traces.values())
    names = [f"{path} {'with' if baggage else 'without'} baggage" for path, baggage in requests]
    return dict(zip(names, traces.values(), strict=True))


def told(spans: list[dict[str, Any]], key: str) -> list[Any]:
    """What each span says under this key."""
    return [span["attributes"].get(key) for span in spans]


def test_baggage_that_is_let_in_is_on_every_span_the_servers_included(served) -> None:
    """By its key or the beginning of it; a request without baggage has nothing of the one before."""
    spans = served["/plain with baggage"]
    assert told(spans, "user.id") == ["eve", "eve"]
    assert told(spans, "shop.cart") == ["17", "17"]
    assert told(served["/plain without baggage"], "user.id") == [None, None]


def test_baggage_that_is_not_named_is_nowhere(served) -> None:
    """Neither its key nor its value."""
    assert "planted" not in repr(served)
    assert "shop2" not in repr(served)


def test_the_programs_context_is_on_what_begins_in_it_and_wins(served) -> None:
    """The model call has the user that the code names; the server's span began before, and has what baggage says."""
    assert told(served["/asked/ada without baggage"], "user.id") == [None, "ada"]
    assert told(served["/asked/ben with baggage"], "user.id") == ["eve", "ben"]
    assert told(served["/asked/ada without baggage"], "spanloom.tenant") == [None, "acme"]
    assert told(served["/asked/ada without baggage"], "spanloom.tag.plan") == [None, "team"]


BAD_SAMPLING = """version: 1
head:
  ratio: 2
tail:
  rules:
    - name: odd
      slower_then: 3s
"""
BAD_REDACTION = """version: 1
rules:
  - name: order
    pattern: "[unclosed"
  - name: other
    patern: "x"
"""
SECRET_APP = """
import sys
from opentelemetry import trace
with trace.get_tracer("app").start_as_current_span("work") as span:
    span.set_attribute("note", "call me with " + "gh" + "p_" + "A1b2C3" * 6)
print("served")
"""


def test_bad_rule_files_cost_clear_lines_and_nothing_else(base_python, tmp_path) -> None:
    """File, line and field of each mistake; the service runs, spans are kept as without a file, secrets redacted."""
    (tmp_path / "sampling.yaml").write_text(BAD_SAMPLING)
    (tmp_path / "redaction.yaml").write_text(BAD_REDACTION)
    settings = {"SPANLOOM_SAMPLING": "sampling.yaml", "SPANLOOM_REDACTION": "redaction.yaml"}
    done = instrumented(base_python, tmp_path, settings, SECRET_APP)
    assert (done.returncode, done.stdout) == (0, "served\n"), done.stderr
    assert "Traceback" not in done.stderr
    lines = our_lines(done.stderr)
    for said in (
        r"SPANLOOM_SAMPLING: sampling\.yaml:3: head\.ratio: ",
        r"SPANLOOM_SAMPLING: sampling\.yaml:6: tail\.rules\[0\]: .*has no condition",
        r"SPANLOOM_SAMPLING: sampling\.yaml:7: tail\.rules\[0\]\.slower_then: .*slower_than",
        r"SPANLOOM_SAMPLING: the file is not used, sampling is as without one",
        r"SPANLOOM_REDACTION: redaction\.yaml:4: rules\[0\]\.pattern: no regular expression",
        r"SPANLOOM_REDACTION: redaction\.yaml:6: rules\[1\]\.patern: .*pattern",
    ):
        assert len([line for line in lines if re.search(said, line)]) == 1, (said, lines)
    (span,) = read_spans(tmp_path / ".spanloom")
    assert span["attributes"]["note"] == "call me with [redacted:github_token]"


OWN_PROVIDER = """
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Status, StatusCode
from spanloom import trace
from spanloom.export import RecordSpanExporter
from spanloom.pipeline import SpanloomProcessor
from spanloom.sampling import Sampler, load

rules = load("sampling.yaml")
provider = TracerProvider(sampler=Sampler(rules))
provider.add_span_processor(SpanloomProcessor(BatchSpanProcessor(RecordSpanExporter()), sampling=rules))
tracer = provider.get_tracer("app")
with trace.context(user="ada"):
    for number in range(40):
        with tracer.start_as_current_span("never"):
            pass
        with tracer.start_as_current_span("work") as span:
            with tracer.start_as_current_span("below"):
                span.set_attribute("note", "gh" + "p_" + "A1b2C3" * 6)
            if number % 10 == 0:
                span.set_status(Status(StatusCode.ERROR))
provider.shutdown()
"""
OWN_RULES = """
version: 1
head: {rules: [{name: noise, match: {span: never}, ratio: 0}]}
tail: {baseline: 0, rules: [{error: true}]}
"""


def test_a_service_that_builds_its_own_provider(base_python, tmp_path) -> None:
    """Sampler and span processor in plain code, without the command: context, redaction, head and tail all work."""
    (tmp_path / "app.py").write_text(OWN_PROVIDER)
    (tmp_path / "sampling.yaml").write_text(OWN_RULES)
    command = [str(base_python), "app.py"]
    done = subprocess.run(
        command, cwd=tmp_path, env=clean_environment(), capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    spans = read_spans(tmp_path / ".spanloom")
    assert sorted(span["name"] for span in spans) == ["below"] * 4 + ["work"] * 4
    assert {span["attributes"]["user.id"] for span in spans} == {"ada"}
    assert {span["attributes"].get("note") for span in spans} == {None, "[redacted:github_token]"}
    assert {span["attributes"]["spanloom.sampling.reason"] for span in spans} == {"error"}


FORKED = """
import multiprocessing, os, signal, time
from opentelemetry import trace
from opentelemetry.trace import Status, StatusCode

tracer = trace.get_tracer("app")

def work(number):
    with tracer.start_as_current_span(f"forked {number}") as span:
        if number:
            span.set_status(Status(StatusCode.ERROR))

with tracer.start_as_current_span("done"):
    with tracer.start_as_current_span("before"):
        pass
    workers = [multiprocessing.get_context("fork").Process(target=work, args=(number,)) for number in (0, 1)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    trace.get_current_span().set_status(Status(StatusCode.ERROR))
with tracer.start_as_current_span("open"):
    with tracer.start_as_current_span("failed") as span:
        span.set_status(Status(StatusCode.ERROR))
    with tracer.start_as_current_span("beside"):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(30)
"""


def test_traces_that_wait_survive_forks_and_sigterm(base_python, tmp_path) -> None:
    """What waits in the parent is not sent by its forks; a fork keeps its own failure; SIGTERM decides what is open."""
    (tmp_path / "sampling.yaml").write_text("version: 1\ntail: {baseline: 0, rules: [{name: errors, error: true}]}\n")
    done = instrumented(base_python, tmp_path, {"SPANLOOM_SAMPLING": "sampling.yaml"}, FORKED)
    assert (done.returncode, done.stderr) == (-signal.SIGTERM, ""), done.stderr
    names = [span["name"] for span in read_spans(tmp_path / ".spanloom")]
    assert sorted(names) == ["before", "beside", "done", "failed", "forked 1"]
