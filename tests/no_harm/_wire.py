"""A server at the socket: it does what a script says, and writes down every byte it gets and when it gave what.

A script may wait for the application ("want 2") before it goes on. Whoever reads ahead is seen: nobody wanted it.
"""

from __future__ import annotations

import re
import select
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

# Only a reader that is ahead of the application pays for this; long enough for a busy machine.
PATIENCE_S = 10.0
_BOUNDARY = re.compile(rb"boundary=([0-9A-Za-z-]+)")


@dataclass(frozen=True)
class Send:
    """Bytes to the client."""

    data: bytes
    label: str


@dataclass(frozen=True)
class Await:
    """Wait until the application says that it wants to go on, or the client hangs up."""

    label: str


@dataclass(frozen=True)
class Stall:
    """Say nothing more, and wait until the client hangs up."""


@dataclass(frozen=True)
class Cut:
    """End the connection in the middle: an early end, or a reset."""

    reset: bool = False


Step = Send | Await | Stall | Cut
Script = tuple[Step, ...]


class Gone(Exception):
    """The client hung up, or the script cut the connection."""


class Session:
    """One run: the scripts of its requests in their order, what was said, and its connections."""

    def __init__(self, scripts: Iterable[Script]) -> None:
        self.entries: list[tuple[Any, ...]] = []
        self._scripts = deque(scripts)
        self._said: list[str] = []
        self._changed = threading.Condition()
        self._connections: list[_Connection] = []
        self._over = False

    def say(self, label: str) -> None:
        """The application has come to this point."""
        with self._changed:
            self._said.append(label)
            self._changed.notify_all()

    def serve(self, peer: socket.socket) -> None:
        """Answer on a new connection, in a thread of its own."""
        with self._changed:
            connection = _Connection(self, peer)
            self._connections.append(connection)
        connection.start()

    def settled(self) -> list[str]:
        """How each connection stands: ``kept`` by the client or ``closed``, and after which step."""
        deadline = time.monotonic() + PATIENCE_S
        with self._changed:
            while any(one.working for one in self._connections) and time.monotonic() < deadline:
                self._changed.wait(0.005)
            return [f"{'closed' if one.is_closed() else 'kept'} after {one.last}" for one in self._connections]

    def end(self) -> None:
        """Close what is open, and wait for the threads."""
        with self._changed:
            self._over = True
            self._changed.notify_all()
        for one in self._connections:
            one.hang_up()
            one.join(PATIENCE_S)
            assert not one.is_alive(), "a connection of the recording server does not end"

    # What the connections' threads ask.

    def next_script(self) -> Script:
        with self._changed:
            return self._scripts.popleft() if self._scripts else (Cut(),)

    def note(self, *entry: Any) -> None:
        with self._changed:
            self.entries.append(entry)

    def working(self, connection: _Connection, working: bool) -> None:
        with self._changed:
            connection.working = working
            self._changed.notify_all()

    def heard(self, label: str) -> bool:
        """Whether the application has said it by now; after a very short wait."""
        with self._changed:
            if label not in self._said:
                self._changed.wait(0.002)
            return label in self._said

    def said(self) -> int:
        with self._changed:
            return len(self._said)

    @property
    def over(self) -> bool:
        return self._over


class _Connection(threading.Thread):
    """One client connection: request, script, request, script ..."""

    def __init__(self, session: Session, peer: socket.socket) -> None:
        super().__init__(daemon=True, name="recording server")
        self._session = session
        self._peer = peer
        self._buffer = b""
        self.working = True
        self.last = "nothing"

    def run(self) -> None:
        with suppress(Gone, OSError):
            while True:
                self._exchange()
        self._close()

    def is_closed(self) -> bool:
        """Whether the client has closed its end, or we ours."""
        try:
            return self._peer.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
        except BlockingIOError:
            return False
        except OSError:
            return True

    def hang_up(self) -> None:
        with suppress(OSError):
            self._peer.shutdown(socket.SHUT_RDWR)

    def _close(self) -> None:
        self._peer.close()
        self._session.working(self, False)

    def _exchange(self) -> None:
        self._session.working(self, bool(self._buffer))
        request = self._request()
        self._session.working(self, True)
        self._session.note("request", normal(request), self._session.said())
        for step in self._session.next_script():
            self._do(step)

    def _do(self, step: Step) -> None:
        if isinstance(step, Send):
            self._peer.sendall(step.data)
            self.last = step.label
            self._session.note("sent", step.label)
        elif isinstance(step, Await):
            self._wait_for(step.label, PATIENCE_S)
        elif isinstance(step, Stall):
            self._wait_for("the end of the world", None)
        else:
            self._cut(step.reset)

    def _cut(self, reset: bool) -> None:
        if reset:
            self._peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._session.note("cut")
        raise Gone

    def _wait_for(self, label: str, patience_s: float | None) -> None:
        self._session.working(self, False)
        deadline = time.monotonic() + (patience_s or 3600)
        while not self._session.heard(label):
            if self._session.over or self.is_closed():
                self._session.note("hung up", label)
                raise Gone
            if time.monotonic() > deadline:
                # Somebody reads what the application has not asked for, or it does not read at all.
                self._session.note("nobody said", label)
                break
        self._session.working(self, True)
        self._session.note("went on", label, self._session.said())

    def _request(self) -> bytes:
        head = self._until(b"\r\n\r\n")
        length = re.search(rb"\r\ncontent-length: *(\d+)", head, re.IGNORECASE)
        if length:
            return head + self._exactly(int(length[1]))
        if re.search(rb"\r\ntransfer-encoding: *chunked", head, re.IGNORECASE):
            return head + self._until(b"0\r\n\r\n")
        return head

    def _until(self, mark: bytes) -> bytes:
        while mark not in self._buffer:
            self._receive()
        found, _, self._buffer = self._buffer.partition(mark)
        return found + mark

    def _exactly(self, count: int) -> bytes:
        while len(self._buffer) < count:
            self._receive()
        found, self._buffer = self._buffer[:count], self._buffer[count:]
        return found

    def _receive(self) -> None:
        select.select([self._peer], [], [])
        data = self._peer.recv(65536)
        if not data:
            raise Gone
        self._buffer += data


def normal(request: bytes) -> bytes:
    """A request without what the SDK makes up anew each time: the boundary of its forms."""
    boundary = _BOUNDARY.search(request)
    return request.replace(boundary[1], b"BOUNDARY") if boundary else request


class Wire:
    """The listening socket, for many sessions one after the other: the port stays."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._session: Session | None = None
        self._thread = threading.Thread(target=self._accept, daemon=True, name="recording server")
        self._thread.start()

    def begin(self, scripts: Iterable[Script]) -> Session:
        """Answer from now on by these scripts, one a request."""
        self._session = Session(scripts)
        return self._session

    def close(self) -> None:
        """Stop listening."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(PATIENCE_S)

    def _accept(self) -> None:
        while True:
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._session is None or self._session.over:
                peer.close()
            else:
                self._session.serve(peer)
