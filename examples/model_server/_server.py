"""The HTTP edge: sockets, keep-alive, chunked streams, and the ledger's entries."""

from __future__ import annotations

import socket
import sys
import threading
import time
from collections import OrderedDict
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from socketserver import TCPServer, ThreadingMixIn
from typing import Any

from ._answer import Answer, to_json
from ._api import Request, answer, is_stream
from ._ledger import CAP, Entry, Ledger
from ._tokens import Usage

MOST_BODY_BYTES = 32 * 1024 * 1024
_GONE = (BrokenPipeError, ConnectionResetError, ConnectionAbortedError)


class _Sockets(ThreadingMixIn, TCPServer):
    """A threading TCP server that can end its open connections."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 256

    def __init__(self, address: tuple[str, int], owner: ModelServer) -> None:
        self.owner = owner
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._idle = threading.Condition(self._lock)
        super().__init__(address, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        super().shutdown_request(request)
        with self._lock:
            self._open.discard(request)
            self._idle.notify_all()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that has gone is no error; anything else is a fault of ours and is shown."""
        if not isinstance(sys.exc_info()[1], _GONE):
            super().handle_error(request, client_address)

    def end_connections(self, timeout_s: float = 5.0) -> None:
        with self._lock:
            for connection in self._open:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
            self._idle.wait_for(lambda: not self._open, timeout=timeout_s)


class ModelServer:
    """A running model server; a context manager.

    `url` is its root (``http://127.0.0.1:PORT``), `openai_base_url` what an OpenAI client wants (``.../v1``).
    Raises `OSError` when the address cannot be bound.
    """

    def __init__(self, port: int = 0, host: str = "127.0.0.1") -> None:
        self.ledger = Ledger()
        self.stopping = threading.Event()
        self._seen: OrderedDict[tuple[str, str], int] = OrderedDict()
        self._lock = threading.Lock()
        self._sockets = _Sockets((host, port), self)
        self.port: int = self._sockets.server_address[1]
        self.url = f"http://{host}:{self.port}"
        self.openai_base_url = f"{self.url}/v1"
        self._thread = threading.Thread(target=self._sockets.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def occurrence(self, path: str, digest: str) -> int:
        """How often this body was sent to this path, this time included. Remembers the newest 100,000 bodies."""
        with self._lock:
            count = self._seen.pop((path, digest), 0) + 1
            self._seen[path, digest] = count
            if len(self._seen) > CAP:
                self._seen.popitem(last=False)
            return count

    def reset(self) -> None:
        """Forget the ledger and which bodies were seen."""
        self.ledger.reset()
        with self._lock:
            self._seen.clear()

    def close(self) -> None:
        """Stop listening and end open connections; may be called again."""
        if self.stopping.is_set():
            return
        self.stopping.set()
        self._sockets.shutdown()
        self._thread.join()
        self._sockets.server_close()
        self._sockets.end_connections()

    def __enter__(self) -> ModelServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "model-server"
    sys_version = ""
    wbufsize = -1
    disable_nagle_algorithm = True
    server: _Sockets  # pyright: ignore[reportIncompatibleVariableOverride]

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def do_DELETE(self) -> None:
        self._serve()

    def log_message(self, format: str, *args: Any) -> None:
        """Stay quiet: the ledger is the log."""

    def _serve(self) -> None:
        body = self._read_body()
        if body is None:
            return
        path = self.path.partition("?")[0]
        owner = self.server.owner
        if path.startswith("/v1/"):
            headers = {name.lower(): value for name, value in self.headers.items()}
            request = Request(self.command, path, headers, body)
            _Exchange(self, owner, request).run()
        elif (self.command, path) == ("GET", "/health"):
            self.send_whole(200, b'{"status":"ok"}')
        elif (self.command, path) == ("GET", "/ledger"):
            self.send_whole(200, to_json(owner.ledger.as_json()))
        elif (self.command, path) == ("POST", "/ledger/reset"):
            owner.reset()
            self.send_whole(200, b'{"status":"reset"}')
        else:
            self.send_whole(404, to_json({"error": {"message": f"no such address: {self.command} {path}"}}))

    def _read_body(self) -> bytes | None:
        """The request's body; None when it was refused because its length is unusable."""
        length = self.headers.get("Content-Length", "0")
        refused = 411 if "Transfer-Encoding" in self.headers else 400 if not length.isdigit() else 0
        if not refused and int(length) > MOST_BODY_BYTES:
            refused = 413
        if refused:
            self.close_connection = True
            self.send_whole(refused, to_json({"error": {"message": "a Content-Length of at most 32 MiB is needed"}}))
            return None
        return self.rfile.read(int(length))

    def send_whole(
        self, status: int, body: bytes, headers: dict[str, str] | None = None, promise: int | None = None
    ) -> None:
        """Send a JSON body. `promise` is the length to announce when it is not the body's."""
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body) if promise is None else promise))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()


class _Exchange:
    """One request to the API: answer it and write its entry, once, before its last byte is sent."""

    def __init__(self, handler: _Handler, owner: ModelServer, request: Request) -> None:
        self._handler = handler
        self._owner = owner
        self._request = request
        self._sequence, self._age = owner.ledger.arrive()
        self._recorded = False

    def run(self) -> None:
        begun = time.monotonic()
        request = self._request
        made = answer(request, self._owner.occurrence(request.path, request.digest))
        headers = made.headers | {"openai-processing-ms": str(round((time.monotonic() - begun) * 1000))}
        self._owner.stopping.wait(made.delay)
        try:
            if made.events is None:
                self._send_whole(made, headers)
            else:
                self._send_events(made, headers)
        except _GONE:
            self._record(made, "client_closed", None)
            self._handler.close_connection = True
        if made.broken:
            self._handler.close_connection = True

    def _send_whole(self, made: Answer, headers: dict[str, str]) -> None:
        self._record(made, made.outcome, made.usage)
        body = made.body[: len(made.body) // 2] if made.broken else made.body
        self._handler.send_whole(made.status, body, headers, promise=len(made.body))

    def _send_events(self, made: Answer, headers: dict[str, str]) -> None:
        handler, events = self._handler, made.events or ()
        handler.send_response(200)
        for name, value in {"Content-Type": "text/event-stream; charset=utf-8", **headers}.items():
            handler.send_header(name, value)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        reported: Usage | None = None
        for place, piece in enumerate(events):
            reported = piece.usage or reported
            self._owner.stopping.wait(made.pause if place else 0)
            if place == len(events) - 1:
                self._record(made, made.outcome, reported)
            handler.wfile.write(b"%x\r\n%s\r\n" % (len(piece.data), piece.data))
            handler.wfile.flush()
        self._record(made, made.outcome, reported)
        handler.wfile.write(b"" if made.broken else b"0\r\n\r\n")
        handler.wfile.flush()

    def _record(self, made: Answer, outcome: str, usage: Usage | None) -> None:
        if self._recorded:
            return
        self._recorded = True
        request = self._request
        self._owner.ledger.record(
            Entry(
                sequence=self._sequence,
                endpoint=request.path,
                status=made.status,
                outcome=outcome,
                stream=is_stream(request.body),
                model_asked=made.model_asked,
                model_answered=made.model_answered,
                response_id=made.response_id,
                input_tokens=usage.input if usage else None,
                output_tokens=usage.output if usage else None,
                cached_tokens=usage.cached if usage else None,
                reasoning_tokens=usage.reasoning if usage else None,
                traceparent=request.headers.get("traceparent"),
                user_agent=request.headers.get("user-agent"),
                raw_digest=request.digest,
                body_digest=request.canonical_digest,
                body_bytes=len(request.body),
            ),
            self._age,
        )
