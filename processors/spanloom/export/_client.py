"""One POST to a Collector: bounded in time, retried where that helps, given up at once when told to."""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from importlib.metadata import PackageNotFoundError, version
from urllib.parse import urlsplit

import urllib3
from opentelemetry.instrumentation.utils import suppress_instrumentation
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    NewConnectionError,
    ProtocolError,
    ProxyError,
    ReadTimeoutError,
    SSLError,
)

from spanloom.export._leaving import leaving
from spanloom.export._settings import Settings, shown
from spanloom.export._transport import BODY_S, CONNECT_S, STEP_S, new_manager

_BODY_MAX_BYTES = 64 * 1024
_FIRST_BACKOFF_S = 0.5
_MAX_BACKOFF_S = 5.0
_MAX_ATTEMPTS = 8
_RETRIED = frozenset((429, 502, 503, 504))
_KINDS = {401: "forbidden", 403: "forbidden", 404: "address", 405: "address", 413: "size", 415: "format"}


@dataclass(frozen=True)
class Answer:
    """What became of one request. ``status`` is 0 where none arrived; ``kind`` says what can be done about it."""

    kind: str
    status: int = 0
    text: str = ""
    body: bytes = b""
    retry_after_s: float | None = None
    retryable: bool = False

    @property
    def delivered(self) -> bool:
        return self.kind == "delivered"


class Client:
    """Sends to one address. Safe to use from several threads and after a fork."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._headers = {
            "content-type": "application/json",
            "user-agent": f"spanloom/{_own_version()} (OTLP/JSON, Python)",
            **settings.headers,
        }
        if settings.gzip:
            self._headers["content-encoding"] = "gzip"
        self._origin = urlsplit(settings.url).netloc
        self._manager: urllib3.PoolManager | None = None
        self._pid = 0
        self._closed = False
        # The deadline of the request that a thread is at.
        self._at = threading.local()

    def close(self) -> None:
        """Give up what is being sent or waited for, within a tenth of a second; send nothing more."""
        self._closed = True

    def post(self, body: bytes, deadline: float) -> Answer:
        """Send until it is delivered, hopeless, or ``deadline`` (``time.monotonic()``) has come."""
        answer = Answer("late", text="no time was left to send it")
        for attempt in range(_MAX_ATTEMPTS):
            if self._left(deadline) <= 0:
                break
            answer = self._once(body, deadline)
            if answer.kind == "unreachable":
                leaving.unreachable(self._origin)
            elif answer.delivered:
                # Not for refusals: a proxy in front of a dead Collector answers for ever.
                leaving.answered()
            if not answer.retryable or not self._wait(attempt, answer, deadline):
                break
        return Answer("closed", text="the exporter was shut down") if self._closed and not answer.status else answer

    def _left(self, deadline: float) -> float:
        return 0.0 if self._closed else min(deadline - time.monotonic(), leaving.remaining_s(self._origin))

    def _wait(self, attempt: int, answer: Answer, deadline: float) -> bool:
        """Sleep before the next attempt; False where it would come too late, or waiting was called off."""
        backoff = min(_FIRST_BACKOFF_S * 2**attempt, _MAX_BACKOFF_S) * random.uniform(0.8, 1.2)
        until = time.monotonic() + (backoff if answer.retry_after_s is None else answer.retry_after_s)
        while (rest := until - time.monotonic()) > 0:
            hopeless = answer.kind == "unreachable" and leaving.begun
            if hopeless or self._left(deadline) <= rest:
                return False
            time.sleep(min(rest, STEP_S))
        return True

    def _once(self, body: bytes, deadline: float) -> Answer:
        left = max(self._left(deadline), STEP_S)
        timeout = urllib3.Timeout(connect=min(CONNECT_S, left), read=left)
        self._at.deadline = deadline
        try:
            with suppress_instrumentation():
                response = self._connections().request(
                    "POST",
                    self._settings.url,
                    body=body,
                    headers=self._headers,
                    timeout=timeout,
                    retries=False,
                    redirect=False,
                    preload_content=False,
                )
                return _answer(response, _content(response))
        except (HTTPError, OSError, ValueError) as error:
            return _failure(error)

    def _connections(self) -> urllib3.PoolManager:
        """Those of this process: a forked child must not talk on its parent's."""
        if self._manager is None or self._pid != os.getpid():
            self._manager = new_manager(self._settings, lambda: self._left(self._at.deadline))
            self._pid = os.getpid()
        return self._manager


def _content(response: urllib3.BaseHTTPResponse) -> bytes:
    """The beginning of the body; what does not arrive in time is not worth waiting for."""
    parts: list[bytes] = []
    until = time.monotonic() + BODY_S
    try:
        while sum(map(len, parts)) < _BODY_MAX_BYTES and time.monotonic() < until:
            part = response.read1(_BODY_MAX_BYTES)
            if not part:
                response.release_conn()
                return b"".join(parts)
            parts.append(part)
    except (HTTPError, OSError):
        pass  # the status has arrived, and it alone says whether the request was taken
    response.close()
    return b"".join(parts)


def _answer(response: urllib3.BaseHTTPResponse, body: bytes) -> Answer:
    status = response.status
    if 200 <= status < 300:
        return Answer("delivered", status, body=body)
    if 300 <= status < 400:
        place = shown(response.headers.get("location") or "") or "nowhere"
        return Answer("address", status, text=f"HTTP {status}, redirected to {place}")
    said = " ".join(body[:200].decode("utf-8", "replace").split())
    text = f"HTTP {status}: {said}" if said and said.isprintable() else f"HTTP {status}"
    after = _retry_after(response.headers) if status in (429, 503) else None
    kind = _KINDS.get(status, "busy" if status in _RETRIED else "status")
    return Answer(kind, status, text, body, after, status in _RETRIED)


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds from now, of either form; None where the header is absent or means nothing."""
    value = (headers.get("retry-after") or "").strip()
    if value.isascii() and value.isdigit():
        return float(value[:9])
    try:
        moment = parsedate_to_datetime(value)
    except (TypeError, ValueError):  # Python 3.10 raises the first
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone.utc)
    return max(0.0, (moment - datetime.now(timezone.utc)).total_seconds())


def _failure(error: Exception) -> Answer:
    """An error of the connection. Retried only where the request was surely or probably not taken."""
    if isinstance(error, SSLError):
        return Answer("tls", text=f"TLS: {_reason(error)}")
    if isinstance(error, ProxyError):
        return Answer("proxy", text=f"the proxy: {_reason(error)}", retryable=True)
    if isinstance(error, (NewConnectionError, ConnectTimeoutError)):
        return Answer("unreachable", text=_reason(error), retryable=True)
    if isinstance(error, (ReadTimeoutError, TimeoutError)):
        return Answer("late", text="no answer in time")
    if isinstance(error, ProtocolError) and any(isinstance(arg, ConnectionError) for arg in error.args):
        return Answer("broken", text="the connection was reset", retryable=True)
    return Answer("broken", text=f"no HTTP answer ({_reason(error)})")


def _reason(error: BaseException) -> str:
    """The innermost cause, in one short line."""
    while cause := error.__cause__ or (None if error.__suppress_context__ else error.__context__):
        error = cause
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(text.split())[:200] or type(error).__name__


def _own_version() -> str:
    try:
        return version("spanloom")
    except PackageNotFoundError:
        return "0"
