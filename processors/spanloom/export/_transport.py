"""Connections to a Collector: proxies, certificates, and waiting that can be called off. One manager per process."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies_environment, proxy_bypass

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import SSLError
from urllib3.util.wait import wait_for_read, wait_for_write

from spanloom.export._settings import Settings

# One lost SYN packet is sent again after a second.
CONNECT_S = 2.0
# Between the parts of an answer that has begun.
BODY_S = 2.0
STEP_S = 0.05
_PORTION = 64 * 1024


def new_manager(settings: Settings, left: Callable[[], float]) -> urllib3.PoolManager:
    """A connection manager for the settings' address.

    ``left`` gives the seconds that the calling thread's request may still take; it is asked twenty times a second.

    Raises ``urllib3.exceptions.SSLError`` where a certificate file is unusable, ``ValueError`` for an unusable proxy.
    """
    parts = urlsplit(settings.url)
    options: dict[str, Any] = {"num_pools": 2, "maxsize": 4}
    if parts.scheme == "https":
        options["ssl_context"] = _tls(settings)
    proxy = proxy_for(parts.scheme, parts.netloc)
    manager = urllib3.ProxyManager(proxy, proxy_headers=_auth(proxy), **options) if proxy else None
    manager = manager or urllib3.PoolManager(**options)
    manager.pool_classes_by_scheme = _pools(left)
    return manager


def proxy_for(scheme: str, netloc: str) -> str | None:
    """``http_proxy``, ``https_proxy``, ``all_proxy`` and ``no_proxy`` as everybody reads them."""
    proxies = getproxies_environment()
    proxy = proxies.get(scheme) or proxies.get("all")
    if not proxy or proxy_bypass(netloc):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def _auth(proxy: str) -> dict[str, str] | None:
    parts = urlsplit(proxy)
    if not parts.username:
        return None
    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return dict(urllib3.make_headers(proxy_basic_auth=pair))


def _tls(settings: Settings) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=settings.ca_file)
        if settings.client_certificate:
            context.load_cert_chain(settings.client_certificate, settings.client_key)
    except OSError as error:  # ssl.SSLError is one
        files = (settings.ca_file, settings.client_certificate, settings.client_key)
        raise SSLError(f"{error.strerror or error} ({', '.join(filter(None, files))})") from None
    return context


def _pools(left: Callable[[], float]) -> dict[str, type[HTTPConnectionPool]]:
    """Pools whose connections send and wait in small steps, so that another thread can call it off."""

    class Connection(HTTPConnection):
        def send(self, data: Any) -> None:
            _send(self, data, left)

        def getresponse(self) -> Any:
            _await_answer(self, left)
            return super().getresponse()

    class SecureConnection(HTTPSConnection):
        def send(self, data: Any) -> None:
            _send(self, data, left)

        def getresponse(self) -> Any:
            _await_answer(self, left)
            return super().getresponse()

    # urllib3's own connections do not meet its protocol for pyright: their constants are not mutable.
    class Pool(HTTPConnectionPool):
        ConnectionCls = Connection  # pyright: ignore[reportAssignmentType]

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = SecureConnection  # pyright: ignore[reportAssignmentType]

    return {"http": Pool, "https": SecurePool}


def _send(connection: HTTPConnection, data: bytes, left: Callable[[], float]) -> None:
    """All of ``data``, however slow the line is. The usual ``sendall`` has the time for a connect only."""
    if connection.sock is None:
        connection.connect()
    sock, rest = connection.sock, memoryview(data)
    while rest and sock is not None:
        if wait_for_write(sock, timeout=STEP_S):
            rest = rest[sock.send(rest[:_PORTION]) :]
        elif left() <= 0:
            raise TimeoutError("the request was not taken")


def _await_answer(connection: HTTPConnection, left: Callable[[], float]) -> None:
    """Until the answer begins. From then on no part of it may take longer than ``BODY_S``."""
    while connection.sock is not None and not wait_for_read(connection.sock, timeout=STEP_S):
        if left() <= 0:
            raise TimeoutError("no answer")
    connection.timeout = BODY_S
