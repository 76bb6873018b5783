"""Look into Jaeger and Prometheus and compare with what should be there. Asking is at the edge; comparing is pure."""

from __future__ import annotations

import difflib
import json
import math
import time
import urllib.parse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from deploy.local._common import StackError, fetch

Span = dict[str, Any]
Sums = dict[tuple[str, ...], float]
_T = TypeVar("_T")
_POLL_S = 0.1
_KINDS = ("unspecified", "internal", "server", "client", "producer", "consumer")
_STATUSES = ("unset", "ok", "error")


@dataclass(frozen=True)
class Node:
    """A span and its children, in the order in which they started."""

    span: Span
    children: tuple[Node, ...]


def fetch_trace(jaeger_url: str, trace_id: str, timeout_s: float = 30.0, *, spans: int = 1) -> list[Span]:
    """All spans of a trace, as soon as Jaeger has at least `spans` of them (see `read_spans` for their shape).

    Jaeger answers 404 until the sampling decision is made, so this asks again. StackError: not there in `timeout_s`.
    """

    def ask() -> list[Span] | None:
        status, body = fetch(f"{jaeger_url}/api/v3/traces/{trace_id}")
        found = read_spans(json.loads(body)) if status == 200 else []
        return found if len(found) >= spans else None

    what = f"trace {trace_id} with at least {spans} span(s) in Jaeger at {jaeger_url}"
    return eventually(ask, timeout_s, f"{what}; a trace that was not sampled never comes")


def search_traces(jaeger_url: str, service: str, *, limit: int = 10_000, hours: float = 1.0) -> dict[str, list[Span]]:
    """The traces of one service that Jaeger has now, of the last `hours`: trace id → spans. Empty: none."""
    now = time.time()
    query = {
        "query.service_name": service,
        "query.start_time_min": _rfc3339(now - hours * 3600),
        "query.start_time_max": _rfc3339(now + 60),
        "query.num_traces": str(limit),  # later versions call it search_depth
    }
    status, body = fetch(f"{jaeger_url}/api/v3/traces?{urllib.parse.urlencode(query)}", timeout_s=60.0)
    if status == 404:
        return {}
    if status != 200:
        raise StackError(f"Jaeger at {jaeger_url} refused a search: {status}: {body[:300].decode(errors='replace')}")
    traces: dict[str, list[Span]] = {}
    for span in read_spans(json.loads(body)):
        traces.setdefault(span["trace_id"], []).append(span)
    return traces


def search_ids(jaeger_url: str, service: str, tags: Mapping[str, str], *, limit: int = 10_000) -> set[str]:
    """The trace ids of one service in which a span has all these attributes: what Jaeger's page searches by.

    It is the older API that knows this filter (`/api/traces`, times in microseconds).
    """
    now = time.time()
    query = {
        "service": service,
        "tags": json.dumps(tags),
        "start": str(int((now - 3600) * 1e6)),
        "end": str(int((now + 60) * 1e6)),
        "limit": str(limit),
    }
    status, body = fetch(f"{jaeger_url}/api/traces?{urllib.parse.urlencode(query)}", timeout_s=60.0)
    if status != 200:
        raise StackError(f"Jaeger at {jaeger_url} refused a search: {status}: {body[:300].decode(errors='replace')}")
    return {trace["traceID"].zfill(32) for trace in json.loads(body)["data"] or []}


def read_spans(answer: Mapping[str, Any]) -> list[Span]:
    """Jaeger's answer (OTLP JSON below "result") → flat spans, oldest first.

    Keys: trace_id, span_id, parent_id (None at a root), name, kind ("server"), status ("unset" | "ok" | "error"),
    message, start_ns, end_ns, attributes, resource (dicts of plain values), service, scope, trace_state, events (list
    of name, time_ns, attributes). What Jaeger itself adds (attributes that begin with "@jaeger@") is left out.
    """
    spans: list[Span] = []
    for group in answer.get("result", {}).get("resourceSpans", []):
        resource = read_attributes(group.get("resource", {}).get("attributes", []))
        for scoped in group.get("scopeSpans", []):
            scope = scoped.get("scope", {}).get("name", "")
            spans += [_read_span(span, resource, scope) for span in scoped.get("spans", [])]
    return sorted(spans, key=lambda span: (span["start_ns"], span["span_id"]))


def read_attributes(pairs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """OTLP's list of keys and typed values → a dict of str, int, float, bool, list and dict."""
    return {pair["key"]: _plain(pair.get("value", {})) for pair in pairs if not pair["key"].startswith("@jaeger@")}


def span_tree(spans: Sequence[Span]) -> list[Node]:
    """The roots, each with everything below it. A span whose parent is not among `spans` is a root."""
    known = {span["span_id"] for span in spans}
    below: dict[str | None, list[Span]] = {}
    for span in sorted(spans, key=lambda span: (span["start_ns"], span["span_id"])):
        below.setdefault(span["parent_id"] if span["parent_id"] in known else None, []).append(span)

    def grow(parent: str | None) -> tuple[Node, ...]:
        return tuple(Node(span, grow(span["span_id"])) for span in below.get(parent, []))

    return list(grow(None))


def outline(nodes: Sequence[Node], indent: str = "") -> list[str]:
    """A tree as lines, two spaces a level: "POST /ask", "  chat gpt-5 (error)"."""
    lines: list[str] = []
    for node in nodes:
        mark = " (error)" if node.span["status"] == "error" else ""
        lines += [f"{indent}{node.span['name']}{mark}", *outline(node.children, indent + "  ")]
    return lines


def tree_differences(expected: Sequence[str], found: Sequence[str]) -> list[str]:
    """Two outlines → a readable difference ("- " expected and missing, "+ " there unexpectedly); empty: equal."""
    if list(expected) == list(found):
        return []
    return [line.rstrip() for line in difflib.ndiff(expected, found) if not line.startswith("?")]


def prometheus_query(prometheus_url: str, query: str) -> list[tuple[dict[str, str], float]]:
    """An instant query → (labels, value) of each series. StackError: Prometheus does not answer or refuses it."""
    encoded = urllib.parse.urlencode({"query": query})
    status, body = fetch(f"{prometheus_url}/api/v1/query?{encoded}")
    if status != 200:
        raise StackError(f"Prometheus at {prometheus_url}: {status} for {query}: {body[:300].decode(errors='replace')}")
    return [(series["metric"], float(series["value"][1])) for series in json.loads(body)["data"]["result"]]


def prometheus_sum(prometheus_url: str, metric: str, by: Sequence[str] = (), where: str = "") -> Sums:
    """`sum by (…)` over a metric's newest samples: values of the `by` labels → sum. Empty: there is no such series.

    `metric` and `by` are names as Prometheus has them; `where` holds matchers, such as `job="shop",instance!=""`.
    """
    found = prometheus_query(prometheus_url, f"sum by ({', '.join(by)}) ({metric}{{{where}}})")
    return {tuple(labels.get(name, "") for name in by): value for labels, value in found}


def sum_differences(expected: Mapping[tuple[str, ...], float], found: Sums, *, tolerance: float = 0.0) -> list[str]:
    """One line for each label set whose sum is missing, unexpected or off by more than `tolerance`; empty: equal."""
    lines: list[str] = []
    for key in sorted({*expected, *found}):
        name = " / ".join(key) or "total"
        if key not in found:
            lines.append(f"{name}: expected {expected[key]!r}, and there is no such series")
        elif key not in expected and found[key] == 0:
            continue  # a counter that stands at 0 (failed calls) says what no series says
        elif key not in expected:
            lines.append(f"{name}: found {found[key]!r}, and nothing is expected")
        elif not math.isclose(expected[key], found[key], rel_tol=0.0, abs_tol=tolerance):
            off = found[key] - expected[key]
            lines.append(f"{name}: expected {expected[key]!r}, found {found[key]!r} ({off:+g})")
    return lines


def wait_for_sums(
    prometheus_url: str,
    metric: str,
    expected: Mapping[tuple[str, ...], float],
    *,
    by: Sequence[str] = (),
    where: str = "",
    tolerance: float = 0.0,
    timeout_s: float = 30.0,
) -> list[str]:
    """Differences from `expected` once there are none, or those that are left after `timeout_s`."""
    until = time.monotonic() + timeout_s
    while True:
        found = prometheus_sum(prometheus_url, metric, by, where)
        left = sum_differences(expected, found, tolerance=tolerance)
        if not left or time.monotonic() > until:
            return left
        time.sleep(_POLL_S)


def eventually(ask: Callable[[], _T | None], timeout_s: float, what: str) -> _T:
    """The first answer that is not None. StackError naming `what` after `timeout_s`."""
    until = time.monotonic() + timeout_s
    while (answer := ask()) is None:
        if time.monotonic() > until:
            raise StackError(f"after {timeout_s:g} s there is no {what}")
        time.sleep(_POLL_S)
    return answer


def _read_span(span: Mapping[str, Any], resource: dict[str, Any], scope: str) -> Span:
    status = span.get("status", {})
    return {
        "trace_id": span["traceId"],
        "span_id": span["spanId"],
        "parent_id": span.get("parentSpanId") or None,
        "name": span["name"],
        "kind": _KINDS[span.get("kind", 0)],
        "status": _STATUSES[status.get("code", 0)],
        "message": status.get("message", ""),
        "start_ns": int(span["startTimeUnixNano"]),
        "end_ns": int(span["endTimeUnixNano"]),
        "attributes": read_attributes(span.get("attributes", [])),
        "resource": resource,
        "service": resource.get("service.name", ""),
        "scope": scope,
        "trace_state": span.get("traceState", ""),
        "events": [_read_event(event) for event in span.get("events", [])],
    }


def _read_event(event: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": event.get("name", ""),
        "time_ns": int(event.get("timeUnixNano", 0)),
        "attributes": read_attributes(event.get("attributes", [])),
    }


def _plain(value: Mapping[str, Any]) -> Any:
    kind: str
    held: Any
    kind, held = next(iter(value.items()), ("", None))
    if kind == "intValue":
        return int(held)
    if kind == "arrayValue":
        return [_plain(one) for one in held.get("values", [])]
    return read_attributes(held.get("values", [])) if kind == "kvlistValue" else held


def _rfc3339(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
