"""What happened below a request is on its server span, though spans of others lie between: under the real command."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests._support.otlp import read_spans
from tests.zero_code._events import run

SERVICE = """
import asyncio, threading, urllib.request
import requests, uvicorn
from fastapi import FastAPI
from opentelemetry import trace

tracer = trace.get_tracer("shop")
asking = openai.AsyncOpenAI(base_url=server.openai_base_url, api_key="x", max_retries=0)
app = FastAPI()

@app.get("/sync")
def sync_route():
    with tracer.start_as_current_span("load"), tracer.start_as_current_span("answer"):
        return [ask("one").usage.prompt_tokens, ask("two words").usage.prompt_tokens]

@app.get("/async")
async def async_route():
    async def one(text):
        messages = [{"role": "user", "content": text}]
        with tracer.start_as_current_span("answer"):
            return (await asking.chat.completions.create(model="gpt-4o-mini", messages=messages)).usage.prompt_tokens
    return await asyncio.gather(one("three"), one("and four"))

@app.get("/quiet")
def quiet_route():
    return []

def main():
    serving = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error"))
    thread = threading.Thread(target=serving.run)
    thread.start()
    while not serving.started:
        time.sleep(0.01)
    port = serving.servers[0].sockets[0].getsockname()[1]
    for path in ("sync", "async", "quiet"):
        url = f"http://127.0.0.1:{port}/{path}"
        # The second is instrumented: its trace context makes the server span one with a remote parent.
        print(path, urllib.request.urlopen(url).read().decode(), requests.get(url).text, sep="|")
    serving.should_exit = True
    thread.join()

main()
"""


@pytest.fixture(scope="module")
def served(example_python: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, int], list[Any]]:
    """The tokens that each route's answers told, and the spans."""
    folder = tmp_path_factory.mktemp("roots")
    done = run(example_python, folder, SERVICE)
    assert done.returncode == 0, done.stderr
    rows = [line.split("|") for line in done.stdout.splitlines()]
    tokens = {path: sum(int(part) for part in first.strip("[]").split(",") if part) for path, first, _ in rows}
    assert all(first == second for _, first, second in rows)
    return tokens, read_spans(folder / ".spanloom")


@pytest.mark.parametrize("route", ["sync", "async"])
def test_server_spans_carry_the_sums_over_the_spans_between(served: Any, route: str) -> None:
    """Both requests: the one that began its trace here, and the one that continues its client's."""
    tokens, spans = served
    servers = [span for span in spans if span["name"] == f"GET /{route}" and span["kind"] == "SERVER"]
    assert [span["parent"] is None for span in servers] == [True, False]
    for span in servers:
        assert span["attributes"]["spanloom.subtree.llm_calls"] == 2
        assert span["attributes"]["spanloom.subtree.input_tokens"] == tokens[route] > 0
        assert span["attributes"]["spanloom.subtree.cost"] > 0


def test_spans_between_and_requests_without_calls_carry_none(served: Any) -> None:
    """The sums belong to spans of ours and to the root; a manual span between them is its owner's."""
    _, spans = served
    others = [span for span in spans if span["name"] in ("load", "answer", "GET /quiet")]
    assert len(others) == 10
    assert [span["name"] for span in others if any("subtree" in name for name in span["attributes"])] == []
