"""Puts encoded items under their resource and scope, in requests bounded in bytes. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from spanloom.export._value import array, attributes, name, quote, utf8


class Signal(NamedTuple):
    """How OTLP names the three levels of one signal."""

    resources: str
    scopes: str
    items: str


TRACES = Signal("resourceSpans", "scopeSpans", "spans")
METRICS = Signal("resourceMetrics", "scopeMetrics", "metrics")
LOGS = Signal("resourceLogs", "scopeLogs", "logRecords")


class Item(NamedTuple):
    """One span, metric or log record. ``entries``: what the receiver counts (data points of a metric)."""

    text: bytes
    entries: int


class Request(NamedTuple):
    """The body of one export request; ``entries`` spans, data points or log records are in it."""

    body: bytes
    entries: int


class _Head(NamedTuple):
    """What stands before the items: the resource's and the scope's JSON."""

    resource: bytes
    scope: bytes


class _Run(NamedTuple):
    head: _Head
    items: list[Item]


class Groups:
    """Items by resource and scope, in order of first appearance."""

    def __init__(self) -> None:
        self._runs: dict[tuple[int, int], _Run] = {}

    def items_of(self, resource: Resource, scope: InstrumentationScope | None) -> list[Item]:
        """The list to append to. Grouped by identity: hashing a Resource serialises it."""
        key = (id(resource), id(scope))
        run = self._runs.get(key)
        if run is None:
            run = self._runs[key] = _Run(_Head(_resource(resource), _scope(scope)), [])
        return run.items

    def requests(self, signal: Signal, limit_bytes: int) -> Iterator[Request]:
        """Bodies of at most ``limit_bytes``, but for a single item that is larger: it goes alone."""
        runs = [run for run in self._runs.values() if run.items]
        for some in _split(runs, limit_bytes):
            yield Request(_render(signal, some), sum(item.entries for run in some for item in run.items))


def _split(runs: list[_Run], limit_bytes: int) -> Iterator[list[_Run]]:
    """The same runs in portions that fit; a run may continue in the next portion."""
    portion: list[_Run] = []
    size = _FRAME_BYTES
    for run in runs:
        head_size = len(run.head.resource) + len(run.head.scope) + _FRAME_BYTES
        started = False
        for item in run.items:
            needed = len(item.text) + 1 + (0 if started else head_size)
            if portion and size + needed > limit_bytes:
                yield portion
                portion, size, started = [], _FRAME_BYTES, False
                needed = len(item.text) + 1 + head_size
            if not started:
                portion.append(_Run(run.head, []))
                started = True
            portion[-1].items.append(item)
            size += needed
    if portion:
        yield portion


# Brackets and field names around resources, scopes and items: at most so many bytes a level.
_FRAME_BYTES = 64


def _render(signal: Signal, runs: list[_Run]) -> bytes:
    by_resource: dict[bytes, list[bytes]] = {}
    for run in runs:
        items = b",".join([item.text for item in run.items])
        scope = b'{%b"%b":[%b]}' % (run.head.scope, signal.items.encode(), items)
        by_resource.setdefault(run.head.resource, []).append(scope)
    resources = (
        b'{%b"%b":[%b]}' % (resource, signal.scopes.encode(), b",".join(scopes))
        for resource, scopes in by_resource.items()
    )
    return b'{"%b":[%b]}' % (signal.resources.encode(), b",".join(resources))


_CACHE_MAX = 256
# By identity, with the object kept so that its id stays its own.
_cache: dict[int, tuple[object, bytes]] = {}


def _resource(resource: Resource) -> bytes:
    """``"resource":{…},"schemaUrl":"…",``"""
    known = _cache.get(id(resource))
    if known is not None and known[0] is resource:
        return known[1]
    inner = array("attributes", attributes(resource.attributes)).rstrip(",")
    return _remember(resource, f'"resource":{{{inner}}},{_schema(resource.schema_url)}')


def _scope(scope: InstrumentationScope | None) -> bytes:
    """``"scope":{…},"schemaUrl":"…",`` or nothing."""
    if scope is None:
        return b""
    known = _cache.get(id(scope))
    if known is not None and known[0] is scope:
        return known[1]
    version = f'"version":{quote(scope.version)},' if scope.version else ""
    inner = f'"name":{name(scope.name)},{version}{array("attributes", attributes(scope.attributes))}'.rstrip(",")
    return _remember(scope, f'"scope":{{{inner}}},{_schema(scope.schema_url)}')


def _schema(url: str | None) -> str:
    return f'"schemaUrl":{quote(url)},' if url else ""


def _remember(owner: object, text: str) -> bytes:
    if len(_cache) >= _CACHE_MAX:
        _cache.clear()
    encoded = utf8(text)
    _cache[id(owner)] = (owner, encoded)
    return encoded
