"""DSPy's own HTTP client: which host is called, and the trace context for those hosts that may have it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

from opentelemetry import propagate, trace

from spanloom.dspy._frames import at_home
from spanloom.dspy._providers import Peers, address_of
from spanloom.dspy._settings import Settings
from spanloom.genai import ClientCall, Target, Telemetry, current, guarded

_CLIENTS = (
    ("dspy._vendor.lm15.transports._sync", "StdlibTransport.stream"),
    ("dspy._vendor.lm15.transports._async", "StdlibAsyncTransport.stream"),
)


def targets(telemetry: Telemetry, settings: Settings) -> Iterator[Target]:
    """What sends every request of it. DSPy 3.3 has no client of its own."""
    del telemetry, settings
    peers = Peers()
    for module, path in _CLIENTS:
        yield Target(module, path, functools.partial(wrap_stream, peers), optional=True)


def wrap_stream(peers: Peers, original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap ``stream(self, request)``."""

    def stream(self: Any, request: Any, *args: Any, **kwargs: Any) -> Any:
        note(peers, request)
        return original(self, request, *args, **kwargs)

    return at_home(stream, original)


@guarded("dspy.lm.transport")
def note(peers: Peers, request: Any) -> None:
    """Tell the call where it goes; tell the host of the call where it may know."""
    call = current()
    if not isinstance(call, ClientCall):
        return
    address = address_of(request.url)
    if address is None:
        return
    call.learn_address(*address)
    if peers.trusts(*address):
        call.propagates = True
        request.headers = [*request.headers, *_context(call, request.headers)]


def _context(call: ClientCall, headers: list[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """What the propagators add; what the caller sends himself stands."""
    carrier: dict[str, str] = {}
    propagate.inject(carrier, trace.set_span_in_context(call.span))
    own = {name.lower() for name, _ in headers}
    yield from ((name, value) for name, value in carrier.items() if name.lower() not in own)
