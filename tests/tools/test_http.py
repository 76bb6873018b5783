"""HTTP spans of OpenTelemetry's own instrumentations are below the tool that makes the requests, of every kind."""

from __future__ import annotations

import asyncio
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest
import requests
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
from opentelemetry.instrumentation.requests import RequestsInstrumentor

from spanloom.tools import tool
from tests._support import plugins
from tests._support.conformance import problems_of
from tests._support.spans import outline


class Echo(BaseHTTPRequestHandler):
    """Answers with the parent that it was told."""

    def do_GET(self):
        body = self.headers.get("traceparent", "").encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        """Says nothing."""


@pytest.fixture(scope="module")
def url():
    """A local server."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def http(plugin, recorder, monkeypatch):
    """Spans of requests and httpx beside ours, which alone are held to our rules."""
    monkeypatch.setattr(
        plugins, "problems", lambda spans, *_: [one for span in ours(spans) for one in problems_of(span)]
    )
    instrumentors = RequestsInstrumentor(), HTTPXClientInstrumentor()
    for one in instrumentors:
        one.instrument(tracer_provider=recorder.tracer_provider, meter_provider=recorder.meter_provider)
    yield recorder
    for one in instrumentors:
        one.uninstrument()


def ours(spans):
    return [span for span in spans if span.instrumentation_scope.name.startswith("spanloom.")]


def get_requests(url):
    return requests.get(url, timeout=5).text


def get_httpx(url):
    with httpx.Client() as client:
        return client.get(url).text


async def get_async(url):
    async with httpx.AsyncClient() as client:
        return (await client.get(url)).text


def plain(get):
    @tool
    def fetch(url):
        return [get(url), get(url)]

    return fetch


def generator(get):
    @tool
    def fetch(url):
        for _ in range(2):
            yield get(url)

    return lambda url: list(fetch(url))


def coroutine(get):
    @tool
    async def fetch(url):
        return [await get(url), await get(url)]

    return lambda url: asyncio.run(fetch(url))


def async_generator(get):
    @tool
    async def fetch(url):
        for _ in range(2):
            yield await get(url)

    async def read(url):
        return [one async for one in fetch(url)]

    return lambda url: asyncio.run(read(url))


def in_a_loop(get):
    """A blocking call inside of an asynchronous tool: no good idea, and done all the same."""

    async def call(url):
        return get(url)

    return call


CASES = {
    "requests in a function": plain(get_requests),
    "requests in a generator": generator(get_requests),
    "requests in a coroutine": coroutine(in_a_loop(get_requests)),
    "requests in an async generator": async_generator(in_a_loop(get_requests)),
    "httpx in a function": plain(get_httpx),
    "httpx in a generator": generator(get_httpx),
    "httpx in a coroutine": coroutine(get_async),
    "httpx in an async generator": async_generator(get_async),
}


@pytest.mark.parametrize("case", CASES)
def test_requests_are_below_the_tool(case, http, url):
    """Two requests, two children; the server is told the child, whose trace is the tool's."""
    told = CASES[case](url)
    assert outline(http.spans) == ["execute_tool fetch", "  GET", "  GET"]
    root, *children = http.spans
    assert {span.context.trace_id for span in children} == {root.context.trace_id}
    assert [int(one.split("-")[2], 16) for one in told] == [span.context.span_id for span in children]


def test_between_two_steps_a_request_is_the_readers(http, url):
    """It is not below the tool that waits."""

    @tool
    def waits():
        yield get_httpx(url)
        yield get_requests(url)

    for _ in waits():
        get_httpx(url)
    assert outline(http.spans) == ["execute_tool waits", "  GET", "  GET", "GET", "GET"]


def test_nested_tools(http, url):
    """A tool that a generator tool calls has its own requests."""
    fetch = plain(get_httpx)

    @tool
    def outer():
        yield fetch(url)

    list(outer())
    assert outline(http.spans) == ["execute_tool outer", "  execute_tool fetch", "    GET", "    GET"]
