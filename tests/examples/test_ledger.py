"""The ledger, the server's life, and its command line."""

from __future__ import annotations

import hashlib
import json
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest

from model_server import Entry, Ledger, ModelServer

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def entry(sequence: int, tokens: int | None = 1) -> Entry:
    return Entry(
        sequence=sequence,
        endpoint="/v1/chat/completions",
        status=200,
        outcome="complete",
        stream=False,
        model_asked="m",
        model_answered="m-1",
        response_id=None,
        input_tokens=tokens,
        output_tokens=tokens,
        cached_tokens=0,
        reasoning_tokens=0,
        traceparent=None,
        user_agent=None,
        raw_digest="",
        body_digest="",
        body_bytes=0,
    )


def test_entry_says_what_the_client_was_told(client: openai.OpenAI, server: ModelServer) -> None:
    """An entry has the answer's id, models and tokens, the trace header and the digest of the exact bytes."""
    header = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    made = client.chat.completions.with_raw_response.create(
        model="o4-mini", messages=[{"role": "user", "content": "hello"}], extra_headers={"traceparent": header}
    )
    answer, seen = made.parse(), server.ledger.entries[0]
    assert answer.usage and answer.usage.completion_tokens_details
    assert (seen.model_asked, seen.model_answered, seen.response_id) == ("o4-mini", answer.model, answer.id)
    assert (seen.input_tokens, seen.output_tokens) == (answer.usage.prompt_tokens, answer.usage.completion_tokens)
    assert seen.reasoning_tokens == answer.usage.completion_tokens_details.reasoning_tokens
    assert seen.traceparent == header
    assert seen.user_agent is not None and seen.user_agent.startswith("OpenAI/Python")
    assert seen.raw_digest == hashlib.sha256(made.http_request.content).hexdigest()


def test_ledger_over_http(client: openai.OpenAI, server: ModelServer) -> None:
    """``GET /ledger`` tells the same as the object; ``POST /ledger/reset`` empties it."""
    client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "hello"}])
    with httpx2.Client(base_url=server.url, trust_env=False) as http:
        told = http.get("/ledger").json()
        assert told == server.ledger.as_json()
        assert told["totals"]["gpt-4o-2024-08-06"]["requests"] == 1
        http.post("/ledger/reset")
    assert server.ledger.entries == []


def test_body_digest_is_canonical(server: ModelServer) -> None:
    """Two bodies that differ in the order of keys have one body digest and two raw digests."""
    bodies = ['{"model":"m","messages":[{"role":"user","content":"a"}]}']
    bodies.append('{"messages": [{"content": "a", "role": "user"}], "model": "m"}')
    for body in bodies:
        httpx2.post(
            f"{server.openai_base_url}/chat/completions",
            content=body,
            headers={"Authorization": "Bearer k"},
            trust_env=False,
        )
    assert len({seen.body_digest for seen in server.ledger.entries}) == 1
    assert len({seen.raw_digest for seen in server.ledger.entries}) == 2


def test_many_clients_at_once(server: ModelServer) -> None:
    """200 requests by 8 threads: every one is in the ledger with its own number, and the sums are what was told."""
    with openai.OpenAI(base_url=server.openai_base_url, api_key="key", max_retries=0) as client:

        def ask(number: int) -> int:
            made: Any = client.chat.completions.create(
                model="gpt-4o", messages=[{"role": "user", "content": f"hello {number}"}]
            )
            return made.usage.prompt_tokens

        with ThreadPoolExecutor(8) as pool:
            told = sum(pool.map(ask, range(200)))
    assert [seen.sequence for seen in server.ledger.entries] == list(range(1, 201))
    assert server.ledger.totals()["gpt-4o-2024-08-06"]["input_tokens"] == told


def test_ledger_is_bounded() -> None:
    """The newest entries are kept, dropped ones are counted and stay in the totals."""
    ledger = Ledger(cap=3)
    for number in range(1, 6):
        ledger.record(entry(number))
    assert [seen.sequence for seen in ledger.entries] == [3, 4, 5]
    assert ledger.dropped == 2
    assert ledger.totals()["m-1"]["input_tokens"] == 5


def test_a_reset_forgets_requests_in_work() -> None:
    """A request that arrived before a reset does not appear after it."""
    ledger = Ledger()
    sequence, age = ledger.arrive()
    ledger.reset()
    ledger.record(entry(sequence), age)
    assert ledger.entries == []
    sequence, age = ledger.arrive()
    ledger.record(entry(sequence), age)
    assert [seen.sequence for seen in ledger.entries] == [1]


def test_unreported_tokens_add_nothing() -> None:
    """An entry without usage counts as a request and adds no tokens."""
    ledger = Ledger()
    ledger.record(entry(1, tokens=None))
    assert ledger.totals()["m-1"] | {"requests": 1} == ledger.totals()["m-1"]
    assert ledger.totals()["m-1"]["output_tokens"] == 0


def test_keep_alive(server: ModelServer) -> None:
    """One connection carries several requests, streams among them."""
    with httpx2.Client(headers={"Authorization": "Bearer k"}, trust_env=False) as http:
        body = {"model": "m", "messages": [{"role": "user", "content": "a"}]}
        ports = set()
        for stream in (False, True, False):
            reply = http.post(f"{server.openai_base_url}/chat/completions", json={**body, "stream": stream})
            assert reply.status_code == 200
            ports.add(reply.extensions["network_stream"].get_extra_info("client_addr"))
    assert len(ports) == 1


def test_close_ends_open_connections() -> None:
    """Closing a server with an idle connection and a delayed answer does not hang, and may be repeated."""
    server = ModelServer()
    body = b'{"model":"m","messages":[{"role":"user","content":"[[delay:60]]"}]}'
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer k\r\nContent-Length: {len(body)}"
    address = ("127.0.0.1", server.port)
    with socket.create_connection(address) as idle, socket.create_connection(address) as waiting:
        idle.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        assert idle.recv(1000).startswith(b"HTTP/1.1 200")
        waiting.sendall(head.encode() + b"\r\n\r\n" + body)
        server.close()
        server.close()
        assert idle.recv(1) == b""


def test_command_line() -> None:
    """``python -m model_server`` prints its address, serves, and ends with 0 on SIGTERM."""
    process = subprocess.Popen(
        [sys.executable, "-m", "model_server", "--port", "0"], cwd=EXAMPLES, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    address = process.stdout.readline().split()[-1]
    assert httpx2.get(address.replace("/v1", "/health"), trust_env=False).status_code == 200
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0
    process.stdout.close()


def test_command_line_with_a_taken_port(server: ModelServer) -> None:
    """A taken port is one clear line that names the option, and status 2."""
    done = subprocess.run(
        [sys.executable, "-m", "model_server", "--port", str(server.port)],
        cwd=EXAMPLES,
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.returncode == 2
    assert f"--port {server.port}" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_client_that_leaves_a_stream(server: ModelServer) -> None:
    """A client that goes in mid-stream is noted as such, without usage."""
    body = json.dumps(
        {"model": "m", "stream": True, "messages": [{"role": "user", "content": "[[words:500]] a [[pause:0.01]]"}]}
    ).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer k\r\nContent-Length: {len(body)}"
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(head.encode() + b"\r\n\r\n" + body)
        connection.recv(100)
    for _ in range(100):
        if server.ledger.entries:
            break
        server.stopping.wait(0.05)
    assert [(seen.outcome, seen.output_tokens) for seen in server.ledger.entries] == [("client_closed", None)]


@pytest.mark.parametrize("port", ["99999", "-1"])
def test_command_line_with_an_impossible_port(port: str) -> None:
    """A port that cannot be is one clear line as well."""
    done = subprocess.run(
        [sys.executable, "-m", "model_server", "--port", port], cwd=EXAMPLES, capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 2
    assert "--port" in done.stderr
    assert "Traceback" not in done.stderr
