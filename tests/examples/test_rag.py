"""The example service and its driver: real processes, no instrumentation."""

from __future__ import annotations

import itertools
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx2
import pytest

import demo
from demo import Call, Demo, demo_calls, load_calls, send, service_environment
from processes import NotReadyError, choose_port
from rag import corpus, stock

EXAMPLES = Path(demo.__file__).parent
BARE = {"OTEL_SDK_DISABLED": "true"}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    lines: list[str] = []
    with Demo(tmp_path_factory.mktemp("demo"), ports=(0, 0), env=BARE, say=lines.append) as made:
        yield made
    assert (made.folder / "ledger.json").exists()


def ask(running: Demo, question: str, path: str = "/ask") -> tuple[int, Any]:
    sent = send(running.service_url, Call(path, question))
    return sent.status, sent.text if path == "/chat" else json.loads(sent.text)


def events(text: str) -> list[Any]:
    return [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: {")]


def test_ask(running: Demo) -> None:
    """``/ask`` answers from the right page, the stock and the delivery time."""
    status, reply = ask(running, "Is the Wind Vane in stock, and how many days does delivery take?")
    assert status == 200
    assert "7 pieces of Wind Vane at 59.00 EUR each; delivery_days: 2" in reply["answer"]
    assert "wind-vane" in reply["sources"]


def test_ask_walks_the_whole_program(running: Demo) -> None:
    """One ``/ask`` is a rerank, a draft, two tool steps, the finish and the extraction: six calls of the model."""
    before = len(running.read_ledger()["entries"])
    ask(running, "Is the Rain Gauge in stock, and how many days does delivery take?")
    entries = running.read_ledger()["entries"][before:]
    assert [entry["status"] for entry in entries] == [200] * 6
    # DSPy's own client; its fallback to another library would cost seconds and 150 MB.
    assert {entry["user_agent"] for entry in entries} == {"lm15/stdlib"}
    log = (running.folder / "service.log").read_text()
    assert "GET /stock/Rain%20Gauge HTTP/1.1" in log


def test_ask_about_an_item_that_is_not_sold(running: Demo) -> None:
    """A tool that fails does not fail the request: the answer says what went wrong."""
    status, reply = ask(running, "Is the Space Laser in stock?")
    assert status == 200
    assert "404 Client Error" in reply["answer"]


def test_advise(running: Demo) -> None:
    """``/advise`` asks the model twice: for the tools, and with what they gave."""
    before = len(running.read_ledger()["entries"])
    status, reply = ask(running, "Is the Wind Vane in stock, and how many days does delivery take?", "/advise")
    assert status == 200
    assert "7 pieces of Wind Vane" in reply["answer"] and "delivery_days: 2" in reply["answer"]
    assert len(running.read_ledger()["entries"]) - before == 2


def test_advise_about_an_item_that_is_not_sold(running: Demo) -> None:
    """The model is told that a tool failed."""
    status, reply = ask(running, "Is the Space Laser in stock?", "/advise")
    assert status == 200
    assert "it failed" in reply["answer"]


def test_chat_streams(running: Demo) -> None:
    """``/chat`` sends the text in pieces, then the tokens that the ledger has, then the end."""
    status, text = ask(running, "How long does the Battery Pack run without sun?", "/chat")
    entry = running.read_ledger()["entries"][-1]
    got = events(text)
    assert status == 200
    assert "14 months" in "".join(event.get("text", "") for event in got)
    assert len(got) > 5
    assert got[-1] == {"tokens": entry["input_tokens"] + entry["output_tokens"]}
    assert text.endswith("data: [DONE]\n\n")


@pytest.mark.parametrize("path", ["/ask", "/advise", "/chat"])
def test_a_failing_model_is_a_bad_gateway(running: Demo, path: str) -> None:
    """An error of the model server becomes a 502 that names it."""
    sent = send(running.service_url, Call(path, "Hello? [[error:500]]", expected=502))
    assert sent.ok
    assert "ServerError" in json.loads(sent.text)["detail"]


def test_a_request_without_a_question(running: Demo) -> None:
    """A body without a question is FastAPI's own 422."""
    reply = httpx2.post(f"{running.service_url}/ask", json={}, trust_env=False)
    assert reply.status_code == 422


def test_demo_calls_and_load(running: Demo) -> None:
    """The demo's requests and a small load at concurrency 4 end as expected, and the ledger adds up."""
    before = running.read_ledger()["totals"].get("", {}).get("requests", 0)
    sent = running.send(demo_calls()) + running.send(load_calls(20, failures=4), concurrency=4)
    assert [one.status for one in sent if not one.ok] == []
    assert [one.status for one in sent].count(502) == 5
    # Each failing request is tried twice.
    assert running.read_ledger()["totals"][""]["requests"] - before == 10


def test_of_telemetry_the_service_has_one_line() -> None:
    """Its sources do not name OpenTelemetry or us, but for the middleware that says whose request it is."""
    sources = {path.name: path.read_text() for path in (EXAMPLES / "rag").glob("*.py")}
    caller = sources.pop("caller.py")
    assert not re.search(r"opentelemetry|spanloom|otel|traceparent|\bspan\b", "".join(sources.values()), re.IGNORECASE)
    assert re.findall(r"^.*spanloom.*$|^.*[^_.]trace\..*$", caller, re.MULTILINE) == [
        "from spanloom import trace",
        "        with trace.context(user=user):",
    ]


def test_corpus() -> None:
    """Twenty pages, and the search puts the right one first."""
    assert len(corpus.documents()) == 20
    assert corpus.search("What does a blinking red lamp mean?")[0].id == "lamp-codes"
    assert corpus.search("How exact is the Wind Vane?")[0].id == "wind-vane"


def test_stock() -> None:
    """Items are found whatever their case; others are not."""
    found = stock.find(" wind vane ")
    assert found is not None and found.pieces == 7
    assert stock.find("Space Laser") is None


def test_load_calls_spread_failures() -> None:
    """50 failures of 1,000 are exactly 50, evenly spread, on both endpoints; questions differ."""
    calls = load_calls(1000, 50)
    failing = [number for number, call in enumerate(calls) if call.expected == 502]
    assert len(failing) == 50
    assert {later - earlier for earlier, later in itertools.pairwise(failing)} == {20}
    assert sum(call.path == "/ask" for call in calls) == 200
    assert len({call.question for call in calls}) == 1000


def test_service_environment() -> None:
    """The service gets the usual variables; what the caller sets wins; the base is left alone."""
    base = {"PYTHONPATH": "/x", "OTEL_SERVICE_NAME": "mine"}
    before = dict(base)
    made = service_environment(
        base, model_url="http://m", port=5, folder=Path("/f"), record=Path("/r"), extra={"OPENAI_API_KEY": "other"}
    )
    assert (made["OPENAI_BASE_URL"], made["PORT"], made["SPANLOOM_RECORD"]) == ("http://m/v1", "5", "/r")
    assert (made["OPENAI_API_KEY"], made["OTEL_SERVICE_NAME"]) == ("other", "rag")
    assert made["PYTHONPATH"] == f"{EXAMPLES}{os.pathsep}/x"
    assert base == before


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", False),
        ("OTEL_SDK_DISABLED", False),
        ("OTEL_TRACES_SAMPLER", False),
        ("SPANLOOM_RECORD_MAX_BYTES", False),
        ("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", True),
        ("OTEL_PYTHON_DISABLED_INSTRUMENTATIONS", True),
        ("PATH", True),
    ],
)
def test_settings_of_the_shell_do_not_divert_the_demo(name: str, kept: bool) -> None:
    """What would send its telemetry elsewhere, or keep it back, stays out; what one tries out with it stays."""
    assert (name in demo.without_telemetry_settings({name: "x"})) is kept


@pytest.mark.parametrize("question", ["Short?", "Long " * 40])
def test_lines_fit_a_terminal(question: str) -> None:
    """A line about a call is at most 80 columns wide."""
    line = demo.sent_line(demo.Sent(Call("/ask", question), 500, 1.5, ""))
    assert len(line) <= 80
    assert "EXPECTED 200" in line


def test_an_unreachable_service() -> None:
    """A call that gets no answer is reported as such, not raised."""
    sent = send(f"http://127.0.0.1:{choose_port(0)}", Call("/ask", "Hello?"))
    assert (sent.status, sent.ok) == (0, False)
    assert "refused" in sent.text


def test_a_service_that_cannot_start(tmp_path: Path) -> None:
    """A service that ends at once is explained with the tail of its log, and nothing keeps running."""
    lines: list[str] = []
    refusing = [sys.executable, "-c", "raise SystemExit('no')"]
    failing = Demo(tmp_path, ports=(0, 0), prefix=refusing, say=lines.append)
    with pytest.raises(NotReadyError, match=r"the service ended with status 1(.|\n)*no"), failing:
        raise AssertionError("must not come up")
    assert not (send(failing.model_url, Call("/health", "")).status)


def test_taken_ports_are_said(tmp_path: Path) -> None:
    """With both preferred ports taken the driver says so and takes others."""
    lines: list[str] = []
    with socket.socket() as one, socket.socket() as two:
        for taken in (one, two):
            taken.bind(("127.0.0.1", 0))
            taken.listen()
        ports = (one.getsockname()[1], two.getsockname()[1])
        with Demo(tmp_path, ports=ports, env=BARE, say=lines.append) as made:
            assert made.send(demo_calls(1))[0].ok
    assert any(line.startswith(f"port {ports[0]} is taken, the service uses ") for line in lines)
    assert any(line.startswith(f"port {ports[1]} is taken, the model server uses ") for line in lines)
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize(("number", "after_s"), [(signal.SIGINT, 0.6), (signal.SIGTERM, 1.5), (signal.SIGINT, 4.0)])
def test_interrupted_demo_leaves_nothing(tmp_path: Path, number: int, after_s: float) -> None:
    """Ctrl-C or SIGTERM, early or late, ends the driver soon and leaves none of its processes."""
    mark = f"demo-{os.getpid()}-{number}-{after_s}"
    command = [sys.executable, str(EXAMPLES / "demo.py"), "--folder", str(tmp_path), "--requests", "2000"]
    process = subprocess.Popen(
        command, env={**os.environ, "DEMO_MARK": mark}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    time.sleep(after_s)
    process.send_signal(number)
    assert process.wait(20) in (130, 143, -number)
    assert [pid for pid in _marked(mark) if pid != process.pid] == []


def test_the_demo_command(tmp_path: Path) -> None:
    """The driver as a program: a line for each request, a ledger, status 0."""
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / "demo.py"), "--folder", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert [line.split()[1:3] for line in done.stdout.splitlines() if line.startswith("POST")] == [
        ["/ask", "200"],
        ["/ask", "200"],
        ["/advise", "200"],
        ["/chat", "200"],
        ["/ask", "502"],
    ]
    ledger = json.loads((tmp_path / "ledger.json").read_text())
    assert ledger["totals"]["gpt-4o-mini-2024-07-18"]["input_tokens"] > 0


def _marked(mark: str) -> list[int]:
    """The processes that have a mark in their environment."""
    found: list[int] = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):
            found += [int(path.parent.name)] if mark.encode() in path.read_bytes() else []
    return found
