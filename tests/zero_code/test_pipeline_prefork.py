"""Tail sampling in the workers of gunicorn, under load, each worker ended by SIGTERM: nothing lost, nothing twice."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from tests._support.otlp import read_spans
from tests.zero_code.test_base_install import clean_environment

APP = """
from opentelemetry import trace
from opentelemetry.trace import Status, StatusCode

tracer = trace.get_tracer("app")

def app(environ, start_response):
    number = int(environ["QUERY_STRING"])
    failed = number % 10 == 0
    with tracer.start_as_current_span("request", attributes={"number": number}) as span:
        with tracer.start_as_current_span("below"):
            pass
        if failed:
            span.set_status(Status(StatusCode.ERROR))
    start_response("500 Failed" if failed else "200 OK", [("Content-Length", "0")])
    return []
"""
RULES = "version: 1\ntail: {baseline: 0.1, rules: [{name: errors, error: true}]}\n"
WORKERS, REQUESTS = 4, 600


@contextmanager
def gunicorn(python: Path, folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """The master, and the address where its workers answer."""
    (folder / "app.py").write_text(APP)
    (folder / "sampling.yaml").write_text(RULES)
    log = folder / "gunicorn.log"
    server = [str(python.with_name("gunicorn")), "--workers", str(WORKERS), "--threads", "2", "--bind", "127.0.0.1:0"]
    with log.open("wb") as output:
        master = subprocess.Popen(
            [str(python.with_name("opentelemetry-instrument")), *server, "--no-control-socket", "app:app"],
            cwd=folder, env={**clean_environment(), "SPANLOOM_SAMPLING": "sampling.yaml"}, stdout=output, stderr=output,
        )  # fmt: skip
    try:
        until = time.monotonic() + 20
        while log.read_text().count("Booting worker") < WORKERS:
            assert time.monotonic() < until, log.read_text()
            time.sleep(0.05)
        (address,) = re.findall(r"Listening at: (http://\S+)", log.read_text())
        yield master, address
        master.send_signal(signal.SIGTERM)
        assert master.wait(20) == 0, log.read_text()
    finally:
        master.kill()
    assert "Traceback" not in log.read_text(), log.read_text()
    assert "spanloom:" not in log.read_text(), log.read_text()


def ask(url: str) -> int:
    """The status; 0 where the worker went away before it answered."""
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=10) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        with error:
            return error.code
    except OSError:
        return 0


def workers(master: int) -> list[int]:
    """The processes that the master has forked and that still run."""
    found = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    return [int(pid) for pid, parent in map(str.split, found.splitlines()) if int(parent) == master]


def test_nothing_is_lost_and_nothing_is_doubled_when_each_worker_is_ended(example_python, tmp_path) -> None:
    """Every failure that a client saw is there once and whole; of the rest what the random bits of the trace say."""
    with gunicorn(example_python, tmp_path) as (master, address), ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(ask, f"{address}/?{number}") for number in range(REQUESTS)]
        asked[REQUESTS // 3].result()
        first = workers(master.pid)
        for pid in first:
            os.kill(pid, signal.SIGTERM)
        statuses = [one.result() for one in asked]
    assert len(first) == WORKERS
    answered = Counter(statuses)
    assert answered[200] + answered[500] > REQUESTS * 0.9, answered

    spans = read_spans(tmp_path / ".spanloom")
    assert len({span["id"] for span in spans}) == len(spans)
    roots = {span["attributes"]["number"]: span for span in spans if span["name"] == "request"}
    failed = {number for number, status in enumerate(statuses) if status == 500}
    assert failed <= set(roots)
    # Whatever a client did not see the end of may be there, too; nothing else is, and what is there is whole.
    assert {number for number, root in roots.items() if root["status"] == "ERROR"} <= failed | {
        number for number, status in enumerate(statuses) if status == 0
    }
    rest = [root for root in roots.values() if root["status"] != "ERROR"]
    assert all(int(root["trace"][-14:], 16) >= 0.8999 * 2**56 for root in rest)
    assert 0 < len(rest) < REQUESTS * 0.2
    assert Counter(span["trace"] for span in spans) == {root["trace"]: 2 for root in roots.values()}
