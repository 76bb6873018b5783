"""A real HTTP server on a free port, whose answers a test scripts; it keeps what it was sent."""

from __future__ import annotations

import gzip
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Received:
    """A request; ``port`` is the client's, one for each connection."""

    path: str
    headers: dict[str, str]
    body: bytes
    at: float
    port: int

    @property
    def json(self) -> Any:
        return json.loads(gzip.decompress(self.body) if self.headers.get("content-encoding") == "gzip" else self.body)


@dataclass
class Reply:
    """What to answer: after ``delay_s``; ``hang_s`` is a pause in the middle; ``cut`` closes without an answer."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b"{}"
    delay_s: float = 0.0
    hang_s: float = 0.0
    cut: bool = False


class Server:
    """Answers with ``replies`` in turn, the last of them for ever."""

    def __init__(self, replies: list[Reply]) -> None:
        self.replies = replies
        self.received: list[Received] = []
        self.connections = 0
        self._lock = threading.Lock()
        self.stopping = threading.Event()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._http.daemon_threads = True
        self.port = self._http.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)

    def take(self, received: Received) -> Reply:
        with self._lock:
            self.received.append(received)
            return self.replies[min(len(self.received), len(self.replies)) - 1]

    def wait_for(self, count: int, within_s: float = 5.0) -> None:
        """Until ``count`` requests have arrived."""
        until = time.monotonic() + within_s
        while len(self.received) < count:
            assert time.monotonic() < until, f"only {len(self.received)} of {count} requests arrived"
            time.sleep(0.01)

    def __enter__(self) -> Server:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                server.connections += 1
                super().setup()

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                headers = {name.lower(): value for name, value in self.headers.items()}
                reply = server.take(Received(self.path, headers, body, time.monotonic(), self.client_address[1]))
                server.stopping.wait(reply.delay_s)
                if reply.cut:
                    # An abortive close: the peer sees a reset.
                    self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                    self.connection.close()
                    self.close_connection = True
                    return
                self.send_response(reply.status)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(reply.body)))
                self.end_headers()
                self.wfile.flush()
                server.stopping.wait(reply.hang_s)
                self.wfile.write(reply.body)

            do_CONNECT = do_GET = do_POST

            def log_message(self, format: str, *args: Any) -> None:
                pass

            def handle(self) -> None:
                try:
                    super().handle()
                except OSError:  # the exporter went away, or we cut the line
                    self.close_connection = True

            def finish(self) -> None:
                with suppress(OSError):
                    super().finish()

        return Handler


@contextmanager
def serving(*replies: Reply) -> Iterator[Server]:
    """A server for the length of a ``with``."""
    with Server(list(replies) or [Reply()]) as server:
        yield server


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def silent_listener() -> Iterator[int]:
    """A port that accepts connections and never says a word."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(16)
        yield int(listener.getsockname()[1])


def timed(action: Callable[[], Any]) -> tuple[Any, float]:
    """The result and the seconds it took."""
    begin = time.monotonic()
    return action(), time.monotonic() - begin
